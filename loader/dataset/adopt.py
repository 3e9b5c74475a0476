"""Adopts Parquet that was not staged as a dataset in its place: nothing is copied, and none of these files is changed.

Only a manifest is made. It has the mapping of the columns and, for each file, what identifies it and the time range of
its points. It is kept among the loader's own files once a load begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as pt

from loader.dataset.arrow_types import kind_name
from loader.dataset.conversion import conversion_problem
from loader.dataset.footers import footer_checksum, refuse_changed
from loader.dataset.hive import path_keys
from loader.dataset.kinds import left_out
from loader.dataset.manifest import ADOPTED, Manifest, Partition, has_manifest, read_manifest, write_manifest
from loader.dataset.mapping import INDEX, ColumnMapping, make_schema, mapping_json, parse_mapping
from loader.dataset.moves import write_moves
from loader.dataset.nearby import name_datasets
from loader.dataset.odd_times import odd_times
from loader.dataset.own_files import find_files, open_parquet, parquet_hint, unite_columns
from loader.dataset.place import EVERY_FILE, Place
from loader.dataset.policy import Ambiguous, known_zones
from loader.dataset.reader import refuse_unitless
from loader.dataset.schema import PointSchema
from loader.dataset.state import make_state
from loader.dataset.time_range import Range, read_time_range
from loader.errors import ConfigError
from loader.events import Notice, Observer, ignore
from loader.quantities import counted

_LOSSLESS = ("integer", "float")
_WHOLE_HOURS = re.compile(r"[+-]\d\d:00")


def adopt(
    place: Place,
    mapping: ColumnMapping | None = None,
    observe: Observer = ignore,
    *,
    afresh: bool = False,
    moving: bool = False,
) -> Manifest | None:
    """Return the manifest of the files at ``place``, None for a staged dataset, which has its own.

    Without ``mapping``, the one in the former manifest is used; a staged dataset needs none. Files that were added
    since belong to the dataset. Of each file only the footer is read, and its times where the footer has no statistics
    of them. Memory is bounded by the manifest and one batch. Raises ConfigError for what cannot be points, and for
    times whose instants are to be inferred; StageError for a file that has changed, unless ``afresh`` is set. Says so
    when the last load moved rows apart, and this one is not ``moving`` them.
    """
    former = read_manifest(place.state, place.root) if has_manifest(place.state) else None
    if former and not is_adopted(former):
        if mapping:
            raise ConfigError(
                f"{place.path}: is a staged dataset, which knows its columns", hint="leave out the mapping of columns"
            )
        return None
    if former and former.moves and not moving:
        observe(
            Notice("the last load moved rows apart, and this one does not: say --on-duplicate nudge to go on with it")
        )
    if not mapping:
        mapping = _kept_mapping(place, former)
    if mapping.policy.ambiguous == Ambiguous.INFER:
        raise ConfigError(
            f"{place.path}: is loaded in place, part by part, where no order of all rows tells local times apart",
            hint=f"stage it, and load the result: loader stage --from {place.path} --out FOLDER, with the same flags",
        )
    if former and not afresh:
        here = [partition for partition in former.partitions if (place.root / partition.path).exists()]
        refuse_changed(place.root, here)
    manifest = make_manifest(place, mapping, observe)
    gone = {each.path for each in former.partitions} - {each.path for each in manifest.partitions} if former else ()
    if gone:
        files = counted(len(gone), "file is", "files are")
        observe(Notice(f"{files} gone ({min(gone)}), and no part of it now; the points stay"))
    return manifest


def prepare_state(place: Place) -> None:
    """Make the folder of the loader's own files; raises ConfigError where nothing can be written."""
    with _explained(place):
        make_state(place.state)


def keep_manifest(place: Place, manifest: Manifest) -> None:
    """Write the manifest of an adopted dataset, if it changed; a staged one keeps its own. Raises ConfigError."""
    if is_adopted(manifest):
        with _explained(place):
            former = read_manifest(place.state, place.root) if has_manifest(place.state) else None
            if manifest.moves:  # also where the manifest is the same: what is kept of them may be lost
                write_moves(place.state, manifest)
            if former is None or former.to_json() != manifest.to_json():
                write_manifest(place.state, manifest)


def is_adopted(manifest: Manifest) -> bool:
    """Tell whether the dataset of ``manifest`` is adopted."""
    return manifest.settings.get("source") == ADOPTED


def _kept_mapping(place: Place, former: Manifest | None) -> ColumnMapping:
    if former:
        said = former.settings.get("mapping")
        return parse_mapping(said if isinstance(said, dict) else {}, f"{place.path}: ")
    if not any(True for _ in find_files(place)):
        _refuse_empty(place)
    say = "say it: --measurement NAME --tag COLUMN --field COLUMN --time COLUMN; loader inspect shows the columns"
    hint = name_datasets(place.root, say) if place.pattern == EVERY_FILE else say
    raise ConfigError(f"{place.path}: which of its columns are tags, fields and time is not known", hint=hint)


