"""Converts Arrow and CSV to Parquet, so that one reader reads them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from loader.dataset.kinds import CSV, PARQUET, kind_of
from loader.dataset.mapping import ColumnMapping
from loader.errors import ConfigError
from loader.staging.sources.csv_format import ISO, CsvFormat
from loader.staging.sources.csv_tables import read_csv


def as_parquet(
    path: Path,
    target: Path,
    mapping: ColumnMapping,
    form: CsvFormat = ISO,
    tell: Callable[[str], None] = lambda _: None,
) -> Path | None:
    """Return a Parquet file with the content of ``path``: ``target``, or ``path`` if it is Parquet already.

    For CSV, ``mapping`` may give the types of columns, ``form`` says how it is written, see ``read_csv``. Returns None
    for a file without rows, whose types are unknown. Memory is that of ``read_csv``, or a record batch. Raises
    ConfigError for what cannot be read.
    """
    kind = kind_of(path)
    if kind in PARQUET:
        return path
    if not path.stat().st_size:
        return None
    rows = 0
    target.parent.mkdir(parents=True)
    with _explained(path):
        batches, schema = read_csv(path, mapping, form, tell) if kind in CSV else _read_arrow(path)
        with pq.ParquetWriter(target, schema, compression="lz4") as writer:
            for batch in filter(len, batches):
                writer.write_batch(batch)
                rows += len(batch)
    return target if rows else None


def _read_arrow(path: Path) -> tuple[Iterator[pa.RecordBatch], pa.Schema]:
    source = pa.memory_map(str(path))
    try:
        file = pa.ipc.open_file(source)
    except pa.ArrowInvalid:
        source.seek(0)
        stream = pa.ipc.open_stream(source)
        return _sound(stream), stream.schema
    return _sound(file.get_batch(number) for number in range(file.num_record_batches)), file.schema


def _sound(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the ``batches`` that have rows, in a form that Parquet can hold; raises ArrowInvalid for damaged ones."""
    for batch in filter(len, batches):
        batch.validate(full=True)  # the offsets come from the file, and may be wrong
        yield _without_null_entries(batch)


def _without_null_entries(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return ``batch`` without nulls in dictionaries, which Parquet cannot hold: rows with them become null."""
    for number, column in enumerate(batch.columns):
        if pa.types.is_dictionary(column.type) and column.dictionary.null_count:
            plain = column.dictionary_decode().dictionary_encode().cast(column.type)
            batch = batch.set_column(number, batch.schema.field(number), plain)
    return batch


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        words = " ".join(str(error).split())[:300]
        raise ConfigError(
            f"{path}: cannot be read: {words}",
            hint="name whole files of Arrow, as files or streams",
        ) from error
