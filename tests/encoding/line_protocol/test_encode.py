"""The encoder against the slow reference, against literal bytes, and against values without a form."""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loader.dataset.chunk import Chunk
from loader.dataset.schema import Field, FieldType, PointSchema, trades_schema
from loader.encoding.columns import TIME_MIN
from loader.encoding.line_protocol.encode import LineEncoder
from loader.encoding.selection import select_points
from loader.errors import EncodeError
from tests import reference
from tests.lines import lines_of, pieces
from tests.storage import ARROW

ADDRESS = Chunk("date=2024-01-02/trades.parquet", 1_000, 2_000)
NASTY = PointSchema(
    measurement="some, {measure}=",
    tags=("tag, =1", '"quoted"\\ key'),
    fields=(
        Field("a float={}", FieldType.FLOAT),
        Field("integer,", FieldType.INTEGER),
        Field("unsigned", FieldType.UNSIGNED),
        Field("boolean", FieldType.BOOLEAN),
        Field("#string", FieldType.STRING),
    ),
    time="when",
    time_unit="ns",
)
NASTY_ARROW = pa.schema(
    [
        ("tag, =1", pa.dictionary(pa.int8(), pa.string())),
        ('"quoted"\\ key', pa.large_string()),
        ("a float={}", pa.float64()),
        ("integer,", pa.int64()),
        ("unsigned", pa.uint64()),
        ("boolean", pa.bool_()),
        ("#string", pa.string()),
        ("when", pa.int64()),
    ]
)
nasty_text = st.text(st.sampled_from('\\,= "a{}\t\r\0#é\U0001f600'), max_size=5)
tag_values = st.none() | nasty_text.filter(lambda text: not text.endswith("\\"))
finite = st.floats(allow_nan=False, allow_infinity=False)
rows_strategy = st.lists(
    st.tuples(
        tag_values,
        tag_values,
        st.none() | finite,
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.integers(0, 2**64 - 1),
        st.none() | st.booleans(),
        st.none() | nasty_text | st.just("two\nlines"),
        st.integers(-(2**63) + 2, 2**63 - 3),
    ).filter(lambda row: any(value is not None for value in row[2:7])),
    max_size=12,
)


def batch_of(**columns: Any) -> pa.RecordBatch:
    """Return a batch with ``columns`` and, where they are missing, the other columns of trades."""
    rows = len(next(iter(columns.values())))
    defaults = {
        "symbol": pa.array(["A"] * rows),
        "side": pa.array(["buy"] * rows).dictionary_encode(),
        "price": pa.array([1.5] * rows),
        "amount": pa.array([7] * rows),
        "timestamp": pa.array(range(rows), pa.timestamp("ns", "UTC")),
    }
    return pa.record_batch({**defaults, **columns})


@settings(max_examples=300, deadline=None)
@given(rows=rows_strategy, cut=st.integers(0, 5))
def test_nasty_rows_read_back_as_the_reference_says(rows: list[tuple[Any, ...]], cut: int) -> None:
    """Any rows, also in the middle of a batch, mean the same point for point as the reference's lines."""
    names = NASTY_ARROW.names
    arrays = [pa.array([row[position] for row in rows], kind) for position, kind in enumerate(NASTY_ARROW.types)]
    whole = pa.record_batch(arrays, NASTY_ARROW)
    expected = [dict(zip(names, row, strict=True)) for row in rows[cut:]]
    text = lines_of(whole.slice(cut), NASTY, ADDRESS)
    decoded = reference.decode(text), reference.decode(reference.encode_rows(expected, NASTY))
    assert reference.by_series(decoded[0]) == reference.by_series(decoded[1])


@settings(max_examples=300, deadline=None)
@example(values=[10_000_000_000_000.002])
@given(values=st.lists(finite, min_size=1, max_size=50))
def test_doubles_are_written_in_the_shortest_form_that_reads_back_bit_for_bit(values: list[float]) -> None:
    """Every finite double survives, with as few digits as Python needs."""
    schema = PointSchema("m", (), (Field("v", FieldType.FLOAT),), "t", "ns")
    text = lines_of(pa.record_batch({"v": values, "t": range(len(values))}), schema, ADDRESS)
    written = re.findall(r"m v=(\S+) \d+\n", text)
    assert [struct.pack("<d", float(form)) for form in written] == [struct.pack("<d", value) for value in values]
    assert [_digits(form) for form in written] == [_digits(repr(value)) for value in values]


