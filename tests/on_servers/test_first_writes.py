"""The first body into a shard is alone, on real servers: what they get beside it, they may lose."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pyarrow as pa

from loader.loading import LoadSettings, WriteSettings, load
from loader.servers.base import Target
from loader.verification import VerifySettings, verify
from tests.fault_proxy import Call, Fault, Late, fault_proxy
from tests.on_servers.test_rows import SCHEMA
from tests.tables import MOMENT, write_tables

DAY = 86_400_000_000_000
SECONDS = 0.1


def test_the_first_body_of_a_day_is_alone(influx: Any, tmp_path: Path) -> None:
    """Nothing of a day is sent until its first body was answered; then its other bodies go together."""
    times = pa.array([MOMENT + day * DAY + row for day in range(3) for row in range(200)])
    values = pa.array([float(row) for row in range(600)])
    nothing = [pa.nulls(600, pa.int64()), pa.nulls(600, pa.string())]
    table = pa.table([pa.array(["a"] * 600), values, *nothing, times], ["tag", "f", "n", "s", "t"])
    write_tables(tmp_path, SCHEMA, {"all.parquet": table})
    calls: list[tuple[int, float]] = []

    def script(call: Call) -> Fault:
        stamp = int(call.body.split(b"\n", 1)[0].rsplit(b" ", 1)[1])
        calls.append(((stamp - MOMENT) // DAY, time.monotonic()))
        return Late(SECONDS)

    with fault_proxy(influx.url, script) as proxy:
        target = Target(proxy.url, influx.new_bucket(), influx.org, influx.token)
        load(LoadSettings(tmp_path, target, write=WriteSettings(batch_lines=20)))
    for day in range(3):
        sent = [moment for number, moment in calls if number == day]
        assert len(sent) == 10
        assert sent[1] - sent[0] >= SECONDS
        assert sent[3] - sent[1] < SECONDS
    direct = Target(influx.url, target.bucket, influx.org, influx.token)
    assert verify(VerifySettings(tmp_path, direct)).difference_count == 0
