"""Proves that the server has the files of shards; nothing else acknowledges them.

In a bucket that the load made, the counts of its points prove it. In another one, the server must also list each file,
by name and size. Where the bucket held points of the same time before, or others write into it meanwhile, counts cannot
tell: then the files are read back, and each of their series must be found by a query.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from loader.dataset.instant import DAY, instant
from loader.dataset.schema import PointSchema
from loader.encoding.escaping import sort_tags
from loader.encoding.series import find_series
from loader.errors import LoadError, Retryable, ServerError
from loader.loading.restore_path.attempt import Attempt, checksum
from loader.loading.restore_path.counting import MoreCounted, SentShard, count_shards
from loader.loading.shard_files import list_files, open_shard
from loader.servers import flux
from loader.servers.base import AggregateQuery, AmbiguousText, CountQuery
from loader.servers.frames import day_of, tag_columns
from loader.servers.transport import Connection

if TYPE_CHECKING:
    from loader.encoding.tsm.decode.fields import Source


def prove_shards(link: Connection, shards: Sequence[SentShard]) -> list[ServerError | LoadError | None]:
    """Return for each of ``shards`` None when the server has it, and otherwise why that is not proven.

    That is Retryable where it may be there after another attempt. Memory is bounded as for ``open_shard`` where files
    are read back, and by the answer to a query of their series.
    """
    return [
        _prove(link, shard, shard.attempt, error) if shard.attempt else error
        for shard, error in zip(shards, count_shards(link, shards), strict=True)
    ]


def _prove(
    link: Connection, sent: SentShard, attempt: Attempt, counted: ServerError | LoadError | None
) -> ServerError | LoadError | None:
    if counted and not isinstance(counted, MoreCounted):
        return counted
    try:
        if counted or attempt.occupied:
            _read_back(link, sent, attempt)
        else:
            _look_for(link, sent, attempt)
    except (ServerError, LoadError) as error:
        return error
    return None


def _look_for(link: Connection, sent: SentShard, attempt: Attempt) -> None:
    """Raise Retryable unless the server lists the files of ``sent`` with their sizes."""
    wanted = {file.name: file.size for file in sent.files}
    for since in dict.fromkeys((attempt.since, "")):
        found = list_files(link, attempt.shard_id, since, wanted)
        if wanted.items() <= found.items():
            return
    raise _unproven(sent, "the server does not list the file that was sent")


def _read_back(link: Connection, sent: SentShard, attempt: Attempt) -> None:
    """Raise Retryable unless the server returns the files of ``sent``, and finds all their series by queries."""
    wanted = {file.name: file.checksum for file in sent.files}
    for since in dict.fromkeys((attempt.since, "")):
        with open_shard(link, attempt.shard_id, since, wanted) as sources:
            found = {source.file.name.rpartition(" ")[2]: checksum([source.file.data.data]) for source in sources}
            if found == wanted:
                for query, _ in sent.counts:
                    _find_series(link, sent, query, sources)
                return
    raise _unproven(sent, "the server does not return the file that was sent")


def _find_series(link: Connection, sent: SentShard, query: CountQuery, sources: Sequence[Source]) -> None:
    """Raise Retryable unless a query finds points of each series that has the field of ``query`` in ``sources``."""
    from loader.encoding.tsm.decode.gather import gather_field  # noqa: PLC0415  (it brings the decoders)

    ours = gather_field(sources, query.schema.measurement, query.field).series
    lost = ours
    # By days, so that an answer has a row for each series at most; the first days usually have them all.
    for day in range(day_of(query.start), query.stop, DAY):
        within = replace(query, start=max(query.start, day), stop=min(query.stop, day + DAY))
        lost = lost.filter(~lost.is_in(_stored_series(link, within).implode()))
        if lost.is_empty():
            break
    else:
        example = lost[0].decode(errors="replace")[:100]
        raise _unproven(sent, f"queries do not find {len(lost):,} of its {len(ours):,} series, such as {example!r}")


def _stored_series(link: Connection, query: CountQuery) -> pl.Series:
    """Return the series that have values of ``query``, as storage files name them."""
    schema = replace(query.schema, tags=sort_tags(query.schema.tags), fields=(query.field,))
    asked = AggregateQuery(schema, schema.fields, "count", query.start, query.stop)
    try:
        found = flux.parse_aggregate(asked, link.send(flux.build_aggregate(link.target, asked)))
    except AmbiguousText:
        asked = replace(asked, encoded=True)
        found = flux.parse_aggregate(asked, link.send(flux.build_aggregate(link.target, asked)))
    return _texts(schema, found)


def _texts(schema: PointSchema, found: pl.DataFrame) -> pl.Series:
    columns = [
        found[name].to_arrow().cast(pa.large_string()).dictionary_encode() for name in tag_columns(len(schema.tags))
    ]
    batch = pa.record_batch(columns or [pa.nulls(found.height)], names=[*schema.tags] or ["none"])
    return pl.Series(find_series(batch, schema).texts.cast(pa.large_binary()), dtype=pl.Binary)


def _unproven(sent: SentShard, words: str) -> Retryable:
    # The status says that the server has answered.
    return Retryable(
        f"the shard of {instant(sent.shard.start)}: {words}",
        hint="look at the server's log for what it says of the shard's files",
        status=200,
    )
