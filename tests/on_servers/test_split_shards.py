"""A large shard, the files of which are made beside each other, on a real InfluxDB 2."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from loader.errors import LoadError
from loader.loading import load
from loader.loading.restore_path import sender as sender_of_shards
from loader.loading.restore_path import storage_files
from loader.loading.restore_path.shards import Shard
from tests.datasets import DAY, trades, write_dataset
from tests.fault_proxy import Answer, Call, Fault, fault_proxy
from tests.on_servers.test_restore_path import assert_equal, settings_for, through

ROWS = 2 * 4 * 60


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a dataset of two days, which are one shard of three parts."""
    monkeypatch.setattr(storage_files, "MOST_BYTES", 2_000)
    write_dataset(tmp_path / "data", [trades(day, ("AAPL", "MSFT"), 60) for day in range(2)])
    return tmp_path / "data"


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Return the threads that make files of a shard, once they have."""
    found = set[int]()
    encode = sender_of_shards.encode_shard

    def noting(root: Path, manifest: Any, part: Shard, *rest: Any) -> Any:
        found.add(threading.get_ident())
        return encode(root, manifest, part, *rest)

    monkeypatch.setattr(sender_of_shards, "encode_shard", noting)
    return found


def test_every_row_arrives(influx_v2: Any, root: Path, threads: set[int]) -> None:
    """Three threads make the files of the only shard, and no file replaces another."""
    settings = settings_for(influx_v2, root, "parts", shard_duration=7 * DAY, connections=3)
    assert load(settings).rows_acknowledged == ROWS
    assert len(threads) == 3
    assert_equal(influx_v2, settings)


def test_a_file_that_the_server_does_not_take(influx_v2: Any, root: Path, threads: set[int]) -> None:
    """The shard is tried again as a whole, its other threads stop, and every row arrives once."""

    def script(call: Call) -> Fault | None:
        return Answer(503, b"{}") if call.number == 2 else None

    with fault_proxy(influx_v2.url, script) as proxy:
        settings = settings_for(influx_v2, root, "parts again", shard_duration=7 * DAY, connections=3)
        report = load(through(settings, proxy.url))
    assert (report.rows_acknowledged, report.retries) == (ROWS, 1)
    assert_equal(influx_v2, settings)


def test_a_part_that_cannot_be_made(influx_v2: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its error ends the load, and nothing of the shard is acknowledged."""
    encode = sender_of_shards.encode_shard
    failed = LoadError("planted")

    def failing(folder: Path, manifest: Any, part: Shard, *rest: Any) -> Any:
        if part.partitions[0].path == manifest.partitions[-1].path:
            raise failed
        yield from encode(folder, manifest, part, *rest)

    monkeypatch.setattr(sender_of_shards, "encode_shard", failing)
    settings = settings_for(influx_v2, root, "parts failing", shard_duration=7 * DAY, connections=3)
    with pytest.raises(LoadError, match="planted"):
        load(settings)
    monkeypatch.setattr(sender_of_shards, "encode_shard", encode)
    assert load(settings).rows_acknowledged == ROWS
    assert_equal(influx_v2, settings)
