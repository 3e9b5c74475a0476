"""What a load has done so far, and its report."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from loader.dataset.manifest import Manifest
from loader.events import Advanced, Observer, Rejected, Waited
from loader.loading.rejected import Rejections
from loader.loading.settings import LoadReport, LoadSettings

DRY_RUN = "none: dry run"
"""The server of a load that sends nothing."""


@dataclass
class Tally:
    """Counts what one run of a load does; only the coordinator changes it. ``rows_skipped`` are those of all runs."""

    settings: LoadSettings
    observe: Observer
    started: float = field(default_factory=time.monotonic)
    rows: int = 0
    payload_size: int = 0
    body_size: int = 0
    retries: int = 0
    waits: dict[str, float] = field(default_factory=dict)
    rows_skipped: int = 0
    values_not_finite: int = 0
    rows_existing: int = 0

    def wait(self, event: Waited) -> None:
        """Count and report a wait."""
        self.retries += event.cause == "retry"
        self.waits[event.cause] = self.waits.get(event.cause, 0.0) + event.seconds
        self.observe(event)

    def reject(self, rows: int) -> None:
        """Report rejected rows."""
        if rows:
            self.observe(Rejected(rows))

    def advance(self, rows: int, payload_size: int, body_size: int, skipped: int = 0) -> None:
        """Count and report rows that are done, of which ``skipped`` are not sent: later rows replace them."""
        self.rows += rows
        self.rows_skipped += skipped
        self.payload_size += payload_size
        self.body_size += body_size
        self.observe(Advanced(rows, body_size))

    def begin_again(self) -> None:
        """Set the counts of rows and bytes to zero: all of them are done once more."""
        self.rows = self.rows_skipped = self.payload_size = self.body_size = 0

    def report(
        self,
        server: str,
        manifest: Manifest,
        rows_resumed: int = 0,
        *,
        stopped: bool,
        rejections: Rejections | None = None,
    ) -> LoadReport:
        """Return the report of a load of the dataset of ``manifest``; ``stopped`` tells that it was asked to stop."""
        rejected = rejections.total if rejections else 0
        kept = str(rejections.file.path) if rejections and rejections.file.path.exists() else ""
        return LoadReport(
            server=server,
            via=self.settings.via,
            rows=manifest.rows,
            rows_resumed=rows_resumed,
            rows_done=self.rows,
            rows_acknowledged=rows_resumed + self.rows - rejected - self.rows_skipped,
            rows_rejected=rejected,
            rows_skipped=self.rows_skipped,
            rows_left=manifest.rows - rows_resumed - self.rows,
            payload_size=self.payload_size,
            body_size=self.body_size,
            seconds=time.monotonic() - self.started,
            retries=self.retries,
            waits=dict(self.waits),
            interrupted=stopped and rows_resumed + self.rows < manifest.rows,
            rejected_path=kept if rejected else "",
            first_rejected=rejections.first if rejections else "",
            measurements=manifest.rows_by_measurement,
            values_not_finite=self.values_not_finite,
            rows_moved=manifest.rows_moved,
            rows_existing=self.rows_existing,
            fingerprint=manifest.fingerprint,
        )
