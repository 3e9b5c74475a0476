"""Verifies that the server holds every value, by its files or by queries, and that queries find them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import Future

import polars as pl

from loader.dataset.manifest import Manifest
from loader.dataset.schema import PointSchema
from loader.errors import ConfigError, ServerError
from loader.events import Notice, Observer
from loader.servers.backup import Shard
from loader.servers.load_method import Surplus
from loader.servers.tables import has_tables
from loader.verification.aggregates.frames import Aggregates, join_answers, key_columns, sum_parts
from loader.verification.differences import Cell, cell_differences, compare_cells
from loader.verification.outcome import Outcome
from loader.verification.query_pool import QueryPool
from loader.verification.settings import Difference, VerifySettings
from loader.verification.surplus import without_surplus
from loader.verification.values.by_file import compare_values
from loader.verification.values.by_query import query_values
from loader.verification.values.by_window import window_values
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
    the values: of each field where it gives files and, where these counts or the files differ, or it gives none, of
    every (series, day). This finds files that are missing from an index and, where files are not read, points of series
    that the dataset does not have. Memory and errors are those of ``compare_values``.
    """
    totals = [_ask_totals(measurement, pool) if shards is not None else [] for measurement in measurements]
    answers = [_ask_counts(measurement, pool) if shards is None else [] for measurement in measurements]
    if shards is not None:
        compared = compare_values(settings, measurements, shards, observe)
    else:
        by_window = has_tables(pool.dialect)
        if not by_window:
            observe(Notice("this server gives no files: all values are read by queries, which takes far longer"))
        compare = window_values if by_window else query_values
        compared = [compare(settings, measurement, pool, observe) for measurement in measurements]
    found = []
    for measurement, total, answer, outcome in zip(measurements, totals, answers, compared, strict=True):
        expected = sum_parts(measurement.schema, outcome.cells)
        number = len(_places(measurement.schema, expected))
        # With a surplus, queries must find what the files hold, of which the dataset is a part.
        stored = sum_parts(measurement.schema, outcome.stored) if outcome.stored else expected
        if not outcome.difference_count and _are_expected(stored, total):
            found.append((number, outcome))
            continue
        try:
            counts = _joined(measurement, answer or _ask_counts(measurement, pool))
        except ConfigError as error:
            if shards is None:
                raise
            observe(Notice(f"only the stored files are compared, queries are not: {error.message}"))
            counts = outcome.cells
        of_both, cells = _compare_counts(settings, measurement, stored, counts, pool)
        _add_counts(settings, measurement.schema, outcome, cells)
        found.append((number if settings.surplus == Surplus.IGNORE else of_both, outcome))
    return found


def _joined(measurement: Manifest, answers: Sequence[Sequence[tuple[str, Future[pl.DataFrame]]]]) -> list[Aggregates]:
    return [join_answers(measurement.schema, [(name, future.result()) for name, future in each]) for each in answers]


def _ask_totals(measurement: Manifest, pool: QueryPool) -> list[list[Future[list[int]]]]:
    windows = plan_windows(measurement.filled)
    return [pool.totals(measurement.schema, window.start, window.stop) for window in windows]


def _are_expected(expected: Aggregates, totals: Sequence[Sequence[Future[list[int]]]]) -> bool:
    """Tell whether the server was asked for totals, and counts as many values of each field as are ``expected``."""
    if not totals:
        return False
    counted = pl.concat([frame.select("field", "count") for frame in expected.values()])
    wanted = dict(counted.group_by("field").agg(pl.col("count").sum()).iter_rows())
    try:
        found = [[number for answer in window for number in answer.result()] for window in totals]
    except (ConfigError, ServerError):  # the server may still count the values of each series
        return False
    return all(wanted.get(field, 0) == sum(numbers) for field, numbers in enumerate(zip(*found, strict=True)))


def _places(schema: PointSchema, expected: Aggregates) -> pl.DataFrame:
    """Return the (series, day) of ``expected``."""
    return pl.concat([frame.select(key_columns(schema)) for frame in expected.values()]).unique()


def _ask_counts(measurement: Manifest, pool: QueryPool) -> list[list[tuple[str, Future[pl.DataFrame]]]]:
    windows = plan_windows(measurement.filled)
    return [pool.aggregates(measurement.schema, window.start, window.stop, ["count"]) for window in windows]


def _compare_counts(
    settings: VerifySettings,
    measurement: Manifest,
    expected: Aggregates,
    counts: Sequence[Aggregates],
    pool: QueryPool,
) -> tuple[int, list[Cell]]:
    """Return the number of (series, day), and those whose ``counts`` on the server differ for good."""
    schema = measurement.schema

    def compare(counts: Sequence[Aggregates]) -> tuple[int, list[Cell]]:
        return compare_cells(schema, expected, sum_parts(schema, counts), settings.tolerance)

    def look() -> tuple[int, list[Cell]]:
        return compare(_joined(measurement, _ask_counts(measurement, pool)))

    return pool.second_look.settle(compare(counts), look, lambda each: [(cell.series, cell.day) for cell in each[1]])


def _add_counts(settings: VerifySettings, schema: PointSchema, compared: Outcome, cells: Sequence[Cell]) -> None:
    """Add to ``compared`` the ``cells`` whose counts differ, except where it has differences already."""
    # A series name from files may be longer, by tags that the schema does not have.
    explained = {
        (day, series[: comma.start()]) for day, series in compared.places for comma in re.finditer(",|$", series)
    }
    differences: Iterable[Difference] = [each for cell in cells for each in cell_differences(schema, cell)]
    if settings.surplus == Surplus.IGNORE:
        differences = without_surplus(differences)
    compared.add(difference for difference in differences if (difference.day, difference.series) not in explained)
