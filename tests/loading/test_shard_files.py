"""What is made of a shard's tar, byte by byte."""

from __future__ import annotations

import errno
import io
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import pytest

from loader.errors import ConfigError, DecodeError, Retryable, ServerError
from loader.loading import shard_files
from loader.loading.shard_files import open_shard
from tests.reference_tsm import build_file, plain_block
from tests.servers.test_transport_streams import saying

SHARD = 3


def stored(value: int) -> bytes:
    """Return a storage file with one value."""
    return build_file({b"m#!~#v": ("integer", [plain_block("integer", [1], [value])])})


def tar_of(files: dict[str, bytes], format: int = tarfile.USTAR_FORMAT) -> bytes:
    """Return a tar with a folder and ``files``."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as tar:
        folder = tarfile.TarInfo("b/autogen/3/index")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, content in files.items():
            member = tarfile.TarInfo(f"b/autogen/3/{name}")
            member.size = len(content)
            member.pax_headers = {"comment": "ü" * 40}
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def reply(body: bytes, status: str = "200 OK") -> bytes:
    """Return a reply of HTTP."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


GOOD = tar_of({"2-1.tsm": stored(2), "fields.idx": b"x" * 700, "1-1.tombstone": b"", "1-1.tsm": stored(1)})


@pytest.mark.parametrize("held", [0, len(stored(1)), shard_files.HELD_BYTES])
@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT])
def test_files_come_by_age(monkeypatch: pytest.MonkeyPatch, held: int, format: int) -> None:
    """Storage files come in the order of their names, in memory or not, without anything else of the tar."""
    monkeypatch.setattr(shard_files, "HELD_BYTES", held)
    body = tar_of({"2-1.tsm": stored(2), "fields.idx": b"x" * 700, "1-1.tsm": stored(1)}, format)
    with saying(reply(body)) as connection, open_shard(connection, SHARD) as files:
        assert [source.file.name for source in files] == ["shard 3, 1-1.tsm", "shard 3, 2-1.tsm"]
        arrays = [source.file.data.base for source in files]
        mapped = [array for array in arrays if isinstance(array, np.ndarray) and array.base is not None]
        assert len(mapped) == {0: 2, len(stored(1)): 1}.get(held, 0)
        for _ in range(2):
            found = [source.file.data.tobytes() for source in files]
            assert found == [stored(1), stored(2)]
            for source in files:
                source.release()
        assert not any(source.tombstones for source in files)


def test_tombstones_belong_to_their_file() -> None:
    """Damaged tombstones are named by shard and file; empty ones delete nothing."""
    with saying(reply(GOOD)) as connection, open_shard(connection, SHARD) as files:
        assert [source.tombstones for source in files] == [[], []]
    body = tar_of({"1-1.tsm": stored(1), "1-1.tombstone": b"garbage"})
    with (
        saying(reply(body)) as connection,
        pytest.raises(DecodeError, match=r"shard 3, 1-1\.tombstone"),
        open_shard(connection, SHARD),
    ):
        pass


def test_a_shard_that_is_gone() -> None:
    """A shard that the server no longer has holds nothing."""
    with saying(reply(b"{}", "404 Not Found")) as connection, open_shard(connection, SHARD) as files:
        assert files == []


def test_a_busy_server() -> None:
    """What the server refuses is an error in its words."""
    body = b'{"message":"busy"}'
    with (
        saying(reply(body, "503 Unavailable")) as connection,
        pytest.raises(Retryable, match=r"read shard 3: .* busy"),
        open_shard(connection, SHARD),
    ):
        pass


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (GOOD[:600], "stopped in the middle"),
        (GOOD[:1_300], "stopped in the middle"),
        (GOOD[: len(GOOD) // 512 * 512 - 9_000], "stopped in the middle"),
        (b"", "stopped in the middle"),
        (b'{"message":"no room"}' + bytes(600), "no room"),
        (GOOD + b'{"message":"no room"}', "no room"),
    ],
)
def test_a_server_that_gives_up(body: bytes, words: str) -> None:
    """A tar that ends too early, or is followed by the server's words, is an error, never fewer files."""
    with (
        saying(reply(body)) as connection,
        pytest.raises(ServerError, match=f"read shard 3: .*{words}"),
        open_shard(connection, SHARD),
    ):
        pass


