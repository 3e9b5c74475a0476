"""Series, measurements and field keys read from their text in a line, one Python call for each distinct text."""

from __future__ import annotations

import re
from itertools import pairwise
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
_CHARACTER = r"\1"
_FORMLESS = re.compile(TAG_NO_FORM)
_MOST_TEXTS = 100_000


class BadName(Exception):
    """A text that is no series, measurement or field key: ``reason``, and at which of its bytes."""

    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.offset = offset


def read_measurement(text: bytes) -> str:
    """Return the measurement that ``text`` stands for; raises BadName when InfluxDB does not give it back."""
    return _read_name(_text(text), MEASUREMENT)


def read_field_key(text: bytes) -> str:
    """Return the field key that ``text`` stands for; raises BadName likewise."""
    return _read_name(_text(text), FIELD_KEY)


class SeriesReader:
    """Reads series; keeps up to 100,000 texts of their parts, so that a tag that comes again is not read again."""

    def __init__(self) -> None:
        self._measurements: dict[str, str] = {}
        self._tags: dict[str, str] = {}
        self._pairs: dict[str, Pair] = {}

    def read(self, text: bytes) -> Series:
        """Return the series that ``text``, measurement and tags up to a space, stands for.

        Raises BadName for a tag without key or value, with a key that comes twice, and for a name that InfluxDB does
        not give back.
        """
        whole = _text(text)
        parts = _COMMA.split(whole) if "\\" in whole else whole.split(",")
        measurement = self._measurements.get(parts[0])
        if measurement is None:
            measurement = self._measurements[parts[0]] = _read_name(parts[0], MEASUREMENT)
        pairs = []
        for number in range(1, len(parts)):
            pair = self._pairs.get(parts[number])
            if pair is None:
                try:
                    pair = self._pairs[parts[number]] = self._read_tag(parts[number])
                except BadName as error:
                    before = ",".join(parts[:number])
                    raise BadName(error.reason, len(before.encode()) + 1 + error.offset) from None
            pairs.append(pair)
        if len(self._pairs) > _MOST_TEXTS or len(self._measurements) > _MOST_TEXTS:
            for texts in (self._measurements, self._tags, self._pairs):
                texts.clear()
        if len(pairs) > 1:
            pairs.sort()
            if len(dict(pairs)) < len(pairs):
                twice = next(tag for (tag, _), (following, _) in pairwise(pairs) if tag == following)
                raise BadName(f"the tag {twice!r} is there twice")
        return measurement, tuple(pairs)

    def _read_tag(self, part: str) -> Pair:
        escaped = "\\" in part
        key, *values = _EQUALS.split(part, maxsplit=1) if escaped else part.split("=", 1)
        if not key:
            raise BadName("a tag has no key")
        if not values or not values[0]:
            raise BadName(f"the tag {_IN_TAG.sub(_CHARACTER, key)!r} has no value")
        value = values[0]
        # InfluxDB takes an equals sign as the first character of a value.
        stray = _EQUALS.search(value, 1) if "=" in value else None
        if stray:
            place = len(f"{key}={value[: stray.start()]}".encode())
            raise BadName("a value of a tag has an equals sign without a backslash", place)
        tag = self._tags.get(key)
        if tag is None:
            tag = self._tags[key] = _check(TAG_KEY, _IN_TAG.sub(_CHARACTER, key))
        if escaped:
            value = _IN_TAG.sub(_CHARACTER, value)
            if _FORMLESS.search(value):
                raise BadName("newlines, and backslashes at the end, have no form in a tag", len(key.encode()) + 1)
        return tag, value


def _read_name(text: str, part: Part) -> str:
    return _check(part, _IN_NAME.sub(_CHARACTER, text))


def _check(part: Part, name: str) -> str:
    if not part.has_form(name):
        raise BadName(f"the {part.what} {name!r} has no form that InfluxDB gives back")
    return name


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BadName(REASONS[TEXT], error.start) from None
