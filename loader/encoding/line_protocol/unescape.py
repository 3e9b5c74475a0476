"""Reads series, measurements and field keys from their text, with one Python call for each distinct text."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from loader.encoding.escaping import FIELD_KEY, MEASUREMENT, TAG_ESCAPES, TAG_KEY, TAG_NO_FORM, Part
from loader.encoding.line_protocol.faults import REASONS, TEXT

Pair: TypeAlias = tuple[str, str]
Series: TypeAlias = tuple[str, tuple[Pair, ...]]
"""Measurement, and tags with their values, sorted by tag."""

_COMMA = re.compile(r"(?<!\\),")
_EQUALS = re.compile(r"(?<!\\)=")
_IN_TAG = re.compile(r"\\([,= ])")
_IN_NAME = re.compile(r'\\([,= "])')
_ESCAPES = str.maketrans(dict(TAG_ESCAPES))
_CHARACTER = r"\1"
_FORMLESS = re.compile(TAG_NO_FORM)
_MOST_TEXTS = 10_000


class Flaw(NamedTuple):
    """Why a text is no name, and the byte of it at which the fault is."""

    reason: str
    offset: int


class BadName(Exception):
    """A text that is no series, measurement or field key."""

    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__(reason)
        self.flaw = Flaw(reason, offset)


def read_measurement(text: str) -> str:
    """Return the measurement that ``text`` stands for; raises BadName when InfluxDB does not return it unchanged."""
    return _read_name(text, MEASUREMENT)


def read_field_key(text: str) -> str:
    """Return the field key that ``text`` stands for; raises BadName when InfluxDB does not return it unchanged."""
    return _read_name(text, FIELD_KEY)


class SeriesReader:
    """Reads series; keeps up to 10,000 texts of their parts, so that a repeated tag is read only once."""

    def __init__(self) -> None:
        self._measurements: dict[str, str] = {}
        self._tags: dict[str, str] = {}
        self._pairs: dict[str, Pair] = {}

    def read(self, text: str) -> Series:
        """Return the series that ``text``, measurement and tags up to a space, stands for.

        Raises BadName for a tag without key or value, for a repeated tag key, and for a name that InfluxDB does not
        return unchanged.
        """
        measurement, _, pairs = self._read(text)
        return measurement, tuple(sorted(pairs))

    def spell(self, text: str) -> str:
        """Return the standard spelling of the series that ``text`` stands for; raises BadName as ``read`` does."""
        measurement, parts, pairs = self._read(text)
        if "\\" in text or "==" in text:
            measurement = MEASUREMENT.escape(measurement)
            parts = [f"{TAG_KEY.escape(key)}={value.translate(_ESCAPES)}" for key, value in pairs]
        return ",".join((measurement, *sorted(parts)))

    def _read(self, text: str) -> tuple[str, list[str], list[Pair]]:
        """Return measurement, the texts of tags and the tags, in the order of ``text``."""
        first, *parts = _COMMA.split(text) if "\\" in text else text.split(",")
        measurement = self._measurements.get(first)
        if measurement is None:
            measurement = self._measurements[first] = _read_name(first, MEASUREMENT)
        known = self._pairs
        try:
            pairs = [known.get(part) or self._read_tag(part) for part in parts]
        except BadName as error:
            raise BadName(error.flaw.reason, self._place(first, parts) + error.flaw.offset) from None
        if len(known) > _MOST_TEXTS or len(self._measurements) > _MOST_TEXTS:
            for texts in (self._measurements, self._tags, known):
                texts.clear()
        if len(dict(pairs)) < len(pairs):
            twice = next(tag for (tag, _), (following, _) in pairwise(sorted(pairs)) if tag == following)
            raise BadName(f"the tag {twice!r} is there twice")
        return measurement, parts, pairs

    def _place(self, first: str, parts: Sequence[str]) -> int:
        """Return the byte of a series at which its first unread tag begins."""
        fine = itertools.takewhile(lambda part: part in self._pairs, parts)
        return len(",".join((first, *fine, "")).encode())

    def _read_tag(self, part: str) -> Pair:
        key, _, value = part.partition("=")
        escaped = "\\" in part
        if escaped:
            key, *values = _EQUALS.split(part, maxsplit=1)
            value = "".join(values)
        if not key:
            raise BadName("a tag has no key")
        if not value:
            raise BadName(f"the tag {_IN_TAG.sub(_CHARACTER, key)!r} has no value")
        # InfluxDB accepts an equals sign as the first character of a value.
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
        pair = self._pairs[part] = tag, value
        return pair


def _read_name(text: str, part: Part) -> str:
    return _check(part, _IN_NAME.sub(_CHARACTER, text))


def _check(part: Part, name: str) -> str:
    if not part.has_form(name):
        raise BadName(f"the {part.what} {name!r} has no form that InfluxDB gives back")
    return name


def read_texts(data: bytes, bounds: Sequence[int]) -> Iterator[str | Flaw]:
    """Yield the texts between ``bounds`` of ``data``, a Flaw for one that is not UTF-8."""
    if data.isascii():
        whole = data.decode()
        yield from (whole[start:stop] for start, stop in pairwise(bounds))
        return
    for start, stop in pairwise(bounds):
        try:
            yield data[start:stop].decode()
        except UnicodeDecodeError as error:
            yield Flaw(REASONS[TEXT], error.start)
