"""What somebody's Parquet holds, and which column may play which part of a point: a guess, with its reasons."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as pt

from loader.dataset.adopt import find_files, open_parquet, read_time_range
from loader.dataset.atomic import write_whole
from loader.dataset.conversion import can_be_tag, default_type
from loader.dataset.hive import path_keys
from loader.dataset.mapping import ColumnMapping, make_mapping, mapping_json
from loader.dataset.place import find_place
from loader.dataset.schema import Field, FieldType, PointSchema, is_text
from loader.errors import ConfigError

SAMPLE_ROWS = 65_536
SAMPLE_BYTES = 16 << 20
_BATCH_ROWS = 1_024
_ROWS_A_VALUE = 10
"""A tag has at most one value in so many rows: each new one is a new series."""
_CODES = re.compile(r"(id|code|type|kind|zone|side)s?$", re.IGNORECASE)
_TIMES = re.compile(r"(time|timestamp|ts|date|epoch|at)$", re.IGNORECASE)
_CALENDAR = frozenset({"date", "year", "month", "day", "hour", "week"})
_PLAUSIBLE = 946_684_800, 4_102_444_800
"""Seconds: the years 2000 to 2100."""
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


@dataclass(frozen=True)
class Column:
    """A column, or a key of the paths (``type`` "path").

    ``nulls`` is None where the files do not say; ``distinct`` counts values in the sample. ``role`` is "time", "tag",
    "field" with the type that it becomes, or "left out".
    """

    name: str
    type: str
    nulls: int | None
    distinct: int
    role: str
    reason: str


@dataclass(frozen=True)
class Inspection:
    """What is at ``path``. ``size`` is bytes; ``first`` and ``last`` are nanoseconds, None without a guess of the time.

    ``order`` says how the rows of the sample are sorted: "series", "time" or "none". ``mapping`` is the guess, None
    where no column can be the time or a field.
    """

    path: str
    files: int
    rows: int
    size: int
    row_groups: int
    largest_group: int
    sample_rows: int
    columns: tuple[Column, ...]
    order: str
    first: int | None
    last: int | None
    mapping: ColumnMapping | None


def inspect(path: Path) -> Inspection:
    """Look at the Parquet at ``path``: at the footers of all files, and at a sample of the first one that has rows.

    Nothing is written. Memory is bounded by the sample, SAMPLE_ROWS rows or SAMPLE_BYTES and one small batch, and the
    footers. Raises ConfigError when there is no Parquet, or none with rows.
    """
    place = find_place(path)
    names = list(find_files(place))
    if not names:
        raise ConfigError(f"{path}: no Parquet here", hint="name a file, a folder of files, or a quoted pattern")
    metadata = []
    sample: pa.Table | None = None
    for name in names:
        with open_parquet(place.root / name) as file:
            metadata.append(file.metadata)
            if sample is None and file.metadata.num_rows:
                sample = _sample(file)
    if sample is None:
        raise ConfigError(f"{path}: its files have no rows", hint="there is nothing to load")
    guesses = [*_keys(names, sample), *_columns(sample, metadata)]
    mapping = _mapping(path, sample, guesses)
    ranges = []
    if mapping:
        schema = _time_schema(mapping)
        for name in names:
            with open_parquet(place.root / name) as file:
                if mapping.time in file.schema_arrow.names and file.metadata.num_rows:
                    ranges.append(read_time_range(place.root, name, file, schema))
    groups = [each.row_group(number).num_rows for each in metadata for number in range(each.num_row_groups)]
    return Inspection(
        path=str(path),
        files=len(names),
        rows=sum(each.num_rows for each in metadata),
        size=sum((place.root / name).stat().st_size for name in names),
        row_groups=len(groups),
        largest_group=max(groups),
        sample_rows=len(sample),
        columns=tuple(guesses),
        order=_order(sample, mapping),
        first=min((low for low, _ in ranges), default=None),
        last=max((high for _, high in ranges), default=None),
        mapping=mapping,
    )


def write_points_file(inspection: Inspection, path: Path) -> None:
    """Write the guess as TOML that ``read_mapping`` reads, with its reasons; the file appears whole.

    Raises ConfigError when there is no guess, something is there already, or nothing can be written.
    """
    if not inspection.mapping:
        raise ConfigError(f"{inspection.path}: there is no guess to write", hint="write the file by hand")
    if path.exists():
        raise ConfigError(f"{path}: is there already", hint="name another file, or remove this one")
    try:
        write_whole(path, points_text(inspection.mapping, inspection.columns).encode())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}", hint="name another file") from error


def points_text(mapping: ColumnMapping, columns: Sequence[Column] = ()) -> str:
    """Return ``mapping`` as TOML; reasons of ``columns`` stand above it."""
    lines = [f"# {_quoted(column.name)}: {column.role}, since {column.reason}" for column in columns]
    for key, value in mapping_json(mapping).items():
        usual = mapping_json(ColumnMapping("", ""))[key]
        if value != usual:
            texts = [_quoted(text) for text in value] if isinstance(value, list) else [_quoted(str(value))]
            lines.append(f"{key} = [{', '.join(texts)}]" if isinstance(value, list) else f"{key} = {texts[0]}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Return ``text`` as a basic string of TOML: that of JSON, but for one control character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def _sample(file: pq.ParquetFile) -> pa.Table:
    batches: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in file.iter_batches(_BATCH_ROWS, use_threads=False):
        batches.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= SAMPLE_ROWS or size >= SAMPLE_BYTES:
            break
    return pa.Table.from_batches(batches)


def _keys(names: Sequence[str], sample: pa.Table) -> Iterator[Column]:
    """Yield the keys that the paths of all files have, and no column."""
    paths = [path_keys(name) for name in names]
    for key in paths[0]:
        if key in sample.column_names or not all(key in each for each in paths):
            continue
        values = {each[key] for each in paths}
        role, reason = "tag", "it is a key of the paths"
        if key.lower() in _CALENDAR:
            role, reason = "left out", "it is a key of the paths that repeats the time"
        yield Column(key, "path", sum(value is None for value in values), len(values), role, reason)


def _columns(sample: pa.Table, metadata: Sequence[pq.FileMetaData]) -> Iterator[Column]:
    time = _time_column(sample)
    for number, field in enumerate(sample.schema):
        column = sample.column(number)
        distinct = 0 if pt.is_nested(field.type) else len(column.unique())
        role, reason = ("time", _time_reason(field)) if field.name == time else _part(field, distinct, len(sample))
        yield Column(field.name, _type_name(field.type), _nulls(field.name, metadata), distinct, role, reason)


def _type_name(kind: pa.DataType) -> str:
    return f"{kind.value_type} (dictionary)" if pt.is_dictionary(kind) else str(kind)


def _time_column(sample: pa.Table) -> str | None:
    """Return the column that is most likely the time of the points."""
    candidates = [
        *(field.name for field in sample.schema if pt.is_timestamp(field.type)),
        *(field.name for field in sample.schema if _unit_of(sample, field)),
        *(field.name for field in sample.schema if pt.is_date(field.type)),
    ]
    return candidates[0] if candidates else None


def _unit_of(sample: pa.Table, field: pa.Field) -> str:
    """Return the unit in which integers called like times are of this century, "" for other columns."""
    if field.type != pa.int64() or not _TIMES.search(field.name):
        return ""
    first = next((value for value in sample.column(field.name).to_pylist() if value is not None), 0)
    return next((unit for unit, size in _PER_SECOND.items() if _PLAUSIBLE[0] <= first // size < _PLAUSIBLE[1]), "")


def _time_reason(field: pa.Field) -> str:
    if pt.is_timestamp(field.type):
        zone = "" if field.type.tz else "; it has no zone: is it UTC?"
        return f"it is the first column of timestamps{zone}"
    return "its name and its values are those of times"


def _part(field: pa.Field, distinct: int, rows: int) -> tuple[str, str]:
    kind = default_type(field.type)
    if re.fullmatch(r"__index_level_\d+__", field.name):
        return "left out", "it is the index of pandas"
    if "=" in field.name:
        return "left out", "its name has an equals sign: rename it"
    if kind is None:
        words = "it has no value" if pt.is_null(field.type) else f"{field.type} has no form in a field"
        return "left out", words
    few = distinct * _ROWS_A_VALUE <= rows or distinct == 1
    coded = pt.is_integer(field.type) and _CODES.search(field.name)
    if can_be_tag(field.type) and few and (is_text(field.type) or coded):
        return "tag", f"it has few values ({distinct:,} in {rows:,} rows)"
    if is_text(field.type) or coded:
        return f"field {kind}", f"it has many values ({distinct:,} in {rows:,} rows), each of which would be a series"
    return f"field {kind}", "it is what is measured"


def _nulls(name: str, metadata: Sequence[pq.FileMetaData]) -> int | None:
    """Return how many values are null, as the statistics say, None where they do not."""
    total = 0
    for each in metadata:
        for group in range(each.num_row_groups):
            for number in range(each.num_columns):
                column = each.row_group(group).column(number)
                if column.path_in_schema == name:
                    if not column.is_stats_set or not column.statistics.has_null_count:
                        return None
                    total += column.statistics.null_count
    return total


def _mapping(path: Path, sample: pa.Table, columns: Sequence[Column]) -> ColumnMapping | None:
    time = next((column.name for column in columns if column.role == "time"), None)
    fields = [column.name for column in columns if column.role.startswith("field")]
    if time is None or not fields:
        return None
    naive = [field.name for field in sample.schema if pt.is_timestamp(field.type) and field.type.tz is None]
    return make_mapping(
        re.sub(r"\W+", "_", path.name.partition(".")[0]).strip("_") or "points",
        time,
        [column.name for column in columns if column.role == "tag"],
        [f"{name}={name}" for name in fields],
        _unit_of(sample, sample.schema.field(time)),
        "UTC" if {time, *fields} & {*naive} else "",
    )


def _time_schema(mapping: ColumnMapping) -> PointSchema:
    fields = (Field(mapping.fields[0].column, FieldType.FLOAT),)
    return PointSchema("m", (), fields, mapping.time, mapping.time_unit, policy=mapping.policy)


def _order(sample: pa.Table, mapping: ColumnMapping | None) -> str:
    """Return how the rows of the sample are sorted."""
    if not mapping:
        return "none"
    tags = [tag for tag in mapping.tags if tag in sample.column_names]
    frame = pl.DataFrame(sample.select([*tags, mapping.time]))
    times = frame[mapping.time]
    if times.is_sorted():
        return "time"
    same = pl.lit(value=True)
    for tag in tags:
        same &= pl.col(tag).eq_missing(pl.col(tag).shift(1))
    later = frame.select((~same | (pl.col(mapping.time) >= pl.col(mapping.time).shift(1))).slice(1).all()).item()
    runs = frame.select((~same).slice(1).sum()).item() + 1
    return "series" if later and runs == frame.select(tags or [mapping.time]).unique().height else "none"
