"""The decoder: the inverse of the encoder, beside a slow reference and another parser; and what bad lines are told."""

from __future__ import annotations

import struct
from typing import Any

import line_protocol_parser
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from loader.dataset.instant import TIME_MAX, TIME_MIN
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.encoding.escaping import FIELD_KEY, MEASUREMENT, TAG_KEY
from loader.encoding.line_protocol.decode import Decoder, FieldOrigin
from tests import reference
from tests.decoded import decode, points_of
from tests.decoded import reference as reference_of_line
from tests.encoding.line_protocol.test_encode import ADDRESS, NASTY, NASTY_ARROW, finite, rows_strategy
from tests.lines import lines_of

LINES = (
    "trades,symbol=BTC-USD,side=buy price=42123.45,amount=12i 1704067200000000000",
    r'a\ b,t\,\=\ 1=\\x\=\,\ ,"q"=\"é k\ \"\=\,=1,s="a \"b\" \\ \c, =" -5',
    ' \tm  \0v=-1.5e-7,i=-3i,u=18446744073709551615u,b=True,c=f,s="" \t17  \r',
    'm,a==b,c=d v=0.12345678901234567890,w="x\ny"  1',
)
TOKENS = (*'mtav\\,= ".-+eEiu#19\t\0\ré', "time", "T", "true", "nan", "v=1", ",t=a", " 17", "\\\n", '="')
lines = st.one_of(
    st.lists(st.sampled_from(TOKENS), max_size=12).map("".join),
    st.lists(st.sampled_from(TOKENS), max_size=8).map(lambda tokens: "m," + "".join(tokens) + " v=1 1"),
    st.lists(st.sampled_from(TOKENS), max_size=8).map(lambda tokens: "m " + "".join(tokens) + "=1 1"),
    st.lists(st.sampled_from(TOKENS), max_size=8).map(lambda tokens: "m v=" + "".join(tokens) + " 1"),
)
names = st.text(st.sampled_from('\\,= "a\t\r\0#é'), min_size=1, max_size=5)


@st.composite
def mutated(draw: Any) -> str:
    """Return a good line with a token put in place of some characters."""
    line = draw(st.sampled_from(LINES))
    start = draw(st.integers(0, len(line)))
    return line[:start] + draw(st.sampled_from(TOKENS)) + line[start + draw(st.integers(0, 3)) :]


def column(text: str, at: str) -> int:
    """Return the column of ``at``, the first that there is, in ``text``."""
    return len(text[: text.index(at)].encode()) + 1


@settings(max_examples=300, deadline=None)
@given(rows=rows_strategy)
def test_what_the_encoder_wrote_reads_back(rows: list[tuple[Any, ...]]) -> None:
    """Rows of all types, nulls and nasty texts come back from lines as they were."""
    arrays = [pa.array([row[position] for row in rows], kind) for position, kind in enumerate(NASTY_ARROW.types)]
    text = lines_of(pa.record_batch(arrays, NASTY_ARROW), NASTY, ADDRESS)
    points, bad = decode(text.encode())
    expected = [
        reference.Point(
            NASTY.measurement,
            {tag: value for tag, value in zip(NASTY.tags, row, strict=False) if value},
            {
                field.column: (field.type.value, struct.pack("<d", value) if field.type is FieldType.FLOAT else value)
                for field, value in zip(NASTY.fields, row[2:7], strict=True)
                if value is not None
            },
            row[7],
        )
        for row in rows
    ]
    assert (reference.by_series(points), bad) == (reference.by_series(expected), [])
    assert points == reference.decode(text)


