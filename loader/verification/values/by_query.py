"""Compares every value of the dataset with answers to queries, for servers whose files cannot be read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from itertools import pairwise

import polars as pl

from loader.dataset.instant import DAY
from loader.dataset.manifest import Manifest
from loader.dataset.schema import PointSchema
from loader.encoding.tsm.decode.columns import Column
from loader.events import Advanced, Observer, Started
from loader.servers.base import PointsQuery
from loader.servers.load_method import Surplus
from loader.verification.differences import compare_points
from loader.verification.outcome import Outcome
from loader.verification.query_pool import QueryPool
from loader.verification.settings import VerifySettings
from loader.verification.surplus import without_surplus
from loader.verification.values.columns import day_counts, series_frames
from loader.verification.values.expected import expected_values, row_bytes
from loader.verification.values.extents import Extents
from loader.verification.values.spans import WINDOW_BYTES, WINDOW_DAYS, WINDOW_ROWS, in_parts
from loader.verification.windows import Window, day_stop, plan_windows

_NO_ORDER = pl.Series(dtype=pl.Binary)
QUERY_POINTS = 100_000
"""Points of the dataset that one query covers."""


def query_values(settings: VerifySettings, manifest: Manifest, pool: QueryPool, observe: Observer) -> Outcome:
    """Compare every point of a measurement; the server is queried for each (series, day) of the dataset.

    Memory is bounded by WINDOW_BYTES of a window, twice, and the answers to a few queries. Raises ServerError,
    StageError.
    """
    windows = plan_windows(manifest.filled, WINDOW_DAYS, WINDOW_ROWS)
    observe(Started("verify values", sum(window.rows for window in windows)))
    outcome = Outcome(settings.max_listed)
    extents = Extents()
    asked: deque[tuple[PointsQuery, pl.DataFrame, Future[pl.DataFrame]]] = deque()

    def take_answers(left: int) -> None:
        while len(asked) > left:
            query, expected, found = asked.popleft()
            differences = compare_points(query, expected, found.result())
            outcome.add(without_surplus(differences) if settings.surplus == Surplus.IGNORE else differences)

    def compare(window: Window, most: int) -> None:
        values = expected_values(settings.place.root, manifest.schema, window, _NO_ORDER, most, extents)
        outcome.values += values.size
        outcome.superseded += values.superseded
        outcome.add_unfit(values.unfit)
        outcome.cells.append(day_counts(manifest.schema, values.columns))
        for query, expected in _questions(manifest.schema, window, values.columns):
            asked.append((query, expected, pool.points(query)))
            take_answers(2 * settings.connections)
        take_answers(0)

    for window in windows:
        in_parts(window, WINDOW_BYTES, compare, row_bytes(manifest.schema))
        observe(Advanced(window.rows))
    return outcome


def _questions(
    schema: PointSchema, window: Window, columns: Sequence[Column]
) -> Iterator[tuple[PointsQuery, pl.DataFrame]]:
    """Yield queries that cover days of series within ``window``, and the points that they should find."""
    for tags, frame in series_frames(schema, columns):
        for (number,), points in frame.group_by(pl.col("time") // DAY, maintain_order=True):
            first, last = max(int(number) * DAY, window.start), min(day_stop(int(number) * DAY), window.stop)
            bounds = [first, *points["time"].gather_every(QUERY_POINTS).to_list()[1:], last]
            for start, stop in pairwise(bounds):
                within = points.filter(pl.col("time").is_between(start, stop - 1))
                yield PointsQuery(schema, tags, start, stop), within
