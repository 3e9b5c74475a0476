"""Parquet of others, made a dataset where it lies: nothing is copied, and nothing of theirs is changed.

What is made is a manifest among the loader's own files: with the mapping of the columns, and of each file what it is
known by and from when to when its points are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as pt

from loader.dataset.arrow_types import kind_name
from loader.dataset.beneath import look
from loader.dataset.chunk import Chunk
from loader.dataset.claims import check_path
from loader.dataset.conversion import conversion_problem
from loader.dataset.footers import footer_checksum, refuse_changed
from loader.dataset.hive import path_keys
from loader.dataset.instant import NANOSECONDS, TIME_MAX, TIME_MIN
from loader.dataset.manifest import Manifest, Partition, has_manifest, read_manifest, write_manifest
from loader.dataset.mapping import INDEX, ColumnMapping, make_schema, mapping_json, parse_mapping
from loader.dataset.place import Place
from loader.dataset.policy import known_zones
from loader.dataset.reader import GROUP_ROWS, read_batches, refuse_unitless
from loader.dataset.schema import PointSchema
from loader.dataset.state import writing
from loader.errors import ConfigError
from loader.events import Notice, Observer, ignore

SOURCE = "adopted"
"""What the settings in the manifest of an adopted dataset say of its source."""
_LOSSLESS = ("integer", "float")
_WHOLE_HOURS = re.compile(r"[+-]\d\d:00")
_STORED_UNITS = {"milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns"}
_Range = tuple[int, int]


def adopt(
    place: Place, mapping: ColumnMapping | None = None, observe: Observer = ignore, *, afresh: bool = False
) -> None:
    """Make the files at ``place`` a dataset, or look whether those of an adopted one are what they were.

    Without ``mapping``, that of the last time counts; a staged dataset needs none. Files that came since belong to
    it. Of each file only the footer is read, and times where it has no statistics of them.
    Memory is bounded by the manifest and one batch. Raises ConfigError for what cannot be points, and for a place
    where no manifest can be; StageError for a file that has changed, but ``afresh``.
    """
    former = read_manifest(place.state, place.root) if has_manifest(place.state) else None
    if former and not is_adopted(former):
        if mapping:
            raise ConfigError(
                f"{place.path}: is a staged dataset, which knows its columns", hint="leave out the mapping of columns"
            )
        return
    if not mapping:
        mapping = _kept_mapping(place, former)
    if former and not afresh:
        here = [partition for partition in former.partitions if (place.root / partition.path).exists()]
        refuse_changed(place.root, here)
    manifest = make_manifest(place, mapping, observe)
    gone = {each.path for each in former.partitions} - {each.path for each in manifest.partitions} if former else ()
    if gone:
        observe(Notice(f"{len(gone)} files are gone ({min(gone)}): they are no part of it now, their points stay"))
    if former is None or former.to_json() != manifest.to_json():
        _keep(place, manifest)


def is_adopted(manifest: Manifest) -> bool:
    """Tell whether the dataset of ``manifest`` is Parquet of others."""
    return manifest.settings.get("source") == SOURCE


def _kept_mapping(place: Place, former: Manifest | None) -> ColumnMapping:
    if former:
        said = former.settings.get("mapping")
        return parse_mapping(said if isinstance(said, dict) else {}, f"{place.path}: ")
    if not any(True for _ in find_files(place)):
        _refuse_empty(place)
    raise ConfigError(
        f"{place.path}: which of its columns are tags, fields and time is not known",
        hint="say it: --measurement NAME --tag COLUMN --field COLUMN --time COLUMN; loader inspect shows the columns",
    )


def _refuse_empty(place: Place) -> NoReturn:
    if not place.root.is_dir():
        raise ConfigError(
            f"{place.path}: no such file or folder",
            hint=f"name Parquet files or their folder, or stage trades first: loader stage --out {place.path}",
        )
    raise ConfigError(
        f"{place.path}: no file {place.pattern} here", hint=f"stage trades first: loader stage --out {place.root}"
    )


def find_files(place: Place) -> Iterator[str]:
    """Yield the files of ``place`` in order, relative to its root; what begins with ``.`` or ``_`` is left out.

    Raises StageError for what is no regular file, before it is opened, and ConfigError for names that are no text.
    """
    try:
        paths = sorted(place.root.glob(place.pattern))
    except ValueError as error:
        raise ConfigError(f"{place.path}: {error}", hint="write ** as a whole folder: 'trips/**/*.parquet'") from None
    for path in paths:
        name = path.relative_to(place.root)
        hidden = path != place.path and any(part.startswith((".", "_")) for part in name.parts)
        if not hidden and not path.is_dir():
            try:
                path_keys(check_path(name.as_posix()))
            except ValueError as error:
                raise ConfigError(f"{place.path}: {error}", hint="give it a plain name, or leave it out") from None
            look(place.root, name.as_posix())  # a FIFO would keep whoever opens it waiting
            yield name.as_posix()


def make_manifest(place: Place, mapping: ColumnMapping, observe: Observer) -> Manifest:
    """Return the manifest of the files at ``place``; raises ConfigError for what cannot be points."""
    names = list(find_files(place))
    if not names:
        _refuse_empty(place)
    schema, united = _make_schema(place, names, mapping, observe)
    partitions = []
    ranges: list[_Range | None] = []
    for name in names:
        size, modified, checksum = footer_checksum(place.root, name)
        with open_parquet(place.root / name) as file:
            _check_columns(place, name, file, schema, united)
            found = read_time_range(place.root, name, file, schema)
            ranges.append(found)
            low, high = found or (0, 0)
            partitions.append(Partition(name, file.metadata.num_rows, low, high, size, checksum, modified))
    if not any(partition.rows for partition in partitions):
        raise ConfigError(f"{place.path}: its files have no rows", hint="there is nothing to load")
    # Where no row has a time, that of others stands: a time that is no point's would be asked for.
    first = min((each for each in ranges if each), default=(0, 0))[0]
    partitions = [
        each if found else replace(each, time_min=first, time_max=first)
        for each, found in zip(partitions, ranges, strict=True)
    ]
    settings = {"source": SOURCE, "mapping": mapping_json(mapping)}
    return Manifest((schema,), settings, {"pyarrow": version("pyarrow")}, tuple(partitions), complete=True)


def _make_schema(
    place: Place, names: Sequence[str], mapping: ColumnMapping, observe: Observer
) -> tuple[PointSchema, pa.Schema]:
    """Return the schema of the points of all files, and their columns together, each of which some may not have."""
    columns, everywhere = unite_columns(place, names)
    index = [found for found in columns.names if INDEX.fullmatch(found)]
    named = {*mapping.tags, mapping.time, *(field.column for field in mapping.fields)}
    left = [found for found in index if found not in named]
    if left and not mapping.fields:
        observe(Notice(f"the index of pandas ({', '.join(left)}) is left out; name it with --field to load it"))
    columns = pa.schema([field for field in columns if field.name not in left])
    keys = [key for key in path_keys(names[0]) if all(key in path_keys(name) for name in names)]
    schema = make_schema(mapping, columns, keys)
    sparse = {column for column in schema.columns if schema.source(column) not in {*everywhere, *keys, mapping.time}}
    return replace(schema, sparse=tuple(column for column in schema.columns if column in sparse)), columns


def unite_columns(place: Place, names: Sequence[str]) -> tuple[pa.Schema, set[str]]:
    """Return the columns of all files, in their order, and the names of those that each file has.

    Of a column that is of several types, floating ones hold the others, and any holds that of no value.
    """
    united: dict[str, pa.Field] = {}
    everywhere: set[str] | None = None
    for name in names:
        with open_parquet(place.root / name) as file:
            columns = file.schema_arrow
        if len(names) == 1 or len(set(columns.names)) < len(columns.names):
            return columns, set(columns.names)  # what is there twice is refused by the mapping
        for field in columns:
            former = united.setdefault(field.name, field)
            if pt.is_null(former.type) or (pt.is_floating(field.type) and pt.is_integer(former.type)):
                united[field.name] = field
        everywhere = set(columns.names) & (set(columns.names) if everywhere is None else everywhere)
    return pa.schema(united.values()), everywhere or set()


def _other_kind(columns: pa.Schema, united: pa.Schema, schema: PointSchema) -> str:
    """Return which tag or field is of another kind in one file than in all of them together, in a sentence."""
    names = {*columns.names}
    for source in (schema.source(name) for name in schema.columns if name != schema.time):
        if source in names:
            here, there = columns.field(source).type, united.field(source).type
            if kind_name(here) not in {kind_name(there), "null"} and (kind_name(here), kind_name(there)) != _LOSSLESS:
                return f"column {source!r} is {here}, and {there} in other files"
    return ""


def _refuse_unclear_times(path: Path, columns: pa.Schema, schema: PointSchema) -> None:
    wanted = {*map(schema.source, schema.columns)}
    for name, kind in zip(columns.names, columns.types, strict=True):
        if name in wanted and pt.is_timestamp(kind) and kind.tz is None and not schema.policy.timezone:
            raise ConfigError(
                f"{path}: column {name!r} is {kind}, without a time zone",
                hint="if its times are UTC: --timezone UTC; or name another zone, such as Europe/Berlin",
            )


def _refuse_strange_zones(path: Path, columns: pa.Schema) -> None:
    """Raise ConfigError for time zones that Polars, by which verification reads, does not know, of any column."""
    for name, kind in zip(columns.names, columns.types, strict=True):
        zone = kind.tz if pt.is_timestamp(kind) else None
        if zone and zone not in known_zones() and not _WHOLE_HOURS.fullmatch(zone):
            raise ConfigError(
                f"{path}: column {name!r} has the time zone {zone!r}, with which it could not be verified",
                hint="write the file with times in UTC",
            )


def _check_columns(place: Place, name: str, file: pq.ParquetFile, schema: PointSchema, united: pa.Schema) -> None:
    columns = file.schema_arrow
    time = schema.source(schema.time)
    known = columns.names.count(time) == 1
    if known and not schema.time_unit and columns.field(time).type == pa.int64() and file.metadata.num_rows:
        refuse_unitless(place.root, place.root / name, schema)
    _refuse_unclear_times(place.root / name, columns, schema)
    _refuse_strange_zones(place.root / name, columns)
    if problem := conversion_problem(schema, columns, name) or _other_kind(columns, united, schema):
        raise ConfigError(
            f"{place.root / name}: {problem}",
            hint="name other columns, or another type of field: column=key:type",
        )


def read_time_range(root: Path, name: str, file: pq.ParquetFile, schema: PointSchema) -> _Range | None:
    """Return the first and last time of the points of a file, in nanoseconds, None where there is none."""
    ranges = list(_stored_ranges(file, schema))
    if not all(found and TIME_MIN <= found[0] <= found[1] <= TIME_MAX for found in ranges):
        ranges = list(_read_ranges(root, name, file.metadata.num_rows, schema))
    found = [each for each in ranges if each]
    return (min(low for low, _ in found), max(high for _, high in found)) if found else None


def _stored_ranges(file: pq.ParquetFile, schema: PointSchema) -> Iterator[_Range | None]:
    """Yield what the statistics of each row group say, None where they do not."""
    source = schema.source(schema.time)
    number = next(number for number in range(file.metadata.num_columns) if file.schema.column(number).path == source)
    kind = {} if schema.policy.local else json.loads(file.schema.column(number).logical_type.to_json())
    unit = NANOSECONDS.get(schema.time_unit or _STORED_UNITS.get(kind.get("timeUnit", ""), ""))
    for group in range(file.metadata.num_row_groups):
        column = file.metadata.row_group(group).column(number)
        told = column.statistics if column.is_stats_set else None
        if column.physical_type == "INT64" and unit and told and told.has_min_max:
            yield told.min_raw * unit, told.max_raw * unit
        else:
            yield None


def _read_ranges(root: Path, name: str, rows: int, schema: PointSchema) -> Iterator[_Range | None]:
    """Yield the range of the times of each batch that InfluxDB has."""
    times = replace(schema, tags=(), fields=())
    for batch in read_batches(root, times, Chunk(name, 0, rows), GROUP_ROWS):
        column = batch.column(0)
        unit = NANOSECONDS[column.type.unit if pt.is_timestamp(column.type) else schema.time_unit]
        whole = column.cast(pa.int64())
        valid = pc.and_(pc.greater_equal(whole, -(-TIME_MIN // unit)), pc.less_equal(whole, TIME_MAX // unit))
        low, high = pc.min_max(whole.filter(valid)).as_py().values()
        yield None if low is None else (low * unit, high * unit)


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a file of Parquet; raises ConfigError for what is none."""
    try:
        file = pq.ParquetFile(path, pre_buffer=False)
        _ = file.schema_arrow.names  # which may be no text
        return file
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        words = " ".join(str(error).split())[:200]
        raise ConfigError(f"{path}: cannot be read as Parquet ({words})", hint="name whole Parquet files") from None


def _keep(place: Place, manifest: Manifest) -> None:
    try:
        with writing(place.state):
            write_manifest(place.state, manifest)
    except OSError as error:
        raise ConfigError(
            f"{place.state}: nothing can be written here: {error.strerror}",
            hint="name a folder for what the loader keeps of these files: --state FOLDER",
        ) from error
