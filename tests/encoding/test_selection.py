"""Which rows become points; the others are named with row, column, value and reason, and cost nothing else."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.dataset.chunk import Chunk
from loader.dataset.schema import Field, FieldType, PointSchema, trades_schema
from loader.encoding.selection import select_points
from tests.encoding.line_protocol.test_encode import batch_of

ADDRESS = Chunk("part.parquet", 1_000, 2_000)
INVALID = b"\xff\xfe"


def text_of(values: list[bytes | None], kind: pa.DataType) -> pa.Array:
    """Return bytes as text of ``kind``, whether they are text or not."""
    return pa.array(values, pa.binary()).view(pa.string()).cast(kind, safe=False)


@pytest.mark.parametrize(
    ("columns", "column", "value", "reason"),
    [
        ({"price": [1.0, math.nan]}, "price", "nan", "finite"),
        ({"price": [1.0, math.inf]}, "price", "inf", "finite"),
        ({"price": [None, -math.inf]}, "price", "-inf", "finite"),
        ({"price": pa.array([1.0, math.nan], pa.float32())}, "price", "nan", "finite"),
        ({"timestamp": pa.array([1, None], pa.timestamp("us"))}, "timestamp", "null", "needs a time"),
        ({"timestamp": pa.array([1, 2**62], pa.timestamp("s"))}, "timestamp", str(2**62), "1677-09-21 to 2262-04-11"),
        ({"symbol": ["A", "two\nlines"]}, "symbol", "'two\\nlines'", "newlines"),
        ({"symbol": ["A", "B\\"]}, "symbol", "'B\\\\'", "backslashes at the end"),
        ({"side": pa.array(["A", "B\\", "C"]).dictionary_encode().slice(0, 2)}, "side", "'B\\\\'", "backslashes"),
        ({"symbol": ["A", "B" * 65_536]}, "symbol", f"'{'B' * 100}'…", "65,535 bytes"),
        ({"symbol": ["A", "," * 40_000]}, "symbol, side", "long texts", "65,535 bytes"),
        ({"symbol": text_of([b"A", INVALID], pa.string())}, "symbol", "'\\\\xff\\\\xfe'", "UTF-8"),
        ({"price": [1.0, None], "amount": pa.array([1, None], pa.int64())}, "price, amount", "null", "at least one"),
    ],
)
def test_a_row_that_cannot_be_a_point(columns: dict[str, Any], column: str, value: str, reason: str) -> None:
    """The rejected row names partition, row, column, value and reason; the row before it is a point."""
    columns = {
        name: pa.array(content, pa.float64()) if name == "price" and isinstance(content, list) else content
        for name, content in columns.items()
    }
    selected = select_points(batch_of(**columns), trades_schema(), ADDRESS)
    (rejected,) = selected.rejected
    assert (rejected.partition, rejected.row, rejected.column) == (ADDRESS.partition, 1_001, column)
    assert rejected.value == value
    assert reason in rejected.reason
    assert selected.rows.tolist() == [1_000]
    assert selected.points.num_rows == 1


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())])
def test_text_that_is_not_utf_8(kind: pa.DataType) -> None:
    """A field of bytes that are no text is rejected, in any form of text; nulls beside it are not."""
    plain = pa.array([b"a", INVALID, None], pa.binary()).view(pa.string())
    column = plain.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else plain.view(pa.string())
    if kind == pa.large_string():
        column = pa.array([b"a", INVALID, None], pa.large_binary()).view(pa.large_string())
    schema = PointSchema("m", (), (Field("s", FieldType.STRING), Field("n", FieldType.INTEGER)), "t", "ns")
    batch = pa.record_batch({"s": column, "n": [1, 2, 3], "t": [1, 2, 3]})
    selected = select_points(batch, schema, ADDRESS)
    assert [(each.row, each.column) for each in selected.rejected] == [(1_001, "s")]
    assert selected.rows.tolist() == [1_000, 1_002]


def test_the_first_fault_of_a_row_is_named() -> None:
    """A row with several faults is rejected once."""
    batch = batch_of(
        price=pa.array([math.nan, math.nan]),
        timestamp=pa.array([None, 1], pa.timestamp("ns")),
    )
    found = [(each.row, each.column) for each in select_points(batch, trades_schema(), ADDRESS).rejected]
    assert found == [(1_000, "timestamp"), (1_001, "price")]


def test_a_series_of_the_greatest_length_is_taken() -> None:
    """A series and its longest field key may have 65,535 bytes together with what the server puts between them."""
    fixed = len("trades,symbol=,side=buy") + 4 + len("amount")
    rows = [65_535 - fixed, 65_536 - fixed]
    batch = batch_of(symbol=pa.array(["x" * size for size in rows]))
    assert [each.row for each in select_points(batch, trades_schema(), ADDRESS).rejected] == [1_001]


def test_superseded_values_become_null() -> None:
    """Values that later rows replace are left out, and so are rows of which nothing is left; none is rejected."""
    mask = np.array([[True, False], [True, True], [False, False]])
    selected = select_points(batch_of(price=pa.array([1.0, 2.0, 3.0])), trades_schema(), ADDRESS, mask)
    assert selected.rejected == ()
    assert selected.rows.tolist() == [1_000, 1_002]
    assert selected.points["price"].to_pylist() == [None, 3.0]
    assert selected.points["amount"].to_pylist() == [7, 7]


def test_a_batch_of_which_nothing_is_superseded_is_not_copied() -> None:
    """Where only other rows of the partition are replaced, all rows are points, as they are."""
    batch = batch_of(price=[1.0, 2.0])
    selected = select_points(batch, trades_schema(), ADDRESS, np.zeros((2, 2), np.bool_))
    assert selected.rows.tolist() == [1_000, 1_001]
    assert selected.points.column("price").buffers()[1].address == batch.column("price").buffers()[1].address


def test_a_superseded_string_of_a_dictionary() -> None:
    """Text is left out like numbers."""
    schema = PointSchema("m", (), (Field("s", FieldType.STRING),), "t", "ns")
    batch = pa.record_batch({"s": pa.array(["a", "b"]).dictionary_encode(), "t": [1, 2]})
    selected = select_points(batch, schema, ADDRESS, np.array([[True], [False]]))
    assert selected.points["s"].to_pylist() == ["b"]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["A", "B\\", None, "x\ny"]),
            st.none() | st.sampled_from([1.5, math.nan]),
            st.none() | st.integers(0, 9),
            st.none() | st.integers(0, 9),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_every_row_is_a_point_or_rejected(rows: list[tuple[Any, ...]]) -> None:
    """Rows are parted into points and rejected ones, in order, by the rules that a loop over them would use."""
    symbols, prices, amounts, times = ([row[column] for row in rows] for column in range(4))
    batch = batch_of(
        symbol=pa.array(symbols, pa.string()),
        price=pa.array(prices, pa.float64()),
        amount=pa.array(amounts, pa.int64()),
        timestamp=pa.array(times, pa.timestamp("ns")),
    )
    bad = [
        symbol in {"B\\", "x\ny"} or time is None or price != price or (price is None and amount is None)  # noqa: PLR0124
        for symbol, price, amount, time in rows
    ]
    selected = select_points(batch, trades_schema(), ADDRESS)
    assert [each.row - 1_000 for each in selected.rejected] == [row for row, wrong in enumerate(bad) if wrong]
    assert (selected.rows - 1_000).tolist() == [row for row, wrong in enumerate(bad) if not wrong]


def test_a_tag_that_is_not_utf_8_beside_one_that_is_too_long() -> None:
    """Both are rejected, each for its own reason."""
    tags = pa.array([b"a", INVALID, b"L" * 65_536, b"b\\"], pa.binary()).view(pa.string()).dictionary_encode()
    schema = PointSchema("m", ("g",), (Field("n", FieldType.INTEGER),), "t", "ns")
    selected = select_points(pa.record_batch({"g": tags, "n": [1, 2, 3, 4], "t": [1, 2, 3, 4]}), schema, ADDRESS)
    reasons = [each.reason.split(" ")[0] for each in selected.rejected]
    assert (reasons, selected.rows.tolist()) == (["text", "a", "newlines,"], [1_000])
