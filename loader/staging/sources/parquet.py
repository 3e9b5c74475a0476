"""Arrow and CSV as Parquet, so that one reader takes them all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pyarrow.types as pt

from loader.dataset.mapping import ColumnMapping
from loader.dataset.schema import FieldType
from loader.errors import ConfigError

PARQUET, ARROW, CSV = (".parquet",), (".arrow", ".feather", ".ipc"), (".csv",)
SAMPLE_BYTES = 16 << 20
"""Bytes of a CSV file from which the types of its columns are inferred."""
_BLOCK_BYTES = 4 << 20
_FIELDS = {
    FieldType.FLOAT: pa.float64(),
    FieldType.INTEGER: pa.int64(),
    FieldType.UNSIGNED: pa.uint64(),
    FieldType.BOOLEAN: pa.bool_(),
    FieldType.STRING: pa.string(),
}


def as_parquet(path: Path, target: Path, mapping: ColumnMapping) -> Path:
    """Return a file of Parquet with the content of ``path``: ``target``, unless it is Parquet already.

    Of CSV, ``mapping`` tells the types of columns, see ``csv_types``. Memory is SAMPLE_BYTES and a few blocks, or a
    record batch. Raises ConfigError for what cannot be read.
    """
    kind = next((suffix for suffix in reversed(path.suffixes) if suffix not in {".gz", ".zst"}), "").lower()
    if kind in PARQUET:
        return path
    rows = 0
    with _explained(path):
        batches, schema = _read_csv(path, mapping) if kind in CSV else _read_arrow(path)
        with pq.ParquetWriter(target, schema, compression="lz4") as writer:
            for batch in batches:
                if batch.num_rows:
                    writer.write_batch(batch)
                    rows += batch.num_rows
    if not rows:
        raise ConfigError(f"{path}: has no rows", hint="leave it out")
    return target


def csv_types(inferred: pa.Schema, mapping: ColumnMapping) -> dict[str, pa.DataType]:
    """Return the types as which the columns of CSV are read.

    Tags are texts as they stand there, fields whose type is said have it, and times of day have nanoseconds, for later
    ones may have more digits than those of the sample.
    """
    types = {
        column.name: pa.timestamp("ns", column.type.tz) if pt.is_timestamp(column.type) else column.type
        for column in inferred
    }
    types |= dict.fromkeys((tag for tag in mapping.tags if tag in types), pa.string())
    return types | {
        field.column: _FIELDS[field.type] for field in mapping.fields if field.type and field.column in types
    }


def _read_csv(path: Path, mapping: ColumnMapping) -> tuple[Iterator[pa.RecordBatch], pa.Schema]:
    # Only what is empty, and in no quotes, is null: NA may be Namibia.
    convert = {"null_values": [""], "strings_can_be_null": True, "quoted_strings_can_be_null": False}
    sample = pc.ReadOptions(use_threads=False, block_size=SAMPLE_BYTES)
    with pc.open_csv(path, sample, convert_options=pc.ConvertOptions(**convert)) as reader:
        types = csv_types(reader.schema, mapping)
    options = pc.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES)
    reader = pc.open_csv(path, options, convert_options=pc.ConvertOptions(**convert, column_types=types))
    return iter(reader), reader.schema


def _read_arrow(path: Path) -> tuple[Iterator[pa.RecordBatch], pa.Schema]:
    source = pa.memory_map(str(path))
    try:
        file = pa.ipc.open_file(source)
    except pa.ArrowInvalid:
        source.seek(0)
        stream = pa.ipc.open_stream(source)
        return iter(stream), stream.schema
    return (file.get_batch(number) for number in range(file.num_record_batches)), file.schema


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        words = " ".join(str(error).split())[:300]
        raise ConfigError(
            f"{path}: cannot be read: {words}",
            hint="name whole files; CSV has a header, and columns of one type each: --field column=:string",
        ) from error