def sized(size: int, name: str = "1-1.tsm", kind: bytes = tarfile.REGTYPE) -> bytes:
    """Return the header of a member that says it has ``size`` bytes."""
    member = tarfile.TarInfo(f"b/autogen/3/{name}")
    member.type = kind
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = size.to_bytes(12, "big", signed=True)
    header[124] |= 0x80
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def failing(body: bytes, error: type[Exception] = ServerError) -> Exception:
    """Return what reading a shard of ``body`` raises."""
    with saying(reply(body)) as connection, pytest.raises(error) as caught, open_shard(connection, SHARD):
        pass
    return caught.value


@pytest.mark.parametrize("size", [-1, -512, -(1 << 62)])
@pytest.mark.parametrize("name", ["1-1.tsm", "fields.idx"])
def test_a_size_below_zero(size: int, name: str) -> None:
    """A file of less than no bytes is damage, and nothing is read for it."""
    assert "damaged: a file of less than no bytes" in str(failing(sized(size, name) + GOOD))


@pytest.mark.parametrize("name", ["1-1.tsm", "fields.idx"])
def test_a_size_beyond_the_disk(name: str) -> None:
    """A file for which there is no room is refused before its first byte, also one that is passed over."""
    error = failing(sized(1 << 62, name) + GOOD, ConfigError)
    assert "are free, and 5% of the disk stay so" in str(error)
    assert "TMPDIR" in str(error)


def test_a_tar_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither files nor folders come without end, nor bytes that are passed over."""
    monkeypatch.setattr(shard_files, "MOST_MEMBERS", 50)
    assert "more than 50 files" in str(failing(sized(0, "index", tarfile.DIRTYPE) * 51 + GOOD))
    files = b"".join(sized(0, f"{number}-1.tsm") for number in range(51))
    assert "more than 50 files" in str(failing(files + GOOD))
    monkeypatch.setattr(shard_files, "HELD_BYTES", 512)
    monkeypatch.setattr(shard_files, "SPARE", 1.0)
    assert "no temporary file" in str(failing((sized(512, "fields.idx") + bytes(512)) * 3 + GOOD, ConfigError))


def test_temporary_files_leave_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of the disk stays free, whatever a server sends."""
    monkeypatch.setattr(shard_files, "HELD_BYTES", 0)
    monkeypatch.setattr(shard_files, "SPARE", 1.0)
    assert "100% of the disk stay so" in str(failing(GOOD, ConfigError))


def test_a_disk_that_fills_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others may take the room while it is written to."""

    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shard_files, "HELD_BYTES", 0)
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    assert "No space left on device" in str(failing(GOOD, ConfigError))


def test_two_files_of_one_name() -> None:
    """One of them would be lost."""
    assert "two files are named '1-1.tsm'" in str(failing(tar_of({"1-1.tsm": stored(1)})[:-9_216] + GOOD))


def test_names_and_words_of_a_tar_are_tame() -> None:
    """Control characters and long words of the server are not repeated."""
    for body in (b"\x1b[31m" * 20_000, GOOD + b"\x1b[31m" * 20_000):
        text = str(failing(body)).partition("\n")[0]
        assert text.isprintable()
        assert "\\x1b[31m" in text
        assert len(text) < 700


def test_no_room_for_temporary_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without room for temporary files the error names the folder and how to choose another."""
    monkeypatch.setattr(shard_files, "HELD_BYTES", 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with (
        saying(reply(GOOD)) as connection,
        pytest.raises(ConfigError, match="missing: no temporary file") as caught,
        open_shard(connection, SHARD),
    ):
        pass
    assert "TMPDIR" in caught.value.hint
