"""Record batches in order, however many there are: DuckDB sorts them, and spills to disk what memory does not hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from loader.dataset.reader import GROUP_ROWS
from loader.errors import StageError
from loader.staging.identities import DAY, TIME

MEMORY = "1GB"
"""What DuckDB holds at a time; what it is given and gives back comes on top."""


def sort_batches(
    schema: pa.Schema, batches: Iterator[pa.RecordBatch], keys: Sequence[str], temporary: Path, threads: int
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of ``batches``, which have ``schema``, by UTC day, then by the columns ``keys``.

    Days are those of the column TIME; texts are sorted by their bytes, null first.

    Memory is bounded by MEMORY and a few batches, whatever the number of rows; the rest lies below ``temporary``. The
    order is the same for any number of ``threads`` when no two rows have the same keys. Raises what ``batches``
    raises, and StageError when there is no room.
    """
    # Names of ours cannot collide, nor need quotes.
    names = [f"c{number}" for number in range(len(schema))]
    failures: list[BaseException] = []

    def renamed() -> Iterator[pa.RecordBatch]:
        try:
            for batch in batches:
                yield pa.RecordBatch.from_arrays(batch.columns, names=names)
        except (Exception, KeyboardInterrupt) as error:  # DuckDB would make it one of its own, without its type
            failures.append(error)

    plain = pa.schema([field.with_name(name) for field, name in zip(schema, names, strict=True)])
    time = names[schema.get_field_index(TIME)]
    # Division of integers cuts towards zero.
    day = f"CASE WHEN {time} < 0 THEN ({time} + 1) // {DAY} - 1 ELSE {time} // {DAY} END"
    order = ", ".join([day, *(f"{names[schema.get_field_index(key)]} NULLS FIRST" for key in keys)])
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": MEMORY,
        "threads": threads,
        "temp_directory": str(temporary),
        "preserve_insertion_order": False,
    }
    try:
        with duckdb.connect(config=settings) as database:
            database.register("source", pa.RecordBatchReader.from_batches(plain, renamed()))
            for batch in database.sql(f"SELECT * FROM source ORDER BY {order}").to_arrow_reader(GROUP_ROWS):
                if failures:
                    break
                yield pa.RecordBatch.from_arrays(batch.cast(plain).columns, schema=schema)
    except (duckdb.Error, pa.ArrowException) as error:
        words = " ".join(str(error).split())[:300]
        raise StageError(
            f"{temporary}: the rows cannot be sorted: {words}",
            hint="free some space there, or name another folder for temporary files: --temp FOLDER",
        ) from error
    if failures:
        raise failures[0]
