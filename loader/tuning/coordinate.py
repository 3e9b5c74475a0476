"""The coordinate search: goes from the start to the settings to use, factor by factor, and notes what no flag says."""

from __future__ import annotations

from loader.tuning.factors import RESTORE, SERIES_ORDER, Factors
from loader.tuning.search import Search
from loader.tuning.settings import TunedSettings


def find_settings(search: Search, factors: Factors, start: TunedSettings, *, restores: bool) -> TunedSettings:
    """Measure all factors and return the settings to use: ``start``, unless others are faster when all is compared.

    Row order, and with ``restores`` the restore path, are measured for the notes of ``search``. Raises what measuring
    raises.
    """
    found = start
    *first, last = factors.in_turn
    for make in first:
        found = search.compare(make(found)).settings
    if found == start:
        search.kept = 0.0  # so far there is nothing to have the last word on
    found = search.compare(last(found)).settings
    # Each step may have been luck. This one compares with the start, so a load never gets slower.
    chosen = search.compare(factors.together(start, found), last_word=True).settings
    if chosen != found:
        search.notes.append(
            "what was found one by one is not faster than the start when all is compared together, or there was no time"
            " to tell: the start is kept"
        )
    if search.compare(factors.order(chosen)).value == SERIES_ORDER:
        search.notes.append("rows in series order load faster: loader stage --from sorts them so; load what it staged")
    if restores and search.compare(factors.path(chosen)).value == RESTORE:
        search.notes.append(
            "the restore path is faster (--via restore): it fills a new bucket; its fixed costs weigh more in a sample"
            " than in a load"
        )
    return chosen