@settings(max_examples=200, deadline=None)
@given(measurement=names, tag=names, field=names)
def test_every_name_with_a_form_reads_back(measurement: str, tag: str, field: str) -> None:
    """Measurements and keys of every character that has a meaning come back, or the encoder has no form for them."""
    parts = ((MEASUREMENT, measurement), (TAG_KEY, tag), (FIELD_KEY, field))
    if all(part.has_form(name) for part, name in parts):
        schema = PointSchema(measurement, (tag,), (Field(field, FieldType.INTEGER),), "when", "ns")
        batch = pa.record_batch([["x"], [1], [5]], [tag, field, "when"]) if tag != field else None
        if batch is not None and "when" not in (tag, field):
            points, bad = decode(lines_of(batch, schema, ADDRESS).encode())
            assert (points, bad) == ([reference.Point(measurement, {tag: "x"}, {field: ("integer", 1)}, 5)], [])


@settings(max_examples=500, deadline=None)
@given(line=lines | mutated())
@example(line=r"m a\\=1 1")
@example(line=r"m,t=a\ v=1 1")
@example(line="m,t=a,t=b v=1 1")
@example(line='m v="a"b 1')
@example(line="m v=1,v=2i 1")
@example(line="m v=1e400 1")
@example(line="m v=00000000000000000000012i 0000000000000000000000001")
def test_every_line_is_what_the_reference_says(line: str) -> None:
    """A line of anything is the point that regular expressions read, or bad where they read none."""
    points, bad = decode(line.encode())
    expected = reference_of_line(line)
    blank = not line.strip(" \t\0") or line.strip(" \t\0").startswith(("#", "\r\n")) or line.strip(" \t\0") == "\r"
    if (blank and "\n" not in line) or expected is not None:
        assert (points, bad) == ([] if expected is None else [expected], [])
    elif "\n" not in line:
        assert points == []
        assert len(bad) == 1
        assert bad[0].line == 1
        assert 1 <= bad[0].column <= len(line.encode()) + 1
        assert bad[0].text == line.encode().removesuffix(b"\r")


@settings(max_examples=300, deadline=None)
@given(block=st.lists(lines | mutated(), max_size=6), noise=st.binary(max_size=8), place=st.integers(0, 100))
def test_no_bytes_are_too_much(block: list[str], noise: bytes, place: int) -> None:
    """Any bytes are points and bad lines, each of a line that there is, and the same when they come again."""
    data = "\n".join(block).encode()
    data = data[:place] + noise + data[place:]
    decoder = Decoder()
    found, bad = decoder.decode(data)
    numbers = [int(number) for piece in found for number in piece.lines] + [each.line for each in bad]
    assert len(numbers) == len(set(numbers))
    assert all(1 <= number <= data.count(b"\n") + 1 for number in numbers)
    again = Decoder()
    again.decode(data)
    again.begin_file("")
    found_again, bad_again = again.decode(data)
    assert [points_of(again, piece) for piece in found_again] == [points_of(decoder, piece) for piece in found]
    assert bad_again == bad


@settings(max_examples=200, deadline=None)
@given(
    tags=st.dictionaries(st.text("abß", min_size=1), st.text("ab ,=", min_size=1), max_size=3),
    values=st.tuples(
        st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False),
        st.integers(-(2**63), 2**63 - 1),
        st.text('a "\\'),
    ),
    time=st.integers(TIME_MIN, TIME_MAX),
)
def test_another_parser_reads_the_same(tags: dict[str, str], values: tuple[float, int, str], time: int) -> None:
    """What line-protocol-parser reads of lines without rarities is the same."""
    number, integer, text = values
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    pairs = "".join(f",{key}={reference.escaped(value, ',= ')}" for key, value in tags.items())
    line = f'm{pairs} v={number!r},i={integer}i,s="{escaped}",b=t {time}'
    other = line_protocol_parser.parse_line(line)
    (point,), bad = decode(line.encode())
    assert bad == []
    assert (point.measurement, point.tags, point.time) == (other["measurement"], other["tags"], other["time"])
    fields = {key: value for key, (_, value) in point.fields.items()}
    assert fields == {**other["fields"], "v": struct.pack("<d", other["fields"]["v"])}


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(line=mutated())
def test_another_parser_refuses_the_same(line: str) -> None:
    """What line-protocol-parser takes of nasty lines has the same values, and what it refuses is bad.

    It takes what InfluxDB stores otherwise or at another time; it does not know quotes with backslashes in keys,
    a value of a tag that begins with an equals sign, or carriage returns.
    """
    assume(not line.strip().startswith("#"))
    assume(not any(text in line for text in ('\\"', "==", "\r", "\0", "\n", "+")))
    points, bad = decode(line.encode())
    try:
        other = line_protocol_parser.parse_line(line)
    except line_protocol_parser.LineFormatError:
        assert points == []
        return
    if points:
        assert (points[0].measurement, points[0].tags) == (other["measurement"], other["tags"])
        assert (points[0].time, points[0].fields.keys()) == (other["time"], other["fields"].keys())
    else:
        allowed = ("has no form", "behind the closing quote", "has no time", "between the closing quote")
        assert any(words in bad[0].reason for words in allowed)


