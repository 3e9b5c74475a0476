"""The coordinate search: goes from the start to the settings to use, factor by factor, and notes what no flag says."""

from __future__ import annotations

from loader.errors import LoaderError
from loader.servers.patience import Stopped
from loader.tuning.factors import Factors
from loader.tuning.scratch import NotRemoved
from loader.tuning.search import Factor, Search
from loader.tuning.settings import RESTORE, SERIES_ORDER, TunedSettings


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
    if restores:
        _try_restore(search, factors.path(chosen))
    return chosen


def _try_restore(search: Search, path: Factor) -> None:
    """Compare the load paths; if the restore path fails, that is a note: what was found for the other one holds."""
    try:
        faster = search.compare(path).value == RESTORE
    except (Stopped, NotRemoved):
        raise
    except LoaderError as error:
        search.notes.append(f"the restore path failed, and was not measured to the end: {error.message}")
        return
    if faster:
        search.notes.append(
            "the restore path is faster (--via restore): its fixed costs weigh more in a sample than in a load"
        )
