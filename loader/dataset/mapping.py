"""The mapping of columns to tags, fields and time: from flags, or from a file such as ``points.toml``."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.types as pt

from loader.dataset.conversion import default_type
from loader.dataset.instant import NANOSECONDS
from loader.dataset.policy import STRICT, Ambiguous, Nonexistent, NonFinite, Policy
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.errors import ConfigError

INDEX = re.compile(r"__index_level_\d+__")
"""The column in which pandas stores an index without a name; a load leaves it out by default."""
_UNITS = tuple(NANOSECONDS)
_FOR_UNSIGNED = (FieldType.UNSIGNED, FieldType.INTEGER, FieldType.FLOAT, FieldType.STRING)
_LONGEST = 1 << 20


@dataclass(frozen=True)
class FieldMapping:
    """A field: its column, its key, and its type, None for the default of the column's Arrow type."""

    column: str
    key: str
    type: FieldType | None = None

    @classmethod
    def parse(cls, text: str) -> FieldMapping:
        """Read ``column``, ``column=key``, ``column=key:type`` or ``column=:type``; raises ConfigError."""
        column, equals, rest = text.partition("=")
        key, colon, kind = rest.rpartition(":") if ":" in rest else (rest, "", "")
        if not column or (equals and not rest) or (colon and kind not in list(FieldType)):
            raise ConfigError(
                f"field {text!r} is not understood",
                hint=f"write column, column=key or column=key:type; types are {', '.join(FieldType)}",
            )
        return cls(column, key or column, FieldType(kind) if kind else None)


@dataclass(frozen=True)
class ColumnMapping:
    """A measurement, and the columns that are tags, fields and time of its points.

    Without ``fields``, every column that is neither tag nor time is a field. ``time_unit`` is "s", "ms", "us" or "ns"
    for times that are integers; ``unsigned`` is the type of uint64 fields that are given none.
    ``measurement_column`` names the column or key that holds the measurement; ``measurement`` is "" then.
    """

    measurement: str
    time: str
    tags: tuple[str, ...] = ()
    fields: tuple[FieldMapping, ...] = ()
    time_unit: str = ""
    unsigned: str = FieldType.UNSIGNED
    policy: Policy = STRICT
    measurement_column: str = ""


