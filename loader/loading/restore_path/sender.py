"""Sends the files of a shard to the server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from loader.dataset.chunk import RejectedRow
from loader.dataset.instant import TIME_MAX, instant
from loader.dataset.manifest import Manifest
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.encoding.tsm.encode.buffer import Workspace
from loader.errors import LoadError
from loader.events import Answered
from loader.loading.existing_points import Existing
from loader.loading.flow import Flow
from loader.loading.known_rows import KnownRows
from loader.loading.restore_path.attempt import Attempt, SentFile, begin_attempt, checksum
from loader.loading.restore_path.counting import SentShard
from loader.loading.restore_path.proving import prove_shards
from loader.loading.restore_path.shards import Shard
from loader.loading.restore_path.splitting import split_shard
from loader.loading.restore_path.storage_files import (
    FULLY_COMPACTED,
    PointCounts,
    ShardFile,
    encode_shard,
    file_name,
    tar,
    tar_size,
)
from loader.loading.settings import LoadSettings
from loader.servers import restore as api
from loader.servers.backup import is_gone, is_open
from loader.servers.base import CountQuery
from loader.servers.replies import raise_for
from loader.servers.transport import Connection
from loader.waiting import Workers, pause

_LOOKS, _LOOK_SECONDS = 5, 1.0
"""How often, and after how long, a shard that seems closed is looked at again where others may have closed it."""


class Aborted(Exception):
    """The load stops now: uploads in progress are cut off."""


class ShardClosed(LoadError):
    """The server has closed a shard and takes nothing for it until it is restarted, see ``is_open``."""


class _Sending:
    """What has been sent of a shard so far, over ``link``; who sends holds ``lock``."""

    def __init__(self, link: Connection, shard: Shard, generation: int) -> None:
        self.link = link
        self.shard = shard
        self.generation = generation
        self.lock = threading.Lock()
        self.failed = False
        self.size = 0
        self.answers: list[Answered] = []
        self.counts: dict[PointSchema, PointCounts] = {}
        self.files: list[SentFile] = []
        self.attempt: Attempt | None = None


@dataclass
class _SentPart:
    """How many rows the files of a part account for, and which of them are no points; ``skipped`` ones are replaced."""

    rows: int = 0
    skipped: int = 0
    rejected: list[RejectedRow] = field(default_factory=list)


class ShardSender:
    """Restores shards, each in the thread of its caller, or a large one in ``threads`` of its own.

    Memory is that of ``encode_shard`` for each of these threads.
    """

    def __init__(
        self,
        settings: LoadSettings,
        manifest: Manifest,
        ids: Mapping[int, int],
        flow: Flow,
        known: KnownRows,
        existing: Mapping[int, Existing] | None = None,
        threads: int = 1,
    ) -> None:
        self._settings = settings
        self._manifest = manifest
        self._ids = ids
        self._flow = flow
        self._known = known
        self._existing = existing
        self._threads = threads

    def restore(self, shard: Shard, generation: int, workspace: Workspace) -> SentShard:
        """Send the files of ``shard``, made in ``workspace``, and let the server prove that it has them.

        Raises what ``send`` raises, and what ``prove_shards`` returns.
        """
        with self.connection() as link:
            sent = self.send(link, shard, generation, workspace)
            for error in filter(None, prove_shards(link, [sent])):
                raise error
        return sent

    def connection(self) -> Connection:
        """Return a new connection to the server."""
        return Connection(self._settings.target, self._settings.timeout_seconds)

    def send(self, link: Connection, shard: Shard, generation: int, workspace: Workspace) -> SentShard:
        """Send the files of ``shard``, made in ``workspace``, over ``link``.

        Raises Retryable, ServerError, StageError, EncodeError, ShardClosed, Aborted.
        """
        sending = _Sending(link, shard, generation)
        parts = split_shard(self._settings.place.root, self._manifest, shard, self._threads)
        if len(parts) == 1:
            found = [self._send_part(sending, shard, workspace)]
        else:
            with Workers(len(parts)) as workers:
                answers = [workers.submit(self._send_part, sending, part, Workspace()) for part in parts]
                found = [answer.result() for answer in answers]
        expected = tuple(
            (CountQuery(schema, field, *self._range(shard, schema)), number)
            for schema, counts in sending.counts.items()
            for field, number in _counted_fields(schema.fields, counts)
        )
        return SentShard(
            shard,
            sum(part.rows for part in found),
            sending.size,
            tuple(row for part in found for row in part.rejected),
            tuple(sending.answers),
            expected,
            sending.attempt,
            tuple(sending.files),
            sum(part.skipped for part in found),
        )

    def _send_part(self, sending: _Sending, part: Shard, workspace: Workspace) -> _SentPart:
        """Send the files of a part of a shard.

        Files are made beside each other and sent one after another, since the server closes a shard for each of them.
        """
        sent, root = _SentPart(), self._settings.place.root
        try:
            for file in encode_shard(root, self._manifest, part, sending.generation, workspace, self._known):
                sent.rows += file.rows
                sent.rejected += file.rejected
                sent.skipped += file.skipped
                with sending.lock:
                    if sending.failed:
                        break
                    if file.points:
                        self._send_file(sending, file)
                del file  # otherwise it would keep its memory while the next one may replace it
        except BaseException:
            sending.failed = True
            raise
        return sent

    def _send_file(self, sending: _Sending, file: ShardFile) -> None:
        if self._existing is None:
            file = replace(file, name=file_name(sending.generation, FULLY_COMPACTED + len(sending.answers)))
        else:
            sending.attempt = sending.attempt or self._begin(sending.link, sending.shard, sending.generation)
            file = sending.attempt.named(file, len(sending.files))
            sending.files.append(SentFile(file.name, file.content.size, checksum(file.content.pieces)))
        sending.answers.append(self._upload(sending.link, sending.shard, file))
        sending.size += tar_size(file)
        for schema, found in file.counts.items():
            sending.counts[schema] = sending.counts[schema] + found if schema in sending.counts else found

    def _begin(self, link: Connection, shard: Shard, generation: int) -> Attempt:
        """Begin an attempt at a shard of a bucket that the load did not make."""
        held = (self._existing or {}).get(shard.start)
        return begin_attempt(link, self._id(shard), generation, occupied=held is None or held.found > 0)

    def _id(self, shard: Shard) -> int:
        if shard.start not in self._ids:
            raise LoadError(
                f"the shard of {instant(shard.start)}: the server has none, though there are points for it",
                hint="run the same command again: it resumes",
            )
        return self._ids[shard.start]

    def _range(self, shard: Shard, schema: PointSchema) -> tuple[int, int]:
        """Return start and stop of the times in which the points of ``schema`` are counted."""
        if self._existing is None:
            return shard.start, min(shard.stop, TIME_MAX + 1)
        return shard.times_of(shard.partitions_of(self._manifest, schema))

    def _upload(self, link: Connection, shard: Shard, file: ShardFile) -> Answered:
        shard_id = self._id(shard)
        began = time.monotonic()
        reply = link.upload(api.build_shard(shard_id), self._pieces(file), tar_size(file))
        answered = Answered(time.monotonic() - began, tar_size(file))
        if reply.status == 500 and self._existing is not None and is_gone(link.send, shard_id):
            raise LoadError(
                f"the shard of {instant(shard.start)} is gone: the bucket's retention, or somebody, has deleted it",
                hint="look at the bucket and its retention",
            )
        if reply.status == 500 and not self._is_open(link, shard_id):
            raise ShardClosed(
                f"the shard of {instant(shard.start)}: the server has closed it, or never made it, for a request was"
                " cut off",
                hint="restart the server, which opens it, and run the same command again: it resumes",
            )
        if reply.status not in {200, 204}:
            raise_for(reply, f"restore the shard of {instant(shard.start)}")
        return answered

    def _is_open(self, link: Connection, shard_id: int) -> bool:
        """Tell whether the server has the shard open; another load may just have it closed and opened again."""
        looks = 1 if self._existing is None else _LOOKS
        return any(
            is_open(link.send, shard_id) or (look < looks and pause(_LOOK_SECONDS, self._flow.stop))
            for look in range(1, looks + 1)
        )

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
