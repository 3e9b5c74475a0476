"""Which shard groups a dataset fills; that they are the server's own is tested on one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loader.dataset.chunk import Chunk
from loader.dataset.manifest import Manifest, Partition
from loader.dataset.schema import PointSchema, trades_schema
from loader.encoding.columns import TIME_MAX, TIME_MIN
from loader.errors import ConfigError
from loader.loading.restore_path import shards
from loader.loading.restore_path.shards import _END, Shard, check_duration, fit_shards, plan_shards
from loader.loading.shard_numbers import DEFAULT_DURATION
from loader.servers import backup

HOUR = 3_600_000_000_000
DAY = 24 * HOUR
WEEK = 7 * DAY
MONDAY = 1_704_067_200_000_000_000
"""2024-01-01T00:00:00Z."""


def partition(first: int, last: int, rows: int = 1) -> Partition:
    """Return a partition with rows from ``first`` to ``last``."""
    return Partition(f"{first}-{last}", rows, first, last, 1, "")


def manifest_of(schema: PointSchema, partitions: list[Partition]) -> Manifest:
    """Return the manifest of a dataset of ``partitions``."""
    return Manifest((schema,), {}, {}, tuple(partitions), complete=True)


def planned(partitions: list[Partition], duration: int) -> tuple[Shard, ...]:
    """Return the shards of partitions of which no file need be read."""
    return plan_shards(Path("nowhere"), manifest_of(trades_schema(), partitions), duration)


def test_weeks_begin_on_mondays() -> None:
    """A partition goes into each week that it may have rows in, by the nanosecond."""
    early = partition(MONDAY - WEEK, MONDAY - 1)
    across = partition(MONDAY - 1, MONDAY)
    late = partition(MONDAY, MONDAY + WEEK - 1)
    shards = planned([late, across, early], DEFAULT_DURATION)
    assert shards == (
        Shard(MONDAY - WEEK, MONDAY, (across, early)),
        Shard(MONDAY, MONDAY + WEEK, (late, across)),
    )
    assert [[shard.holds(part) for part in (early, across, late)] for shard in shards] == [
        [True, False, False],
        [False, False, True],
    ]


@pytest.mark.parametrize("unit", ["us", "ns"])
def test_only_shards_that_hold_rows_are_planned(tmp_path: Path, unit: str) -> None:
    """Of a partition over years, only the days that hold rows get a shard; a row without a time needs none."""
    days = [-200 * 365, -200 * 365 + 1, 0, 3, 200 * 365]
    times = pa.array([day * 86_400 for day in days] + [None], pa.timestamp("s")).cast(pa.timestamp(unit))
    pq.write_table(pa.table({"t": times}), tmp_path / "long.parquet")
    whole = Partition("long.parquet", 6, days[0] * DAY, days[-1] * DAY, 1, "")
    shards = plan_shards(tmp_path, manifest_of(PointSchema("m", (), (), "t"), [whole]), DAY)
    assert [shard.start // DAY for shard in shards] == days


def test_days_before_1970() -> None:
    """Shards before 1970 are cut at the same multiples."""
    (shard,) = planned([partition(-1, -1)], DAY)
    assert (shard.start, shard.stop) == (-DAY, 0)


def test_the_first_and_the_last_shard() -> None:
    """Nothing is planned beyond the times that the server stores."""
    first, last = planned([partition(TIME_MIN, TIME_MIN), partition(TIME_MAX, TIME_MAX)], WEEK)
    assert (first.start, last.stop) == (TIME_MIN, 2**63 - 1)
    assert first.stop < last.start
    assert last.contains(np.array([TIME_MAX, 0])).tolist() == [True, False]


def test_partitions_without_rows_are_left_out() -> None:
    """A partition without rows needs no shard."""
    assert planned([partition(0, 0, rows=0)], WEEK) == ()
    assert planned([], WEEK) == ()


def test_times_of_a_shard() -> None:
    """A shard has its start, and not its stop."""
    times = np.array([-1, 0, DAY - 1, DAY])
    assert Shard(0, DAY, ()).contains(times).tolist() == [False, True, True, False]


@pytest.mark.parametrize("duration", [0, HOUR, WEEK])
def test_durations(duration: int) -> None:
    """The default and anything from an hour on will do."""
    check_duration(duration)


def test_a_duration_that_is_too_short() -> None:
    """The server takes no shards below an hour."""
    with pytest.raises(ConfigError, match="below an hour"):
        check_duration(HOUR - 1)


@pytest.mark.parametrize("moved", [False, True])
def test_a_shard_knows_where_its_rows_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: bool) -> None:
    """Of a partition over many shards, each reads the batches that have its rows; rows without a time count first."""
    monkeypatch.setattr(shards, "GROUP_ROWS", 4)
    # Two days in each batch but the third, which has rows without a time, and the last, which returns to the first day.
    days = [1, 1, 2, 2, 3, 3, 4, 4, None, 5, 5, None, 5, 5, 6, 6, 1, 1]
    times = pa.array([None if day is None else day * DAY for day in days], pa.int64())
    pq.write_table(pa.table({"t": times}), tmp_path / "long.parquet")
    steps = np.zeros(len(days), np.int64)
    if moved:
        steps[4] = DAY
    whole = Partition("long.parquet", len(days), DAY, 6 * DAY, 1, "", moves=steps if moved else None)
    found = plan_shards(tmp_path, manifest_of(PointSchema("m", (), (), "t", "ns"), [whole]), DAY)
    rows = {shard.start // DAY: [(c.start, c.stop) for c in shard.chunks_of(whole)] for shard in found}
    assert rows == {
        1: [(0, 4), (8, 12), (16, 18)],
        2: [(0, 4)],
        3: [(4, 8)],
        4: [(4, 8)],
        5: [(8, 16)],
        6: [(12, 16)],
    }


def test_a_shard_knows_few_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its rows are in many places, the last of its chunks has all the rest."""
    monkeypatch.setattr(shards, "GROUP_ROWS", 1)
    monkeypatch.setattr(shards, "MOST_CHUNKS", 2)
    times = pa.array([day * DAY for day in (1, 2, 3, 1, 2, 3, 1, 2, 3, 1)], pa.int64())
    pq.write_table(pa.table({"t": times}), tmp_path / "long.parquet")
    whole = Partition("long.parquet", len(times), DAY, 3 * DAY, 1, "")
    found = plan_shards(tmp_path, manifest_of(PointSchema("m", (), (), "t", "ns"), [whole]), DAY)
    rows = [[(each.start, each.stop) for each in shard.chunks_of(whole)] for shard in found]
    assert rows == [[(0, 1), (3, 10)], [(1, 2), (4, 8)], [(2, 3), (5, 9)]]


