"""Sends the files of a shard to the server, and has the server count the values that it took."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from loader.dataset.chunk import RejectedRow
from loader.dataset.instant import TIME_MAX, instant
from loader.dataset.manifest import Manifest
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.encoding.tsm.encode.buffer import Workspace
from loader.errors import LoadError, Retryable
from loader.events import Answered
from loader.loading.flow import Flow
from loader.loading.known_rows import KnownRows
from loader.loading.restore_path.shards import Shard
from loader.loading.restore_path.storage_files import PointCounts, ShardFile, encode_shard, tar, tar_size
from loader.loading.settings import LoadSettings
from loader.servers import flux
from loader.servers import restore as api
from loader.servers.backup import is_open
from loader.servers.replies import raise_for
from loader.servers.transport import Connection


@dataclass(frozen=True)
class Restored:
    """What the server has taken and counted of a shard; ``size`` is bytes on the wire.

    ``rows`` is how many rows the shard accounts for, ``rejected`` those of them that cannot be points; ``answers`` are
    those to the uploads of its files.
    """

    rows: int
    size: int
    rejected: tuple[RejectedRow, ...]
    answers: tuple[Answered, ...]


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

    def restore(self, shard: Shard, generation: int, workspace: Workspace) -> Restored:
        """Send the files of ``shard``, made in ``workspace``, and let the server count their values.

        Raises Retryable also when the server counts fewer than were sent, LoadError when more; ServerError, StageError,
        EncodeError, ShardClosed, Aborted.
        """
        with Connection(self._settings.target, self._settings.timeout_seconds) as link:
            return self._send(link, shard, generation, workspace)

    def _send(self, link: Connection, shard: Shard, generation: int, workspace: Workspace) -> Restored:
        request = api.build_shard(self._ids[shard.start])
        rows = size = 0
        rejected: list[RejectedRow] = []
        answers: list[Answered] = []
        counts: dict[PointSchema, PointCounts] = {}
        root = self._settings.place.root
        for file in encode_shard(root, self._manifest, shard, generation, workspace, self._known):
            rows += file.rows
            rejected += file.rejected
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
        for schema, found in counts.items():
            for field, expected in _counted_fields(schema.fields, found):
                self._count(link, shard, schema, field, expected)
        return Restored(rows, size, tuple(rejected), tuple(answers))

    def _pieces(self, file: ShardFile) -> Iterator[bytes | memoryview]:
        for piece in tar(file):
            if self._flow.aborted.is_set():
                raise Aborted
            yield piece

    def _count(self, link: Connection, shard: Shard, schema: PointSchema, field: Field, expected: int) -> None:
        start, stop = shard.start, min(shard.stop, TIME_MAX + 1)
        found = flux.parse_count(link.send(flux.build_count(self._settings.target, schema, field, start, stop)))
        if found > expected:
            raise LoadError(
                f"the shard of {instant(shard.start)}: the server counts {found:,} values of {field.column!r},"
                f" and {expected:,} were sent: somebody else writes into this bucket",
                hint="begin again (--restart) with nobody else at it, or go on by the write path (--via write)",
            )
        if found < expected:
            raise Retryable(
                f"the shard of {instant(shard.start)}: the server counts {found:,} values of {field.column!r},"
                f" and {expected:,} were sent",
                hint="look at the server's log for what it says of the shard's files",
            )


def _counted_fields(fields: Sequence[Field], counts: PointCounts) -> Sequence[tuple[Field, int]]:
    """Return the fields to count in order to know that all files are there, with the number of values of each.

    The server takes a file whole or not at all, so one field that every point has is enough: the one that the server
    decodes fastest. Where no field is in every point, all of them are counted.
    """
    speed = (FieldType.BOOLEAN, FieldType.INTEGER, FieldType.UNSIGNED, FieldType.FLOAT, FieldType.STRING)
    counted = list(zip(fields, counts.values, strict=True))
    full = [pair for pair in counted if pair[1] == counts.points]
    return sorted(full, key=lambda pair: speed.index(pair[0].type))[:1] or counted
