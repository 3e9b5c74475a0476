"""What is encoded is read again, by the decoder and by one that takes one number at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.dataset.schema import Field, FieldType
from loader.encoding.tsm.decode.fields import Source
from loader.encoding.tsm.decode.gather import gather_field
from loader.encoding.tsm.decode.index import read_file
from tests import reference_tsm as reference
from tests.storage import encode

VALUES: dict[FieldType, tuple[pa.DataType, Any]] = {
    FieldType.FLOAT: (pa.float64(), st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0])),
    FieldType.INTEGER: (pa.int64(), st.integers(-(2**63), 2**63 - 1) | st.integers(0, 1)),
    FieldType.UNSIGNED: (pa.uint64(), st.integers(0, 2**64 - 1) | st.integers(0, 1)),
    FieldType.BOOLEAN: (pa.bool_(), st.booleans()),
    FieldType.STRING: (pa.large_string(), st.text(max_size=5)),
}
TIMES = st.lists(st.integers(-(2**63) + 2, 2**63 - 2), min_size=1, max_size=30, unique=True).map(sorted) | st.builds(
    lambda first, step, count: [first + at * step for at in range(count)],
    st.integers(0, 2**62),
    st.integers(1, 10**13),
    st.integers(1, 30),
)


@pytest.mark.parametrize("kind", list(FieldType))
@settings(max_examples=40, deadline=None)
@given(times=TIMES, data=st.data())
def test_there_and_back(kind: FieldType, times: list[int], data: st.DataObject) -> None:
    """Times and values of every type come back bit for bit, those that are null left out."""
    dtype, choices = VALUES[kind]
    drawn = data.draw(st.lists(choices | st.none(), min_size=len(times), max_size=len(times)))
    content = encode({"m,a=b": (times, {"v": (kind, drawn)})})
    kept = [(time, value) for time, value in zip(times, drawn, strict=True) if value is not None]
    column = (
        gather_field([Source(read_file("1.tsm", np.frombuffer(content, np.uint8)))], "m", Field("v", kind))
        .read(-(2**63), 2**63 - 1)
        .column
    )
    assert column.times.tolist() == [time for time, _ in kept]
    slow = list(reference.decode_file(content))
    assert [time for _, _, block, _ in slow for time in block] == column.times.tolist()
    found = column.values.to_pylist() if kind is FieldType.STRING else column.values.tolist()
    if kind is FieldType.INTEGER:
        found = column.values.view(np.int64).tolist()
    assert [value for *_, block in slow for value in block] == found
    plain = pa.array([value for _, value in kept], dtype)
    if kind is FieldType.FLOAT:
        assert plain.to_numpy().view(np.uint64).tolist() == found
    else:
        assert [value.encode() if kind is FieldType.STRING else value for value in plain.to_pylist()] == found


@pytest.mark.parametrize("points", [1, 999, 1_000, 1_001, 2_500])
def test_bounds_of_blocks(points: int) -> None:
    """Points come back on both sides of a block's bound."""
    times = np.arange(points) * 1_000 + np.arange(points) % 7
    field = Field("v", FieldType.INTEGER)
    content = encode({"m": (times.tolist(), {"v": (field.type, (times % 13).tolist())})})
    file = read_file("1.tsm", np.frombuffer(content, np.uint8))
    assert file.blocks == -(-points // 1_000)
    column = gather_field([Source(file)], "m", field).read(-(2**63), 2**63 - 1).column
    assert column.times.tolist() == times.tolist()
    assert column.values.tolist() == (times % 13).tolist()