TOO_LONG = "m,t=" + "a" * 65_525
BAD = [
    (",t=a v=1 1", ",", "measurement is missing"),
    ("m", "", "there is no field"),
    ("m,t=a", "", "there is no field"),
    ("m,t=a \r", "\r", "there is no field"),
    ("m\r", "\r", "there is no field"),
    ("m =1 1", "=", "a field has no key"),
    ("m v=1, 1", " 1", "a field has no key"),
    ("m v=1,,w=1 1", ",w", "a field has no key"),
    ("m v=1,w 1", "w", "a field has no value: its key"),
    ("m vé,w=1 1", "v", "a field has no value: its key"),
    ("m v= 1", " 1", "a field has no value"),
    ("m v=", "", "a field has no value"),
    ("m v=,w=1 1", ",", "a field has no value"),
    (r"m v\\=1 1", r"\=", "ends with a backslash"),
    (f"{TOO_LONG} vvv=1 1", "vvv", "at most 65,535 bytes"),
    ("m v=x 1", "x", "a value is a number"),
    ("m v=nan 1", "nan", "a value is a number"),
    ("m v=-inf 1", "-", "the number cannot be read"),
    ("m v=. 1", ".", "the number cannot be read"),
    ("m v=1e 1", "1e", "the number cannot be read"),
    ("m v=1.2.3 1", "1.2", "the number cannot be read"),
    ("m v=1\t1", "1\t", "the number cannot be read"),
    ("m v=-i 1", "-i", "the number cannot be read"),
    ("m v=-1u 1", "-1u", "the number cannot be read"),
    ("m v=1.5i 1", "1.5i", "the number cannot be read"),
    ("m v=9223372036854775808i 1", "92", "does not fit"),
    ("m v=-9223372036854775809i 1", "-92", "does not fit"),
    ("m v=18446744073709551616u 1", "18", "does not fit"),
    ("m v=100000000000000000000u 1", "10", "does not fit"),
    ("m v=10000000000000000000i 1", "10", "does not fit"),
    ("m w=1,v=-1e999 1", "-1e999", "beyond the largest float"),
    ("m v=1e999,w=1e999 1", "1e999", "beyond the largest float"),
    ("m v=tru 1", "tru", "the boolean cannot be read"),
    ("m v=tRUE 1", "tRUE", "the boolean cannot be read"),
    ("m v=falsey 1", "falsey", "the boolean cannot be read"),
    ('m v="a 1', '"', "no closing quote"),
    ('m v="a\\', '"', "no closing quote"),
    ('m v="a"b 1', "b 1", "between the closing quote"),
    ("m v=1", "", "has no time"),
    ("m v=1\r", "\r", "has no time"),
    ("m v=1  ", "", "has no time"),
    ("m v=1 1.5", "1.5", "the time is no integer"),
    ("m v=1 -", "-", "the time is no integer"),
    ("m v=1 now", "now", "the time is no integer"),
    ("m v=1 9223372036854775806", "92", "beyond those of InfluxDB"),
    ("m v=1 -9223372036854775807", "-92", "beyond those of InfluxDB"),
    ("m v=1 99999999999999999999", "99", "beyond those of InfluxDB"),
    ("m v=1 1 2", "2", "something behind the time"),
    ("m, v=1 1", " v", "a tag has no key"),
    ("m,=a v=1 1", "=a", "a tag has no key"),
    ("m,té=a,u v=1 1", "u", "the tag 'u' has no value"),
    ("m,u=,t=a v=1 1", "u", "the tag 'u' has no value"),
    ("m,té=aé=b v=1 1", "=b", "equals sign without a backslash"),
    ("  m,t=a,s=b,t=c v=1 1", "m", "the tag 't' is there twice"),
    ("m,t=a\\\nb v=1 1", "a", "have no form in a tag"),
    ("m,s=a,time=b v=1 1", "time", "the tag key 'time' has no form"),
    ("m\\\n v=1 1", "m", "the measurement 'm\\\\\\n' has no form"),
    ("m,time=a time=1 1", "time", "the tag key 'time' has no form"),
    ("m a=1,time=1 1", "time", "the field key 'time' has no form"),
]


