"""Columns of anybody's become points in two ways that share nothing, which agree: loading's and verification's."""

from __future__ import annotations

import datetime
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.dataset.chunk import Chunk
from loader.dataset.conversion import conversion_problem, convert_batch, default_type
from loader.dataset.hive import path_keys
from loader.dataset.manifest import Partition
from loader.dataset.policy import Policy
from loader.dataset.reader import read_batches
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.encoding.columns import read_columns
from loader.encoding.selection import select_points
from loader.errors import EncodeError
from loader.verification import reading
from loader.verification.reading import read_rows

F, N, U, B, S = FieldType.FLOAT, FieldType.INTEGER, FieldType.UNSIGNED, FieldType.BOOLEAN, FieldType.STRING
WIDE = Context(prec=60)
NAME = "zone=a%2F b%C3%A9/plain/1.parquet"


def integers(bits: int, *, signed: bool = True) -> st.SearchStrategy[int]:
    """Return integers of so many bits."""
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else st.integers(0, 2**bits - 1)


def decimals(precision: int, scale: int) -> st.SearchStrategy[Decimal]:
    """Return decimals of a type."""
    most = 10**precision - 1
    return st.integers(-most, most).map(lambda whole: Decimal(whole).scaleb(-scale, WIDE))


dates = st.dates(datetime.date(1700, 1, 1), datetime.date(2200, 1, 1))
# A tag with a line break, or with a backslash at its end, has no form: loading rejects its row, verification misses it.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\\"), max_size=5)
floats = st.floats(allow_nan=False, allow_infinity=False)
KINDS: list[tuple[pa.DataType, st.SearchStrategy[Any], tuple[FieldType, ...], bool]] = [
    (pa.float16(), st.floats(allow_nan=False, allow_infinity=False, width=16), (F,), False),
    (pa.float32(), st.floats(allow_nan=False, allow_infinity=False, width=32), (F,), False),
    (pa.float64(), floats, (F,), False),
    *((kind, integers(kind.bit_width), (N, S), True) for kind in (pa.int8(), pa.int16(), pa.int32(), pa.int64())),
    *(
        (kind, integers(kind.bit_width, signed=False), (N, U, S), True)
        for kind in (pa.uint8(), pa.uint16(), pa.uint32())
    ),
    (pa.int64(), st.integers(-(2**53), 2**53), (F,), True),
    (pa.int32(), st.integers(0, 2**31 - 1), (U,), True),
    (pa.uint64(), integers(64, signed=False), (U, S), True),
    (pa.uint64(), integers(63, signed=False), (N,), True),
    (pa.bool_(), st.booleans(), (B, S), True),
    (pa.string(), texts, (S,), True),
    (pa.large_string(), texts, (S,), True),
    (pa.string_view(), texts, (S,), True),
    (pa.decimal128(15, 6), decimals(15, 6), (F, S), True),
    (pa.decimal128(38, 18), decimals(38, 18), (S,), True),
    (pa.decimal128(9, 0), decimals(9, 0), (F, S), True),
    (pa.date32(), dates, (S,), True),
    (pa.date64(), dates, (S,), True),
    *((pa.timestamp(unit, "UTC"), st.integers(-(2**30), 2**30), (N,), False) for unit in ("s", "ms", "us", "ns")),
    *((pa.duration(unit), st.integers(-(2**30), 2**30), (N,), False) for unit in ("s", "ms", "us", "ns")),
    (pa.time32("ms"), st.integers(0, 86_399_999), (N,), False),
    (pa.time64("us"), st.integers(0, 86_399_999_999), (N,), False),
    (pa.time64("ns"), st.integers(0, 86_399_999_999_999), (N,), False),
]


def array(kind: pa.DataType, values: list[Any]) -> pa.Array:
    """Return ``values`` as an array; times and durations are numbers of their unit."""
    if pa.types.is_temporal(kind) and not pa.types.is_date(kind):
        return pa.array(values, pa.int32() if kind.bit_width == 32 else pa.int64()).cast(kind)
    return pa.array(values, kind)


