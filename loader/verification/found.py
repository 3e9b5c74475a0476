"""What the server says, asked by several connections at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import TypeVar

import polars as pl

from loader.dataset.schema import Field, FieldType, PointSchema
from loader.events import Observer
from loader.loading.patience import Patience
from loader.servers import flux
from loader.servers.base import AggregateQuery, AmbiguousText, Dialect, PointsQuery, Target
from loader.servers.restore import takes_files
from loader.servers.transport import Connection
from loader.verification.aggregates import FUNCTIONS, NUMBERS
from loader.verification.settings import VerifySettings
from loader.verification.texts import shortened
from loader.waiting import Workers, take

Answer = TypeVar("Answer")
QUERY_FIELDS = 200
"""Most fields that one query asks for."""


@dataclass(frozen=True)
class Asker:
    """Asks the server, again for ``retry_seconds`` while it is busy; answers are futures, which raise ServerError."""

    target: Target
    dialect: Dialect
    pool: Workers
    connections: SimpleQueue[Connection]
    retry_seconds: float
    observe: Observer

    def aggregates(
        self, schema: PointSchema, start: int, stop: int, functions: Sequence[str] = FUNCTIONS
    ) -> list[tuple[str, Future[pl.DataFrame]]]:
        """Ask for ``functions`` of all fields that have them, of the points with ``start`` <= time < ``stop``.

        Fields of one type are asked for together, up to QUERY_FIELDS; those that are only counted, of any type.
        """
        answers: list[tuple[str, Future[pl.DataFrame]]] = []
        for function in functions:
            for numbers in _together(schema, function):
                fields = tuple(schema.fields[number] for number in numbers)
                query = AggregateQuery(schema, fields, function, start, stop)
                answers.append((function, self.pool.submit(self._aggregate, query, numbers)))
        return answers

    def count(self, schema: PointSchema, field: str, start: int, stop: int) -> Future[pl.DataFrame]:
        """Ask for the number of values of ``field``, which may be no field of ``schema`` and of any type."""
        query = AggregateQuery(schema, (Field(field, FieldType.INTEGER),), "count", start, stop)
        return self.pool.submit(self._aggregate, query, [0])

    def other_types(self, schema: PointSchema, field: Field, start: int, stop: int) -> Future[int] | None:
        """Ask for the number of values of ``field`` that have another type; None where the server does not tell."""
        if not takes_files(self.dialect):
            return None
        request = flux.build_other_types(self.target, schema, field, start, stop)
        return self.pool.submit(self._with_connection, lambda link: flux.parse_count(link.send(request)))

    def fields(self, schema: PointSchema, start: int, stop: int) -> Future[list[str]]:
        """Ask for the field keys of the measurement."""
        request = self.dialect.build_fields(self.target, schema, start, stop)
        return self.pool.submit(self._with_connection, lambda link: self.dialect.parse_fields(link.send(request)))

    def points(self, query: PointsQuery) -> Future[pl.DataFrame]:
        """Ask for the points of one series."""
        return self.pool.submit(self._points, query)

    def _aggregate(self, query: AggregateQuery, numbers: Sequence[int]) -> pl.DataFrame:
        """Return the answer to ``query``, of which field ``i`` is number ``numbers[i]`` in the schema."""
        try:
            frame = self._ask_aggregate(query)
        except AmbiguousText:
            frame = self._ask_aggregate(replace(query, encoded=True))
        return frame.with_columns(pl.Series(numbers, dtype=pl.Int32)[frame["field"]].alias("field"))

    def _ask_aggregate(self, query: AggregateQuery) -> pl.DataFrame:
        request = self.dialect.build_aggregate(self.target, query)
        return self._with_connection(lambda link: self.dialect.parse_aggregate(query, link.send(request)))

    def _points(self, query: PointsQuery) -> pl.DataFrame:
        request = self.dialect.build_points(self.target, query)
        return shortened(self._with_connection(lambda link: self.dialect.parse_points(query, link.send(request))))

    def _with_connection(self, ask: Callable[[Connection], Answer]) -> Answer:
        connection = take(self.connections)
        try:
            return Patience(self.retry_seconds, self.observe, self.pool.closed).ask(lambda: ask(connection))
        finally:
            self.connections.put(connection)


@contextmanager
def asking(settings: VerifySettings, dialect: Dialect, observe: Observer) -> Iterator[Asker]:
    """Yield an Asker for the target of ``settings``; what is not asked yet when the block ends never is."""
    target, connections = settings.target, settings.connections
    with ExitStack() as stack:
        idle: SimpleQueue[Connection] = SimpleQueue()
        for _ in range(connections):
            idle.put(stack.enter_context(Connection(target, settings.timeout_seconds)))
        pool = stack.enter_context(Workers(connections))
        yield Asker(target, dialect, pool, idle, settings.retry_seconds, observe)


def _together(schema: PointSchema, function: str) -> Iterator[list[int]]:
    """Yield the numbers of the fields that one query asks ``function`` of."""
    groups: dict[str, list[int]] = defaultdict(list)
    for number, field in enumerate(schema.fields):
        if function == "count" or field.type in NUMBERS:
            groups["" if function == "count" else field.type].append(number)
    for numbers in groups.values():
        for start in range(0, len(numbers), QUERY_FIELDS):
            yield numbers[start : start + QUERY_FIELDS]