@pytest.mark.parametrize(("text", "at", "reason"), BAD)
def test_each_bad_line_has_its_reason_and_place(text: str, at: str, reason: str) -> None:
    """What is wrong is said with line, column, reason and text; the lines around are points."""
    block = f"x v=1 1\n\n# m v=1\n{text}\nx v=2 2"
    if '"' in text and "closing quote" in reason and "between" not in reason:
        block = f"x v=1 1\n\nx v=2 2\n{text}"
    points, (bad,) = decode(block.encode())
    assert [point.time for point in points] == [1, 2]
    place = column(text, at) if at else len(text.rstrip("\r").encode()) + 1
    assert (bad.line, bad.column) == (4, place)
    assert reason in bad.reason
    assert bad.text == text.removesuffix("\r").encode()[:200]


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"m\xff,t=a v=1 1", 2),
        (b"m,t=a\xff v=1 1", 6),
        (b"m,t=\xc3\xa9 v\xff=1 1", 9),
        (b'm v="\xe2\x82" 1', 6),
        (b'm v="\xed\xa0\x80" 1', 6),
    ],
)
def test_text_that_is_not_utf8_is_bad(data: bytes, place: int) -> None:
    """Bytes of no character are told apart line by line, in names and in strings; lines of other texts are points."""
    points, (bad,) = decode('m s="é" 1\n'.encode() + data + b'\nm s="b" 2\n# \xff\n')
    assert [point.time for point in points] == [1, 2]
    assert (bad.line, bad.column, bad.reason) == (2, place, "the text is not UTF-8")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, ("float", float(text))) for text in ("1", "1.", ".5", "+1", "-1e5", "1E+2", "1e-400", "-0", "0e999")),
        *((text, ("float", float(text))) for text in ("9007199254740993", "1e23", "1.7976931348623157e308", "5e-324")),
        ("000000000000000000000000001", ("float", 1.0)),
        ("0.00000000000000000000000001", ("float", 1e-26)),
        ("1e" + "0" * 30 + "2", ("float", 100.0)),
        ("-9223372036854775808i", ("integer", -(2**63))),
        ("+9223372036854775807i", ("integer", 2**63 - 1)),
        ("-0i", ("integer", 0)),
        ("00000000000000000000000000000007i", ("integer", 7)),
        ("18446744073709551615u", ("unsigned", 2**64 - 1)),
        ("18446744073709551609u", ("unsigned", 2**64 - 7)),
        *((text, ("boolean", True)) for text in ("t", "T", "true", "True", "TRUE")),
        *((text, ("boolean", False)) for text in ("f", "F", "false", "False", "FALSE")),
        ('""', ("string", "")),
        (r'"\"\\\n\ \,"', ("string", '"\\\\n\\ \\,')),
        ('"two\r\nlines, é=\t"', ("string", "two\r\nlines, é=\t")),
    ],
)
@pytest.mark.parametrize("end", [" 7", ",other=1i 7", " 7\r\n", " 7   \n"])
def test_forms_of_values(text: str, value: tuple[str, Any], end: str) -> None:
    """Values of each type in all forms, at the end of the fields and before another one."""
    (point,), bad = decode(f"m v={text}{end}".encode())
    kind, expected = value
    assert bad == []
    assert point.fields["v"] == (kind, struct.pack("<d", expected) if kind == "float" else expected)


