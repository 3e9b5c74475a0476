"""Tells what Parquet files hold, by their footers and a sample of their rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as pt

from loader.dataset.adopt import is_adopted, make_manifest
from loader.dataset.beneath import look
from loader.dataset.fieldless import count_fieldless
from loader.dataset.guess import Column, Seen, guess_columns, guess_keys, guess_mapping
from loader.dataset.hive import path_keys
from loader.dataset.manifest import has_manifest, read_manifest
from loader.dataset.mapping import ColumnMapping
from loader.dataset.own_files import find_files, open_parquet, parquet_hint, unite_columns
from loader.dataset.place import EVERY_FILE, Place, find_place
from loader.dataset.reader import buffer_size
from loader.errors import ConfigError, EncodeError, StageError
from loader.events import ignore

SAMPLE_ROWS = 65_536
SAMPLE_BYTES = 16 << 20
_BATCH_ROWS = 1_024
_BATCH_BYTES = 1 << 20


@dataclass(frozen=True)
class Inspection:
    """What is at ``path``. ``size`` is bytes; ``first`` and ``last`` are nanoseconds, None where no time is known.

    ``order`` says how the rows of the sample, which are the first of ``sample_file``, are sorted: "series", "time" or
    "none". ``mapping`` is the guess, None where no column can be the time or a field; ``problem`` is what keeps the
    files from being loaded by it, "" when nothing does. ``fieldless`` are the least and the most rows without a value
    of any field of the guess: they cannot be points. ``left_out`` are files of the folder that are no Parquet by name.
    """

    path: str
    files: int
    rows: int
    size: int
    row_groups: int
    largest_group: int
    compressions: tuple[str, ...]
    sample_file: str
    sample_rows: int
    columns: tuple[Column, ...]
    order: str
    first: int | None
    last: int | None
    mapping: ColumnMapping | None
    problem: str = ""
    fieldless: tuple[int, int] = (0, 0)
    left_out: tuple[str, ...] = ()


@dataclass
class _Footers:
    """Sums up the footers of files; ``nulls`` of a column is None where one of them does not say."""

    rows: list[int] = field(default_factory=list)
    size: int = 0
    groups: list[int] = field(default_factory=list)
    compressions: set[str] = field(default_factory=set)
    nulls: dict[str, int | None] = field(default_factory=dict)

    def add(self, size: int, metadata: pq.FileMetaData, columns: pa.Schema, names: Sequence[str]) -> None:
        """Count a file with ``columns``; ``names`` are the columns of all files."""
        found: Counter[str] = Counter()
        told = dict.fromkeys(names, True)
        leaves = Counter(metadata.schema.column(number).path for number in range(metadata.num_columns))
        for group in (metadata.row_group(number) for number in range(metadata.num_row_groups)):
            self.groups.append(group.num_rows)
            for chunk in (group.column(number) for number in range(group.num_columns)):
                self.compressions.add(chunk.compression.lower())
                if chunk.is_stats_set and chunk.statistics.has_null_count:
                    found[chunk.path_in_schema] += chunk.statistics.null_count
                else:
                    told[chunk.path_in_schema] = False
        for name in names:
            kind = columns.field(name).type if columns.names.count(name) == 1 else None
            if name not in columns.names or (kind and pt.is_null(kind)):
                number: int | None = metadata.num_rows
            else:
                plain = kind and not pt.is_nested(kind) and leaves[name] == 1
                number = found[name] if plain and told[name] else None
            before = self.nulls.get(name, 0)
            self.nulls[name] = None if number is None or before is None else before + number
        self.rows.append(metadata.num_rows)
        self.size += size


def inspect(path: Path) -> Inspection:
    """Look at the Parquet at ``path``: at the footers of all files, and at a sample of the first one that has rows.

    Nothing is written. Memory is bounded by SAMPLE_ROWS rows or SAMPLE_BYTES and a batch of about 1 MiB, for each
    column its share of READ_BYTES, one page and one dictionary, by one footer, and a line a file. Where statistics do
    not tell the times, they are read, in batches. Raises ConfigError when there is no Parquet, or none with rows;
    StageError for a file that is damaged, or is no file.
    """
    place = find_place(path)
    others: list[str] = []
    names = list(find_files(place, others.append))
    if not names:
        words = "no Parquet here" if place.root.is_dir() else "no such file or folder"
        words = "no file matches this pattern" if place.pattern != EVERY_FILE else words
        raise ConfigError(f"{path}: {words}", hint=parquet_hint(path))
    sizes = [_size(place, name) for name in names]
    united, everywhere = unite_columns(place, names)
    footers = _Footers()
    for name, size in zip(names, sizes, strict=True):
        with open_parquet(place.root / name) as file:
            footers.add(size, file.metadata, file.schema_arrow, united.names)
    if not any(footers.rows):
        raise ConfigError(f"{path}: its files have no rows", hint="there is nothing to load")
    sampled = next(name for name, rows in zip(names, footers.rows, strict=True) if rows)
    sample = _sample(place.root / sampled)
    seen = _see(united, everywhere, footers, sample)
    keys = guess_keys([dict(path_keys(name)) for name in names], footers.rows, united.names)
    columns = (*keys, *guess_columns(seen, len(sample)))
    mapping = guess_mapping(_measurement(place), columns, seen)
    problem, ranges = _try_guess(place, mapping, columns)
    return Inspection(
        path=str(path),
        files=len(names),
        rows=sum(footers.rows),
        size=footers.size,
        row_groups=len(footers.groups),
        largest_group=max(footers.groups),
        compressions=tuple(sorted(footers.compressions)),
        sample_file=sampled,
        sample_rows=len(sample),
        columns=columns,
        order=_order(sample, mapping),
        first=min((low for low, _ in ranges), default=None),
        last=max((high for _, high in ranges), default=None),
        mapping=mapping,
        problem=problem,
        left_out=tuple(others),
        fieldless=_fieldless(place, names, footers, sample, mapping),
    )


def _fieldless(
    place: Place, names: Sequence[str], footers: _Footers, sample: pa.Table, mapping: ColumnMapping | None
) -> tuple[int, int]:
    """Return the least and the most rows without any field; footers are read again where each field has nulls."""
    fields = [field.column for field in mapping.fields] if mapping else []
    if not fields or any(footers.nulls[name] == 0 for name in fields):
        return 0, 0
    return count_fieldless(place.root, names, fields, sample)


def _size(place: Place, name: str) -> int:
    status = look(place.root, name)
    if status is None:
        raise StageError(f"{place.root / name}: is gone", hint="look again when nobody changes the files")
    return status.st_size


def _sample(path: Path) -> pa.Table:
    """Return the first rows of a file; its pages are read piece by piece, however large its row groups are."""
    batches: list[pa.RecordBatch] = []
    rows = size = 0
    try:
        metadata = pq.read_metadata(path)
        buffer = buffer_size(metadata)
        with pq.ParquetFile(path, metadata=metadata, buffer_size=buffer, pre_buffer=False) as file:
            for batch in file.iter_batches(_batch_rows(metadata), use_threads=False):
                batches.append(batch)
                rows, size = rows + batch.num_rows, size + batch.nbytes
                if rows >= SAMPLE_ROWS or size >= SAMPLE_BYTES:
                    break
            return pa.Table.from_batches(batches).slice(0, SAMPLE_ROWS)
    except (OSError, pa.ArrowException) as error:
        words = " ".join(str(error).split())
        raise StageError(
            f"{path}: cannot be read as Parquet ({words})", hint="the file is damaged: make it anew"
        ) from None


def _batch_rows(metadata: pq.FileMetaData) -> int:
    """Return how many rows make a batch of about _BATCH_BYTES."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    widest: int = max(group.total_byte_size // max(1, group.num_rows) for group in groups)
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(1, widest)))


