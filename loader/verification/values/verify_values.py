"""Verifies that the server holds every value, by its files or by queries, and that queries find them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import Future

import polars as pl

from loader.dataset.manifest import Manifest
from loader.dataset.schema import PointSchema
from loader.errors import ConfigError
from loader.events import Notice, Observer
from loader.servers.backup import Shard
from loader.verification.aggregates.frames import Aggregates, join_answers, sum_parts
from loader.verification.differences import cell_differences, compare_cells
from loader.verification.outcome import Outcome
from loader.verification.query_pool import QueryPool
from loader.verification.settings import VerifySettings
from loader.verification.values.by_file import compare_values
from loader.verification.values.by_query import query_values
from loader.verification.windows import plan_windows


def verify_values(
    settings: VerifySettings,
    measurements: Sequence[Manifest],
    shards: Sequence[Shard] | None,
    pool: QueryPool,
    observe: Observer,
) -> list[tuple[int, Outcome]]:
    """Return for each measurement the number of (series, UTC day), and the outcome of comparing all values.

    Values come from the files of ``shards``, or from queries where the server gives no files. The server also counts
    the values of every (series, day). This finds files that are missing from an index and, where files are not read,
    points of series that the dataset does not have. Memory and errors are those of ``compare_values``.
    """
    answers = [_ask_counts(measurement, pool) for measurement in measurements]
    if shards is not None:
        compared = compare_values(settings, measurements, shards, observe)
    else:
        observe(Notice("this server gives no files: all values are read by queries, which takes far longer"))
        compared = [query_values(settings, measurement, pool, observe) for measurement in measurements]
    found = []
    for measurement, answer, outcome in zip(measurements, answers, compared, strict=True):
        try:
            counts = [
                join_answers(measurement.schema, [(name, future.result()) for name, future in each]) for each in answer
            ]
        except ConfigError as error:
            if shards is None:
                raise
            observe(Notice(f"only the stored files are compared, queries are not: {error.message}"))
            counts = outcome.cells
        found.append((_compare_counts(measurement.schema, outcome, counts, settings.tolerance), outcome))
    return found


def _ask_counts(measurement: Manifest, pool: QueryPool) -> list[list[tuple[str, Future[pl.DataFrame]]]]:
    windows = plan_windows(measurement.filled)
    return [pool.aggregates(measurement.schema, window.start, window.stop, ["count"]) for window in windows]


def _compare_counts(schema: PointSchema, compared: Outcome, counts: Sequence[Aggregates], tolerance: float) -> int:
    """Add to ``compared`` where the server's ``counts`` differ, except where it has differences already.

    Returns the number of (series, day).
    """
    expected = sum_parts(schema, compared.cells)
    number, cells = compare_cells(schema, expected, sum_parts(schema, counts), tolerance)
    # A series name from files may be longer, by tags that the schema does not have.
    explained = {
        (day, series[: comma.start()]) for day, series in compared.places for comma in re.finditer(",|$", series)
    }
    differences = [difference for cell in cells for difference in cell_differences(schema, cell)]
    compared.add(difference for difference in differences if (difference.day, difference.series) not in explained)
    return number