@settings(max_examples=300, deadline=None)
@given(values=st.lists(finite, min_size=1, max_size=20), digits=st.integers(0, 25))
def test_floats_are_the_nearest_doubles(values: list[float], digits: int) -> None:
    """Doubles in their shortest form, and with any number of digits, are what Python reads."""
    forms = [form for value in values for form in (repr(value), f"{value:.{digits}e}", f"{value:.{digits}f}")]
    forms = [form for form in forms if abs(float(form)) < float("inf")]
    points, bad = decode("".join(f"m v={form} 1\n" for form in forms).encode())
    assert bad == []
    assert [point.fields["v"][1] for point in points] == [struct.pack("<d", float(form)) for form in forms]


def test_lines_that_are_no_points() -> None:
    """Blank lines and comments count as lines and are nothing else, whatever is in comments."""
    text = '\n\r\n  \t\n# say v="hello\n  # ends \\\nm v=1 1\r\n\n \0\nm v=2 2\n \t'
    decoder = Decoder()
    (piece,), bad = decoder.decode(text.encode())
    assert bad == []
    assert piece.lines.tolist() == [6, 9]
    assert decoder.decode(b"") == ([], [])
    assert decoder.decode(b"\n") == ([], [])


def test_lines_are_numbered_over_blocks_and_strings_with_newlines() -> None:
    """The number of a line counts the newlines in strings and bad lines before it, in all blocks of the file."""
    decoder = Decoder()
    first, _ = decoder.decode(b'm s="a\n\nb" 1\nm s="c" 2\n')
    second, bad = decoder.decode(b'm s="d\n" 3\nm s=1,t="\n" 4\nm s="e" 5')
    decoder.begin_file("other.lp")
    third, _ = decoder.decode(b'm s="f" 6\n')
    assert [piece.lines.tolist() for piece in (*first, *second, *third)] == [[1, 4], [5, 9], [1]]
    assert [each.line for each in bad] == [7]


def test_a_series_has_one_number() -> None:
    """Tags in another order or with other escapes are the same series, in all blocks; without tags it is one too."""
    decoder = Decoder()
    (m, n), bad = decoder.decode(b"m,a=1,b=2 v=1 1\nm,b=2,a=1 v=1 2\nn v=1 3\nm,b\\,=2 v=1 4\nm,a=1,b=2 v=1 5\n")
    (more,), _ = decoder.decode(b"m,b=2,a=1 v=1 6\nm v=1 7\n")
    assert bad == []
    assert (m.series.tolist(), n.series.tolist(), more.series.tolist()) == ([0, 0, 2, 0], [1], [0, 3])
    assert list(decoder.series) == [("m", (("a", "1"), ("b", "2"))), ("n", ()), ("m", (("b,", "2"),)), ("m", ())]


def test_measurements_come_apart() -> None:
    """Each measurement has its points in the order of their lines, with its own fields and types."""
    decoder = Decoder()
    pieces, bad = decoder.decode(b"m v=1 1\nn v=2i 2\nm w=t 3\nn v=3i 4\nm v=5,w=f,v=6 5\n")
    assert bad == []
    found = {piece.measurement: {key: column.to_pylist() for key, column in piece.fields.items()} for piece in pieces}
    assert found == {"m": {"v": [1, None, 6], "w": [None, True, False]}, "n": {"v": [2, 3]}}
    assert list(pieces[0].fields) == ["v", "w"]
    assert [piece.times.tolist() for piece in pieces] == [[1, 3, 5], [2, 4]]
    assert decoder.fields == {
        ("m", "v"): FieldOrigin(FieldType.FLOAT, "", 1),
        ("n", "v"): FieldOrigin(FieldType.INTEGER, "", 2),
        ("m", "w"): FieldOrigin(FieldType.BOOLEAN, "", 3),
    }


