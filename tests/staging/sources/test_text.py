"""Files of lines in blocks: compressed, damaged, with heads, and lines without end."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from loader.errors import ConfigError
from loader.staging.sources import text
from loader.staging.sources.text import opened_text, read_blocks

LINES = b"".join(b'm v="%d\n" %d\n' % (number, number) for number in range(500))


def blocks(path: Path) -> list[bytes]:
    """Return the blocks of a file."""
    with opened_text(path) as file:
        return list(read_blocks(path, file))


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_blocks_are_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    """Compressed or not, blocks end with lines, also where a string holds newlines; the last may lack its own."""
    monkeypatch.setattr(text, "BLOCK_BYTES", 1_000)
    path = tmp_path / f"x.lp{suffix}"
    content = LINES + b"m v=1 7"
    match suffix:
        case ".gz":
            path.write_bytes(gzip.compress(content[:999], mtime=0) + gzip.compress(content[999:], mtime=0))
        case ".zst":
            path.write_bytes(pa.compress(content, "zstd", asbytes=True))
        case _:
            path.write_bytes(content)
    found = blocks(path)
    assert b"".join(found) == content
    assert len(found) > 5
    assert all(block.endswith(b"\n") and block.count(b'"') % 2 == 0 for block in found[:-1])


@pytest.mark.parametrize("name", ["x.lp.gz", "y.lp.zst", "none.lp", "folder.lp"])
def test_files_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    """A file that is cut short, is something else, or is not there, is named."""
    (tmp_path / "x.lp.gz").write_bytes(gzip.compress(LINES)[:-20])
    (tmp_path / "y.lp.zst").write_bytes(LINES)
    (tmp_path / "folder.lp").mkdir()
    with pytest.raises(ConfigError, match=rf"{name}: cannot be read: .") as caught:
        blocks(tmp_path / name)
    assert caught.value.hint


def test_a_line_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quote that is never closed does not make a file be held as a whole."""
    monkeypatch.setattr(text, "BLOCK_BYTES", 1_000)
    monkeypatch.setattr(text, "LONGEST_LINE", 3_000)
    (tmp_path / "x.lp").write_bytes(b'm v="' + LINES.replace(b'"', b"'"))
    with pytest.raises(ConfigError, match=r"x\.lp: a line is longer than 3,000 bytes: b'm v=") as caught:
        blocks(tmp_path / "x.lp")
    assert "closing quote" in caught.value.hint


def test_the_head_of_an_export(tmp_path: Path) -> None:
    """Statements that make databases are blank lines, so that lines keep their numbers; without an end they stay."""
    head = b"# INFLUXDB EXPORT: 1677 - 2262\n# DDL\nCREATE DATABASE a WITH NAME autogen\n# DML\n"
    (tmp_path / "x.lp").write_bytes(head + LINES)
    assert blocks(tmp_path / "x.lp") == [b"\n\n\n# DML\n" + LINES]
    (tmp_path / "x.lp").write_bytes(b"# DDL\nCREATE DATABASE a\n")
    assert blocks(tmp_path / "x.lp") == [b"# DDL\nCREATE DATABASE a\n"]
