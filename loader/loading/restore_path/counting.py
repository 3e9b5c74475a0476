"""Has the server count the values of shards, which proves that it has taken their files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loader.dataset.chunk import RejectedRow
from loader.dataset.instant import instant
from loader.errors import LoadError, Retryable, ServerError
from loader.events import Answered
from loader.loading.restore_path.attempt import Attempt, SentFile
from loader.loading.restore_path.shards import Shard
from loader.servers import flux
from loader.servers.base import CountQuery
from loader.servers.transport import Connection

_MOST_COUNTS = 32
"""Most counts in one request, each of which the server computes at the same time as the others."""


class MoreCounted(LoadError):
    """There are more values than were sent."""


@dataclass(frozen=True)
class SentShard:
    """A shard whose files the server has answered for, which proves nothing; ``size`` is bytes on the wire.

    ``rows`` is how many rows the shard accounts for, ``rejected`` those of them that cannot be points, ``skipped``
    how many are replaced by later rows; ``answers`` are those to the uploads of its files; ``counts`` are what the
    server must count: queries, and the numbers expected. In a bucket that the load did not make, ``attempt`` and
    ``files`` say what the server must list.
    """

    shard: Shard
    rows: int
    size: int
    rejected: tuple[RejectedRow, ...]
    answers: tuple[Answered, ...]
    counts: tuple[tuple[CountQuery, int], ...]
    attempt: Attempt | None = None
    files: tuple[SentFile, ...] = ()
    skipped: int = 0


def count_shards(link: Connection, shards: Sequence[SentShard]) -> list[ServerError | LoadError | None]:
    """Let the server count the values of ``shards``, which costs it less for several together than for each alone.

    Returns for each shard None if the counts are those expected, Retryable where they are lower, MoreCounted where they
    are higher, and the error of a query that failed. If a query for several shards fails, each is asked for alone, so
    that one of them does not stand in the way of others.
    """
    try:
        return _count(link, shards)
    except ServerError as error:
        if len(shards) == 1:
            return [error]
    found: list[ServerError | LoadError | None] = []
    for shard in shards:
        last = found[-1] if found else None
        # A server that does not answer for one shard would be waited for at each of the others.
        unanswered = isinstance(last, ServerError) and not last.status
        found += [last] if unanswered else count_shards(link, [shard])
    return found


def _count(link: Connection, shards: Sequence[SentShard]) -> list[ServerError | LoadError | None]:
    queries = [query for shard in shards for query, _ in shard.counts]
    found: list[int] = []
    for start in range(0, len(queries), _MOST_COUNTS):
        some = queries[start : start + _MOST_COUNTS]
        found += flux.parse_counts(link.send(flux.build_counts(link.target, some)), len(some))
    numbers = iter(found)
    return [_compare(shard, [next(numbers) for _ in shard.counts]) for shard in shards]


def _compare(sent: SentShard, found: Sequence[int]) -> Retryable | LoadError | None:
    """Return the first error of the numbers ``found`` for a shard; too many come first, as they cannot be mended."""
    pairs = list(zip(sent.counts, found, strict=True))
    for (query, expected), number in pairs:
        if number > expected:
            return MoreCounted(
                f"{_words(sent, query, number, expected)}: somebody else writes into this bucket",
                hint="go on by the write path (--via write); or begin again with nobody else at it (--restart), which"
                " removes their points",
            )
    for (query, expected), number in pairs:
        if number < expected:
            # The status says that the server has answered.
            return Retryable(
                _words(sent, query, number, expected),
                hint="look at the server's log for what it says of the shard's files",
                status=200,
            )
    return None


def _words(sent: SentShard, query: CountQuery, found: int, expected: int) -> str:
    return (
        f"the shard of {instant(sent.shard.start)}: the server counts {found:,} values of {query.field.column!r},"
        f" and {expected:,} were sent"
    )
