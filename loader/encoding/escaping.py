"""Which names and values InfluxDB can hold, and how they are escaped; the same for line protocol and storage files.

These are all rules of escaping of InfluxDB 1 and 2. A name or value that InfluxDB 1.8 and 2.9 do not return unchanged
has no form: such a name raises EncodeError, and a row with such a value is rejected:

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

InfluxDB 3 takes a backslash before a backslash for an escape, so there a backslash also goes before each backslash.
Besides, tabs have no form in names and tags, ``__chunk_order`` none as a key, a string none beyond a mebibyte. What
comes twice in a line of 1 and 2 is harmless. 3 acknowledges a line with one tag key twice, and its next snapshot
panics; a tag and a field of one name are one column there, which cannot be both.
"""

from __future__ import annotations

import re
from collections import Counter
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
_BACKSLASH = MappingProxyType({"\\": r"\\"})
"""Comes before other escapes, which add backslashes."""


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


@dataclass(frozen=True)
class LineForm:
    """What servers of one kind can hold, and how it is written.

    ``tag_no_form`` matches tag values that have no form, which ``tag_reason`` says in words. ``longest_string`` is the
    most bytes of a string, None for any. Where ``one_column`` is true, no name may come twice in a line.
    """

    measurement: Part
    tag_key: Part
    field_key: Part
    tag_escapes: Mapping[str, str]
    tag_no_form: str
    tag_reason: str
    longest_string: int | None = None
    one_column: bool = False

    def check_names(self, schema: PointSchema) -> None:
        """Raise EncodeError for a measurement, tag or field of ``schema`` whose name has no form."""
        self.measurement.escape(schema.measurement)
        for tag in schema.tags:
            self.tag_key.escape(tag)
        for field in schema.fields:
            self.field_key.escape(field.column)
        names = Counter([*schema.tags, *(field.column for field in schema.fields)])
        name, number = names.most_common(1)[0] if names else ("", 0)
        if self.one_column and number > 1:
            raise EncodeError(
                f"{name!r} is there twice, as tag or field of measurement {schema.measurement!r}; InfluxDB 3 has one"
                " column for it",
                hint="leave one out, or rename it: --tag and --field NAME=KEY say what is what",
            )


USUAL_FORM = LineForm(
    MEASUREMENT,
    TAG_KEY,
    FIELD_KEY,
    TAG_ESCAPES,
    TAG_NO_FORM,
    "newlines, and backslashes at the end, have no form in a tag",
)
"""That of InfluxDB 1 and 2."""
CORE_FORM = LineForm(
    Part("measurement", {**_BACKSLASH, **_IN_MEASUREMENT}, rf"{MEASUREMENT.no_form}|\t"),
    Part("tag key", {**_BACKSLASH, **_IN_KEY}, rf"{TAG_KEY.no_form}|\t|^__chunk_order$"),
    Part("field key", {**_BACKSLASH, **_IN_KEY}, rf"{FIELD_KEY.no_form}|\t|^__chunk_order$"),
    {**_BACKSLASH, **TAG_ESCAPES},
    rf"{TAG_NO_FORM}|\t",
    "newlines, tabs, and backslashes at the end, have no form in a tag of InfluxDB 3",
    longest_string=1 << 20,
    one_column=True,
)
"""That of InfluxDB 3 Core, as 3.10.1 was seen to take it."""


def check_names(schema: PointSchema) -> None:
    """Raise EncodeError for a measurement, tag or field of ``schema`` whose name has no form in InfluxDB 1 and 2."""
    USUAL_FORM.check_names(schema)


def sort_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return tag keys in their order in the key of a series; raises EncodeError as ``escape`` does.

    The server compares escaped keys: a space, for example, sorts as a backslash.
    """
    return tuple(sorted(tags, key=lambda tag: TAG_KEY.escape(tag).encode()))
