"""Payloads account for each row once, in whatever order its line is sent."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.dataset.chunk import Chunk
from loader.dataset.manifest import Manifest
from loader.encoding.arrays import Mask
from loader.loading.known_rows import KnownRows
from loader.loading.write_path.payloads import Payload, payloads
from tests.datasets import trades, write_dataset


def shuffled(table: pa.Table, seed: int) -> pa.Table:
    """Return the rows in another order."""
    return table.take(pa.array(np.random.default_rng(seed).permutation(table.num_rows)))


def sent(
    root: Path, manifest: Manifest, start: int, stop: int, lines: int, done: Mask | None = None, size: int = 1 << 30
) -> list[Payload]:
    """Return the payloads of rows ``start`` to ``stop`` of the one partition; ``done`` tells which are acknowledged."""
    (partition,) = manifest.partitions

    def earlier(chunk: Chunk) -> Mask | None:
        return None if done is None else done[chunk.start : chunk.stop]

    chunk = Chunk(partition.path, start, stop)
    return list(payloads(root, manifest.schemas[0], partition, chunk, lines, lambda: size, KnownRows(), earlier))


def numbers(payload: Payload) -> list[int]:
    """Return the rows that a payload accounts for."""
    rows = payload.rows
    found = list(range(rows.chunk.start, rows.chunk.stop)) if rows.numbers is None else rows.numbers.tolist()
    assert rows.count == len(found)
    return found


def make(root: Path, seed: int | None) -> tuple[Manifest, pa.Table]:
    """Write one partition of 240 rows, in any order, of which every 20th cannot be a point."""
    table = trades(0, ["AAPL", "MSFT", "NVDA"], 40)
    if seed is not None:
        table = shuffled(table, seed)
    price = pa.array([None if row % 20 == 3 else price for row, price in enumerate(table["price"].to_pylist())])
    price = pa.array([float("nan") if row % 20 == 5 else each for row, each in enumerate(price.to_pylist())])
    table = table.set_column(table.column_names.index("price"), "price", price)
    return write_dataset(root, [table]), table


@settings(max_examples=30, deadline=None)
@given(st.none() | st.integers(0, 99), st.integers(1, 90), st.integers(0, 239), st.integers(1, 240), st.booleans())
def test_each_row_is_accounted_for_once(
    tmp_path_factory: pytest.TempPathFactory, seed: int | None, lines: int, start: int, rows: int, resumed: bool
) -> None:
    """All rows but those acknowledged, rejected ones with the first payload that accounts for them."""
    root = tmp_path_factory.mktemp("data")
    manifest, table = make(root, seed)
    stop = min(240, start + rows)
    done = np.random.default_rng(lines).random(240) < 0.4 if resumed else None
    made = sent(root, manifest, start, stop, lines, done, 2_000)
    accounted = [row for payload in made for row in numbers(payload)]
    left = [row for row in range(start, stop) if done is None or not done[row]]
    assert sorted(accounted) == left
    rejected = [each.row for payload in made for each in payload.rejected]
    assert sorted(rejected) == [row for row in left if row % 20 == 5]
    for payload in made:
        assert {each.row for each in payload.rejected} <= set(numbers(payload))
        written = payload.body.decode().splitlines()
        for line, row in zip(written, payload.lines.rows[payload.start : payload.stop].tolist(), strict=True):
            assert line.startswith(f"trades,symbol={table['symbol'][row]},side={table['side'][row]} ")
            assert line.endswith(f" {table['timestamp'][row].value}")
        if written:
            assert payload.first_row == Chunk(
                payload.chunk.partition,
                int(payload.lines.rows[payload.start]),
                int(payload.lines.rows[payload.start]) + 1,
            )


def test_rows_of_a_series_are_sent_together(tmp_path: Path) -> None:
    """Rows in time order become six runs of lines, in each of which times ascend as the rows do."""
    table = trades(0, ["AAPL", "MSFT", "NVDA"], 40).sort_by("timestamp")
    manifest = write_dataset(tmp_path, [table])
    (partition,) = manifest.partitions
    # A batch is a row group of 80 rows.
    for payload in sent(tmp_path, manifest, 0, partition.rows, 1_000):
        series = [line.split(b" ")[0] for line in payload.body.splitlines()]
        rows = payload.lines.rows[payload.start : payload.stop].tolist()
        neighbours = list(pairwise(zip(series, rows, strict=True)))
        assert sum(one != other for (one, _), (other, _) in neighbours) == 5
        assert all(first < second for (one, first), (other, second) in neighbours if one == other)


@pytest.mark.parametrize("seed", [None, 1])
def test_a_part_of_a_payload(tmp_path: Path, seed: int | None) -> None:
    """The first lines of a payload account for their rows, and for all that have no line before them."""
    manifest, _ = make(tmp_path, seed)
    payload = sent(tmp_path, manifest, 0, 80, 1_000)[0]
    first = payload.before(10)
    assert first.body == b"".join(payload.body.splitlines(keepends=True)[:10])
    assert set(payload.lines.rows[:10].tolist()) <= set(numbers(first)) < set(numbers(payload))
    assert {each.row for each in first.rejected} == {each.row for each in payload.rejected} & set(numbers(first))


@pytest.mark.parametrize("seed", [None, 1])
def test_halves_of_a_payload(tmp_path: Path, seed: int | None) -> None:
    """They have all lines, in order, and name rows among which theirs are."""
    manifest, _ = make(tmp_path, seed)
    payload = sent(tmp_path, manifest, 0, 80, 1_000)[0]
    halves = payload.halves()
    assert b"".join(half.body for half in halves) == payload.body
    for half in halves:
        rows = half.lines.rows[half.start : half.stop]
        assert half.chunk.start == rows.min()
        assert half.chunk.stop == rows.max() + 1
        assert half.rejected == ()
        assert set(rows.tolist()) <= set(numbers(half))