@settings(max_examples=300, deadline=None)
@given(numbers=st.lists(st.none() | st.integers(-(10**15) + 1, 10**15 - 1), min_size=1, max_size=20))
def test_decimals_are_written_as_they_are(numbers: list[int | None]) -> None:
    """Doubles next to a number of up to four decimals are that number, with at least one decimal, and nulls nothing."""
    values = [None if number is None else number / 10**4 for number in numbers]
    batch = batch_of(price=pa.array(values, pa.float64()))
    written = [line.split(" ")[1] for line in lines_of(batch, trades_schema(), ADDRESS).splitlines()]
    assert written == ["amount=7i" if value is None else f"price={value!r},amount=7i" for value in values]


@pytest.mark.parametrize("other", [-0.0, 5e-324, 0.00005, 1e11, -1e11, 1 / 3, 1.7976931348623157e308, 0.1 + 0.2])
@pytest.mark.parametrize("row", [0, 9_999])
def test_one_number_that_is_no_decimal(other: float, row: int) -> None:
    """Among ten thousand prices in cents, first or last, each keeps its sign and bits, and nulls stay away."""
    prices = np.arange(10_000) / 100
    prices[row] = other
    nulls = np.arange(10_000) % 11 == 1
    batch = batch_of(price=pa.array(prices, mask=nulls))
    fields = [point.fields for point in reference.decode(lines_of(batch, trades_schema(), ADDRESS))]
    kept = [field["price"][1] for field in fields if "price" in field]
    assert kept == [struct.pack("<d", value) for value in prices[~nulls]]


@pytest.mark.parametrize("kind", [FieldType.INTEGER, FieldType.UNSIGNED])
def test_integers_of_every_length(kind: FieldType) -> None:
    """Numbers around every power of ten, and the ends of the range, are written digit for digit."""
    edges = {power + step for power in (10**digits for digits in range(20)) for step in (-1, 0, 1)}
    low, high = (-(2**63), 2**63 - 1) if kind is FieldType.INTEGER else (0, 2**64 - 1)
    numbers = sorted(number for number in edges | {-edge for edge in edges} | {low, high} if low <= number <= high)
    schema = PointSchema("m", (), (Field("v", kind),), "t", "ns")
    column = pa.array(numbers, pa.int64() if kind is FieldType.INTEGER else pa.uint64())
    suffix = "i" if kind is FieldType.INTEGER else "u"
    text = lines_of(pa.record_batch({"v": column, "t": range(len(numbers))}), schema, ADDRESS)
    assert text.splitlines() == [f"m v={number}{suffix} {row}" for row, number in enumerate(numbers)]


@pytest.mark.parametrize(
    "values",
    [
        {FieldType.INTEGER: -(2**63), FieldType.UNSIGNED: 2**64 - 1, FieldType.STRING: "x", FieldType.BOOLEAN: False},
        {FieldType.FLOAT: -(10**15 - 1) / 10**4},
        {FieldType.FLOAT: -2.2250738585072014e-308},
    ],
)
def test_there_is_room_for_the_longest_line(values: dict[FieldType, Any]) -> None:
    """A line of the longest numbers, alone, finds as much memory as it takes."""
    schema = PointSchema("m", (), tuple(Field(kind.value, kind) for kind in values), "t", "ns")
    columns = {kind.value: pa.array([value], ARROW[kind]) for kind, value in values.items()}
    (piece,) = pieces(pa.record_batch({**columns, "t": [TIME_MIN]}), schema, ADDRESS, 1, 1)
    forms = {FieldType.INTEGER: "{}i", FieldType.UNSIGNED: "{}u", FieldType.STRING: '"{}"', FieldType.BOOLEAN: "{}"}
    written = (f"{kind.value}={forms.get(kind, '{!r}').format(value)}" for kind, value in values.items())
    assert piece.data.decode() == f"m {','.join(written)} {TIME_MIN}\n".replace("False", "false")


