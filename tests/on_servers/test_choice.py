"""What is compared where nothing is said: sums, or every value where there are many series."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from loader.dataset.schema import Field, FieldType, PointSchema
from loader.events import Event, Notice
from loader.loading import LoadSettings, load
from loader.servers.base import Target
from loader.servers.load_method import Surplus
from loader.verification import VerifySettings, choice, verify
from tests.points import FIRST_DAY, write_dataset

SERIES = 60
SCHEMA = PointSchema("m", ("t",), tuple(Field(f"v{number}", FieldType.FLOAT) for number in range(10)), "time")


def many(root: Path, *, swapped: bool = False) -> None:
    """Write a dataset of a point of each of SERIES series; two of them may have each other's values."""
    numbers = list(range(SERIES))
    if swapped:
        numbers[17], numbers[42] = numbers[42], numbers[17]
    values = {f"v{number}": [float(10 * each + number) for each in numbers] for number in range(10)}
    rows = pl.DataFrame({"t": [f"{each}" for each in range(SERIES)], **values, "time": [FIRST_DAY] * SERIES})
    write_dataset(root, SCHEMA, rows)


@pytest.fixture
def loaded(influx_v2: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    """Return a bucket of a server of 2.x that holds the points of the dataset; its series count as many."""
    monkeypatch.setattr(choice, "LONG_SECONDS", 0.0)
    target = Target(url=influx_v2.url, bucket=influx_v2.new_bucket(), org=influx_v2.org, token=influx_v2.token)
    many(tmp_path)
    load(LoadSettings(tmp_path, target))
    return target


def test_every_value_of_many_series_is_compared(loaded: Target, tmp_path: Path) -> None:
    """With many series every value is compared, unless that is not wanted; two series that are swapped are found."""
    events: list[Event] = []
    report = verify(VerifySettings(tmp_path, loaded), events.append)
    assert (report.difference_count, report.values, report.windows, report.samples) == (0, 10 * SERIES, SERIES, 0)
    assert any(isinstance(event, Notice) and "--no-values" in event.message for event in events)
    report = verify(VerifySettings(tmp_path, loaded, samples=3, values=False))
    assert (report.difference_count, report.values, report.samples) == (0, 0, 3)
    many(tmp_path / "swapped", swapped=True)
    report = verify(VerifySettings(tmp_path / "swapped", loaded))
    assert {difference.series for difference in report.differences} == {"t=17", "t=42"}


def test_sums_without_the_permission_to_read_files(loaded: Target, influx_v2: Any, tmp_path: Path) -> None:
    """A token that may only read the bucket has sums compared, of many series, too."""
    organization = json.loads(influx_v2.call("/api/v2/orgs"))["orgs"][0]["id"]
    wanted = {
        "orgID": organization,
        "permissions": [{"action": "read", "resource": {"type": "buckets", "orgID": organization}}],
    }
    token = json.loads(influx_v2.call("/api/v2/authorizations", json.dumps(wanted).encode()))["token"]
    report = verify(VerifySettings(tmp_path, Target(loaded.url, loaded.bucket, loaded.org, token), samples=3))
    assert (report.difference_count, report.values, report.windows, report.samples) == (0, 0, SERIES, 3)


def test_a_thousand_samples_take_longer_than_the_values(influx_v2: Any, tmp_path: Path) -> None:
    """Of one series every value is compared as well, unless few samples are wanted."""
    target = Target(url=influx_v2.url, bucket=influx_v2.new_bucket(), org=influx_v2.org, token=influx_v2.token)
    times = range(FIRST_DAY, FIRST_DAY + 1_000)
    values = {f"v{number}": [float(number)] * len(times) for number in range(10)}
    write_dataset(tmp_path, SCHEMA, pl.DataFrame({"t": ["a"] * len(times), **values, "time": times}))
    load(LoadSettings(tmp_path, target))
    report = verify(VerifySettings(tmp_path, target, surplus=Surplus.FAIL))
    assert (report.difference_count, report.values, report.samples) == (0, 10 * len(times), 0)
    report = verify(VerifySettings(tmp_path, target, samples=20, surplus=Surplus.FAIL))
    assert (report.difference_count, report.values, report.samples) == (0, 0, 20)
