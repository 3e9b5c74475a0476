"""Faults of the load's own reading and conversion: verification, which shares none of it, finds each of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from loader.dataset import reader, write_manifest
from loader.dataset.schema import trades_schema
from loader.loading import LoadSettings, load
from loader.servers.base import Target
from loader.servers.load_method import LoadMethod
from loader.verification import VerifySettings, verify
from tests.points import trades, write_dataset

Batches = Iterator[pa.RecordBatch]


def _changed(batch: pa.RecordBatch, name: str, column: pa.Array) -> pa.RecordBatch:
    return batch.set_column(batch.schema.names.index(name), name, column)


def later(batches: Batches) -> Batches:
    """Shift every time by a nanosecond."""
    for batch in batches:
        times = batch.column("timestamp")
        shifted = pc.add(times.cast(pa.int64()), 1).cast(times.type)
        yield _changed(batch, "timestamp", shifted)


def other_unit(batches: Batches) -> Batches:
    """Take microseconds for milliseconds, within the same day."""
    for batch in batches:
        times = batch.column("timestamp").cast(pa.int64()).to_numpy()
        day = times // 86_400_000_000_000 * 86_400_000_000_000
        wrong = pa.array(day + (times - day) // 1_000)
        yield _changed(batch, "timestamp", wrong.cast(batch.column("timestamp").type))


def half_floats(batches: Batches) -> Batches:
    """Read a column of doubles as float32."""
    for batch in batches:
        yield _changed(batch, "price", batch.column("price").cast(pa.float32(), safe=False).cast(pa.float64()))


def swapped_columns(batches: Batches) -> Batches:
    """Give one field the other's values."""
    for batch in batches:
        price, amount = batch.column("price").cast(pa.int64(), safe=False), batch.column("amount").cast(pa.float64())
        yield _changed(_changed(batch, "price", amount), "amount", price)


def swapped_tags(batches: Batches) -> Batches:
    """Swap the tags of neighbouring rows."""
    for batch in batches:
        order = np.arange(len(batch))
        order[4:6] = order[4:6][::-1]
        order[19:21] = order[19:21][::-1]
        yield _changed(batch, "side", batch.column("side").take(pa.array(order)))


def skipped_rows(batches: Batches) -> Batches:
    """Leave the last rows out, as if a row group were passed over, and repeat others instead."""
    for batch in batches:
        order = np.arange(len(batch))
        order[-7:] = order[:7]
        yield batch.take(pa.array(order))


FAULTS = [later, other_unit, half_floats, swapped_columns, swapped_tags, skipped_rows]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_of_the_loads_reader_is_found(
    influx_v2: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Callable[[Batches], Batches]
) -> None:
    """V and VV find what the load read wrong."""
    rows = trades(symbols=("AAPL",), days=1)
    # Distinct, as staged trades are: a look for equal identities would notice some of the faults before the load.
    write_manifest(tmp_path, replace(write_dataset(tmp_path, trades_schema(), rows), distinct=True))
    target = Target(influx_v2.url, influx_v2.new_bucket(), influx_v2.org, influx_v2.token)
    honest = reader.read_batches
    with monkeypatch.context() as patch:
        for module in _modules_with(honest):
            patch.setattr(module, "read_batches", lambda *wanted: fault(honest(*wanted)))
        load(LoadSettings(tmp_path, target, via=LoadMethod.WRITE))
    assert verify(VerifySettings(tmp_path, target)).difference_count
    assert verify(VerifySettings(tmp_path, target, values=True)).difference_count


def test_without_a_fault(influx_v2: Any, tmp_path: Path) -> None:
    """The same load without a fault shows no difference."""
    write_dataset(tmp_path, trades_schema(), trades(symbols=("AAPL",), days=1))
    target = Target(influx_v2.url, influx_v2.new_bucket(), influx_v2.org, influx_v2.token)
    load(LoadSettings(tmp_path, target))
    for values in (False, True):
        assert verify(VerifySettings(tmp_path, target, values=values)).differences == ()


def _modules_with(function: object) -> list[Any]:
    """Return the modules of the package that call ``function`` by name."""
    return [
        module
        for name, module in sorted(sys.modules.items())
        if name.startswith("loader.") and getattr(module, "read_batches", None) is function
    ]
