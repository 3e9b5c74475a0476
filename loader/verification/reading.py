"""Reads the rows of a dataset for verification, by the Parquet reader of Polars and separate conversions.

Nothing here is shared with loading, so that a mistake of the reader there cannot hide. Columns are renamed by their
position in the schema (``time``, ``t0``, ``f0``, …), so that no names of a dataset can collide.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from loader.dataset.manifest import Partition
from loader.dataset.schema import FieldType, PointSchema, is_text
from loader.errors import StageError
from loader.servers.frames import ANSWER_TYPES
from loader.verification.lengths import text_size
from loader.verification.pages import first_page_size
from loader.verification.points import Rows, make_points

BATCH_ROWS = 655_360
BATCH_BYTES = 32 << 20
"""Bytes of the rows that are read at a time, with the text of each row."""
CHUNK_BYTES = 96 << 20
"""Compressed bytes that Polars reads at a time; it holds whole column chunks."""
LARGEST_PAGE = 64 << 20
"""Bytes of a page beyond which a file is refused: writers make pages of about 1 MB."""
_VIEW_BYTES = 16
"""Bytes of a string besides its text."""
_NUMBER_BYTES = 8
_PAGE_ROWS = 1 << 12
_PAGE_BYTES = 4 << 20
"""About how many bytes of a column are read at a time where it is read page by page."""
_PLAIN = frozenset({"BOOLEAN", "INT32", "INT64", "FLOAT", "DOUBLE", "BYTE_ARRAY"})
"""Types that both libraries read alike; INT96 is none, because it may hold times that PyArrow cannot."""


@dataclass(frozen=True)
class _Column:
    """A column to read: its position in the file, the name that it gets, whether it is text.

    ``leaf`` is its position in the footer, which counts the leaves of nested columns. ``day`` is true for dates, which
    Polars reads as times where Arrow wrote them as date64.
    """

    position: int
    leaf: int
    name: str
    label: str
    text: bool
    day: bool = False


def _none(row: int) -> bool:
    return False


def read_rows(
    root: Path,
    schema: PointSchema,
    partition: Partition,
    leave_out: Callable[[int], bool] = _none,
) -> Iterator[Rows]:
    """Yield all rows of ``partition`` in order, as points and as rows that cannot be points.

    Batches are the same each time; a batch is not read if ``leave_out`` is true for its first row. Memory is bounded by
    a batch of BATCH_ROWS rows or BATCH_BYTES, whichever is less, and CHUNK_BYTES of the file; a larger column chunk is
    read page by page, by PyArrow. Raises StageError for a file that is missing, damaged, or not as the manifest and
    the schema say.
    """
    path = root / partition.path
    try:
        with path.open("rb") as opened, pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 16) as file:
            constants = _constants(schema, partition, file.schema_arrow)
            columns = _columns(path, schema, file, {constant.meta.output_name() for constant in constants})
            _refuse_large_pages(path, opened, file.metadata, columns)
            pages: dict[int, _Pages] = {}
            for start, rows in _batches(opened, file.metadata, columns):
                if leave_out(start):
                    continue
                # Nothing of a batch is held while the next one is read.
                raw = _read(path, file, columns, start, rows, pages).with_columns(constants)
                yield make_points(schema, partition, start, raw)
                del raw
    except FileNotFoundError:
        raise _damaged(path, "is missing") from None
    except (OSError, pa.ArrowException, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        words = " ".join(str(error).split())[:200]
        raise _damaged(path, f"cannot be read as Parquet ({words})") from error


def _constants(schema: PointSchema, partition: Partition, found: pa.Schema) -> list[pl.Expr]:
    """Return what is in no column: tags from the path of ``partition`` (``symbol=AAPL/1.parquet``), absent values."""
    said = (folder.split("=", 1) for folder in partition.path.split("/")[:-1] if "=" in folder)
    texts = {unquote(key): "" if text == "__HIVE_DEFAULT_PARTITION__" else unquote(text) for key, text in said}
    there = {*found.names}
    absent = {name for name in schema.sparse if schema.source(name) not in there}
    texts = dict.fromkeys(absent, "") | texts
    tags = [
        pl.lit(texts[tag]).alias(f"t{number}")
        for number, tag in enumerate(schema.tags)
        if tag in texts and tag not in there
    ]
    fields = [
        pl.lit(None, ANSWER_TYPES[field.type]).alias(f"f{number}")
        for number, field in enumerate(schema.fields)
        if field.column in absent
    ]
    return tags + fields


def _columns(path: Path, schema: PointSchema, file: pq.ParquetFile, keys: Collection[str]) -> list[_Column]:
    """Return the columns to read; ``keys`` are the labels of tags and fields that are in no column."""
    found = file.schema_arrow
    leaves = {file.schema.column(number).path: number for number in range(file.metadata.num_columns)}
    names = dict(schema.sources)
    wanted = [(schema.time, "time", False)]
    wanted += [(tag, f"t{number}", _is_text(found, tag)) for number, tag in enumerate(schema.tags)]
    for number, field in enumerate(schema.fields):
        name = names.get(field.column, field.column)
        wanted.append((name, f"f{number}", field.type is FieldType.STRING and _is_text(found, name)))
    wanted = [each for each in wanted if each[1] not in keys]
    positions = defaultdict(list)
    for position, name in enumerate(found.names):
        positions[name].append(position)
    for name, _, _ in wanted:
        if len(positions[name]) != 1:
            raise _damaged(path, f"has column {name!r} {len(positions[name])} times")
    days = {field.name for field in found if pa.types.is_date(field.type)} - {schema.time}
    return [
        _Column(positions[name][0], leaves.get(name, 0), name, label, text, name in days)
        for name, label, text in wanted
    ]


def _is_text(columns: pa.Schema, name: str) -> bool:
    position = columns.get_field_index(name)  # -1 for a name that is missing or repeated
    return position >= 0 and is_text(columns.field(position).type)


def _refuse_large_pages(path: Path, opened: BinaryIO, metadata: pq.FileMetaData, columns: list[_Column]) -> None:
    """Raise StageError for a page that unpacks to more than LARGEST_PAGE; only the first of each chunk is checked."""
    for group in range(metadata.num_row_groups):
        for column in columns:
            chunk = metadata.row_group(group).column(column.leaf)
            if chunk.total_uncompressed_size <= LARGEST_PAGE:
                continue
            size = first_page_size(opened, chunk.dictionary_page_offset or chunk.data_page_offset)
            if size > LARGEST_PAGE:
                raise _damaged(path, f"has a page of {size:,} bytes in column {column.name!r}")


def _batches(opened: BinaryIO, metadata: pq.FileMetaData, columns: list[_Column]) -> Iterator[tuple[int, int]]:
    """Yield first row and number of rows of each batch: several small row groups, or a part of a large one."""
    begin = row = 0
    held = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        size = sum(_decoded_size(opened, metadata, number, column) for column in columns)
        if row > begin and (held + size > BATCH_BYTES or row - begin + group.num_rows > BATCH_ROWS):
            yield begin, row - begin
            begin, held = row, 0
        stop, held = row + group.num_rows, held + size
        if held > BATCH_BYTES or group.num_rows > BATCH_ROWS:
            step = max(1, min(BATCH_ROWS, group.num_rows * BATCH_BYTES // max(held, 1)))
            for begin in range(row, stop, step):
                yield begin, min(step, stop - begin)
            begin, held = stop, 0
        row = stop
    if row > begin:
        yield begin, row - begin


def _decoded_size(opened: BinaryIO, metadata: pq.FileMetaData, group: int, column: _Column) -> int:
    """Return about how many bytes a column of a row group takes in memory."""
    rows = int(metadata.row_group(group).num_rows)
    if column.text:
        return rows * _VIEW_BYTES + text_size(opened, metadata, group, column.leaf, BATCH_BYTES)
    return rows * _NUMBER_BYTES


def _read(
    path: Path,
    file: pq.ParquetFile,
    columns: list[_Column],
    start: int,
    rows: int,
    pages: dict[int, _Pages],
) -> pl.DataFrame:
    """Return ``columns`` of ``rows`` rows; text may come as Binary. ``pages`` are open readers of columns."""
    groups = _groups(file.metadata, start, rows)
    parts: list[pl.DataFrame] = []
    together: list[_Column] = []
    size = 0
    for column in columns:
        chunks = [file.metadata.row_group(group).column(column.leaf) for group in groups]
        compressed = sum(chunk.total_compressed_size for chunk in chunks)
        if compressed > CHUNK_BYTES and chunks[0].physical_type in _PLAIN:
            reader = pages.setdefault(column.position, _Pages(path, file.metadata, column))
            parts.append(reader.read(start, rows).to_frame())
            continue
        if together and size + compressed > CHUNK_BYTES:
            parts.append(_scan(path, file, together, start, rows))
            together, size = [], 0
        together.append(column)
        size += compressed
    if together:
        parts.append(_scan(path, file, together, start, rows))
    return pl.concat(parts, how="horizontal")


def _scan(path: Path, file: pq.ParquetFile, columns: list[_Column], start: int, rows: int) -> pl.DataFrame:
    """Read ``columns`` by Polars, or by PyArrow where text is not UTF-8."""
    wanted = [
        (pl.nth(column.position).cast(pl.Date) if column.day else pl.nth(column.position)).alias(column.label)
        for column in columns
    ]
    try:
        return pl.scan_parquet(path, glob=False, hive_partitioning=False).select(wanted).slice(start, rows).collect()
    except pl.exceptions.ComputeError as error:
        if "UTF-8" not in str(error):
            raise
    if len(columns) > 1:
        return pl.concat([_scan(path, file, [column], start, rows) for column in columns], how="horizontal")
    return _Pages(path, file.metadata, columns[0]).read(start, rows).to_frame()


@dataclass
class _Pages:
    """Reads a column page by page, forwards only; text comes as bytes."""

    path: Path
    metadata: pq.FileMetaData
    column: _Column

    def __post_init__(self) -> None:
        file = pq.ParquetFile(self.path, pre_buffer=False, buffer_size=1 << 16)
        groups = [self.metadata.row_group(number) for number in range(self.metadata.num_row_groups)]
        size = sum(group.column(self.column.leaf).total_uncompressed_size for group in groups)
        rows = max(1, min(_PAGE_ROWS, _PAGE_BYTES * self.metadata.num_rows // max(size, 1)))
        batches = file.iter_batches(rows, columns=[self.column.name], use_threads=False)
        self._arrays = (self._series(batch.column(self.column.name)) for batch in batches)
        self._row = 0
        self._rest = pl.Series(dtype=pl.Binary)

    def _series(self, values: pa.Array) -> pl.Series:
        if self.column.text:
            return _bytes_of(values)
        return pl.Series(values).cast(pl.Date) if self.column.day else pl.Series(values)

    def read(self, start: int, rows: int) -> pl.Series:
        """Return ``rows`` values from row ``start`` on, which must not be before rows that were read already."""
        parts: list[pl.Series] = []
        while rows:
            if not len(self._rest):
                self._rest = next(self._arrays)
            skipped = min(len(self._rest), start - self._row)
            part = self._rest[skipped : skipped + rows]
            self._rest = self._rest[skipped + len(part) :]
            self._row += skipped + len(part)
            start, rows = max(start, self._row), rows - len(part)
            parts.append(part)
        return pl.concat(parts).alias(self.column.label)


def _bytes_of(column: pa.Array) -> pl.Series:
    """Return text as Binary, also when it is not UTF-8; texts of a dictionary are held once."""
    if pa.types.is_dictionary(column.type):
        return _bytes_of(column.dictionary).gather(pl.Series(column.indices.cast(pa.int64())))
    large = pa.types.is_large_string(column.type)
    return pl.Series(column.cast(pa.large_binary() if large else pa.binary()))


def _groups(metadata: pq.FileMetaData, start: int, rows: int) -> list[int]:
    """Return the row groups that hold rows between ``start`` and ``start + rows``."""
    found, row = [], 0
    for number in range(metadata.num_row_groups):
        stop = row + metadata.row_group(number).num_rows
        if row < start + rows and start < stop:
            found.append(number)
        row = stop
    return found


def _damaged(path: Path, what: str) -> StageError:
    return StageError(f"{path}: {what}", hint="verification compares the files that were loaded: are these the same?")