def both(root: Path, schema: PointSchema, table: pa.Table, **options: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the points of a file as loading and as verification have them."""
    path = root / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **options)
    parts = []
    row = 0
    for batch in read_batches(root, schema, Chunk(NAME, 0, table.num_rows), 1_000):
        points = select_points(batch, schema, Chunk(NAME, row, row + len(batch))).points
        row += len(batch)
        columns = read_columns(points, schema)
        tags = [pl.Series(points.column(tag).cast(pa.string())).fill_null("") for tag in schema.tags]
        named = {"time": columns.times}
        named |= {f"t{number}": tag for number, tag in enumerate(tags)}
        named |= {f"f{number}": values for number, values in enumerate(columns.values)}
        parts.append(pl.DataFrame(named))
    partition = Partition(NAME, table.num_rows, -(2**63), 2**63 - 1, path.stat().st_size, "0" * 64)
    found = pl.concat([rows.points for rows in read_rows(root, schema, partition)])
    strings = [f"f{number}" for number, field in enumerate(schema.fields) if field.type is S]
    named_tags = [f"t{number}" for number in range(len(schema.tags))]
    return pl.concat(parts), found.with_columns(pl.col(named_tags).cast(pl.String), pl.col(strings).cast(pl.String))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_loading_and_verification_agree(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Any values of any type, plain or dictionary, nulls among them, are the same fields, tags and times for both."""
    kind, values, fields, taggable = data.draw(st.sampled_from(KINDS))
    rows = data.draw(st.lists(st.none() | values, min_size=1, max_size=6))
    column = array(kind, rows)
    # Arrow forgets that numbers in a dictionary were durations, and has no dictionaries of the others.
    plain = pa.types.is_string_view(kind) or pa.types.is_float16(kind) or pa.types.is_duration(kind)
    if not plain and data.draw(st.booleans()):
        column = column.dictionary_encode()
    columns = {f"c{number}": column for number in range(len(fields))}
    schema = PointSchema(
        "m",
        ("zone", *(("tag",) if taggable else ())),
        (*(Field(f"k{number}", field) for number, field in enumerate(fields)), Field("one", F)),
        "time",
        sources=tuple((f"k{number}", f"c{number}") for number in range(len(fields))),
    )
    times = pa.array(range(len(rows)), pa.timestamp("us", "UTC"))
    table = pa.table({**columns, "tag": column, "one": [1.0] * len(rows), "time": times})
    root = tmp_path_factory.mktemp("agree")
    assert conversion_problem(schema, table.schema, NAME) == ""
    loaded, verified = both(root, schema, table, use_dictionary=data.draw(st.booleans()))
    assert loaded.equals(verified.select(loaded.columns))
    assert loaded["t0"].to_list() == ["a/ bé"] * loaded.height


@settings(max_examples=200)
@given(decimals(38, 18) | decimals(17, 12) | decimals(16, 18))
def test_a_decimal_is_a_float_when_nothing_is_lost(value: Decimal) -> None:
    """It is taken when the shortest text of the double is the decimal, and refused with its row otherwise."""
    schema = PointSchema("m", (), (Field("x", F),), "t")
    value = value.quantize(Decimal("1e-18"), context=WIDE)
    columns = [pa.array([None, value], pa.decimal128(38, 18)), pa.array([0, 0], pa.timestamp("s", "UTC"))]
    batch = pa.RecordBatch.from_arrays(columns, names=["x", "t"])
    address = Chunk("p", 10, 12)
    if Decimal(repr(float(value))) == value:
        assert convert_batch(batch, schema, address).column("x").to_pylist() == [None, float(value)]
    else:
        with pytest.raises(EncodeError, match=r"p, row 11, column 'x': \S+ is no double"):
            convert_batch(batch, schema, address)


@pytest.mark.parametrize(
    ("kind", "field", "good", "bad"),
    [
        (pa.int64(), F, 2**53, 2**53 + 1),
        (pa.int64(), F, -(2**53), -(2**53) - 1),
        (pa.uint64(), N, 2**63 - 1, 2**63),
        (pa.int8(), U, 0, -1),
    ],
)
def test_integers_at_their_bounds(kind: pa.DataType, field: FieldType, good: int, bad: int) -> None:
    """The last one that the type holds is taken; the next is refused, with row, column and value."""
    schema = PointSchema("m", (), (Field("x", field),), "t", sources=(("x", "column"),))

    def converted(*values: int | None) -> list[Any]:
        columns = [pa.array(values, kind), pa.array([0] * len(values), pa.timestamp("s", "UTC"))]
        batch = pa.RecordBatch.from_arrays(columns, names=["column", "t"])
        found: list[Any] = convert_batch(batch.slice(1), schema, Chunk("p", 5, 9)).column("x").to_pylist()
        return found

    assert converted(0, None, good) == [None, good]
    with pytest.raises(EncodeError, match=rf"p, row 6, column 'column': {bad} is beyond what {field} holds exactly"):
        converted(bad, None, bad)


@pytest.mark.parametrize(
    ("column", "shown"),
    [
        (pa.array([0, 2**62, 0]).cast(pa.duration("s")), r"4611686018427387904 \(duration\[s\]\)"),
        (
            pa.array([0, 2**60, 2**60]).cast(pa.timestamp("us", "UTC")),
            r"1152921504606846976 \(timestamp\[us, tz=UTC\]\)",
        ),
    ],
)
def test_times_beyond_nanoseconds_as_fields(column: pa.Array, shown: str) -> None:
    """They are refused, also where Python's own times do not reach."""
    schema = PointSchema("m", (), (Field("x", N),), "t")
    batch = pa.RecordBatch.from_arrays([column, pa.array([0] * 3, pa.timestamp("s"))], names=["x", "t"])
    with pytest.raises(EncodeError, match=rf"p, row 1, column 'x': {shown} is beyond 64 bits of nanoseconds"):
        convert_batch(batch, schema, Chunk("p", 0, 3))


def test_small_decimals_as_text(tmp_path: Path) -> None:
    """Tags and strings have all digits of their scale, and no exponent."""
    schema = PointSchema("m", ("tag",), (Field("x", S),), "time", sources=(("x", "tag"),))
    values = pa.array([Decimal("1e-18"), None, Decimal("-2.5")], pa.decimal128(38, 18))
    table = pa.table({"tag": values, "time": pa.array([1, 2, 3], pa.timestamp("s", "UTC"))})
    loaded, verified = both(tmp_path, schema, table)
    assert loaded.equals(verified.select(loaded.columns))
    assert loaded["t0"].to_list() == ["0.000000000000000001", "-2.500000000000000000"]


def test_absent_columns(tmp_path: Path) -> None:
    """Of a sparse column that a file lacks, and of one of type null, rows have no value, for both."""
    fields = tuple(Field(f"f{kind}", kind) for kind in FieldType)
    schema = PointSchema(
        "m",
        ("gone", "nothing", "zone"),
        (*fields, Field("none", N), Field("one", F)),
        "time",
        sparse=("gone", *(field.column for field in fields)),
    )
    times = pa.array([1, 2], pa.timestamp("s", "UTC"))
    table = pa.table({"time": times, "nothing": pa.nulls(2), "none": pa.nulls(2), "one": [1.0, 2.0]})
    loaded, verified = both(tmp_path, schema, table)
    assert loaded.equals(verified.select(loaded.columns))
    assert loaded.row(0) == (10**9, "", "", "a/ bé", *(None,) * len(fields), None, 1.0)


@pytest.mark.parametrize("ambiguous", ["earliest", "latest"])
def test_local_times_agree(tmp_path: Path, ambiguous: str) -> None:
    """Both have the same instants over a year of local times, those that there are twice too."""
    hours = [hour * 3_600 for hour in range(366 * 24)]
    spring = 1_711_850_400  # 2024-03-31T02:00:00, when there is no such time
    times = [1_704_067_200 + hour for hour in hours if 1_704_067_200 + hour != spring]
    schema = PointSchema("m", (), (Field("x", N),), "t", policy=Policy("Europe/Berlin", ambiguous))
    column = pa.array(times, pa.timestamp("s"))
    loaded, verified = both(tmp_path, schema, pa.table({"t": column, "x": column}))
    assert loaded.equals(verified.select(loaded.columns))
    assert loaded["time"].equals(loaded["f0"].alias("time"))


def test_local_times_that_there_are_not_are_skipped(tmp_path: Path) -> None:
    """With that policy they are no values for both, and all other times are what they are without it."""
    hours = [1_704_067_200 + hour * 1_800 for hour in range(366 * 48)]
    policy = Policy("America/New_York", "latest", nonexistent="skip")
    schema = PointSchema("m", (), (Field("x", N), Field("n", N)), "t", policy=policy)
    table = pa.table(
        {"x": pa.array(hours, pa.timestamp("s")), "n": hours, "t": pa.array(hours, pa.timestamp("s", "UTC"))}
    )
    loaded, verified = both(tmp_path, schema, table)
    assert loaded.equals(verified.select(loaded.columns))
    assert loaded["f0"].null_count() == 2
    gap = [1_710_036_000 + 3_600 * number // 2 for number in range(2)]  # 2024-03-10T02:00:00
    assert loaded.filter(loaded["f0"].is_null())["f1"].to_list() == gap


def test_the_keys_of_a_path() -> None:
    """Folders with an equals sign are keys; Hive's null is none."""
    path = "a=1/plain/=2/b=x%3Dy/c=__HIVE_DEFAULT_PARTITION__/d=e=f/g=h.parquet"
    assert path_keys(path) == {"a": "1", "b": "x=y", "c": None, "d": "e=f"}


def test_a_schema_without_fields() -> None:
    """A point needs a field."""
    assert "no field" in conversion_problem(PointSchema("m", (), (), "t"), pa.schema([]), "p")


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_local_times_after_2037(unit: str) -> None:
    """Libraries know no change of clocks from then on, or disagree: they are refused with their row."""
    schema = PointSchema("m", (), (Field("x", N),), "t", policy=Policy("Europe/Berlin"))
    last = datetime.datetime(2037, 12, 31, 23, 59, 59)

    def converted(*times: datetime.datetime | None) -> pa.RecordBatch:
        columns = [pa.array([1] * len(times)), pa.array(times, pa.timestamp(unit))]
        return convert_batch(pa.RecordBatch.from_arrays(columns, names=["x", "t"]), schema, Chunk("p", 0, 3))

    assert converted(None, last).column("t").cast(pa.timestamp("s")).cast(pa.int64()).to_pylist() == [None, 2145913199]
    with pytest.raises(EncodeError, match=r"p, row 2, column 't': 2038-01-01 00:00:00 is after 2037.*Europe/Berlin"):
        converted(None, last, last + datetime.timedelta(seconds=1))


def test_local_times_that_no_point_has(tmp_path: Path) -> None:
    """Beyond the last time of InfluxDB no clock matters: such rows are rejected one by one, by both."""
    schema = PointSchema("m", (), (Field("x", N),), "t", policy=Policy("Europe/Berlin"))
    times = pa.array([0, 9_300_000_000, None, 253_402_300_799], pa.timestamp("s"))
    loaded, verified = both(tmp_path, schema, pa.table({"t": times, "x": [1, 2, 3, 4]}))
    assert loaded.equals(verified.select(loaded.columns))
    assert loaded["f0"].to_list() == [1]


@pytest.mark.parametrize("kind", [pa.decimal32(5, 2), pa.decimal64(12, 2), pa.decimal128(38, 2), pa.decimal256(38, 2)])
def test_decimals_of_any_width(tmp_path: Path, kind: pa.DataType) -> None:
    """They are the same whatever bits they take."""
    schema = PointSchema("m", ("tag",), (Field("x", F), Field("s", S)), "t", sources=(("x", "tag"), ("s", "tag")))
    values = pa.array([Decimal("1.10"), Decimal("-0.05"), None, Decimal("0.00")], kind)
    table = pa.table({"tag": values, "t": pa.array(range(4), pa.timestamp("s", "UTC"))})
    loaded, verified = both(tmp_path, schema, table)
    assert loaded.equals(verified.select(loaded.columns))
    assert loaded.rows()[0] == (0, "1.10", 1.1, "1.10")
    assert loaded.rows()[1] == (10**9, "-0.05", -0.05, "-0.05")


def test_decimals_that_verification_cannot_read() -> None:
    """Decimals of more than 38 digits are refused, as tags and as fields."""
    columns = pa.schema([("d", pa.decimal256(39, 2)), ("t", pa.timestamp("s")), ("x", pa.float64())])
    assert default_type(columns.field("d").type) is None
    tag = PointSchema("m", ("d",), (Field("x", F),), "t")
    assert "'d' is decimal256(39, 2); it cannot be a tag" in conversion_problem(tag, columns, "p")
    field = PointSchema("m", (), (Field("d", S),), "t")
    assert "'d' is decimal256(39, 2); it cannot be a field" in conversion_problem(field, columns, "p")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.none() | st.integers(-3_000_000, 10_000_000), min_size=1, max_size=9))
