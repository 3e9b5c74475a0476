"""Downloads the files of a shard from the server, and holds them while they are read."""

from __future__ import annotations

import mmap
import shutil
import tarfile
import tempfile
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from loader.encoding.arrays import Bytes
from loader.errors import ConfigError, ServerError
from loader.servers.backup import build_shard, raise_for_backup
from loader.servers.base import Reply
from loader.servers.replies import message_of
from loader.servers.transport import Connection, Stream

if TYPE_CHECKING:
    from loader.encoding.tsm.decode.fields import Source

HELD_BYTES = 128 << 20
"""Bytes of a shard's files that are held in memory; the rest is in temporary files."""
MOST_MEMBERS = 10_000
"""Most files and folders in the tar of a shard; a server sends some dozens."""
SPARE = 0.05
"""The fraction of the disk for temporary files that is left free."""
_PIECE = 1 << 20
_NAME = 100
_STORED, _TOMBSTONES = "tsm", "tombstone"


@dataclass
class _FileStore:
    """Holds files, in memory while there is ``room``, then in temporary files without a name."""

    room: int
    mapped: dict[str, mmap.mmap] = field(default_factory=dict)

    def hold(self, name: str, pieces: Iterator[bytes], size: int) -> Bytes:
        if size <= self.room:
            self.room -= size
            data = np.empty(size, np.uint8)
            at = 0
            for piece in pieces:
                data[at : at + len(piece)] = np.frombuffer(piece, np.uint8)
                at += len(piece)
            return data
        require_room(size)
        try:
            with tempfile.TemporaryFile() as file:
                for piece in pieces:
                    file.write(piece)
                file.flush()
                mapped = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
        except OSError as error:
            raise _no_room(size, error.strerror) from None
        self.mapped[name] = mapped
        return np.frombuffer(mapped, np.uint8)

    def release(self, name: str) -> None:
        """Release the memory of a file that is held in a temporary file."""
        if name in self.mapped:
            self.mapped[name].madvise(mmap.MADV_DONTNEED)


def require_room(size: int) -> None:
    """Raise ConfigError unless temporary files of ``size`` bytes leave SPARE of their disk free."""
    try:
        disk = shutil.disk_usage(tempfile.gettempdir())
    except OSError as error:
        raise _no_room(size, error.strerror) from None
    if size > disk.free - SPARE * disk.total:
        raise _no_room(size, f"{disk.free:,} are free, and {SPARE:.0%} of the disk stay so")


def _no_room(size: int, why: str | None) -> ConfigError:
    return ConfigError(
        f"{tempfile.gettempdir()}: no temporary file of {size:,} bytes ({why})",
        hint="set TMPDIR to a folder on a disk with room for the files of a shard",
    )


@contextmanager
def open_shard(
    connection: Connection, shard_id: int, since: str = "", wanted: Collection[str] | None = None
) -> Iterator[Sequence[Source]]:
    """Yield the files of a shard in the order of their age, none when it is gone.

    With ``since``, only those that have changed after it; with ``wanted``, only those of these names.
    Memory is bounded by HELD_BYTES and the indexes. Temporary files hold the rest, as long as SPARE of their disk stays
    free. A tar may have MOST_MEMBERS members; those that are skipped may be as large as HELD_BYTES and that free space.
    Raises ServerError, DecodeError, and ConfigError when there is no room for temporary files.
    """
    # Imported when they are used: a load that only lists files needs no decoders.
    from loader.encoding.tsm.decode.fields import Source  # noqa: PLC0415
    from loader.encoding.tsm.decode.index import read_file  # noqa: PLC0415
    from loader.encoding.tsm.decode.tombstones import read_tombstones  # noqa: PLC0415

    store = _FileStore(HELD_BYTES)
    held = {
        name: store.hold(name, pieces, size)
        for name, size, pieces in _files(connection, shard_id, since)
        if wanted is None or name in wanted
    }
    sources = []
    for name in sorted(held):
        stem, _, kind = name.rpartition(".")
        if kind == _STORED:
            where = f"shard {shard_id}, "
            beside = f"{stem}.{_TOMBSTONES}"
            tombstones = read_tombstones(where + beside, held[beside].tobytes()) if beside in held else []
            sources.append(Source(read_file(where + name, held[name]), tombstones, partial(store.release, name)))
            store.release(name)
    yield sources


def list_files(connection: Connection, shard_id: int, since: str, wanted: Collection[str] = ()) -> dict[str, int]:
    """Return the bytes of the files of a shard that have changed after ``since``, by name; none when it is gone.

    Reading ends once those of all ``wanted`` names were seen, if there are any. Before it answers, the server writes to
    a file what it holds of the shard in memory. Raises ServerError.
    """
    found: dict[str, int] = {}
    files = _files(connection, shard_id, since)
    try:
        for name, size, _ in files:
            found[name] = size
            if wanted and found.keys() >= {*wanted}:
                break
    finally:
        files.close()
    return found


def _files(connection: Connection, shard_id: int, since: str) -> Generator[tuple[str, int, Iterator[bytes]]]:
    """Yield name, size and content of each file of a shard, none when it is gone; see ``_members``."""
    doing = f"read shard {shard_id}"
    with connection.open(build_shard(shard_id, since)) as stream:
        if stream.status == 200:
            yield from _members(stream, doing)
        elif stream.status != 404:
            raise_for_backup(stream.reply(), doing)


def _members(stream: Stream, doing: str) -> Iterator[tuple[str, int, Iterator[bytes]]]:
    """Yield name, size and content of the storage files and tombstones in a tar, content to be read before the next.

    Raises ServerError. When the server has to give up, it still ends the tar properly, and its error message follows.
    """

    def stopped(words: bytes = b"") -> ServerError:
        said = f": {message_of(Reply(200, {}, words, stream.secret))}" if words else ""
        return ServerError(
            f"{doing}: the server stopped in the middle of its files{said}",
            hint="run it again; if it stays so, look at the server's log",
            status=200,
        )

    def damaged(why: str) -> ServerError:
        hint = "is this address an InfluxDB, without anything in between that answers for it?"
        return ServerError(f"{doing}: the tar of its files is damaged: {why}", hint=hint, status=200)

    def pieces(size: int) -> Iterator[bytes]:
        while size:
            piece = stream.body.read(min(size, _PIECE))
            if not piece:
                raise stopped()
            size -= len(piece)
            yield piece

    names: set[str] = set()
    passed_over = number = 0
    while (header := b"".join(pieces(tarfile.BLOCKSIZE))) != bytes(tarfile.BLOCKSIZE):
        try:
            member = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            raise stopped(header.strip(b"\0")) from None
        number += 1
        if member.size < 0 or number > MOST_MEMBERS:
            raise damaged("a file of less than no bytes" if member.size < 0 else f"more than {MOST_MEMBERS:,} files")
        name = member.name.rpartition("/")[2]
        content = pieces(member.size)
        if member.isreg() and name.endswith((f".{_STORED}", f".{_TOMBSTONES}")):
            if name in names:
                raise damaged(f"two files are named {name[:_NAME]!r}")
            names.add(name)
            yield name, member.size, content
        else:
            passed_over += member.size
            if passed_over > HELD_BYTES:
                require_room(passed_over - HELD_BYTES)
        for _ in chain(content, pieces(-member.size % tarfile.BLOCKSIZE)):
            pass
    words = stream.body.read(_PIECE).strip(b"\0")
    if words:
        raise stopped(words)
