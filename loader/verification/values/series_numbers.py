"""Numbers the series of rows as they are read."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from loader.encoding.arrays import Places
from loader.encoding.tsm.decode.keys import find_numbers

WAITING_SERIES = 1 << 16
"""Series that are held before they are told apart; more where as many are known."""


@dataclass
class SeriesNumbers:
    """Gives codes to series: a code is one of a series, which has several if it was added several times.

    Memory is some 100 bytes for each series, besides its form, and 4 for each code.
    """

    _known: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.Binary))
    _numbers: list[Places] = field(default_factory=list)
    _waiting: list[pl.Series] = field(default_factory=list)
    _held: int = 0
    _codes: int = 0

    def add(self, forms: pl.Series) -> int:
        """Add the forms of series (Binary), and return the code of the first; the others follow."""
        first = self._codes
        self._waiting.append(forms)
        self._held += len(forms)
        self._codes += len(forms)
        # As many as are known, so that the known ones are not looked up again and again for a few.
        if self._held > max(WAITING_SERIES, len(self._known)):
            self._number()
        return first

    def ranked(self, order: pl.Series) -> tuple[pl.Series, Places]:
        """Return the forms of all series, in the ``order`` of the server, and the place of each code's series there.

        Those that ``order`` lacks come last, in the order of their forms.
        """
        self._number()
        known = pl.DataFrame({"form": self._known, "rank": find_numbers(self._known, order)})
        numbers = known.select(pl.arg_sort_by("rank", "form", nulls_last=True)).to_series()
        series = self._known.gather(numbers)
        ranks = np.empty(len(series), np.int32)
        ranks[numbers.to_numpy()] = np.arange(len(series), dtype=np.int32)
        codes = [ranks[part] for part in self._numbers]
        # Mostly these are the same, which is then held once.
        return order if order.equals(series) else series, np.concatenate([np.empty(0, np.int32), *codes])

    def _number(self) -> None:
        """Give numbers to the series that wait, to new ones after those that are known."""
        forms = pl.concat([self._known[:0], *self._waiting])
        self._waiting.clear()
        self._held = 0
        self._known = pl.concat([self._known, forms]).unique(maintain_order=True)
        self._numbers.append(find_numbers(forms, self._known).to_numpy())