def test_dates_of_any_year(tmp_path_factory: pytest.TempPathFactory, days: list[int | None]) -> None:
    """Also before the year 0 and after 9999 they have one text."""
    schema = PointSchema("m", ("day",), (Field("s", S), Field("one", F)), "t", sources=(("s", "day"),))
    times = pa.array(range(len(days)), pa.timestamp("s", "UTC"))
    table = pa.table({"day": pa.array(days, pa.int32()).cast(pa.date32()), "one": [1.0] * len(days), "t": times})
    loaded, verified = both(tmp_path_factory.mktemp("dates"), schema, table)
    assert loaded.equals(verified.select(loaded.columns))


@pytest.mark.parametrize("kind", list(FieldType))
def test_a_column_of_no_value_that_only_parquet_says_is_null(tmp_path: Path, kind: FieldType) -> None:
    """Without Arrow's schema Polars takes it for integers; its rows have no such value, of any type."""
    schema = PointSchema("m", ("tag",), (Field("x", kind), Field("one", F)), "t", sources=(("x", "tag"),))
    times = pa.array([1, 2], pa.timestamp("s", "UTC"))
    table = pa.table({"tag": pa.nulls(2), "one": [1.0, 2.0], "t": times})
    loaded, verified = both(tmp_path, schema, table, store_schema=False)
    assert loaded.equals(verified.select(loaded.columns))
    assert loaded.row(0) == (10**9, "", None, 1.0)


