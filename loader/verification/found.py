"""What the server says, asked by several connections at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TypeVar

import polars as pl

from loader.dataset.schema import Field, PointSchema
from loader.servers.base import AggregateQuery, Dialect, PointsQuery, Target
from loader.servers.transport import Connection
from loader.verification.expected import column

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Asker:
    """Asks the server; answers are futures, which raise ServerError."""

    target: Target
    dialect: Dialect
    pool: ThreadPoolExecutor
    connections: SimpleQueue[Connection]

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
        connection = self.connections.get()
        try:
            return ask(connection)
        finally:
            self.connections.put(connection)


@contextmanager
def asking(target: Target, dialect: Dialect, connections: int, timeout_seconds: float) -> Iterator[Asker]:
    """Yield an Asker of ``connections`` connections; what is not asked yet when the block ends never is."""
    with ExitStack() as stack:
        idle: SimpleQueue[Connection] = SimpleQueue()
        for _ in range(connections):
            idle.put(stack.enter_context(Connection(target, timeout_seconds)))
        pool = ThreadPoolExecutor(connections, thread_name_prefix="verify")
        stack.callback(pool.shutdown, cancel_futures=True)
        yield Asker(target, dialect, pool, idle)


def joined(schema: PointSchema, answers: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return one row a (series, day) of ``answers``, one column an aggregate; what the server lacks is null."""
    keys = [*schema.tags, "day"]
    frame, *others = answers
    for other in others:
        frame = frame.join(other, on=keys, how="full", coalesce=True)
    return frame
