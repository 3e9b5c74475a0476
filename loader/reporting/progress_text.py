"""Progress as text: the same line for a terminal, for files and for logs."""

from __future__ import annotations

import time

from loader.events import Event, Started
from loader.quantities import counted, size_text
from loader.reporting.counts import Counts


class ProgressText(Counts):
    """Counts, with texts for people."""

    def __init__(self) -> None:
        super().__init__()
        self._started = time.monotonic()

    def count(self, event: Event) -> None:
        """Count ``event``; the rate is that since the last Started."""
        super().count(event)
        if isinstance(event, Started):
            self._started = time.monotonic()

    @property
    def rate(self) -> float:
        """Rows a second, without those of earlier runs."""
        return (self.rows_done - self.rows_resumed) / max(time.monotonic() - self._started, 1e-9)

    @property
    def details(self) -> str:
        """Rate and size, then retries and rejected rows where there are any."""
        parts = [f"{self.rate:,.0f} rows/s"]
        parts += [size_text(self.size)] if self.size else []
        parts += [counted(self.retries, "retry", "retries")] if self.retries else []
        parts += [f"{self.rejected:,} rejected"] if self.rejected else []
        return ", ".join(parts)

    @property
    def line(self) -> str:
        """The whole state in one line."""
        return f"{self.activity}: {self.rows_done:,} of {self.rows:,} rows, {self.details}"