def groups(*bounds: tuple[int, int]) -> list[backup.Shard]:
    """Return groups that a server has."""
    return [backup.Shard(number, start, stop) for number, (start, stop) in enumerate(bounds)]


def test_groups_that_are_there_are_filled() -> None:
    """Rows go into groups of any span, and into what is left between them; where nothing is there, as planned."""
    early, late = partition(MONDAY - 3 * DAY, MONDAY + DAY), partition(MONDAY + 5 * DAY, MONDAY + 8 * DAY)
    shards = planned([early, late], DEFAULT_DURATION)
    assert fit_shards(shards, []) == shards
    there = groups((MONDAY - 10 * DAY, MONDAY - 8 * DAY), (MONDAY - DAY, MONDAY + 2 * DAY), (MONDAY + 9 * DAY, _END))
    assert fit_shards(shards, there) == (
        Shard(MONDAY - WEEK, MONDAY - DAY, (early,)),
        Shard(MONDAY - DAY, MONDAY + 2 * DAY, (early,)),
        Shard(MONDAY + 2 * DAY, MONDAY + WEEK, (late,)),
        Shard(MONDAY + WEEK, MONDAY + 9 * DAY, (late,)),
        Shard(MONDAY + 9 * DAY, _END, ()),
    )


def test_a_group_as_wide_as_several_shards() -> None:
    """What was planned for several shards becomes one, with the chunks of all."""
    whole = partition(MONDAY, MONDAY + 3 * WEEK)
    chunks = [tuple(Chunk(whole.path, *rows) for rows in pairs) for pairs in ([(0, 5), (9, 10)], [(4, 7)], [(20, 30)])]
    shards = [
        Shard(MONDAY + number * WEEK, MONDAY + (number + 1) * WEEK, (whole,), {whole.path: some})
        for number, some in enumerate(chunks)
    ]
    (one,) = fit_shards(shards, groups((MONDAY, MONDAY + 3 * WEEK)))
    assert one.chunks_of(whole) == (Chunk(whole.path, 0, 7), Chunk(whole.path, 9, 10), Chunk(whole.path, 20, 30))
    (one,) = fit_shards([shards[0], replace(shards[1], chunks={})], groups((MONDAY, MONDAY + 3 * WEEK)))
    assert one.chunks_of(whole) == (whole.whole,)


def test_groups_at_the_ends_of_time() -> None:
    """A group may begin before the first time that is stored, and end after the last one."""
    ends = partition(TIME_MIN, TIME_MIN + 1), partition(TIME_MAX - 1, TIME_MAX)
    shards = planned([*ends], DEFAULT_DURATION)
    bounds = [(shard.start, shard.stop) for shard in shards]
    there = groups((TIME_MIN - 5, bounds[0][1]), (bounds[1][0], _END + 5))
    assert [(shard.start, shard.stop) for shard in fit_shards(shards, there)] == bounds


def test_groups_that_overlap() -> None:
    """It is not clear into which of them a row goes: the error names the write path."""
    with pytest.raises(ConfigError, match="shards 0 and 1 of the bucket overlap") as caught:
        fit_shards([], groups((0, 2), (1, 3)))
    assert "--via write" in caught.value.hint


def test_times_of_rows_in_a_shard() -> None:
    """They are those of the partitions, within the shard, and end before what queries cannot reach."""
    shard = Shard(10, 20, ())
    assert shard.times_of([partition(5, 12), partition(11, 13)]) == (10, 14)
    assert shard.times_of([partition(12, 30)]) == (12, 20)
    assert shard.times_of([]) == (10, 10)
    assert Shard(10, _END, ()).times_of([partition(12, TIME_MAX + 1)]) == (12, TIME_MAX + 1)