def test_an_encoder_serves_many_batches() -> None:
    """Lines that were given out stay as they are while the encoder makes more, shorter and longer ones."""
    encoder = LineEncoder(trades_schema())
    names = ["A" * size for size in (1, 300, 2, 5_000, 3)]
    found = [
        piece
        for name in names
        for piece in encoder.encode(
            select_points(batch_of(symbol=pa.array([name])), trades_schema(), ADDRESS), 9, lambda: 99
        )
    ]
    expected = [f"trades,symbol={name},side=buy price=1.5,amount=7i 0\n".encode() for name in names]
    assert [piece.data for piece in found] == expected


def _digits(form: str) -> str:
    """Return the significant digits of a decimal number."""
    return form.lower().split("e")[0].replace(".", "").replace("-", "").strip("0")


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (100.0, "100.0"),
        (187.15, "187.15"),
        (-0.0, "-0.0"),
        (1e16, "1e16"),
        (-1.5e-7, "-1.5e-7"),
        (0.000123456, "0.000123456"),
        (123456789012.0, "123456789012.0"),
        (123456789012.00006, "123456789012.00006"),
        (5e-324, "5e-324"),
        (0.1 + 0.2, "0.30000000000000004"),
    ],
)
def test_forms_of_floats(value: float, form: str) -> None:
    """The forms of floats are ones that both servers read, as the tests on servers show."""
    text = lines_of(batch_of(price=pa.array([value])), trades_schema(), ADDRESS)
    assert text == f"trades,symbol=A,side=buy price={form},amount=7i 0\n"


def test_a_trade_is_one_line() -> None:
    """The lines of trades are these bytes."""
    batch = batch_of(
        symbol=pa.array(["AAPL", "AAPL", "MSFT"]).dictionary_encode(),
        side=pa.array(["buy", "sell", "buy"]),
        timestamp=pa.array([1_704_205_800_000_000_001 + row for row in range(3)], pa.timestamp("ns", "UTC")),
    )
    (encoded,) = pieces(batch, trades_schema(), ADDRESS)
    lines = [
        b"trades,symbol=AAPL,side=buy price=1.5,amount=7i 1704205800000000001\n",
        b"trades,symbol=AAPL,side=sell price=1.5,amount=7i 1704205800000000002\n",
        b"trades,symbol=MSFT,side=buy price=1.5,amount=7i 1704205800000000003\n",
    ]
    assert encoded.data == b"".join(lines)
    assert [encoded.slice(row, row + 1) for row in range(len(encoded))] == lines
    assert encoded.slice(1, 1) == b""
    assert encoded.slice(1, 3) == b"".join(lines[1:])


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_pieces_fit_and_miss_nothing(data: st.DataObject) -> None:
    """Pieces have as many lines as the limits allow, and are all rows in order; a longer line is a piece of its own."""
    names = data.draw(st.lists(st.sampled_from(["A", "BB", "C" * 40, "D" * 300]), min_size=1, max_size=30))
    most_lines, most_bytes = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 1_000))
    batch = batch_of(symbol=pa.array(names))
    lines = lines_of(batch, trades_schema(), ADDRESS).encode().splitlines(keepends=True)
    found = pieces(batch, trades_schema(), ADDRESS, most_lines, most_bytes)
    first = 0
    for piece in found:
        last = first + len(piece)
        assert [piece.slice(row, row + 1) for row in range(len(piece))] == lines[first:last]
        assert len(piece) == 1 or (len(piece) <= most_lines and len(piece.data) <= most_bytes)
        assert last == len(lines) or len(piece) == most_lines or len(piece.data) + len(lines[last]) > most_bytes, (
            "one more line would fit"
        )
        first = last
    assert first == len(lines)


def test_no_rows_are_no_lines() -> None:
    """An empty batch has no piece."""
    assert pieces(batch_of(price=[1.0]).slice(0, 0), trades_schema(), ADDRESS) == []


@pytest.mark.parametrize("value", [None, ""])
def test_a_tag_without_a_value_is_left_out(value: str | None) -> None:
    """Null and empty tags do not appear, in plain and dictionary columns."""
    plain = pa.array([value, "x"], pa.string())
    for column in (plain, plain.dictionary_encode(), pa.array([value, value], pa.string()).dictionary_encode()):
        text = lines_of(batch_of(symbol=column), trades_schema(), ADDRESS)
        assert text.startswith("trades,side=buy price=1.5,amount=7i 0\n")


