"""Queries the server over several connections at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from dataclasses import field as with_default
from queue import SimpleQueue
from typing import Protocol, TypeVar

import polars as pl

from loader.dataset.schema import Field, FieldType, PointSchema
from loader.events import Notice, Observer
from loader.servers import flux
from loader.servers.base import (
    AggregateQuery,
    AmbiguousText,
    CandleQuery,
    Dialect,
    PointsQuery,
    Request,
    Target,
    UnwritableNumber,
    WindowQuery,
)
from loader.servers.frames import aggregate_frame, field_columns, merge_aggregates, tag_columns
from loader.servers.patience import Patience
from loader.servers.restore import takes_files
from loader.servers.tables import Files, count_files, has_tables
from loader.servers.transport import Connection
from loader.verification.aggregates.frames import FUNCTIONS, NUMBERS
from loader.verification.differences import compare_points
from loader.verification.file_windows import FileWindows, Query
from loader.verification.second_look import SecondLook, only_look
from loader.verification.settings import Difference, VerifySettings
from loader.verification.texts import cut, shortened
from loader.waiting import Workers, take

Answer = TypeVar("Answer")
QUERY_FIELDS = 200
"""Most fields that one query asks for."""


class Found(Protocol):
    """Points that will be there."""

    def result(self) -> pl.DataFrame:
        """Wait for the points and return them; raises ServerError."""
        ...


@dataclass(frozen=True)
class Share:
    """Those points of an answer that one query asks for."""

    together: Future[pl.DataFrame]
    query: PointsQuery

    def result(self) -> pl.DataFrame:
        """Wait for the answer and return the points of the query."""
        series, schema = self.query.series, self.query.schema
        wanted = pl.col("time").is_between(self.query.start, self.query.stop - 1)
        for tag, value in zip(tag_columns(len(schema.tags)), series, strict=True):
            wanted &= pl.col(tag) == value
        return shortened(self.together.result().filter(wanted).select("time", *field_columns(len(schema.fields))))


@dataclass(frozen=True)
class QueryPool:
    """Queries the server, and retries for ``retry_seconds`` while it is busy; answers are futures (ServerError)."""

    target: Target
    dialect: Dialect
    workers: Workers
    connections: SimpleQueue[Connection]
    retry_seconds: float
    observe: Observer
    windows: FileWindows | None = None
    second_look: SecondLook = with_default(default_factory=only_look)
    unsummed: dict[str, object] = with_default(default_factory=dict)
    """Fields for which a notice has said that not all sums are compared."""

    def aggregates(
        self, schema: PointSchema, start: int, stop: int, functions: Sequence[str] = FUNCTIONS
    ) -> list[tuple[str, Future[pl.DataFrame]]]:
        """Ask for ``functions`` of all fields that have them, of the points with ``start`` <= time < ``stop``.

        One query asks for up to QUERY_FIELDS fields: of one type, or, for counts, of any types.
        """
        answers: list[tuple[str, Future[pl.DataFrame]]] = []
        for function in functions:
            for numbers in _together(schema, function):
                fields = tuple(schema.fields[number] for number in numbers)
                query = AggregateQuery(schema, fields, function, start, stop)
                answers.append((function, self.workers.submit(self._aggregate, query, numbers)))
        return answers

    def totals(self, schema: PointSchema, start: int, stop: int) -> list[Future[list[int]]]:
        """Ask a server that gives files for the number of values of each field, those of all series together.

        The answers, one after the other, have the fields in the order of the schema.
        """
        parts = [schema.fields[at : at + QUERY_FIELDS] for at in range(0, len(schema.fields), QUERY_FIELDS)]
        requests = [flux.build_totals(self.target, schema, fields, start, stop) for fields in parts]

        def ask(fields: Sequence[Field], request: Request) -> list[int]:
            return self._with_connection(lambda link: flux.parse_totals(fields, link.send(request)))

        return [self.workers.submit(ask, fields, request) for fields, request in zip(parts, requests, strict=True)]

    def count(self, schema: PointSchema, field: str, start: int, stop: int) -> Future[pl.DataFrame]:
        """Ask for the number of values of ``field``, which may have any type and need not be in ``schema``."""
        query = AggregateQuery(schema, (Field(field, FieldType.INTEGER),), "count", start, stop)
        return self.workers.submit(self._aggregate, query, [0])

    def other_types(self, schema: PointSchema, field: Field, start: int, stop: int) -> Future[int] | None:
        """Ask for the number of values of ``field`` that have another type; None where the server does not tell."""
        if not takes_files(self.dialect):
            return None
        request = flux.build_other_types(self.target, schema, field, start, stop)
        return self.workers.submit(self._with_connection, lambda link: flux.parse_count(link.send(request)))

    def fields(self, schema: PointSchema, start: int, stop: int) -> Future[list[str]]:
        """Ask for the field keys of the measurement."""
        request = self.dialect.build_fields(self.target, schema, start, stop)
        return self.workers.submit(self._with_connection, lambda link: self.dialect.parse_fields(link.send(request)))

    def points(self, query: PointsQuery) -> Future[pl.DataFrame]:
        """Ask for the points of one series."""
        return self.workers.submit(self._points, query)

    def samples(self, queries: Sequence[PointsQuery]) -> Sequence[Found]:
        """Ask for the points of ``queries``, which are of one measurement and one nanosecond each.

        A server that holds tables is asked for all of them at once: each query costs it a look at its files.
        """
        if self.windows is None or not queries:
            return [self.points(query) for query in queries]
        times = tuple(sorted({query.start for query in queries}))
        together = self.workers.submit(self.window, WindowQuery(queries[0].schema, times[0], times[-1] + 1, times))
        return [Share(together, query) for query in queries]

    def window(self, query: WindowQuery) -> pl.DataFrame:
        """Return all points of a window, in series order; only of a server that holds tables."""
        dialect = self.dialect
        assert has_tables(dialect)

        def ask(link: Connection, part: WindowQuery) -> pl.DataFrame:
            return dialect.parse_window(part, link.send(dialect.build_window(self.target, part)))

        tags = tag_columns(len(query.schema.tags))
        return pl.concat(self._in_parts(query, ask)).sort(*tags, "time")

    def candles(self, query: CandleQuery) -> Future[pl.DataFrame]:
        """Ask for candles, see ``Dialect.parse_candles``."""
        request = self.dialect.build_candles(self.target, query)
        return self.workers.submit(
            self._with_connection, lambda link: self.dialect.parse_candles(query, link.send(request))
        )

    def _aggregate(self, query: AggregateQuery, numbers: Sequence[int]) -> pl.DataFrame:
        """Return the answer to ``query``, whose field ``i`` is field ``numbers[i]`` of the schema."""
        try:
            frame = self._ask_aggregate(query)
        except AmbiguousText:
            frame = self._ask_aggregate(replace(query, encoded=True))
        except UnwritableNumber:
            return self._without_sums(query, numbers)
        if query.function == "sum" and not frame["value"].is_finite().all():
            finite = pl.col("value").is_finite()
            for number in frame.filter(~finite)["field"].unique():
                self._note_unsummed(query.fields[number].column)
            frame = frame.filter(finite)
        return frame.with_columns(pl.Series(numbers, dtype=pl.Int32)[frame["field"]].alias("field"))

    def _without_sums(self, query: AggregateQuery, numbers: Sequence[int]) -> pl.DataFrame:
        """Return the answer to ``query`` without the fields whose sums the server cannot write."""
        if len(numbers) > 1:
            middle = len(numbers) // 2
            halves = (query.fields[:middle], numbers[:middle]), (query.fields[middle:], numbers[middle:])
            return pl.concat([self._aggregate(replace(query, fields=part), of) for part, of in halves])
        self._note_unsummed(query.fields[0].column)
        return aggregate_frame(query, [])

    def _note_unsummed(self, field: str) -> None:
        token = object()
        if self.unsummed.setdefault(field, token) is token:
            words = "one is beyond what a float can hold; counts, minima and maxima are compared"
            self.observe(Notice(f"not all sums of field {cut(field)!r} are compared: {words}"))

    def _ask_aggregate(self, query: AggregateQuery) -> pl.DataFrame:
        def ask(link: Connection, part: AggregateQuery) -> pl.DataFrame:
            return self.dialect.parse_aggregate(part, link.send(self.dialect.build_aggregate(self.target, part)))

        parts = self._in_parts(query, ask)
        return parts[0] if len(parts) == 1 else merge_aggregates(query, parts)

    def _points(self, query: PointsQuery) -> pl.DataFrame:
        def ask(link: Connection, part: PointsQuery) -> pl.DataFrame:
            return self.dialect.parse_points(part, link.send(self.dialect.build_points(self.target, part)))

        return shortened(pl.concat(self._in_parts(query, ask)))

    def _in_parts(self, query: Query, ask: Callable[[Connection, Query], pl.DataFrame]) -> list[pl.DataFrame]:
        """Return the answers to ``query`` by ``ask``; several, one for each part of its time, where files are many."""
        windows = self.windows
        if windows is None:
            return [self._with_connection(lambda link: ask(link, query))]
        return self._with_connection(lambda link: windows.ask(link.send, query, lambda part: ask(link, part)))

    def count_files(self) -> Files:
        """Return what files the database has; only of a server that holds tables."""
        return self._with_connection(lambda link: count_files(link.send, self.target))

    def differences(self, query: PointsQuery, expected: pl.DataFrame, found: Found) -> list[Difference]:
        """Return how the points of ``query`` differ from those that are ``expected``, once that lasts."""
        first = compare_points(query, expected, found.result())
        return self.second_look.settle(
            first, lambda: compare_points(query, expected, self._points(query)), lambda each: each
        )

    def _with_connection(self, ask: Callable[[Connection], Answer]) -> Answer:
        connection = take(self.connections)
        try:
            return Patience(self.retry_seconds, self.observe, self.workers.closed).ask(lambda: ask(connection))
        finally:
            self.connections.put(connection)


@contextmanager
def query_pool(settings: VerifySettings, dialect: Dialect, observe: Observer) -> Iterator[QueryPool]:
    """Yield a QueryPool for the target of ``settings``; queries that have not begun when the block ends are dropped."""
    target, connections = settings.target, settings.connections
    with ExitStack() as stack:
        idle: SimpleQueue[Connection] = SimpleQueue()
        for _ in range(connections):
            idle.put(stack.enter_context(Connection(target, settings.timeout_seconds)))
        workers = stack.enter_context(Workers(connections))
        pool = QueryPool(target, dialect, workers, idle, settings.retry_seconds, observe)
        if has_tables(dialect):
            looks = SecondLook(pool.count_files, settings.retry_seconds, observe, workers.closed)
            pool = replace(pool, windows=FileWindows(target), second_look=looks)
        yield pool


def _together(schema: PointSchema, function: str) -> Iterator[list[int]]:
    """Yield the numbers of the fields for each query of ``function``."""
    groups: dict[str, list[int]] = defaultdict(list)
    for number, field in enumerate(schema.fields):
        if function == "count" or field.type in NUMBERS:
            groups["" if function == "count" else field.type].append(number)
    for numbers in groups.values():
        for start in range(0, len(numbers), QUERY_FIELDS):
            yield numbers[start : start + QUERY_FIELDS]
