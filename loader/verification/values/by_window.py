"""Compares every value of the dataset with those of InfluxDB 3, which gives all points of a window as Parquet."""

from __future__ import annotations

import polars as pl

from loader.dataset.manifest import Manifest
from loader.encoding.tsm.decode.columns import TooManyPoints
from loader.events import Advanced, Observer, Started
from loader.servers.base import WindowQuery
from loader.servers.load_method import Surplus
from loader.verification.outcome import Outcome
from loader.verification.query_pool import QueryPool
from loader.verification.settings import Difference, VerifySettings
from loader.verification.surplus import without_surplus
from loader.verification.values.columns import columns_differences, columns_equal, day_counts
from loader.verification.values.expected import answered_values, expected_values, row_bytes
from loader.verification.values.extents import Extents
from loader.verification.values.spans import WINDOW_BYTES, WINDOW_DAYS, WINDOW_ROWS, in_parts
from loader.verification.windows import Window, plan_windows

_NO_ORDER = pl.Series(dtype=pl.Binary)


def window_values(settings: VerifySettings, manifest: Manifest, pool: QueryPool, observe: Observer) -> Outcome:
    """Compare every point of a measurement, bit for bit, window by window.

    Points that the dataset lacks are found, unless the surplus is ignored. Memory is bounded by WINDOW_BYTES of a
    window of the dataset, twice, and as much of the server's points, of which one answer may have 512 MiB. Raises
    ServerError, StageError.
    """
    windows = plan_windows(manifest.filled, WINDOW_DAYS, WINDOW_ROWS)
    observe(Started("verify values", sum(window.rows for window in windows)))
    outcome = Outcome(settings.max_listed)
    extents = Extents()
    schema = manifest.schema

    def compare(window: Window, most: int) -> None:
        # The dataset first: a window that is too large is not asked for.
        values = expected_values(settings.place.root, schema, window, _NO_ORDER, most, extents)

        def look() -> list[Difference]:
            found = answered_values(schema, pool.window(WindowQuery(schema, window.start, window.stop)))
            if most and sum(column.size for column in found) > most:
                raise TooManyPoints
            if columns_equal(values.columns, found):
                return []
            differences = columns_differences(schema, values.columns, found)
            return list(without_surplus(differences) if settings.surplus == Surplus.IGNORE else differences)

        outcome.add(pool.second_look.settle(look(), look, lambda each: each))
        outcome.values += values.size
        outcome.superseded += values.superseded
        outcome.add_unfit(values.unfit)
        outcome.cells.append(day_counts(schema, values.columns))

    for window in windows:
        in_parts(window, WINDOW_BYTES, compare, row_bytes(schema))
        observe(Advanced(window.rows))
    return outcome
