"""The rows of a sample, and their orders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from loader.dataset.manifest import Manifest
from loader.dataset.reader import open_dataset
from loader.errors import ConfigError
from loader.staging import FilesSettings, stage_files
from loader.tuning import sample as sampling
from loader.tuning.sample import take_sample
from tests.datasets import small_dataset
from tests.tables import write_tables


def written(tmp_path: Path, *lines: str) -> tuple[Path, Manifest]:
    """Stage line protocol, and return where it is and its manifest."""
    source = tmp_path / "source.lp"
    source.write_text("\n".join(lines))
    stage_files(FilesSettings(tmp_path / "data", (source,), workers=1))
    return tmp_path / "data", open_dataset(tmp_path / "data")


@pytest.mark.parametrize(("rows", "partitions"), [(1, [1]), (200, [200]), (250, [200, 50]), (9_999, [200, 200, 200])])
def test_the_first_rows_in_the_order_of_the_dataset(tmp_path: Path, rows: int, partitions: list[int]) -> None:
    """Whole partitions and the beginning of the last one; the lines are those that a load sends of them."""
    manifest = small_dataset(tmp_path)
    sample = take_sample(tmp_path, manifest, rows)
    assert [partition.rows for partition in sample.manifest.partitions] == partitions
    bodies = [payload.body for payload in sample.payloads(30, lambda: 1_000)]
    assert b"".join(bodies) == sample.lines.data
    assert max(map(len, bodies)) <= 1_000
    replayed = [payload.body for payload in sample.replayed(np.arange(len(sample.lines)), 30, lambda: 1_000)]
    assert b"".join(replayed) == sample.lines.data
    assert max(map(len, replayed)) <= 1_000
    assert max(body.count(b"\n") for body in replayed) <= 30
    assert sample.size == len(sample.lines.data)
    assert sample.count_bodies(30, 4_000_000) == sum(-(-each // 30) for each in partitions)


def test_each_measurement_has_its_share(tmp_path: Path) -> None:
    """Of a dataset of two measurements, both are sent, in proportion."""
    lines = [f"cpu,host=a v={row} {row}" for row in range(90)] + [f"disk,host=a v={row} {row}" for row in range(30)]
    root, manifest = written(tmp_path, *lines)
    sample = take_sample(root, manifest, 40)
    assert sample.manifest.rows_by_measurement == {"cpu": 30, "disk": 10}
    assert sample.lines.data.count(b"cpu,") == 30


def test_a_sample_has_a_bound_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows are asked for, it ends with the piece that reaches the bound."""
    manifest = small_dataset(tmp_path)
    monkeypatch.setattr(sampling, "MOST_BYTES", 1_000)
    monkeypatch.setattr(sampling, "_PIECE_BYTES", 600)
    sample = take_sample(tmp_path, manifest, 600)
    assert 1_000 <= sample.size <= 1_600
    assert sample.manifest.rows == len(sample.lines)


def test_orders(tmp_path: Path) -> None:
    """Lines are in order of series and time, and of time, whatever characters their series have."""
    series = [r"m\ x,host=a\ b\,c", r"m\ x,host=b\\z", "m2"]
    lines = [f'{name} v=1,t="a b {name[:1]}" {time}' for time in (3, 1, 2) for name in reversed(series)]
    root, manifest = written(tmp_path, *lines)
    sample = take_sample(root, manifest, 100)

    def key(line: bytes) -> tuple[bytes, int]:
        *_, time = line.rsplit(b" ", 1)
        return line.split(b" v=")[0], int(time)

    for name, by in (("series", key), ("time", lambda line: key(line)[1])):
        body = next(sample.replayed(sample.orders[name], 100, lambda: 10_000)).body
        assert body.splitlines() == sorted(sample.lines.data.splitlines(), key=by)  # type: ignore[arg-type]


def test_series_order_is_that_of_staging(tmp_path: Path) -> None:
    """What was staged lies in it, for rows keep to their days and the days to their order, in every measurement."""
    day = 86_400_000_000_000
    lines = [
        f"{name},host={host} v=1 {number * day + second}"
        for second in range(3)
        for host in "ba"
        for number in range(-1, 2)
        for name in ("disk", "cpu")
    ]
    root, manifest = written(tmp_path, *lines)
    sample = take_sample(root, manifest, 1_000)
    assert sample.orders["series"].tolist() == list(range(36))
    assert [part.path for part in sample.manifest.partitions] == [part.path for part in manifest.partitions]


def test_a_line_longer_than_the_limit_is_a_body_of_its_own(tmp_path: Path) -> None:
    """Nothing is left out, whatever the server's limit is."""
    sample = take_sample(tmp_path, small_dataset(tmp_path, days=1, rows=3), 12)
    bodies = [payload.body for payload in sample.replayed(np.arange(12), 100, lambda: 10)]
    assert len(bodies) == 12
    assert b"".join(bodies) == sample.lines.data


def test_the_opening_has_a_line_for_each_hour(tmp_path: Path) -> None:
    """So the server makes every shard before anything is measured."""
    hour = 3_600_000_000_000
    root, manifest = written(tmp_path, *(f"m v={row} {row * hour // 2}" for row in range(10)))
    opening = take_sample(root, manifest, 10).opening()
    assert (opening.times // hour).tolist() == list(range(5))
    assert opening.body.count(b"\n") == len(opening) == 5


def test_rows_that_cannot_be_points_are_no_sample(tmp_path: Path) -> None:
    """Nothing would be measured: that is an error before anything is made."""
    import pyarrow as pa

    from loader.dataset.schema import Field, FieldType, PointSchema

    schema = PointSchema("m", (), (Field("v", FieldType.FLOAT),), "t")
    times = pa.array([0, 1], pa.timestamp("ns", "UTC"))
    manifest = write_tables(tmp_path, schema, {"a": pa.table({"v": pa.array([None, None], pa.float64()), "t": times})})
    with pytest.raises(ConfigError, match="none of the rows"):
        take_sample(tmp_path, manifest, 2)
