"""Series, measurements and field keys read from their text in a line, one Python call for each distinct text."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import TypeAlias

from loader.encoding.escaping import FIELD_KEY, MEASUREMENT, TAG_KEY, TAG_NO_FORM, Part
from loader.encoding.line_protocol.faults import REASONS, TEXT

Pair: TypeAlias = tuple[str, str]
Series: TypeAlias = tuple[str, tuple[Pair, ...]]
"""Measurement, and tags with their values, sorted by tag."""

_COMMA = re.compile(r"(?<!\\),")
_EQUALS = re.compile(r"(?<!\\)=")
_IN_TAG = re.compile(r"\\([,= ])")
_IN_NAME = re.compile(r'\\([,= "])')
_FORMLESS = re.compile(TAG_NO_FORM)


class BadName(Exception):
    """A text that is no series, measurement or field key: ``reason``, and at which of its bytes."""

    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.offset = offset


def read_measurement(text: bytes) -> str:
    """Return the measurement that ``text`` stands for; raises BadName when InfluxDB does not give it back."""
    return _read_name(text, MEASUREMENT)


def read_field_key(text: bytes) -> str:
    """Return the field key that ``text`` stands for; raises BadName likewise."""
    return _read_name(text, FIELD_KEY)


def read_series(text: bytes, known: MutableMapping[str, Pair]) -> Series:
    """Return the series that ``text``, measurement and tags up to a space, stands for.

    ``known`` are tags read before, by their text; this adds to it. Raises BadName for tags without key or value, with
    a key that comes twice, or that InfluxDB does not give back.
    """
    whole = _text(text)
    measurement, *parts = _COMMA.split(whole) if "\\" in whole else whole.split(",")
    pairs = []
    for number, part in enumerate(parts):
        pair = known.get(part)
        if pair is None:
            try:
                pair = known[part] = _read_tag(part)
            except BadName as error:
                before = ",".join((measurement, *parts[:number]))
                raise BadName(error.reason, len(before.encode()) + 1 + error.offset) from None
        pairs.append(pair)
    pairs.sort()
    for (tag, _), (following, _) in zip(pairs, pairs[1:], strict=False):
        if tag == following:
            raise BadName(f"the tag {tag!r} is there twice")
    return read_measurement(measurement.encode()), tuple(pairs)


def _read_tag(part: str) -> Pair:
    key, *values = _EQUALS.split(part, maxsplit=1)
    if not key:
        raise BadName("a tag has no key")
    if not values or not values[0]:
        raise BadName(f"the tag {_plain(_IN_TAG, key)!r} has no value")
    value = values[0]
    # InfluxDB takes an equals sign as the first character of a value.
    stray = _EQUALS.search(value, 1)
    if stray:
        raise BadName("a value of a tag has an equals sign without a backslash", _size(part, value, stray.start()))
    pair = _plain(_IN_TAG, key), _plain(_IN_TAG, value)
    _check(TAG_KEY, pair[0])
    if _FORMLESS.search(pair[1]):
        raise BadName("newlines, and backslashes at the end, have no form in a tag", _size(part, value, 0))
    return pair


def _size(part: str, value: str, offset: int) -> int:
    """Return the bytes of ``part`` ahead of character ``offset`` of ``value``, which ends it."""
    return len(part[: len(part) - len(value) + offset].encode())


def _read_name(text: bytes, part: Part) -> str:
    name = _plain(_IN_NAME, _text(text))
    _check(part, name)
    return name


def _check(part: Part, name: str) -> None:
    if not part.has_form(name):
        raise BadName(f"the {part.what} {name!r} has no form that InfluxDB gives back")


def _plain(escapes: re.Pattern[str], text: str) -> str:
    return escapes.sub(r"\1", text) if "\\" in text else text


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BadName(REASONS[TEXT], error.start) from None
