"""Sends the files of a shard to the server."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

from loader.dataset.chunk import RejectedRow
from loader.dataset.instant import TIME_MAX, instant
from loader.dataset.manifest import Manifest
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.encoding.tsm.encode.buffer import Workspace
from loader.errors import LoadError
from loader.events import Answered
from loader.loading.flow import Flow
from loader.loading.known_rows import KnownRows
from loader.loading.restore_path.counting import SentShard, count_shards
from loader.loading.restore_path.shards import Shard
from loader.loading.restore_path.storage_files import PointCounts, ShardFile, encode_shard, tar, tar_size
from loader.loading.settings import LoadSettings
from loader.servers import restore as api
from loader.servers.backup import is_open
from loader.servers.base import CountQuery
from loader.servers.replies import raise_for
from loader.servers.transport import Connection


class Aborted(Exception):
    """The load stops now: uploads in progress are cut off."""


class ShardClosed(LoadError):
    """The server has closed a shard and takes nothing for it until it is restarted, see ``is_open``."""


class ShardSender:
    """Restores shards, each in the thread of its caller; memory is that of ``encode_shard`` for each of them."""

    def __init__(
        self,
        settings: LoadSettings,
        manifest: Manifest,
        ids: Mapping[int, int],
        flow: Flow,
        known: KnownRows,
    ) -> None:
        self._settings = settings
        self._manifest = manifest
        self._ids = ids
        self._flow = flow
        self._known = known

    def restore(self, shard: Shard, generation: int, workspace: Workspace) -> SentShard:
        """Send the files of ``shard``, made in ``workspace``, and let the server count their values.

        Raises what ``send`` raises, and what ``count_shards`` returns.
        """
        with self.connection() as link:
            sent = self.send(link, shard, generation, workspace)
            for error in filter(None, count_shards(link, [sent])):
                raise error
        return sent

    def connection(self) -> Connection:
        """Return a new connection to the server."""
        return Connection(self._settings.target, self._settings.timeout_seconds)

    def send(self, link: Connection, shard: Shard, generation: int, workspace: Workspace) -> SentShard:
        """Send the files of ``shard``, made in ``workspace``, over ``link``.

        Raises Retryable, ServerError, StageError, EncodeError, ShardClosed, Aborted.
        """
        request = api.build_shard(self._ids[shard.start])
        rows = skipped = size = 0
        rejected: list[RejectedRow] = []
        answers: list[Answered] = []
        counts: dict[PointSchema, PointCounts] = {}
        root = self._settings.place.root
        for file in encode_shard(root, self._manifest, shard, generation, workspace, self._known):
            rows += file.rows
            rejected += file.rejected
            skipped += file.skipped
            if not file.points:
                continue
            began = time.monotonic()
            reply = link.upload(request, self._pieces(file), tar_size(file))
            answers.append(Answered(time.monotonic() - began, tar_size(file)))
            if reply.status == 500 and not is_open(link.send, self._ids[shard.start]):
                raise ShardClosed(
                    f"the shard of {instant(shard.start)}: the server has closed it, for a restore of it was cut off",
                    hint="restart the server, which opens it, and run the same command again: it resumes",
                )
            if reply.status not in {200, 204}:
                raise_for(reply, f"restore the shard of {instant(shard.start)}")
            size += tar_size(file)
            for schema, found in file.counts.items():
                counts[schema] = counts[schema] + found if schema in counts else found
            del file  # otherwise it would keep its memory while the next one may replace it
        start, stop = shard.start, min(shard.stop, TIME_MAX + 1)
        expected = tuple(
            (CountQuery(schema, field, start, stop), number)
            for schema, found in counts.items()
            for field, number in _counted_fields(schema.fields, found)
        )
        return SentShard(shard, rows, size, tuple(rejected), tuple(answers), expected, skipped)

    def _pieces(self, file: ShardFile) -> Iterator[bytes | memoryview]:
        for piece in tar(file):
            if self._flow.aborted.is_set():
                raise Aborted
            yield piece


def _counted_fields(fields: Sequence[Field], counts: PointCounts) -> Sequence[tuple[Field, int]]:
    """Return the fields to count in order to know that all files are there, with the number of values of each.

    The server takes a file whole or not at all, so one field that every point has is enough: the one that the server
    decodes fastest. Where no field is in every point, all of them are counted.
    """
    speed = (FieldType.BOOLEAN, FieldType.INTEGER, FieldType.UNSIGNED, FieldType.FLOAT, FieldType.STRING)
    counted = list(zip(fields, counts.values, strict=True))
    full = [pair for pair in counted if pair[1] == counts.points]
    return sorted(full, key=lambda pair: speed.index(pair[0].type))[:1] or counted