def test_a_null_within_a_dictionary_is_a_tag_without_a_value() -> None:
    """A dictionary may hold null itself."""
    column = pa.DictionaryArray.from_arrays(pa.array([1, 0]), pa.array([None, "x"]))
    text = lines_of(batch_of(symbol=column), trades_schema(), ADDRESS)
    assert [point.tags for point in reference.decode(text)] == [{"symbol": "x", "side": "buy"}, {"side": "buy"}]


@pytest.mark.parametrize("nulls", [(), ("a",), ("b",), ("c",), ("a", "b"), ("b", "c"), ("a", "c")])
@pytest.mark.parametrize("anywhere", [(), ("a",), ("a", "b"), ("a", "b", "c")])
def test_null_fields_are_left_out_with_their_comma(nulls: tuple[str, ...], anywhere: tuple[str, ...]) -> None:
    """Whichever columns have nulls, in this row or in another, the commas are right and the order is the schema's."""
    schema = PointSchema("m", (), tuple(Field(name, FieldType.INTEGER) for name in "abc"), "t", "ns")
    columns = {name: [None if name in nulls else 1, 2, 2, 2] for name in "abc"}
    for row, name in enumerate(anywhere, start=1):
        columns[name][row] = None
    first = lines_of(pa.record_batch({**columns, "t": [0, 1, 2, 3]}), schema, ADDRESS).split("\n")[0]
    assert first == "m " + ",".join(f"{name}=1i" for name in "abc" if name not in nulls) + " 0"


@pytest.mark.parametrize(
    ("kind", "column", "form"),
    [
        (FieldType.FLOAT, pa.array([0.1], pa.float32()), "0.10000000149011612"),
        (FieldType.INTEGER, pa.array([-128], pa.int8()), "-128i"),
        (FieldType.INTEGER, pa.array([2**32 - 1], pa.uint32()), "4294967295i"),
        (FieldType.INTEGER, pa.array([-(2**63)], pa.int64()), "-9223372036854775808i"),
        (FieldType.UNSIGNED, pa.array([255], pa.uint8()), "255u"),
        (FieldType.UNSIGNED, pa.array([2**64 - 1], pa.uint64()), "18446744073709551615u"),
        (FieldType.BOOLEAN, pa.array([False]), "false"),
        (FieldType.STRING, pa.array(['a "b" \\ c\n']), '"a \\"b\\" \\\\ c\n"'),
        (FieldType.STRING, pa.array([""]), '""'),
        (FieldType.STRING, pa.array(["x"], pa.large_string()), '"x"'),
        (FieldType.STRING, pa.array(["x"], pa.string_view()), '"x"'),
        (FieldType.STRING, pa.array(["x"]).dictionary_encode(), '"x"'),
    ],
)
def test_field_columns_of_every_type(kind: FieldType, column: pa.Array, form: str) -> None:
    """Each field type takes each Arrow type whose values it can hold, exactly."""
    schema = PointSchema("m", (), (Field("v", kind),), "t", "ns")
    assert lines_of(pa.record_batch({"v": column, "t": [5]}), schema, ADDRESS) == f"m v={form} 5\n"


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int16(), pa.large_string())]
)
def test_tag_columns_of_every_type(kind: pa.DataType) -> None:
    """Tags may be any kind of text."""
    column = pa.array(["x, y", "x, y", "z"]).cast(kind)
    points = reference.decode(lines_of(batch_of(symbol=column), trades_schema(), ADDRESS))
    assert [point.tags["symbol"] for point in points] == ["x, y", "x, y", "z"]