@pytest.mark.parametrize("stored", [True, False])
def test_columns_beside_nested_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: bool) -> None:
    """Nested columns, which the footer counts by what they hold, keep no other from being read, page by page too."""
    monkeypatch.setattr(reading, "CHUNK_BYTES", 10)
    schema = PointSchema("m", ("a",), (Field("a.b", S), Field("x", N)), "t")
    times = pa.array([1, 2], pa.timestamp("s", "UTC"))
    nested = pa.array([{"p": "x" * 9_000, "q": [1]}, None])
    table = pa.table({"n": nested, "a.b": ["q", None], "a": ["s", "u"], "x": [1, 2], "t": times})
    loaded, verified = both(tmp_path, schema, table, store_schema=stored)
    assert loaded.equals(verified.select(loaded.columns))
    assert loaded.rows() == [(10**9, "s", "q", 1), (2 * 10**9, "u", None, 2)]


def test_slices_and_empty_batches() -> None:
    """What a batch begins behind in its buffers is no part of it."""
    schema = PointSchema("m", ("d",), (Field("x", N),), "t", sources=(("x", "u"),))
    columns = {
        "d": pa.array([1, 2, None, 2]).dictionary_encode(),
        "u": pa.array([2**64 - 1, 5, None, 7], pa.uint64()),
        "t": pa.array([datetime.date(1970, 1, day) for day in (1, 2, 3, 4)]),
    }
    whole = pa.RecordBatch.from_pydict(columns)
    batch = convert_batch(whole.slice(1), schema, Chunk("p", 1, 4))
    assert batch.column("d").to_pylist() == ["2", None, "2"]
    assert batch.column("x").to_pylist() == [5, None, 7]
    assert batch.column("t").cast(pa.int64()).to_pylist() == [86_400, 172_800, 259_200]
    assert convert_batch(whole.slice(4), schema, Chunk("p", 4, 4)).num_rows == 0
    with pytest.raises(EncodeError, match="p, row 10, column 'u': 18446744073709551615 is beyond what integer holds"):
        convert_batch(whole, schema, Chunk("p", 10, 14))


