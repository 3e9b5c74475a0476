"""Lets the server compute the candles of a bucket's trades, and compares them with those of the dataset."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from time import monotonic

import polars as pl

from loader.dataset.manifest import Manifest
from loader.events import Advanced, Notice, Observer, Started
from loader.servers.base import CandleQuery, CandleValues
from loader.servers.frames import tag_columns
from loader.servers.patience import Patience, find_server
from loader.servers.transport import Connection
from loader.staging.candles.plan import CandlePlan, plan_candles
from loader.staging.candles.settings import CandleRule
from loader.verification.candles.differences import compare_candles
from loader.verification.candles.expected import expect_candles
from loader.verification.outcome import Outcome
from loader.verification.query_pool import QueryPool, query_pool
from loader.verification.settings import VerifyReport, VerifySettings
from loader.verification.windows import Window, plan_windows

ASKED_ROWS = 2_000_000
"""Trades of which one query asks for candles, about: a server takes seconds for them."""
ASKED_CANDLES = 50_000
"""Candles in one answer, about; each takes 150 bytes."""
_AHEAD = 2
"""Windows whose answers are waited for while the next one is computed."""


@dataclass(frozen=True)
class _Asked:
    """The candles of the dataset in a window of days, how many rows are in none of them, and the server's answers."""

    rows: int
    left_out: int
    expected: pl.DataFrame
    answers: list[dict[CandleValues, Future[pl.DataFrame]]]


def verify_candles(
    settings: VerifySettings, rule: CandleRule, manifest: Manifest, observe: Observer, started: float
) -> VerifyReport:
    """Compare the candles of ``rule`` from the dataset's first day to its last with those that the server computes.

    The server answers in InfluxQL, so many windows at a time that an answer has about ASKED_CANDLES. Points that have
    no price, or no amount where one is asked for, make no candle; where the dataset has such points, the server is
    asked for those that have both, which takes it longer. Memory is that of ``expect_candles`` for the days of
    ASKED_ROWS trades, or of one partition, and as much of answers, for _AHEAD windows.
    Raises ConfigError, StageError, ServerError.
    """
    plan = plan_candles(rule, manifest.schemas)
    (part,) = (each for each in manifest.measurements if each.schema == plan.source)
    patience = Patience(settings.retry_seconds, observe, threading.Event())
    with Connection(settings.target, settings.timeout_seconds) as connection:
        server = find_server(connection, observe, patience)
        bucket = patience.ask(lambda: server.dialect.find_bucket(connection.send, settings.target))
        if bucket:
            patience.ask(lambda: server.dialect.check_influxql(connection.send, settings.target, bucket))
    observe(Started("verify", part.rows))
    if bucket is None:
        observe(Notice(f"bucket {settings.target.bucket!r} does not exist: every candle is missing"))
    outcome = Outcome(settings.max_listed)
    number = left_out = 0
    with query_pool(settings, server.dialect, observe) as pool:
        for asked in _ahead(_ask_all(settings, plan, part, pool if bucket else None, outcome)):
            found = _joined(plan, asked)
            number += asked.expected.height
            left_out += asked.left_out
            outcome.add(compare_candles(plan, asked.expected, found, settings.tolerance))
            observe(Advanced(asked.rows))
    return VerifyReport(
        server=server.name,
        rows=part.rows,
        windows=0,
        samples=0,
        differences=tuple(difference.shown() for difference in outcome.differences),
        difference_count=outcome.difference_count,
        seconds=monotonic() - started,
        superseded=outcome.superseded,
        measurements=part.rows_by_measurement,
        candles=number,
        rows_left_out=left_out,
        fingerprint=manifest.fingerprint,
    )


def _ask_all(
    settings: VerifySettings, plan: CandlePlan, manifest: Manifest, pool: QueryPool | None, outcome: Outcome
) -> Iterator[_Asked]:
    for window in plan_windows(manifest.filled, rows=ASKED_ROWS):
        candles, seen = expect_candles(settings.place.root, plan, window.partitions, distinct=manifest.distinct)
        outcome.superseded += seen.superseded
        sparse = plan.amount is not None and seen.without > 0
        answers = _ask(plan, window, candles, pool, sparse=sparse) if pool else []
        yield _Asked(window.rows, seen.left_out, candles, answers)


def _ahead(asked: Iterator[_Asked]) -> Iterator[_Asked]:
    """Yield the items of ``asked`` in order, each when _AHEAD more of them are there."""
    held: deque[_Asked] = deque()
    for each in asked:
        held.append(each)
        if len(held) > _AHEAD:
            yield held.popleft()
    yield from held


def _ask(
    plan: CandlePlan, window: Window, candles: pl.DataFrame, pool: QueryPool, *, sparse: bool
) -> list[dict[CandleValues, Future[pl.DataFrame]]]:
    """Ask for the candles of ``window``; ranges of time are such that each answer has about as many candles."""
    if sparse:
        wanted = [CandleValues.TRADES]
    else:
        wanted = [CandleValues.PRICES, *([CandleValues.TURNOVER] if plan.amount else [])]
    ranges = max(1, -(-window.rows // ASKED_ROWS), -(-candles.height // ASKED_CANDLES))
    step = -(-(window.stop - window.start) // (ranges * plan.every)) * plan.every
    return [
        {
            values: pool.candles(CandleQuery(plan.columns, plan.every, values, start, min(start + step, window.stop)))
            for values in wanted
        }
        for start in range(window.start, window.stop, step)
    ]


def _joined(plan: CandlePlan, asked: _Asked) -> pl.DataFrame:
    """Return the candles in the server's answers, in the form of the expected ones."""
    keys = [*tag_columns(len(plan.by)), "start"]
    parts = []
    for answer in asked.answers:
        first, *more = [future.result() for future in answer.values()]
        for other in more:
            first = first.join(other, on=keys, how="full", coalesce=True)
        parts.append(first)
    return pl.concat(parts) if parts else asked.expected.clear()
