"""What the server says, asked by several connections at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TypeVar

import polars as pl

from loader.dataset.schema import Field, PointSchema
from loader.events import Observer
from loader.servers.base import AggregateQuery, Dialect, PointsQuery, Target
from loader.servers.transport import Connection
from loader.verification.expected import column
from loader.verification.retried import retried
from loader.verification.settings import VerifySettings
from loader.waiting import Workers, take

Answer = TypeVar("Answer")


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
        self, schema: PointSchema, start: int, stop: int, wanted: Sequence[tuple[Field, str]]
    ) -> list[Future[pl.DataFrame]]:
        """Ask for the ``wanted`` aggregates of the points with ``start`` <= time < ``stop``."""
        return [
            self.pool.submit(self._aggregate, AggregateQuery(schema, field, function, start, stop))
            for field, function in wanted
        ]

    def fields(self, schema: PointSchema, start: int, stop: int) -> Future[list[str]]:
        """Ask for the field keys of the measurement."""
        request = self.dialect.build_fields(self.target, schema, start, stop)
        return self.pool.submit(self._with_connection, lambda link: self.dialect.parse_fields(link.send(request)))

    def points(self, query: PointsQuery) -> Future[pl.DataFrame]:
        """Ask for the points of one series."""
        return self.pool.submit(self._points, query)

    def _aggregate(self, query: AggregateQuery) -> pl.DataFrame:
        request = self.dialect.build_aggregate(self.target, query)
        frame = self._with_connection(lambda link: self.dialect.parse_aggregate(query, link.send(request)))
        return frame.rename({"value": column(query.field, query.function)})

    def _points(self, query: PointsQuery) -> pl.DataFrame:
        request = self.dialect.build_points(self.target, query)
        return self._with_connection(lambda link: self.dialect.parse_points(query, link.send(request)))

    def _with_connection(self, ask: Callable[[Connection], Answer]) -> Answer:
        connection = take(self.connections)
        try:
            return retried(lambda: ask(connection), self.retry_seconds, self.observe, self.pool.closed)
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


def joined(schema: PointSchema, answers: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return one row a (series, day) of ``answers``, one column an aggregate; what the server lacks is null."""
    keys = [*schema.tags, "day"]
    frame, *others = answers
    for other in others:
        frame = frame.join(other, on=keys, how="full", coalesce=True)
    return frame
