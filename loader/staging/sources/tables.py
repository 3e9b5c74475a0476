"""Tables as a source: Parquet is read as it is, Arrow and CSV after conversion to Parquet in a temporary folder."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as pt

from loader.dataset.adopt import make_manifest
from loader.dataset.arrow_types import FIELD_TYPES
from loader.dataset.chunk import Chunk, RejectedRow
from loader.dataset.kinds import CSV, kind_of
from loader.dataset.mapping import ColumnMapping
from loader.dataset.non_finite import tell_non_finite
from loader.dataset.place import Place
from loader.dataset.policy import STRICT, Ambiguous
from loader.dataset.reader import GROUP_ROWS, read_batches
from loader.dataset.schema import PointSchema
from loader.encoding.arrays import Integers
from loader.encoding.columns import read_times
from loader.encoding.folds import Folds
from loader.encoding.selection import SelectedRows, select_points
from loader.errors import ConfigError, LoaderError, StageError
from loader.events import Notice, Observer
from loader.staging.identities import ORDER, TIME
from loader.staging.points import TAG
from loader.staging.sources.csv_format import ISO, CsvFormat
from loader.staging.sources.local_times import ANY_MEASUREMENT, LocalTimes
from loader.staging.sources.parquet import as_parquet
from loader.staging.sources.source import MeasurementPoints
from loader.staging.sources.spool import Spool

_ROOT = Path("/")


class TableSource:
    """The points of ``paths``; ``mapping`` says which columns are tags, fields and time, ``form`` how CSV is written.

    The constructor writes Arrow and CSV as Parquet into ``folder``. ``reject`` is called with unfit rows.
    Memory is a batch. Raises ConfigError for files that cannot be read, or whose columns cannot be points.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        mapping: ColumnMapping,
        folder: Path,
        reject: Callable[[Sequence[RejectedRow]], None],
        observe: Observer,
        form: CsvFormat = ISO,
    ) -> None:
        self._folder = folder
        self._reject = reject
        self._column = column = mapping.measurement_column
        if column:
            mapping = replace(mapping, measurement=ANY_MEASUREMENT, measurement_column="", tags=(column, *mapping.tags))
        policy = mapping.policy
        if policy.ambiguous == Ambiguous.REFUSE:  # counted below, which tells more than the first of them
            mapping = replace(mapping, policy=replace(policy, ambiguous=Ambiguous.INFER))
        typed = mapping.fields and all(field.type for field in mapping.fields)
        self.inferred = not typed and any(kind_of(path) in CSV for path in paths)
        """Whether types of fields were inferred from CSV."""
        self._shown: dict[str, Path] = {}
        """The source file, by the path of its Parquet."""
        for number, path in enumerate(paths):
            # The path keeps keys of the original path, which may be tags.
            keys = [part for part in path.resolve().parent.parts if "=" in part]
            parquet = as_parquet(
                path, Path(folder, str(number), *keys, "x.parquet"), mapping, form, lambda said: observe(Notice(said))
            )
            if not parquet:
                observe(Notice(f"{path}: has no rows, and is left out"))
                continue
            self._shown[parquet.resolve().relative_to(_ROOT).as_posix()] = path
        if not self._shown:
            raise ConfigError(f"{paths[0]}: has no rows", hint="there is nothing to stage")
        try:
            self._manifest = make_manifest(Place(paths[0], _ROOT, folder), mapping, observe, list(self._shown))
        except LoaderError as error:
            raise type(error)(self._meant(error.message), hint=error.hint) from error
        partitions = self._manifest.partitions
        self._stops = list(accumulate(partition.rows for partition in partitions))
        first, last = min(each.time_min for each in partitions), max(each.time_max for each in partitions)
        self._times = LocalTimes(policy if self._has_local_times() else STRICT, first, last)
        if self._times.needed:
            for number, selected, rows in self._select():
                self._times.add(
                    number, selected, self.schema, read_times(selected.points, self.schema).to_numpy(), rows
                )
            self._times.decide(self._file_of, self.address, observe)
        with self._in_given_names():
            self.values_not_finite = tell_non_finite(_ROOT, self._manifest, observe)
        """How many values are left out because they are NaN or infinite."""

    @property
    def rows(self) -> int:
        """Rows of all files."""
        return self._manifest.rows

    @property
    def schema(self) -> PointSchema:
        """The schema of all files; if there are several measurements, of all of them together."""
        return self._manifest.schema

    @property
    def merged_folds(self) -> Folds:
        """Where two local times became one time, because the mapping chose so."""
        return self._times.merged_folds

    def measurements(self) -> Iterator[MeasurementPoints]:
        """Yield the points of the measurement, or of one measurement after another where a column names them."""
        tags = tuple(tag for tag in self.schema.tags if tag != self._column)
        schema = replace(self.schema, tags=tags, time_unit="", sources=(), sparse=(), policy=STRICT)
        if not self._column:
            yield _points(schema, self._read(schema, _columns(schema)))
            return
        for name, spool in sorted(self._part(schema).items()):
            there = replace(
                schema,
                measurement=name,
                tags=tuple(tag for tag in tags if tag in spool.columns),
                fields=tuple(field for field in schema.fields if field.column in spool.columns),
            )
            yield _points(there, spool.read(_columns(there)))

    def _part(self, schema: PointSchema) -> dict[str, Spool]:
        """Return the rows of each measurement, with the columns that have values there."""
        spools: dict[str, Spool] = {}
        column = self._column
        whole = replace(schema, tags=(column, *schema.tags))
        for batch in self._read(whole, _columns(whole)):
            names = batch.column(column)
            for name in names.unique().to_pylist():
                chosen = batch.filter(pc.equal(names, name) if name is not None else pc.is_null(names))
                if not name:
                    self._refuse_nameless(chosen)
                kept = [
                    each for each in chosen.schema.names if each != column and chosen.column(each).is_valid().true_count
                ]
                spool = spools.setdefault(name, Spool(self._folder / f"{len(spools)}.arrows"))
                spool.add(chosen.select(kept))
        return spools

    def _refuse_nameless(self, rows: pa.RecordBatch) -> None:
        raise ConfigError(
            f"{self.address(rows.column(ORDER)[0].as_py())}: column {self._column!r} names no measurement",
            hint="fill the column, or leave such rows out",
        )

    def _read(self, schema: PointSchema, columns: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Yield the rows that can be points; the others are rejected."""
        for number, selected, rows in self._select():
            if selected.rejected:
                shown = str(self._shown[self._manifest.partitions[number].path])
                self._reject([replace(each, partition=shown) for each in selected.rejected])
            points = selected.points
            times = read_times(points, self.schema).to_numpy()
            arrays = [
                *(_tag(points.column(tag)) for tag in schema.tags),
                pa.array(self._times.resolve(selected, self.schema, times, rows)),
                pa.array(rows),
                *(_plain(points.column(field.column), FIELD_TYPES[field.type]) for field in schema.fields),
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=columns)

    def _select(self) -> Iterator[tuple[int, SelectedRows, Integers]]:
        """Yield the points of all files, with the number of their file, and their numbers in the source."""
        first = 0
        for number, partition in enumerate(self._manifest.partitions):
            row = 0
            for batch in self._batches(partition.whole):
                address = Chunk(partition.path, row, row + len(batch))
                row = address.stop
                selected = select_points(batch, self.schema, address)
                yield number, selected, selected.rows + first
            first += partition.rows

    def _batches(self, chunk: Chunk) -> Iterator[pa.RecordBatch]:
        with self._in_given_names():
            yield from read_batches(_ROOT, self.schema, chunk, GROUP_ROWS)

    @contextmanager
    def _in_given_names(self) -> Iterator[None]:
        """Make errors of reading name the files as they were given."""
        try:
            yield
        except StageError as error:
            raise StageError(
                self._meant(error.message),
                hint="the file is damaged, or was changed just now: look at it, and try again",
            ) from error
        except LoaderError as error:
            raise type(error)(self._meant(error.message), hint=error.hint) from error

    def _meant(self, message: str) -> str:
        """Return ``message`` with the names of files as they were given."""
        names = "|".join(map(re.escape, sorted(self._shown, key=len, reverse=True)))
        return re.sub(f"/?({names})", lambda found: str(self._shown[found[1]]), message)

    def address(self, order: int) -> str:
        """Return the source file of the row at position ``order``, and its number there."""
        number = self._file_of(order)
        before = self._stops[number - 1] if number else 0
        return f"{self._shown[self._manifest.partitions[number].path]} row {order - before:,}"

    def _has_local_times(self) -> bool:
        """Tell whether times have no zone; raises ConfigError if that differs from file to file."""
        time = self.schema.source(self.schema.time)
        paths = [partition.path for partition in self._manifest.partitions]
        kinds = {path: pq.read_schema(_ROOT / path).field(time).type for path in paths}
        local = [path for path, kind in kinds.items() if pt.is_timestamp(kind) and kind.tz is None]
        if self.schema.policy.local and 0 < len(local) < len(paths):
            other = next(path for path in paths if path not in local)
            raise ConfigError(
                f"{self._shown[other]}: column {time!r} is {kinds[other]}, and local time in {self._shown[local[0]]}",
                hint="stage files with times of one kind together",
            )
        return bool(local)

    def _file_of(self, order: int) -> int:
        return bisect_right(self._stops, order)


def _columns(schema: PointSchema) -> pa.Schema:
    fixed = [*((tag, pa.string()) for tag in schema.tags), (TIME, pa.int64()), (ORDER, pa.int64())]
    return pa.schema([*fixed, *((field.column, FIELD_TYPES[field.type]) for field in schema.fields)])


def _points(schema: PointSchema, batches: Iterator[pa.RecordBatch]) -> MeasurementPoints:
    def read_tags(batch: pa.RecordBatch) -> list[pa.Array]:
        return [batch.column(tag).cast(TAG) for tag in schema.tags]

    return MeasurementPoints(schema, schema.tags, _columns(schema), batches, read_tags)


def _tag(column: pa.DictionaryArray) -> pa.Array:
    """Return a tag as text, null where it is empty: for a server both are the same, no tag."""
    texts = column.dictionary_decode().cast(pa.string())
    if not pc.any(pc.equal(column.dictionary, "")).as_py():
        return texts
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _plain(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(kind)
