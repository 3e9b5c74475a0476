"""Sorts any number of record batches: DuckDB sorts them, and spills to disk what does not fit into memory."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from queue import Empty, Queue

import duckdb
import pyarrow as pa

from loader.dataset.instant import DAY
from loader.dataset.reader import GROUP_ROWS
from loader.errors import StageError
from loader.staging.identities import TIME
from loader.waiting import join, take

MEMORY = "1GB"
"""Memory of DuckDB, in addition to the batches that it takes and returns."""
_TRIES = 100


def sort_batches(
    schema: pa.Schema,
    batches: Iterator[pa.RecordBatch],
    keys: Sequence[str],
    temporary: Path,
    threads: int,
    memory: str = "",
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of ``batches``, which have ``schema``, by UTC day, then by the columns ``keys``.

    Days are those of the column TIME; texts are sorted by their bytes, null first.
    Memory is bounded by ``memory``, by default MEMORY, and a few batches, for any number of rows; the rest is in files
    below ``temporary``. The order is the same for any number of ``threads`` when no two rows have the same keys.
    ``batches`` is read in another thread, and its errors are raised here. Raises StageError when there is no room.
    Ctrl-C removes ``temporary``.
    """
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory or MEMORY,
        "threads": threads,
        "temp_directory": str(temporary),
        "preserve_insertion_order": False,
    }
    with duckdb.connect(config=settings) as database:
        # It would be printed to stdout, in the middle of a result. Jupyter without ipywidgets has none, and no setting.
        with suppress(duckdb.InvalidInputException):
            database.execute("SET enable_progress_bar = false")
        sorting = _Sorting(database, schema, batches, keys)
        worker = threading.Thread(target=sorting.run, daemon=True)
        worker.start()
        try:
            while (found := take(sorting.sorted)) is not None:
                yield found
        except KeyboardInterrupt:
            # DuckDB may take longer to end than a stop may take: its files are removed first.
            sorting.end()
            _remove(temporary)
            raise
        finally:
            # DuckDB does not notice signals, and a thread that still sorts would write into a folder that is removed.
            sorting.end()
            join(worker)
    if isinstance(sorting.error, duckdb.Error | pa.ArrowException):
        words = " ".join(str(sorting.error).split())[:300]
        raise StageError(
            f"{temporary}: the rows cannot be sorted: {words}",
            hint="free some space there, or name another folder for temporary files: --temp FOLDER",
        ) from sorting.error
    if sorting.error:
        raise sorting.error


def _remove(folder: Path) -> None:
    """Remove a folder into which DuckDB may still be writing, with files that it adds meanwhile."""
    tries = iter(range(_TRIES))
    while folder.exists() and next(tries, None) is not None:
        shutil.rmtree(folder, ignore_errors=True)


class _Sorting:
    """Sorts in a thread of its own; ``sorted`` gets the sorted batches, then None; ``error`` is set on failure."""

    def __init__(
        self,
        database: duckdb.DuckDBPyConnection,
        schema: pa.Schema,
        batches: Iterator[pa.RecordBatch],
        keys: Sequence[str],
    ) -> None:
        self.sorted: Queue[pa.RecordBatch | None] = Queue(2)
        self.error: BaseException | None = None
        self._ended = threading.Event()
        self._database = database
        self._schema = schema
        self._batches = batches
        # Generated names cannot collide, and need no quotes.
        self._names = [f"c{number}" for number in range(len(schema))]
        name_of = dict(zip(schema.names, self._names, strict=True))
        time = name_of[TIME]
        # DuckDB's division of integers rounds towards zero.
        day = f"CASE WHEN {time} < 0 THEN ({time} + 1) // {DAY} - 1 ELSE {time} // {DAY} END"
        self._order = ", ".join([day, *(f"{name_of[key]} NULLS FIRST" for key in keys)])

    def run(self) -> None:
        """Sort all batches into ``sorted``."""
        try:
            self._sort()
        except Exception as error:
            self.error = self.error or error
        self.sorted.put(None)

    def end(self) -> None:
        """Make the thread end soon."""
        self._ended.set()
        self._database.interrupt()
        with suppress(Empty):
            while True:
                self.sorted.get_nowait()

    def _sort(self) -> None:
        plain = pa.schema([field.with_name(name) for field, name in zip(self._schema, self._names, strict=True)])
        self._database.register("source", pa.RecordBatchReader.from_batches(plain, self._renamed()))
        query = self._database.sql(f"SELECT * FROM source ORDER BY {self._order}")
        for batch in query.to_arrow_reader(GROUP_ROWS):
            if self.error or self._ended.is_set():
                return
            self.sorted.put(pa.RecordBatch.from_arrays(batch.cast(plain).columns, schema=self._schema))

    def _renamed(self) -> Iterator[pa.RecordBatch]:
        try:
            for batch in takewhile(lambda _: not self._ended.is_set(), self._batches):
                yield pa.RecordBatch.from_arrays(batch.columns, names=self._names)
        except Exception as error:  # DuckDB would replace it by an error of its own
            self.error = error
