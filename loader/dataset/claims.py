"""Checks what a manifest says: it may come from anybody, and its paths and numbers are used without another check.

Each check returns its value, or raises ValueError with what is wrong.
"""

from __future__ import annotations

import re
import reprlib
import unicodedata
from collections.abc import Iterable
from typing import Any

from loader.dataset.instant import NANOSECONDS
from loader.dataset.schema import FieldType
from loader.dataset.state import STATE

LEAST, MOST = -(2**63), 2**63 - 1
_MOST_PATH = 4_096
_MOST_NUMBER = 1e15
_MOST_LINE = 2_000
_CHECKSUM = re.compile("[0-9a-f]{64}")
_UNITS = ("", *NANOSECONDS)


def excerpt(value: object) -> str:
    """Return ``value`` as a message shows it: escaped, and not long, however large or nested it is."""
    short = reprlib.Repr()
    short.maxstring = 100
    return short.repr(value).encode("ascii", "backslashreplace").decode()[:200]


def check_path(path: Any) -> str:
    """Return the path of a partition: relative, downwards, without control characters."""
    text = check_text("the path of a partition", path)
    parts = text.split("/")
    if text.startswith("/") or {"", ".", ".."} & {*parts} or len(text) > _MOST_PATH:
        raise ValueError(f"partition {excerpt(text)}: its path does not lead downwards from the dataset's folder")
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise ValueError(f"partition {excerpt(text)}: a path holds no control characters")
    if parts[0] == STATE:
        raise ValueError(f"partition {excerpt(text)}: the loader's own files are no partitions")
    return text


def check_integer(what: str, value: Any, least: int = LEAST) -> int:
    """Return an int64, not below ``least``."""
    if type(value) is not int or not least <= value <= MOST:
        raise ValueError(f"{what} is {excerpt(value)}, not an integer of {least} or more within 64 bits")
    return value


def check_number(what: str, value: Any) -> float:
    """Return a number from 0 to _MOST_NUMBER, of which sums and ratios are finite."""
    if type(value) not in {int, float} or not 0 <= value <= _MOST_NUMBER:  # also for NaN
        raise ValueError(f"{what} is {excerpt(value)}, not a number from 0 to {_MOST_NUMBER:g}")
    return float(value)


def check_text(what: str, value: Any) -> str:
    """Return text that is not empty and can be encoded in UTF-8."""
    if not isinstance(value, str) or not value or any(unicodedata.category(character) == "Cs" for character in value):
        raise ValueError(f"{what} is {excerpt(value)}, not text")
    return value


def is_line(value: Any) -> bool:
    """Tell whether ``value`` is text that can be shown: not long, without control characters."""
    return (
        isinstance(value, str)
        and len(value) <= _MOST_LINE
        and not any(unicodedata.category(character) in {"Cc", "Cs"} for character in value)
    )


def check_line(what: str, value: Any) -> str:
    """Return text that can be shown, and is not empty."""
    if not value or not is_line(value):
        raise ValueError(f"{what} is {excerpt(value)}, not a short line of text")
    return str(value)


def check_flag(what: str, value: Any) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{what} is {excerpt(value)}, not true or false")
    return value


def check_mapping(what: str, value: Any) -> dict[str, Any]:
    """Return a JSON object."""
    if not isinstance(value, dict):
        raise ValueError(f"{what} is {excerpt(value)}, not an object")
    return value


def check_list(what: str, value: Any) -> list[Any]:
    """Return a JSON array."""
    if not isinstance(value, list):
        raise ValueError(f"{what} is {excerpt(value)}, not an array")
    return value


def check_distinct(what: str, values: Iterable[str]) -> None:
    """Raise ValueError for a value that occurs twice."""
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{what} {excerpt(value)} is there twice")
        seen.add(value)


def check_checksum(what: str, value: Any) -> str:
    """Return a SHA-256, as hexadecimal digits."""
    if not isinstance(value, str) or not _CHECKSUM.fullmatch(value):
        raise ValueError(f"{what} is {excerpt(value)}, not 64 hexadecimal digits")
    return value


def check_schema(value: Any) -> dict[str, Any]:
    """Return the JSON form of a schema whose columns are distinct and which has a field."""
    schema = check_mapping("the schema", value)
    check_text("the measurement", schema["measurement"])
    tags = [check_text("a tag column", tag) for tag in check_list("the tags", schema["tags"])]
    fields = check_mapping("the fields", schema["fields"])
    for column, kind in fields.items():
        check_text("a field column", column)
        if kind not in list(FieldType):
            raise ValueError(f"field {excerpt(column)} is of type {excerpt(kind)}; known are {', '.join(FieldType)}")
    if not fields:
        raise ValueError("the schema has no field, and a point needs one")
    check_distinct("column", [*tags, *fields, check_text("the time column", schema["time"])])
    if schema.get("time_unit", "") not in _UNITS:
        raise ValueError(f"the time unit is {excerpt(schema['time_unit'])}; known are {', '.join(_UNITS[1:])}")
    for column, source in check_mapping("the sources", schema.get("sources", {})).items():
        check_text(f"the source of {excerpt(column)}", source)
    for column in check_list("the sparse columns", schema.get("sparse", [])):
        if column not in {*tags, *fields}:
            raise ValueError(f"sparse column {excerpt(column)} is neither tag nor field")
    check_mapping("the policy", schema.get("policy", {}))
    return schema