def _see(united: pa.Schema, everywhere: set[str], footers: _Footers, sample: pa.Table) -> list[Seen]:
    """Return what is known of each column; those that share a name have no values, since none can be selected."""
    counts = Counter(united.names)
    return [
        Seen(
            column,
            footers.nulls[column.name],
            sample.column(column.name) if sample.column_names.count(column.name) == 1 else None,
            column.name in everywhere,
            counts[column.name] > 1,
        )
        for column in united
    ]


def _measurement(place: Place) -> str:
    """Return the name of the file, or of the folder, before its first dot."""
    path = place.path if place.path.is_file() else place.root
    return path.absolute().name.partition(".")[0]


def _try_guess(
    place: Place, mapping: ColumnMapping | None, columns: Sequence[Column]
) -> tuple[str, list[tuple[int, int]]]:
    """Return why a load by the guess would be refused, "" when it would not, and the time range of each file."""
    if not mapping:
        timed = any(column.role == "time" for column in columns)
        return "no column can be a field" if timed else "no column can be the time of points", []
    try:
        manifest = make_manifest(place, mapping, ignore)
    except (ConfigError, EncodeError) as error:
        return f"{error.message} ({error.hint})", []
    # A file without any time has 0 for both.
    ranges = [(part.time_min, part.time_max) for part in manifest.partitions if part.time_min or part.time_max]
    if has_manifest(place.state) and not is_adopted(read_manifest(place.state, place.root)):
        return "a staged dataset knows its columns: load it without naming any", ranges
    return "", ranges


def _order(sample: pa.Table, mapping: ColumnMapping | None) -> str:
    """Return how the rows of the sample are sorted."""
    if not mapping:
        return "none"
    column = sample.column(mapping.time)
    whole = column.cast(pa.int32()) if pt.is_date32(column.type) else column
    steps = np.diff(whole.cast(pa.int64()).drop_null().to_numpy())
    if (steps >= 0).all():
        return "time"
    present = sample.filter(column.is_valid())
    codes = np.zeros((1, len(present)), np.int64)
    for tag in mapping.tags:
        if tag in present.column_names:
            codes = np.vstack([codes, _codes(present.column(tag))])
    changes = (np.diff(codes) != 0).any(axis=0)
    together = changes.sum() + 1 == np.unique(codes, axis=1).shape[1]
    return "series" if together and (changes | (steps >= 0)).all() else "none"


def _codes(column: pa.ChunkedArray) -> np.ndarray:
    """Return a number for each value, the same for equal values; -1 for null."""
    plain = column.cast(column.type.value_type) if pt.is_dictionary(column.type) else column
    indices = plain.combine_chunks().dictionary_encode().indices
    return np.asarray(indices.fill_null(-1).to_numpy(zero_copy_only=False), np.int64)
