"""The files of a shard as they come from the server, held while they are compared."""

from __future__ import annotations

import mmap
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from loader.encoding.arrays import Bytes
from loader.encoding.tsm.decode.fields import Source
from loader.encoding.tsm.decode.index import read_file
from loader.encoding.tsm.decode.tombstones import read_tombstones
from loader.errors import ConfigError, ServerError
from loader.servers.backup import Shard, build_shard, raise_for_backup
from loader.servers.base import Reply
from loader.servers.replies import message_of
from loader.servers.transport import Connection, Readable

HELD_BYTES = 256 << 20
"""Bytes of a shard's files that are held in memory; what is beyond lies in temporary files."""
_PIECE = 1 << 20
_STORED, _TOMBSTONES = "tsm", "tombstone"


@dataclass(frozen=True)
class ShardFiles:
    """The files of a shard in the order of their age; ``mapped`` are those that lie in temporary files."""

    sources: Sequence[Source]
    mapped: Sequence[mmap.mmap]

    def release(self) -> None:
        """Let go of the memory of what was read from temporary files; it is read again when needed."""
        for mapped in self.mapped:
            mapped.madvise(mmap.MADV_DONTNEED)


@dataclass
class _Shelf:
    """Holds files: in memory as long as there is room, then in temporary files that have no name."""

    room: int
    mapped: list[mmap.mmap] = field(default_factory=list)

    def hold(self, pieces: Iterator[bytes], size: int) -> Bytes:
        if size <= self.room:
            self.room -= size
            data = np.empty(size, np.uint8)
            at = 0
            for piece in pieces:
                data[at : at + len(piece)] = np.frombuffer(piece, np.uint8)
                at += len(piece)
            return data
        try:
            with tempfile.TemporaryFile() as file:
                for piece in pieces:
                    file.write(piece)
                file.flush()
                mapped = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
        except OSError as error:
            raise ConfigError(
                f"{tempfile.gettempdir()}: no temporary file of {size:,} bytes ({error.strerror})",
                hint="set TMPDIR to a folder on a disk with room for the files of a shard",
            ) from None
        self.mapped.append(mapped)
        return np.frombuffer(mapped, np.uint8)


@contextmanager
def fetched(connection: Connection, shard: Shard) -> Iterator[ShardFiles]:
    """Yield the files of ``shard``, none when it is gone; memory is bounded by HELD_BYTES and the indexes.

    Raises ServerError, DecodeError, and ConfigError when there is no room for temporary files.
    """
    doing = f"read shard {shard.id}"
    shelf = _Shelf(HELD_BYTES)
    held: dict[str, Bytes] = {}
    with connection.open(build_shard(shard)) as stream:
        if stream.status == 200:
            for name, size, pieces in _members(stream.body, doing):
                held[name] = shelf.hold(pieces, size)
        elif stream.status != 404:
            raise_for_backup(stream.reply(), doing)
    sources = []
    for name in sorted(held):
        stem, _, kind = name.rpartition(".")
        if kind == _STORED:
            where = f"shard {shard.id}, "
            beside = f"{stem}.{_TOMBSTONES}"
            tombstones = read_tombstones(where + beside, held[beside].tobytes()) if beside in held else []
            sources.append(Source(read_file(where + name, held[name]), tombstones))
    yield ShardFiles(sources, shelf.mapped)


def _members(body: Readable, doing: str) -> Iterator[tuple[str, int, Iterator[bytes]]]:
    """Yield name, size and content of the storage files and tombstones in a tar; raises ServerError.

    The server ends a tar well even when it has to give up, and its words follow.
    """
    stopped = f"{doing}: the server stopped in the middle of its files"
    hint = "run it again; if it stays so, look at the server's log"

    def pieces(size: int) -> Iterator[bytes]:
        while size:
            piece = body.read(min(size, _PIECE))
            if not piece:
                raise ServerError(stopped, hint=hint, status=200)
            size -= len(piece)
            yield piece

    while (header := b"".join(pieces(tarfile.BLOCKSIZE))) != bytes(tarfile.BLOCKSIZE):
        try:
            member = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            raise ServerError(f"{stopped}: {header[:200]!r}", hint=hint, status=200) from None
        name = member.name.rpartition("/")[2]
        content = pieces(member.size)
        if member.isreg() and name.endswith((f".{_STORED}", f".{_TOMBSTONES}")):
            yield name, member.size, content
        for _ in chain(content, pieces(-member.size % tarfile.BLOCKSIZE)):
            pass
    words = body.read(_PIECE).strip(b"\0")
    if words:
        raise ServerError(f"{stopped}: {message_of(Reply(200, {}, words))}", hint=hint, status=200)
