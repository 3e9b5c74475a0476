"""InfluxDB 3 Core, where one is named: loads, verifications, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from loader.dataset.mapping import ColumnMapping
from loader.errors import ConfigError
from loader.events import Event, Notice
from loader.loading import LoadReport, LoadSettings, WriteSettings, load
from loader.servers.base import Target
from loader.verification import VerifyReport, VerifySettings, verify
from tests.core import RunningCore

DAY = 86_400_000_000_000
JANUARY_2 = 1_704_153_600_000_000_000
MAPPING = ColumnMapping(measurement='odd "m", =x\\y', tags=("host", "rack"), time="t", time_unit="ns")
TEXTS = ["a", "a b", "a,b=c", 'a"b', "a\\b", "a\\\\b", "a\\,b", "é 日本", "'", None]


@pytest.fixture
def database(influx_v3: RunningCore) -> Iterator[Target]:
    """Yield a database of its own."""
    with influx_v3.database() as target:
        yield target


def odd_rows() -> pl.DataFrame:
    """Return rows of all types over days before and after 1970, some without tag or field, one time a series."""
    number = 200
    rows = range(number)
    return pl.DataFrame(
        {
            "host": [TEXTS[row % len(TEXTS)] for row in rows],
            "rack": [None if row % 3 else f"r{row % 2}" for row in rows],
            "v": [None if row % 7 == 1 else (row - 100) * 1.1e10 / 3 for row in rows],
            "i": [(1 << 62) - row for row in rows],
            "u": pl.Series([(1 << 64) - 1 - row for row in rows], dtype=pl.UInt64),
            "ok": [row % 2 == 0 for row in rows],
            "s": [f'"{TEXTS[row % 9]}\\' if row % 5 else f"two\nlines {row}" for row in rows],
            "t": [(row - 100) * DAY // 9 + row for row in rows],
        }
    )


def made(folder: Path, rows: pl.DataFrame) -> Path:
    """Return a file of ``rows``."""
    path = folder / "rows.parquet"
    rows.write_parquet(path)
    return path


def loaded(path: Path, target: Target, mapping: ColumnMapping = MAPPING, **settings: object) -> LoadReport:
    """Load a file."""
    return load(LoadSettings(path, target, mapping=mapping, retry_seconds=20.0, **settings))  # type: ignore[arg-type]


def verified(path: Path, target: Target, *, values: bool = False) -> VerifyReport:
    """Verify a file."""
    return verify(VerifySettings(path, target, values=values, samples=20, retry_seconds=60.0))


def test_all_types_and_odd_texts_come_back(database: Target, tmp_path: Path) -> None:
    """Sums of 64-bit integers, times before 1970, absent tags and backslashes are equal, in sums and in values."""
    path = made(tmp_path, odd_rows())
    report = loaded(path, database)
    assert (report.rows_acknowledged, report.rows_rejected, report.batch_lines) == (200, 0, 250_000)
    assert verified(path, database).differences == ()
    assert verified(path, database, values=True).differences == ()


@pytest.mark.parametrize("values", [False, True])
def test_planted_differences_are_found(influx_v3: RunningCore, database: Target, tmp_path: Path, values: bool) -> None:
    """A changed float and a point too many are named with their day."""
    mapping = ColumnMapping(measurement="m", tags=("h",), time="t", time_unit="ns")
    rows = pl.DataFrame({"h": "a", "v": [1.5, 2.5, 3.5], "t": [JANUARY_2 + row for row in range(3)]})
    path = made(tmp_path, rows)
    loaded(path, database, mapping)
    influx_v3.write(database.bucket, f"m,h=a v=2.6 {JANUARY_2 + 1}", f"m,h=b v=1 {JANUARY_2}")
    found = verified(path, database, values=values).differences
    assert {(each.kind, each.day, each.series, each.field) for each in found} == {
        ("different", "2024-01-02", "h=a", "v"),
        ("surplus", "2024-01-02", "h=b", ""),
    }


def test_only_the_refused_rows_are_rejected(influx_v3: RunningCore, database: Target, tmp_path: Path) -> None:
    """Of rows with a field of another type, each is kept with its number and reason; all others are stored."""
    influx_v3.write(database.bucket, "m,h=z w=1i 1")
    mapping = ColumnMapping(measurement="m", tags=("h",), time="t", time_unit="ns")
    sparse = [0.5 if row in {3, 17} else None for row in range(20)]
    rows = pl.DataFrame({"h": "a", "v": range(20), "w": sparse, "t": [JANUARY_2 + row for row in range(20)]})
    path = made(tmp_path, rows)
    report = loaded(path, database, mapping)
    assert (report.rows_acknowledged, report.rows_rejected) == (18, 2)
    rejected = [json.loads(line) for line in Path(report.rejected_path).read_text().splitlines()]
    assert [entry["row"] for entry in rejected] == [3, 17]
    assert all("invalid column type for column 'w'" in entry["reason"] for entry in rejected)
    (counted,) = influx_v3.query(database.bucket, "SELECT count(v) AS n FROM m")
    assert counted == {"n": 18}


def test_a_body_beyond_the_limit_is_split(database: Target, tmp_path: Path) -> None:
    """Twelve strings of a mebibyte, asked for in one body, arrive in several."""
    mapping = ColumnMapping(measurement="m", time="t", time_unit="ns")
    path = made(tmp_path, pl.DataFrame({"s": "x" * (1 << 20), "t": [JANUARY_2 + row for row in range(12)]}))
    report = loaded(path, database, mapping, write=WriteSettings(batch_bytes=20 << 20))
    assert (report.rows_acknowledged, report.rows_rejected) == (12, 0)
    assert verified(path, database, values=True).differences == ()


def test_what_is_refused_before_anything_is_sent(influx_v3: RunningCore, tmp_path: Path) -> None:
    """Old points and too many columns end the load with an explanation, and the database stays empty."""
    mapping = ColumnMapping(measurement="m", time="t", time_unit="ns")
    wide = made(tmp_path, pl.DataFrame({**{f"f{number}": 1 for number in range(500)}, "t": [JANUARY_2]}))
    with influx_v3.database(retention_period="30d") as target, pytest.raises(ConfigError, match="keeps 30 days"):
        loaded(wide, target, mapping)
    with influx_v3.database() as target:
        with pytest.raises(ConfigError, match="501 columns"):
            loaded(wide, target, mapping)
        held = "SELECT column_name FROM information_schema.columns WHERE table_name = 'm'"
        assert influx_v3.query(target.bucket, held) == []


def test_rows_without_a_form_are_rejected(database: Target, tmp_path: Path) -> None:
    """Tabs in tags and strings of more than a mebibyte are named by row and column, and never sent."""
    mapping = ColumnMapping(measurement="m", tags=("h",), time="t", time_unit="ns")
    long = "x" * ((1 << 20) + 1)
    rows = pl.DataFrame({"h": ["a\tb", "a", "a"], "s": ["x", long, "x"], "t": [JANUARY_2 + row for row in range(3)]})
    report = loaded(made(tmp_path, rows), database, mapping)
    assert (report.rows_acknowledged, report.rows_rejected) == (1, 2)
    rejected = [json.loads(line) for line in Path(report.rejected_path).read_text().splitlines()]
    assert [(entry["row"], entry["column"]) for entry in rejected] == [(0, "h"), (1, "s")]


def test_a_missing_database_is_made(influx_v3: RunningCore, tmp_path: Path) -> None:
    """The load says that it made one."""
    notices: list[Event] = []
    with influx_v3.database() as target:
        influx_v3.call("DELETE", "/api/v3/configure/database", {"db": target.bucket, "hard_delete_at": "now"})
        path = made(tmp_path, odd_rows())
        load(LoadSettings(path, target, mapping=MAPPING), notices.append)
        assert any(isinstance(event, Notice) and "created bucket" in str(event) for event in notices)
