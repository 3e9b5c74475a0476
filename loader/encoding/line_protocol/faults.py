"""The faults of a line: the numbers that kernels return, and the words for them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from loader.encoding.escaping import KEY_BYTES

FINE = 0
NO_MEASUREMENT, NO_FIELDS, NO_KEY, NO_EQUALS, NO_VALUE, BACKSLASH, LONG_KEY = 1, 2, 3, 4, 5, 6, 7
NO_VALUE_FORM, NUMBER, RANGE, FLOAT_RANGE, BOOLEAN, OPEN, BEHIND_STRING = 8, 9, 10, 11, 12, 13, 14
NO_TIME, TIME, TIME_RANGE, BEHIND_TIME, TEXT, TYPE, NAME = 15, 16, 17, 18, 19, 20, 21
NO_ROOM = 22
"""Not a fault of the line: there is no room for a new name."""

REASONS: Mapping[int, str] = MappingProxyType(
    {
        NO_MEASUREMENT: "the measurement is missing",
        NO_FIELDS: "there is no field; a space ends measurement and tags, and fields come behind it",
        NO_KEY: "a field has no key",
        NO_EQUALS: "a field has no value: its key ends without an equals sign",
        NO_VALUE: "a field has no value",
        BACKSLASH: "a field key ends with a backslash, which has no form",
        LONG_KEY: f"a series and a field key have at most {KEY_BYTES:,} bytes together",
        NO_VALUE_FORM: "a value is a number, a boolean, or a string in double quotes",
        NUMBER: "the number cannot be read; numbers look like 1.5, -2e3, 3i or 4u",
        RANGE: "the integer does not fit into 64 bits",
        FLOAT_RANGE: "the number is beyond the largest float",
        BOOLEAN: "the boolean cannot be read; booleans are t, true, f, false, also in capitals",
        OPEN: "the string has no closing quote",
        BEHIND_STRING: "there is something between the closing quote and the next comma or space",
        NO_TIME: "the line has no time; a server would take the time at which it comes",
        TIME: "the time is no integer",
        TIME_RANGE: "the time is beyond those of InfluxDB, from 1677-09-21 to 2262-04-11; is its unit right?",
        BEHIND_TIME: "there is something behind the time",
        TEXT: "the text is not UTF-8",
    }
)
"""The words for each fault, except TYPE and NAME, whose words depend on types and names."""
