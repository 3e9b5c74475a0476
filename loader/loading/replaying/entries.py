"""The entries of a rejected file, as a replay reads them: its user may have changed or removed lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from loader.dataset.claims import check_integer, check_mapping, check_text, excerpt
from loader.dataset.manifest import Partition
from loader.dataset.rejected_file import RejectedFile
from loader.dataset.state import MOST_BYTES
from loader.errors import ConfigError

BATCH_ENTRIES = 10_000
BATCH_BYTES = 16 << 20
_LINE = re.compile(rb"[^\s\x00#,][^\n]*[^\\] (?P<time>-?[0-9]+)")
"""One point with its time: a server would drop a comment without a word, and give others the time of arrival."""


@dataclass(frozen=True)
class Entry:
    """A rejected row: its line of line protocol, None if there is none; ``text`` is the entry as it is kept."""

    partition: str
    row: int
    line: bytes | None
    text: bytes

    @property
    def address(self) -> tuple[str, int]:
        """Partition and row."""
        return self.partition, self.row


def time_of(line: bytes) -> int | None:
    """Return the time at the end of a line of line protocol, None when it is no line of one point with its time."""
    found = _LINE.fullmatch(line)
    time = int(found["time"]) if found and len(found["time"]) <= 20 else None
    return time if time is not None and -(2**63) <= time < 2**63 else None


def read_entries(file: RejectedFile, partitions: Mapping[str, Partition]) -> Iterator[list[Entry]]:
    """Yield the entries of ``file`` in batches of up to BATCH_ENTRIES, or of about BATCH_BYTES.

    ``partitions`` are those of the dataset, by path. Raises ConfigError for an entry of another form, or whose row or
    line is none; and LoadError when the file cannot be read.
    """
    batch: list[Entry] = []
    size = 0
    for number, text in enumerate(file.lines(), start=1):
        if not text.strip():
            continue
        try:
            batch.append(_entry(text, partitions))
        except ValueError as error:
            raise ConfigError(
                f"{file.path}, line {number:,}: {error}",
                hint='change only "line", one point with its time; an entry that you remove is not sent',
            ) from None
        size += len(text)
        if len(batch) == BATCH_ENTRIES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _entry(text: bytes, partitions: Mapping[str, Partition]) -> Entry:
    if len(text) == MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES >> 20} MiB")
    try:
        said = check_mapping("the entry", json.loads(text))
        path = check_text("the partition", said["partition"])
        row = check_integer("the row", said["row"], 0)
    except KeyError as error:
        raise ValueError(f"{excerpt(error.args[0])} is missing") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if path not in partitions or row >= partitions[path].rows:
        raise ValueError(f"row {row:,} of {excerpt(path)} is no row of the dataset")
    line = said.get("line")
    return Entry(path, row, None if line is None else _line(line), text if text.endswith(b"\n") else text + b"\n")


def _line(value: Any) -> bytes:
    line = check_text("the line", value).encode().removesuffix(b"\n")
    if time_of(line) is None:
        raise ValueError(f"the line {excerpt(value)} is not one point with its time in nanoseconds")
    return line