def read_mapping(path: Path) -> ColumnMapping:
    """Read a mapping in TOML, see ``parse_mapping``.

    Raises ConfigError when the file cannot be read, or its content is not a mapping.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST)
        said = tomllib.loads(content.decode())
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{path}: cannot be read as TOML: {why}", hint="name a file such as points.toml") from None
    return parse_mapping(said, f"{path}: ")


def parse_mapping(said: Mapping[str, Any], where: str) -> ColumnMapping:
    """Return the mapping that ``said`` describes: texts and lists of texts, named as the parameters of make_mapping.

    Raises ConfigError, whose message begins with ``where``, for unknown keys and values of other types.
    """
    known = {
        **dict.fromkeys(("measurement", "time"), str),
        **dict.fromkeys(("tags", "fields"), list),
        **dict.fromkeys(("measurement_column", "time_unit", "timezone", "ambiguous", "nonexistent"), str),
        **dict.fromkeys(("non_finite", "unsigned"), str),
    }
    for key, value in said.items():
        if key not in known:
            raise ConfigError(f"{where}unknown key {key!r}", hint=f"known are {', '.join(known)}")
        texts = value if isinstance(value, list) else [value]
        if not isinstance(value, known[key]) or not all(isinstance(text, str) for text in texts):
            wanted = "text" if known[key] is str else "a list of texts"
            raise ConfigError(f"{where}{key} is {value!r}", hint=f"it should be {wanted}")
    return make_mapping(**{"measurement": "", "time": "", **said}, where=where)


def make_mapping(
    measurement: str,
    time: str,
    tags: Iterable[str] = (),
    fields: Iterable[str] = (),
    time_unit: str = "",
    timezone: str = "",
    ambiguous: str = Ambiguous.REFUSE,
    non_finite: str = NonFinite.REJECT,
    unsigned: str = FieldType.UNSIGNED,
    measurement_column: str = "",
    nonexistent: str = Nonexistent.REFUSE,
    where: str = "",
) -> ColumnMapping:
    """Return the mapping that texts describe, ``fields`` as in ``FieldMapping.parse``; raises ConfigError."""
    if measurement and measurement_column:
        raise ConfigError(
            f"{where}a measurement and a column of measurements are named", hint="all rows have the one, or the other"
        )
    for name, value, hint in (
        ("measurement", measurement or measurement_column, "name it: --measurement NAME"),
        ("time column", time, "name it: --time COLUMN; loader inspect shows those of Parquet"),
    ):
        if not value:
            raise ConfigError(f"{where}no {name} is named", hint=hint)
    if time_unit not in {"", *_UNITS}:
        raise ConfigError(f"{where}time unit {time_unit!r}", hint=f"known are {', '.join(_UNITS)}")
    if unsigned not in _FOR_UNSIGNED:
        raise ConfigError(f"{where}unsigned {unsigned!r}", hint=f"known are {', '.join(_FOR_UNSIGNED)}")
    policy = Policy(timezone, ambiguous, non_finite, nonexistent)
    policy.check(where)
    parsed = tuple(FieldMapping.parse(text) for text in fields)
    return ColumnMapping(measurement, time, tuple(tags), parsed, time_unit, unsigned, policy, measurement_column)


def make_schema(mapping: ColumnMapping, columns: pa.Schema, keys: Sequence[str]) -> PointSchema:
    """Return the schema of points of files with ``columns``, whose paths have ``keys``.

    Raises ConfigError for columns that are missing, repeated or have two roles, and when no field is left.
    """
    _check_columns(mapping, columns, keys)
    fields = mapping.fields or _other_columns(mapping, columns)
    if not all([*mapping.tags, *(field.key for field in fields)]):
        raise ConfigError(
            "a column has no name, and no tag or field is without", hint="name the columns that are fields: --field"
        )
    _refuse_repeated([*mapping.tags, mapping.time, *(field.column for field in fields)], "column {!r} plays two parts")
    _refuse_repeated([*mapping.tags, *(field.key for field in fields)], "two columns are called {!r}")
    if not fields:
        raise ConfigError("no column is left to be a field, and a point needs one", hint="make fewer columns tags")
    typed = []
    for field in fields:
        kind = field.type or default_type(columns.field(field.column).type)
        if kind is None:
            arrow = columns.field(field.column).type
            raise ConfigError(
                f"column {field.column!r} is {arrow}, which has no form in a field", hint=_advice(field, arrow)
            )
        if kind is FieldType.UNSIGNED and not field.type:
            kind = FieldType(mapping.unsigned)
        typed.append(Field(field.key, kind))
    sources = {field.key: field.column for field in fields if field.key != field.column}
    time = mapping.time
    if time in {*mapping.tags, *(field.key for field in fields)}:
        raise ConfigError(f"field {time!r} has the name of the time column", hint="give it another key: column=key")
    return PointSchema(
        mapping.measurement,
        mapping.tags,
        tuple(typed),
        time,
        mapping.time_unit,
        tuple(sources.items()),
        policy=mapping.policy,
    )


def _advice(field: FieldMapping, kind: pa.DataType) -> str:
    if pt.is_null(kind):
        return f"say what it would be: --field {field.column}={field.key}:float"
    return "name the columns that are fields: --field; take nested types apart first, by Polars' unnest for example"


def _check_columns(mapping: ColumnMapping, columns: pa.Schema, keys: Sequence[str]) -> None:
    counts = Counter(columns.names)
    for key in keys:
        if counts[key]:
            raise ConfigError(
                f"{key!r} is a column of the files and a key of their paths", hint="load the folder without such keys"
            )
    for part, name in [
        *(("tag", tag) for tag in mapping.tags),
        *(("field", field.column) for field in mapping.fields),
        ("time", mapping.time),
    ]:
        if part == "tag" and name in keys:
            continue
        if name in keys:
            raise ConfigError(f"{part} {name!r} is a key of the paths", hint="keys of paths can be tags: --tag")
        if counts[name] != 1:
            there = ", ".join([*columns.names, *(f"{key} (of the path)" for key in keys)])
            words = f"there are {counts[name]} columns called" if counts[name] else "there is no column"
            raise ConfigError(f"{words} {name!r}, named as {part}", hint=f"columns are {there}")


def _other_columns(mapping: ColumnMapping, columns: pa.Schema) -> tuple[FieldMapping, ...]:
    """Return every column with values that is neither tag nor time."""
    taken = {*mapping.tags, mapping.time}
    names = [field.name for field in columns if field.name not in taken and not pt.is_null(field.type)]
    return tuple(FieldMapping(name, name) for name in names)


def _refuse_repeated(names: Iterable[str], words: str) -> None:
    for name, number in Counter(names).items():
        if number > 1:
            raise ConfigError(words.format(name), hint="each column is one of tag, field and time")


def _field_text(field: FieldMapping) -> str:
    """Return ``field`` in the form that ``FieldMapping.parse`` reads."""
    key = "" if field.key == field.column else field.key
    kind = f":{field.type}" if field.type else ""
    return f"{field.column}={key}{kind}" if key or kind else field.column


def _measurement_json(mapping: ColumnMapping) -> Mapping[str, str]:
    if mapping.measurement_column:
        return {"measurement_column": mapping.measurement_column}
    return {"measurement": mapping.measurement}


def mapping_json(mapping: ColumnMapping) -> Mapping[str, Any]:
    """Return a form for ``json.dump``, which ``parse_mapping`` reads."""
    return {
        **_measurement_json(mapping),
        "time": mapping.time,
        "time_unit": mapping.time_unit,
        "unsigned": mapping.unsigned,
        **asdict(mapping.policy),
        "tags": list(mapping.tags),
        "fields": [_field_text(field) for field in mapping.fields],
    }