def _refuse_empty(place: Place) -> NoReturn:
    if not place.root.is_dir():
        other = "name Parquet files or their folder; other files, and trades, are staged first: loader stage --help"
        raise ConfigError(f"{place.path}: no such file or folder", hint=name_datasets(place.root, other))
    what = "no Parquet here" if place.pattern == EVERY_FILE else "no file matches this pattern"
    raise ConfigError(f"{place.path}: {what}", hint=parquet_hint(place.path))


def make_manifest(
    place: Place, mapping: ColumnMapping, observe: Observer, names: Sequence[str] | None = None
) -> Manifest:
    """Return the manifest of the files at ``place``, or of ``names`` below its root.

    Raises ConfigError for what cannot be points.
    """
    if names is None:
        others: list[str] = []
        names = list(find_files(place, others.append))
        if others:
            observe(Notice(f"{place.path}: {left_out(others)}"))
    if not names:
        _refuse_empty(place)
    groups = _by_measurement(place, names, mapping)
    schemas: dict[str, tuple[PointSchema, pa.Schema]] = {}
    present = _present(place, groups, mapping)
    for measurement, group in groups.items():
        schemas |= dict.fromkeys(group, _make_schema(place, group, present[measurement], observe))
    partitions = []
    ranges: list[Range | None] = []
    for name in names:
        size, modified, checksum = footer_checksum(place.root, name)
        schema, united = schemas[name]
        with open_parquet(place.root / name) as file:
            _check_columns(place, name, file, schema, united)
            found = read_time_range(place.root, name, file, schema)
            ranges.append(found)
            low, high = found or (0, 0)
            measurement = schema.measurement if len(groups) > 1 else ""
            rows = file.metadata.num_rows
            partitions.append(Partition(name, rows, low, high, size, checksum, modified, measurement))
    if not any(partition.rows for partition in partitions):
        raise ConfigError(f"{place.path}: its files have no rows", hint="there is nothing to load")
    # A file without any time gets the first time of the others: any other time would be queried on the server.
    first = min((each for each in ranges if each), default=(0, 0))[0]
    partitions = [
        each if found else replace(each, time_min=first, time_max=first)
        for each, found in zip(partitions, ranges, strict=True)
    ]
    for sentence in odd_times(*schemas[names[0]], max(partition.time_max for partition in partitions)):
        observe(Notice(sentence))
    settings = {"source": ADOPTED, "mapping": mapping_json(mapping)}
    distinct = tuple(schemas[group[0]][0] for group in groups.values())
    return Manifest(distinct, settings, {"pyarrow": version("pyarrow")}, tuple(partitions), complete=True)


def _by_measurement(place: Place, names: Sequence[str], mapping: ColumnMapping) -> dict[str, list[str]]:
    """Return the files of each measurement: there is one, or a key of the paths names them."""
    key = mapping.measurement_column
    if not key:
        return {mapping.measurement: list(names)}
    groups: dict[str, list[str]] = {}
    for name in names:
        value = path_keys(name).get(key)
        if not value:
            raise ConfigError(
                f"{place.root / name}: its path does not say its measurement ({key}=NAME/)",
                hint="a file in place holds one measurement; to part files by a column, stage them:"
                " loader stage --from",
            )
        groups.setdefault(value, []).append(name)
    return groups


def _present(place: Place, groups: Mapping[str, Sequence[str]], mapping: ColumnMapping) -> dict[str, ColumnMapping]:
    """Return the mapping of each measurement; of several, each has only the tags and fields that its files have.

    Raises ConfigError for a tag or field that none has, and for a measurement that has none of the fields.
    """
    if len(groups) == 1:
        return {measurement: replace(mapping, measurement=measurement) for measurement in groups}
    found = {}
    left = {*mapping.tags, *(field.column for field in mapping.fields)}
    for measurement, names in groups.items():
        there = {*unite_columns(place, names)[0].names, *path_keys(names[0])}
        left -= there
        tags = tuple(tag for tag in mapping.tags if tag in there)
        fields = tuple(field for field in mapping.fields if field.column in there)
        if mapping.fields and not fields:
            raise ConfigError(
                f"{place.root / names[0]}: has none of the fields that are named",
                hint="name a field of each measurement: --field",
            )
        found[measurement] = replace(mapping, measurement=measurement, tags=tags, fields=fields)
    if left:
        raise ConfigError(
            f"{place.path}: no measurement has the column {min(left)!r}", hint="loader inspect shows the columns"
        )
    return found


def _make_schema(
    place: Place, names: Sequence[str], mapping: ColumnMapping, observe: Observer
) -> tuple[PointSchema, pa.Schema]:
    """Return the schema of the points of all files, and the columns of all files, of which a file may lack some."""
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


def _other_kind(columns: pa.Schema, united: pa.Schema, schema: PointSchema) -> str:
    """Return which tag or field is of another kind in this file than in all files together, in a sentence, or ""."""
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
    """Raise ConfigError when any column has a time zone that Polars, which verification reads with, does not know."""
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
            hint="name other columns (--time, --tag, --field), or another type of field: column=key:type",
        )


@contextmanager
def _explained(place: Place) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{place.state}: nothing can be written here: {error.strerror}",
            hint="name a folder for what the loader keeps of these files: --state FOLDER",
        ) from error
