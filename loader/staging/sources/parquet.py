"""Arrow and CSV as Parquet, so that one reader takes them all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from loader.dataset.kinds import CSV, PARQUET, kind_of
from loader.dataset.mapping import ColumnMapping
from loader.errors import ConfigError
from loader.staging.sources.csv_tables import read_csv


def as_parquet(path: Path, target: Path, mapping: ColumnMapping) -> Path | None:
    """Return a file of Parquet with the content of ``path``: ``target``, unless it is Parquet already.

    Of CSV, ``mapping`` tells the types of columns, see ``read_csv``. A file without rows, whose types nobody knows, is
    None. Memory is what ``read_csv`` holds, or a record batch. Raises ConfigError for what cannot be read.
    """
    kind = kind_of(path)
    if kind in PARQUET:
        return path
    if not path.stat().st_size:
        return None
    rows = 0
    target.parent.mkdir(parents=True)
    with _explained(path):
        batches, schema = read_csv(path, mapping) if kind in CSV else _read_arrow(path)
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
    """Yield those of ``batches`` that have rows, as Parquet can have them; raises ArrowInvalid for damaged ones."""
    for batch in filter(len, batches):
        batch.validate(full=True)  # offsets are as the file says
        yield _without_null_entries(batch)


def _without_null_entries(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return ``batch`` with no null in a dictionary, which Parquet cannot have: such rows are null themselves."""
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
