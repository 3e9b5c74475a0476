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
from loader.dataset.conversion import conversion_problem, convert_batch
from loader.dataset.hive import path_keys
from loader.dataset.manifest import Partition
from loader.dataset.policy import Policy
from loader.dataset.reader import read_batches
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.encoding.columns import read_columns
from loader.encoding.selection import select_points
from loader.errors import EncodeError
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
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
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
    tags = [f"t{number}" for number in range(len(schema.tags))]
    return pl.concat(parts), found.with_columns(pl.col(tags).cast(pl.String), pl.col(strings).cast(pl.String))


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


def test_the_keys_of_a_path() -> None:
    """Folders with an equals sign are keys; Hive's null is none."""
    path = "a=1/plain/=2/b=x%3Dy/c=__HIVE_DEFAULT_PARTITION__/d=e=f/g=h.parquet"
    assert path_keys(path) == {"a": "1", "b": "x=y", "c": None, "d": "e=f"}


def test_a_schema_without_fields() -> None:
    """A point needs a field."""
    assert "no field" in conversion_problem(PointSchema("m", (), (), "t"), pa.schema([]), "p")
