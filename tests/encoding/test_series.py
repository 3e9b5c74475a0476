"""Which series rows belong to, whatever form their tags have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from loader.dataset.chunk import Chunk
from loader.dataset.schema import PointSchema
from loader.encoding.escaping import sort_tags
from loader.encoding.selection import select_points
from loader.encoding.series import find_series, gather_series
from loader.errors import EncodeError

SCHEMA = PointSchema("m", ("a", "b"), (), "t")
ADDRESS = Chunk("part.parquet", 100, 104)


def selected(columns: dict[str, Any]) -> pa.RecordBatch:
    """Return a batch of points with ``columns`` and any times."""
    times = pa.array(range(len(columns["a"])), pa.timestamp("ns"))
    rows = select_points(pa.record_batch({**columns, "t": times}), SCHEMA, ADDRESS)
    assert rows.rejected == ()
    return rows.points


def series_of(**columns: Any) -> list[str]:
    """Return the series of each row."""
    runs = find_series(selected(columns), SCHEMA)
    assert runs.lengths.sum() == len(columns["a"])
    texts = runs.texts.to_pylist()
    return [texts[code] for code in np.repeat(runs.codes, runs.lengths).tolist()]


@pytest.mark.parametrize("nulls", [False, True])
@pytest.mark.parametrize("kind", [pa.int8(), pa.uint8(), pa.int32(), pa.uint32(), pa.uint64()])
def test_dictionaries_with_indices_of_every_type(kind: pa.DataType, nulls: bool) -> None:
    """Rows have the series of their tags; a null is no tag, wherever it comes from."""
    indices = pa.array([0, 0, None if nulls else 1, 1, 2], kind)
    tags = pa.DictionaryArray.from_arrays(indices, pa.array(["x", "y z", None]))
    found = series_of(a=tags, b=["p", "q", "q", "", None])
    assert found == ["m,a=x,b=p", "m,a=x,b=q", "m,b=q" if nulls else "m,a=y\\ z,b=q", "m,a=y\\ z", "m"]


def test_rows_of_one_series_are_a_run() -> None:
    """Only a change of tags begins a run."""
    runs = find_series(selected({"a": ["x"] * 3 + ["y"], "b": ["p"] * 4}), SCHEMA)
    assert (runs.starts.tolist(), runs.lengths.tolist(), runs.texts.to_pylist()) == (
        [0, 3, 4],
        [3, 1],
        ["m,a=x,b=p", "m,a=y,b=p"],
    )


def test_no_rows() -> None:
    """No rows have no series."""
    empty = pa.array([], pa.string())
    assert series_of(a=empty, b=empty) == []


def test_tags_are_in_the_order_of_the_server() -> None:
    """Keys are compared by their bytes, with their escapes."""
    assert sort_tags(["zone", "a b", "aB", "ab", "é", "a"]) == ("a", "aB", "a b", "ab", "zone", "é")
    with pytest.raises(EncodeError, match="tag key 'time'"):
        sort_tags(["time"])


def test_many_values_of_many_tags() -> None:
    """Tens of thousands of values in each of five tags make more combinations than 64 bits; each row keeps its own."""
    rows, tags = 70_000, "abcde"
    names = [f"v{number}" for number in range(rows)]
    columns = {tag: pa.array(names).dictionary_encode() for tag in tags}
    columns |= {"e": pa.array([names[0], *names[:-1]]).dictionary_encode(), "a": pa.array(names[:1] * rows)}
    batch = pa.record_batch({**columns, "t": pa.array(range(rows), pa.timestamp("ns"))})
    schema = PointSchema("m", tuple(tags), (), "t")
    runs = find_series(select_points(batch, schema, ADDRESS).points, schema)
    found = runs.texts.take(pa.array(np.repeat(runs.codes, runs.lengths))).to_pylist()
    assert found == [
        f"m,a=v0,b={name},c={name},d={name},e={names[max(number - 1, 0)]}" for number, name in enumerate(names)
    ]


def test_rows_without_tags() -> None:
    """Without tags, all rows are of one series, and no rows of none."""
    schema = PointSchema("m", (), (), "t")
    times = pa.record_batch({"t": pa.array(range(3), pa.timestamp("ns"))})
    runs = [find_series(each, schema) for each in (times, times.slice(0, 0))]
    assert [(each.starts.tolist(), each.texts.to_pylist()) for each in runs] == [([0, 3], ["m"]), ([0], [])]


def gathered_rows(*series: str) -> list[tuple[str, list[int]]] | None:
    """Return the series of ``series``, one of each row, with their rows, once these are brought together."""
    found = gather_series(find_series(selected({"a": list(series), "b": ["p"] * len(series)}), SCHEMA))
    if found is None:
        return None
    runs, order = found
    texts = runs.texts.take(pa.array(runs.codes)).to_pylist()
    bounds = zip(runs.starts, runs.starts[1:], strict=False)
    return [(text, order[start:stop].tolist()) for text, (start, stop) in zip(texts, bounds, strict=True)]


def test_rows_of_a_series_are_brought_together() -> None:
    """Those of a series stay in their order."""
    assert gathered_rows(*"xyxyxyy") == [("m,a=x,b=p", [0, 2, 4]), ("m,a=y,b=p", [1, 3, 5, 6])]


def test_a_null_and_an_empty_tag_are_the_same_series() -> None:
    """Neither is a tag; so their rows stay in their order, on which depends which of two of one time is the last."""
    for values in ([None, "", None, "", None], ["", "", None, "x", None]):
        column = pa.array(values)
        runs = find_series(selected({"a": column, "b": ["p"] * len(values)}), SCHEMA)
        assert runs.texts.to_pylist() == ["m,b=p", "m,a=x,b=p"][: len(set(values) - {None, ""}) + 1]
        assert gather_series(runs) is None


@pytest.mark.parametrize("series", ["", "x", "xxyyzz", "xyz", "xxyyx"])
def test_rows_that_lie_together_stay(series: str) -> None:
    """Where most series have one run as it is, nothing is moved."""
    assert gathered_rows(*series) is None


def test_more_series_than_a_small_number_holds() -> None:
    """Codes of thousands of series keep apart."""
    names = [f"v{number}" for number in range(70_000)]
    found = gathered_rows(*names, *names, *names)
    assert found == [
        (f"m,a={name},b=p", [number, number + 70_000, number + 140_000]) for number, name in enumerate(names)
    ]