@pytest.mark.parametrize("name", ["t", "x"])
@pytest.mark.parametrize(
    ("text", "ambiguous", "taken"),
    [
        ("2024-10-27T02:30:00", "refuse", None),
        ("2024-10-27T02:30:00", "earliest", "2024-10-27T00:30:00"),
        ("2024-10-27T02:30:00", "latest", "2024-10-27T01:30:00"),
        ("2024-03-31T02:30:00", "refuse", None),
        ("2024-03-31T02:30:00", "latest", None),
    ],
)
def test_local_times_when_clocks_change(name: str, text: str, ambiguous: str, taken: str | None) -> None:
    """One that there is twice is as the policy says, one that there is not is refused, with its row among many."""
    schema = PointSchema("m", (), (Field("x", N),), "t", policy=Policy("Europe/Berlin", ambiguous))
    times = pa.array([0] * 5 + [None], pa.timestamp("us"))
    odd = pa.array([*[datetime.datetime(2024, 7, 1)] * 4, datetime.datetime.fromisoformat(text), None], times.type)
    batch = pa.RecordBatch.from_pydict({"x": times, "t": times} | {name: odd})
    if taken is None:
        shown = text.replace("T", " ")
        twice = text.startswith("2024-10")
        words = "is twice in Europe/Berlin" if twice else "is no time in Europe/Berlin"
        with pytest.raises(EncodeError, match=rf"p, row 7, column '{name}': {shown} {words}") as caught:
            convert_batch(batch, schema, Chunk("p", 3, 9))
        assert ("--ambiguous earliest" if twice else "--nonexistent skip") in caught.value.hint
    else:
        found = convert_batch(batch, schema, Chunk("p", 3, 9)).column(name)
        found = found.cast(pa.timestamp("us", "UTC")) if name == "t" else found.cast(pa.timestamp("ns", "UTC"))
        assert found[4].as_py() == datetime.datetime.fromisoformat(f"{taken}+00:00")


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()])
def test_values_that_are_no_numbers_are_skipped(tmp_path: Path, kind: pa.DataType) -> None:
    """With that policy their rows have the other fields, for both; a row without another is no point."""
    schema = PointSchema("m", (), (Field("x", F), Field("n", N)), "t", policy=Policy(non_finite="skip"))
    nan, inf = float("nan"), float("inf")
    values = pa.array([nan, inf, -inf, None, 1.5, nan]).cast(kind)
    times = pa.array(range(6), pa.timestamp("s", "UTC"))
    loaded, verified = both(tmp_path, schema, pa.table({"x": values, "n": [1, 2, 3, 4, 5, None], "t": times}))
    assert loaded.equals(verified.select(loaded.columns))
    assert loaded.select("f0", "f1").rows() == [(None, 1), (None, 2), (None, 3), (None, 4), (1.5, 5)]


