"""Which names and values InfluxDB can hold, and how they are escaped; the same for line protocol and storage files.

These are all rules of escaping. A name or value that InfluxDB 1.8 and 2.9 do not return unchanged has no form: such a
name raises EncodeError, and a row with such a value is rejected:

============  ===========================  ============================================================
part          a backslash goes before      has no form
============  ===========================  ============================================================
measurement   comma, space                 leading ``#``, tab or NUL; backslash before comma, space,
                                           equals or double quote
tag key       comma, equals, space         ``time``, ``_measurement``, ``_field``, NUL alone
tag value     comma, equals, space
field key     comma, equals, space         ``time``; leading tab or NUL; backslash before comma, space,
                                           equals or double quote
field string  double quote, backslash
all but that                               newline, final backslash, and for names the empty one
============  ===========================  ============================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from loader.dataset.schema import PointSchema
from loader.errors import EncodeError

_IN_MEASUREMENT = MappingProxyType({",": r"\,", " ": r"\ "})
_IN_KEY = MappingProxyType({",": r"\,", "=": r"\=", " ": r"\ "})
TAG_ESCAPES: Mapping[str, str] = _IN_KEY
STRING_ESCAPES: Mapping[str, str] = MappingProxyType({'"': r"\"", "\\": r"\\"})
KEY_BYTES = 65_535
"""Most bytes of the key of a series and field."""
TAG_NO_FORM = r"\n|\\$"
"""Matches the tag values that have no form."""


@dataclass(frozen=True)
class Part:
    """A named part of a point: how its names are escaped, and the pattern of names that have no form."""

    what: str
    escapes: Mapping[str, str]
    no_form: str

    def has_form(self, name: str) -> bool:
        """Tell whether InfluxDB returns ``name`` unchanged."""
        return not re.search(self.no_form, name)

    def escape(self, name: str) -> str:
        """Return ``name`` with its escapes; raises EncodeError when it has no form."""
        if not self.has_form(name):
            raise EncodeError(
                f"the {self.what} {name!r} has no line-protocol form",
                hint="rename the column or measurement, to letters and digits for example",
            )
        return "".join(self.escapes.get(character, character) for character in name)


MEASUREMENT = Part("measurement", _IN_MEASUREMENT, r'^$|\n|\\$|^[#\t\0]|\\[, ="]')
TAG_KEY = Part("tag key", _IN_KEY, r"^$|\n|\\$|^(time|_measurement|_field|\0)$")
FIELD_KEY = Part("field key", _IN_KEY, r'^$|\n|\\$|^time$|^[\t\0]|\\[, ="]')


def check_names(schema: PointSchema) -> None:
    """Raise EncodeError for a measurement, tag or field of ``schema`` whose name has no form."""
    MEASUREMENT.escape(schema.measurement)
    for tag in schema.tags:
        TAG_KEY.escape(tag)
    for field in schema.fields:
        FIELD_KEY.escape(field.column)


def sort_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return tag keys in their order in the key of a series; raises EncodeError as ``escape`` does.

    The server compares escaped keys: a space, for example, sorts as a backslash.
    """
    return tuple(sorted(tags, key=lambda tag: TAG_KEY.escape(tag).encode()))
