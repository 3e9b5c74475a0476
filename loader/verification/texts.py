"""The short forms of strings, in which long ones are compared and shown, so that they take little memory."""

from __future__ import annotations

import hashlib

import polars as pl

LONGEST = 256
"""Most bytes of a string that is compared as it is."""
_KEPT = 160
_AT_A_TIME = 1_024
"""How many texts are Python objects at a time."""
_LONG = b"\xff("
"""Marks a cut text; no UTF-8 text contains it."""
_SHOWN = 120
"""Most characters of a name or value in a difference."""


def short(text: bytes) -> bytes:
    """Return ``text``; of a long one, its beginning, its length and a digest of 128 bits."""
    if len(text) <= LONGEST:
        return text
    digest = hashlib.blake2b(text, digest_size=16).hexdigest()
    return text[:_KEPT] + _LONG + f"{len(text):,} bytes, digest {digest})".encode()


def short_texts(texts: pl.Series) -> pl.Series:
    """Return ``texts`` (Binary), each in the form of ``short``."""
    long = (texts.bin.size() > LONGEST).fill_null(value=False)
    if not long.any():
        return texts
    parts = (texts[start : start + _AT_A_TIME].to_list() for start in range(0, len(texts), _AT_A_TIME))
    values = [None if text is None else short(text) for part in parts for text in part]
    return pl.Series(texts.name, values, pl.Binary)


def shortened(points: pl.DataFrame) -> pl.DataFrame:
    """Return ``points`` with strings in the form of ``short``."""
    texts = [short_texts(column) for column in points if column.dtype == pl.Binary]
    return points.with_columns(texts) if texts else points


def compact(rows: pl.DataFrame) -> pl.DataFrame:
    """Return selected rows with copies of their texts: views would keep the texts of all other rows in memory."""
    texts = [column for column in rows if column.dtype in {pl.String, pl.Binary}]
    oldest = pl.CompatLevel.oldest()
    return rows.with_columns(pl.Series(column.name, column.to_arrow(compat_level=oldest)) for column in texts)


def shown(value: object) -> str:
    """Return ``value`` as a difference shows it: cut, with control characters as escapes."""
    if value is None:
        return "nothing"
    if not isinstance(value, bytes):
        return cut(repr(value))
    text, _, rest = value.partition(_LONG)
    return cut(repr(text.decode(errors="backslashreplace"))) + (f"… ({rest.decode()}" if rest else "")


def cut(text: str) -> str:
    """Return ``text`` on one line, cut to the length that a difference has room for."""
    line = text
    if not text.isprintable():
        line = "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}… ({len(line):,} characters)"


def named(pairs: list[tuple[str, str]]) -> str:
    """Return the name of a series: its first 20 tags with their values."""
    return ",".join(f"{cut(tag)}={cut(value)}" for tag, value in pairs[:20]) + (",…" if len(pairs) > 20 else "")