def test_a_type_that_changes_is_said_with_both_lines() -> None:
    """A field has the type of its first good line; another one is bad, in the block, later, and in other files."""
    decoder = Decoder()
    decoder.begin_file("a.lp")
    _, bad = decoder.decode(b"m x=1,usage=1i,usage=2 1\nm usage=1i now\nm other=1i,usage=1 3\nm usage=2i 4\n")
    assert [(each.line, each.column, each.reason) for each in bad] == [
        (1, 16, "field 'usage' is an integer and a float in one line"),
        (2, 12, "the time is no integer"),
        (4, 3, "field 'usage' is an integer here and a float in line 3"),
    ]
    _, (later,) = decoder.decode(b'n usage="x" 5\nm other="x" 6\n')
    assert (later.line, later.reason) == (6, "field 'other' is a string here and an integer in line 3")
    decoder.begin_file("b.lp")
    _, (other,) = decoder.decode(b"m usage=2i 7")
    assert (other.line, other.reason) == (1, "field 'usage' is an integer here and a float in line 3 of a.lp")
    assert decoder.fields[("m", "usage")] == FieldOrigin(FieldType.FLOAT, "a.lp", 3)
    assert ("m", "usage") in decoder.fields
    assert decoder.fields[("n", "usage")].type is FieldType.STRING