@pytest.mark.parametrize(("unit", "factor"), [("s", 10**9), ("ms", 10**6), ("us", 10**3), ("ns", 1)])
def test_timestamps_of_every_unit_become_nanoseconds(unit: str, factor: int) -> None:
    """The first and last timestamp of a unit that InfluxDB stores are exact, and one more has no form."""
    first, last = -((2**63 - 2) // factor), (2**63 - 3) // factor
    times = pa.array([first, -1, 0, last], pa.timestamp(unit))
    points = reference.decode(lines_of(batch_of(timestamp=times), trades_schema(), ADDRESS))
    assert [point.time for point in points] == [first * factor, -factor, 0, last * factor]
    for beyond in (first - 1, last + 1):
        batch = batch_of(timestamp=pa.array([0, beyond], pa.timestamp(unit)))
        (rejected,) = select_points(batch, trades_schema(), ADDRESS).rejected
        assert (rejected.row, rejected.column, rejected.value) == (1_001, "timestamp", str(beyond))


@pytest.mark.parametrize(("unit", "factor"), [("s", 10**9), ("ms", 10**6), ("us", 10**3), ("ns", 1)])
def test_integers_as_time_have_the_unit_of_the_schema(unit: str, factor: int) -> None:
    """An int64 time column is in the unit that the schema says, the first and last time exact, none beyond taken."""
    first, last = -((2**63 - 2) // factor), (2**63 - 3) // factor
    schema = replace(trades_schema(), time_unit=unit)
    points = reference.decode(lines_of(batch_of(timestamp=pa.array([first, 7, last])), schema, ADDRESS))
    assert [point.time for point in points] == [first * factor, 7 * factor, last * factor]
    beyond = [-(2**63), 0, 2**63 - 1]
    rejected = select_points(batch_of(timestamp=pa.array(beyond)), schema, ADDRESS).rejected
    assert [each.row for each in rejected] == [1_000, 1_002]


def test_a_value_that_no_row_uses_is_no_error() -> None:
    """A dictionary may hold what no row of the batch has."""
    column = pa.array(["bad\n", "good"]).dictionary_encode().slice(1)
    assert lines_of(batch_of(symbol=column), trades_schema(), ADDRESS).count("\n") == 1


@pytest.mark.parametrize(
    ("part", "name"),
    [
        *(
            ("measurement", name)
            for name in ("", "a\nb", "a\\", "#a", "\ta", "\0a", "a\\=b", 'a\\"b', "a\\ b", "a\\,b")
        ),
        *(("tag key", name) for name in ("", "a\nb", "a\\", "time", "_measurement", "_field", "\0")),
        *(
            ("field key", name)
            for name in ("", "a\nb", "a\\", "time", "\ta", "\0a", "a\\=b", 'a\\"b', "a\\ b", "a\\,b")
        ),
    ],
)
def test_names_without_a_form(part: str, name: str) -> None:
    """A name that a server would refuse or change is refused here."""
    schema = PointSchema(
        measurement=name if part == "measurement" else "m",
        tags=(name if part == "tag key" else "tag",),
        fields=(Field(name if part == "field key" else "field", FieldType.INTEGER),),
        time="when",
        time_unit="ns",
    )
    batch = pa.record_batch([["x"], [1], [0]], [schema.tags[0], schema.fields[0].column, "when"])
    with pytest.raises(EncodeError, match=re.escape(f"the {part} {name!r} has no line-protocol form")):
        lines_of(batch, schema, ADDRESS)


@pytest.mark.parametrize("column", [pa.array(["1"]), pa.array([1]), pa.array([1.5], pa.float16())])
def test_a_column_that_does_not_fit_its_field_is_refused(column: pa.Array) -> None:
    """A price that is not a float names file and column."""
    with pytest.raises(EncodeError, match=f"{ADDRESS.partition}: column 'price' is {column.type}"):
        lines_of(batch_of(price=column), trades_schema(), ADDRESS)
    with pytest.raises(EncodeError, match="column 'timestamp' is int64; it should be a timestamp; of integers"):
        lines_of(batch_of(timestamp=pa.array([1])), trades_schema(), ADDRESS)


def test_many_combinations_of_tags() -> None:
    """Rows whose tags all differ, and rows in no order, are encoded as rows in series order are."""
    generator = np.random.default_rng(5)
    symbols = [f"S{number}" for number in generator.integers(0, 300, 1_000)]
    sides = [f"{number}" for number in generator.integers(0, 300, 1_000)]
    batch = batch_of(symbol=symbols, side=pa.array(sides).dictionary_encode())
    points = reference.decode(lines_of(batch, trades_schema(), ADDRESS))
    assert [point.tags for point in points] == [
        {"symbol": symbol, "side": side} for symbol, side in zip(symbols, sides, strict=True)
    ]
