"""Finds columns of CSV that became text only because a few of their values are words for "no value", such as NA."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

_MOST_WORDS = 3
"""A column in which more words stand among numbers is text."""
_SHOWN = 40
_NUMBER = r"^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$"
_OTHER_NUMBER = r"^\s*[+-]?[0-9]+,[0-9]+\s*$"
_KINDS = (
    ("numbers", _NUMBER),
    ("booleans", r"^(?i:true|false)$"),
    ("times", r"^\s*[0-9]{4}-[0-9]{2}-[0-9]{2}([ T].*)?$"),
)


@dataclass(frozen=True)
class Words:
    """``column`` would hold ``kind`` ("numbers", ...) but for ``words``, the first of them in ``row``."""

    column: str
    kind: str
    words: tuple[str, ...]
    row: int

    @property
    def options(self) -> str:
        """The options that make these words no values."""
        return " ".join(f"--null {shlex.quote(word)}" for word in self.words)

    def __str__(self) -> str:
        return (
            f"column {self.column!r} is text, because row {self.row:,} has {self.words[0][:_SHOWN]!r} among"
            f" {self.kind}; if that means no value, say {self.options}"
        )


def find_words(column: str, texts: pa.Array, decimal: str = ".") -> Words | None:
    """Return the words in ``texts`` that stand among numbers, booleans or times; None where they do not look so."""
    if decimal == ",":
        texts = pc.replace_substring(texts, ",", ".")
    valid = texts.is_valid()
    for kind, pattern in _KINDS:
        other = pc.and_(valid, pc.invert(pc.fill_null(pc.match_substring_regex(texts, pattern), fill_value=True)))
        number = other.true_count
        if not number or 2 * number > valid.true_count:
            continue
        words = texts.filter(other).unique().to_pylist()
        if len(words) <= _MOST_WORDS:
            return Words(column, kind, tuple(words), pc.index(other, value=True).as_py())
    return None


def has_decimal_commas(texts: pa.Array) -> bool:
    """Tell whether all values look like numbers, some of them with a comma for the decimals."""
    matches = pc.match_substring_regex(texts, _OTHER_NUMBER)
    either = pc.or_(matches, pc.match_substring_regex(texts, _NUMBER))
    return bool(pc.any(matches).as_py() and pc.all(either).as_py())


def advice(names: Sequence[str], sample: pa.RecordBatch, decimal: str) -> Iterator[str]:
    """Yield what may be wrong with columns of ``sample`` that are text, for each of ``names``."""
    for name in names:
        texts = sample.column(name)
        if decimal != "," and has_decimal_commas(texts):
            yield f"column {name!r} is text, because its numbers have decimal commas: say --decimal ,"
        elif words := find_words(name, texts, decimal):
            yield str(words)