@pytest.mark.parametrize("kind", [pa.date32(), pa.date64()])
def test_dates_as_times(tmp_path: Path, kind: pa.DataType) -> None:
    """A day is its midnight in UTC, also before 1970; days that InfluxDB does not have are rejected, by both."""
    schema = PointSchema("m", (), (Field("x", N),), "t")
    days = [datetime.date(1969, 12, 31), None, datetime.date(2024, 2, 29), datetime.date(1677, 9, 21)]
    table = pa.table({"t": pa.array([*days, datetime.date(1677, 9, 22)], kind), "x": [1, 2, 3, 4, 5]})
    loaded, verified = both(tmp_path, schema, table)
    assert loaded.equals(verified.select(loaded.columns))
    assert loaded["f0"].to_list() == [1, 3, 5]
    assert loaded["time"].to_list()[:2] == [-86_400 * 10**9, 1_709_164_800 * 10**9]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=9), st.booleans(), st.data())
def test_times_agree(
    tmp_path_factory: pytest.TempPathFactory, times: list[int | None], integers: bool, data: st.DataObject
) -> None:
    """Times of any unit, timestamps or integers, are the same, and the same of them are none."""
    unit = data.draw(st.sampled_from(["s", "ms", "us", "ns"]))
    column = pa.array(times, pa.int64())
    if not integers:
        unit = "ms" if unit == "s" else unit  # Parquet has no seconds
        column = column.cast(pa.timestamp(unit, "UTC"))
    schema = PointSchema("m", (), (Field("x", N),), "t", unit if integers else "")
    table = pa.table({"t": column, "x": list(range(len(times)))})
    loaded, verified = both(tmp_path_factory.mktemp("times"), schema, table)
    assert loaded.equals(verified.select(loaded.columns))


@pytest.mark.parametrize("value", [-(2**63) + 11, 2**63 - 11])
def test_local_times_at_the_ends_of_64_bits(value: int) -> None:
    """Their instants may be beyond 64 bits: they are refused, and do not wrap."""
    schema = PointSchema("m", (), (Field("x", N),), "t", policy=Policy("Europe/Berlin"))
    columns = [pa.array([1, value]), pa.array([1, value], pa.timestamp("ns"))]
    batch = pa.RecordBatch.from_arrays(columns, names=["x", "t"])
    with pytest.raises(EncodeError, match=r"p, row 1, column 't': .* is after 2037 or before 1678"):
        convert_batch(batch, schema, Chunk("p", 0, 2))
