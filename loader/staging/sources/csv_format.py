"""How a CSV file is written: its separator, its decimal mark, what stands for no value, and the form of its times."""

from __future__ import annotations

import re
from dataclasses import dataclass

from loader.errors import ConfigError

SEPARATORS = (",", ";", "\t", "|")
"""Characters that are looked for in a header that does not have the separator."""
_QUOTED = re.compile(rb'"[^"]*"')
_NO_SEPARATOR = frozenset("\"\r\n.+-:'")


@dataclass(frozen=True)
class CsvFormat:
    r"""How CSV is written.

    ``separator`` is one ASCII character, or the text ``\t``. A cell without quotes that is one of ``nulls`` has no
    value, as an empty one. ``decimal`` is "." or ",". ``time_format`` is the form of times in the letters of strftime
    (``%d.%m.%Y %H:%M:%S``), "" for ISO 8601. Raises ConfigError for a form that cannot be read.
    """

    separator: str = ","
    nulls: tuple[str, ...] = ()
    decimal: str = "."
    time_format: str = ""

    def __post_init__(self) -> None:
        if self.separator == "\\t":
            object.__setattr__(self, "separator", "\t")
        one = len(self.separator) == 1 and self.separator.isascii()
        if not one or self.separator in _NO_SEPARATOR or self.separator.isalnum():
            raise ConfigError(f"separator {self.separator!r}", hint="it is one character, such as ';', '|' or '\\t'")
        if self.decimal not in {".", ","}:
            raise ConfigError(f"decimal {self.decimal!r}", hint="it is . or ,")
        if self.decimal == self.separator:
            raise ConfigError(
                f"{self.separator!r} separates columns, and decimals, too", hint="name another --separator, such as ';'"
            )
        if self.time_format and "%" not in self.time_format:
            raise ConfigError(
                f"time format {self.time_format!r}",
                hint="write it like %d.%m.%Y %H:%M:%S, %m/%d/%Y %I:%M %p, or with %z",
            )


ISO = CsvFormat()
"""CSV with commas, points and times of ISO 8601."""


def shown(separator: str) -> str:
    """Return a separator as a command line has it."""
    return "'\\t'" if separator == "\t" else f"'{separator}'"


def find_separator(header: bytes, separator: str = ",") -> str:
    """Return ``separator`` if ``header`` has it or none at all, otherwise the one that it has most often."""
    return separator if separator.encode() in header else guess_separator(header, separator)


def guess_separator(header: bytes, separator: str = ",") -> str:
    """Return what ``header`` has most often outside of quotes, ``separator`` if it has none."""
    plain = _QUOTED.sub(b"", header)
    there = [each for each in SEPARATORS if each.encode() in plain]
    return max(there, key=lambda each: plain.count(each.encode()), default=separator)