def test_a_bad_line_leaves_no_types_behind() -> None:
    """A line that is refused for one field says nothing of the types of its other fields."""
    decoder = Decoder()
    pieces, bad = decoder.decode(b"m v=1 1\nm v=2,new=1i,v=t 2\nm new=2.5 3\nm newest=t,newest=1 4\n")
    assert [each.line for each in bad] == [2, 4]
    assert {key: column.to_pylist() for key, column in pieces[0].fields.items()} == {"v": [1, None], "new": [None, 2.5]}
    assert ("m", "newest") not in decoder.fields


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000, 1_000_000_000])
def test_times_are_nanoseconds_and_never_wrap(unit: int) -> None:
    """Times of each unit are multiplied; the last that InfluxDB stores is a point, the one behind it a bad line."""
    first, last = -(-TIME_MIN // unit), TIME_MAX // unit
    text = "".join(f"m v=1 {time}\n" for time in (first - 1, first, last, last + 1, 2**63 // unit + 1, -(2**63)))
    points, bad = decode(text.encode(), unit=unit)
    assert [point.time for point in points] == [first * unit, last * unit]
    assert [each.line for each in bad] == [1, 4, 5, 6]


def test_fields_of_which_each_line_has_few_come_in_pieces() -> None:
    """Columns are not much larger than values: lines with fields of their own are a piece each few hundred lines."""
    text = "".join(f"m f{number}={number}i {number}\n" for number in range(700)).encode()
    decoder = Decoder()
    pieces, bad = decoder.decode(text)
    assert bad == []
    assert len(pieces) > 2
    assert sum(len(piece.times) * len(piece.fields) for piece in pieces) < 700 * 256
    points = [point for piece in pieces for point in points_of(decoder, piece)]
    assert [(line, point.time, point.fields) for line, point in points] == [
        (number + 1, number, {f"f{number}": ("integer", number)}) for number in range(700)
    ]


def test_many_names_find_room() -> None:
    """Thousands of series and fields, short and long, are told apart, beside names of bad lines that are forgotten."""
    long = "x" * 5_000
    ends = [long if number % 100 == 0 else "" for number in range(3_000)]
    text = [f"m,t={number}{end} f{number % 40}={number}i {number}" for number, end in enumerate(ends)]
    decoder = Decoder()
    for _ in range(2):
        pieces, bad = decoder.decode("\n".join([*text[:1500], "m,t v=1 1", "bad,time=1 v=1 1", *text[1500:]]).encode())
        times = sorted(int(time) for piece in pieces for time in piece.times)
        assert times == list(range(3_000))
        assert [each.line for each in bad[:2]] == [1_501, 1_502]
        decoder.begin_file("")
    assert len(decoder.series) == 3_000
    assert len(decoder.fields) == 40


def test_series_in_another_spelling_find_room() -> None:
    """Thousands of series whose tags are out of order have one number each, beside bad names, when they come again."""
    lines = [f"m,z={number},a=é v=1 {number}" for number in range(1_500)]
    again = [f"m,a=é,z={number} v=1 {number}" for number in reversed(range(1_500))]
    decoder = Decoder()
    for block in ([*lines, "bad,time=1 v=1 1"], again, [*again, "m,t v=1 1"]):
        (piece,), _ = decoder.decode("\n".join(block).encode())
        assert piece.series.tolist() == piece.times.tolist()
    assert decoder.series[-1:] == [("m", (("a", "é"), ("z", "1499")))]
    assert [decoder.series[number][1][1][1] for number in (0, 7, -1)] == ["0", "7", "1499"]
    with pytest.raises(IndexError):
        decoder.series[1_500]


def test_many_measurements() -> None:
    """A measurement for each line is a piece for each line, in the order in which they came."""
    pieces, bad = Decoder().decode("".join(f"m{number},t=a v={number}i 1\n" for number in range(1_200)).encode())
    assert bad == []
    assert [(piece.measurement, piece.fields["v"].to_pylist()) for piece in pieces] == [
        (f"m{number}", [number]) for number in range(1_200)
    ]


def test_a_line_of_many_fields() -> None:
    """A line may have more fields than there was room for names."""
    text = "m " + ",".join(f"field{number}={number}i" for number in range(3_000)) + " 1"
    (point,), bad = decode(text.encode())
    assert bad == []
    assert point.fields == {f"field{number}": ("integer", number) for number in range(3_000)}


def test_many_tags_are_not_kept_as_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept of tags that came is bounded; series keep their numbers all the same."""
    monkeypatch.setattr("loader.encoding.line_protocol.unescape._MOST_TEXTS", 10)
    text = "".join(f"m,t={number},u=a v=1 {number}\n" for number in range(50)).encode()
    decoder = Decoder()
    decoder.decode(text)
    assert list(decoder.series) == [("m", (("t", str(number)), ("u", "a"))) for number in range(50)]


def test_a_block_has_less_than_two_gibibytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block whose places do not fit is refused before anything is done."""
    monkeypatch.setattr("loader.encoding.line_protocol.decode._MOST_BYTES", 8)
    with pytest.raises(ValueError, match="9 bytes"):
        Decoder().decode(b"m v=1 10\n")


def test_long_bad_lines_are_cut() -> None:
    """Of a bad line the first 200 bytes are kept."""
    _, (bad,) = decode(b"m v=" + b"x" * 1_000 + b" 1")
    assert bad.text == b"m v=" + b"x" * 196


def test_columns_have_the_types_of_fields() -> None:
    """Columns are float64, int64, uint64, bool and string, with and without nulls."""
    (piece,), _ = Decoder().decode(b'm f=1,i=1i,u=1u,b=t,s="a" 1\nm f=1,i=1i,u=1u,b=t,s="b" 2\n')
    (part,), _ = Decoder().decode(b'm f=1,i=1i,u=1u,b=t,s="a" 1\nm x=1 2\n')
    kinds = [pa.float64(), pa.int64(), pa.uint64(), pa.bool_(), pa.string()]
    assert [column.type for column in piece.fields.values()] == kinds
    assert [column.null_count for column in piece.fields.values()] == [0] * 5
    assert [column.type for column in part.fields.values()] == [*kinds, pa.float64()]
    assert [column.null_count for column in part.fields.values()] == [1] * 6
    for column in (*piece.fields.values(), *part.fields.values()):
        column.validate(full=True)
    assert piece.series.dtype == piece.times.dtype == piece.lines.dtype == np.int64
