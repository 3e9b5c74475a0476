"""Keeps record batches on disk until all of their columns are known: a file of Arrow streams, one after another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa


class Spool:
    """Batches that may have different columns: a column without any value may be missing.

    ``columns`` are all columns of all batches, with their types, in the order of their first batch; ``rows`` counts all
    rows.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.columns: dict[str, pa.DataType] = {}
        self.rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Append ``batch``; raises OSError."""
        for column in batch.schema:
            self.columns.setdefault(column.name, column.type)
        self.rows += len(batch)
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with self._path.open("ab") as file, pa.ipc.new_stream(file, batch.schema, options=options) as writer:
            writer.write_batch(batch)

    def read(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Yield all rows with the columns of ``schema``, null where a batch has none; raises OSError."""
        with self._path.open("rb") as file:
            for _ in iter(lambda: file.peek(1), b""):
                for batch in pa.ipc.open_stream(file):
                    there = {name: number for number, name in enumerate(batch.schema.names)}
                    arrays = [
                        batch.column(there[field.name]) if field.name in there else pa.nulls(len(batch), field.type)
                        for field in schema
                    ]
                    yield pa.RecordBatch.from_arrays(arrays, schema=schema)
