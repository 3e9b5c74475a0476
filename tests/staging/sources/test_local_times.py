"""Files of local times over a change of clocks: staged as the instants that they were, or refused in words."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loader.dataset.adopt import adopt
from loader.dataset.manifest import read_manifest
from loader.dataset.mapping import ColumnMapping
from loader.dataset.place import find_place
from loader.dataset.policy import Policy
from loader.errors import ConfigError, EncodeError
from loader.events import Notice
from loader.loading.identities import look_at_identities
from loader.staging import FilesSettings, stage_files
from loader.staging.sources.csv_format import CsvFormat

BERLIN, LORD_HOWE = "Europe/Berlin", "Australia/Lord_Howe"
CHANGE = {BERLIN: datetime(2024, 10, 27, 1, tzinfo=UTC), LORD_HOWE: datetime(2024, 4, 6, 15, tzinfo=UTC)}
"""When clocks go back."""
BOTH = range(-12, 12)
ROWS = [(host, step) for step in BOTH for host in ("a", "b")]
"""Host, and quarters of an hour after the change of clocks."""


def instant(zone: str, step: int) -> datetime:
    """Return the instant some quarters of an hour after the change of clocks."""
    return CHANGE[zone] + timedelta(minutes=15 * step)


def put_csv(path: Path, zone: str, rows: list[tuple[str, int]]) -> None:
    """Write rows with local times as CSV; the value is the step."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["when", "host", "v"])
        for host, step in rows:
            writer.writerow([f"{instant(zone, step).astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S}", host, step])


def put_parquet(path: Path, zone: str, rows: list[tuple[str, int]]) -> None:
    """Write the same as Parquet, in row groups of 7 rows."""
    local = [instant(zone, step).astimezone(ZoneInfo(zone)).replace(tzinfo=None) for _, step in rows]
    columns = {"when": pa.array(local, pa.timestamp("us")), "host": [host for host, _ in rows]}
    pq.write_table(pa.table({**columns, "v": [step for _, step in rows]}), path, row_group_size=7)


def mapped(zone: str, ambiguous: str) -> ColumnMapping:
    """Return the mapping of such files."""
    return ColumnMapping("m", "when", ("host",), policy=Policy(zone, ambiguous))


def staged(folder: Path, zone: str, ambiguous: str, **options: Any) -> tuple[list[tuple[str, int, int]], list[str]]:
    """Stage the files in a folder; return host, step by its instant, and value of each row, and all notices."""
    notices: list[str] = []
    out = folder / "out"
    stage_files(
        FilesSettings(out, (folder,), mapped(zone, ambiguous), workers=1, overwrite=True, **options),
        lambda event: notices.append(event.message) if isinstance(event, Notice) else None,
    )
    rows = []
    for partition in read_manifest(out).partitions:
        for row in pq.read_table(out / partition.path, partitioning=None).to_pylist():
            rows.append((row["host"], (row["when"] - CHANGE[zone]) // timedelta(minutes=15), row["v"]))
    return sorted(rows), notices


@pytest.mark.parametrize("zone", [BERLIN, LORD_HOWE])
@pytest.mark.parametrize("put", [put_csv, put_parquet])
@pytest.mark.parametrize("order", ["time", "series", "files"])
def test_every_row_gets_its_instant(
    tmp_path: Path, zone: str, put: Callable[[Path, str, list[tuple[str, int]]], None], order: str
) -> None:
    """Rows of two series come back as they were, sorted by time or series, also where a file ends within the hour."""
    suffix = "csv" if put is put_csv else "parquet"
    rows = sorted(ROWS) if order == "series" else ROWS
    cut = 20 if order == "files" else len(rows)
    for number, part in enumerate((rows[:cut], rows[cut:])):
        if part:
            put(tmp_path / f"{number}.{suffix}", zone, part)
    found, notices = staged(tmp_path, zone, "infer")
    assert found == sorted((host, step, step) for host, step in ROWS)
    twice = 16 if zone == BERLIN else 8
    assert f"{twice} rows have a time that {zone} has twice: their order tells the two passes apart" in notices


def test_measurements_of_a_column(tmp_path: Path) -> None:
    """The same tags in two measurements are two series, and an error names the one without a step."""
    put_csv(tmp_path / "x.csv", BERLIN, [*[("a", step) for step in BOTH], *[("b", step) for step in range(-12, 0)]])
    mapping = replace(mapped(BERLIN, "infer"), measurement="", measurement_column="host", tags=())
    with pytest.raises(
        ConfigError, match=r"x.csv row 32, series host=b: 2024-10-27 02:00:00 is twice in Europe/Berlin"
    ):
        stage_files(FilesSettings(tmp_path / "out", (tmp_path / "x.csv",), mapping, workers=1))
    put_csv(tmp_path / "x.csv", BERLIN, sorted(ROWS))
    stage_files(FilesSettings(tmp_path / "out", (tmp_path / "x.csv",), mapping, workers=1))
    assert read_manifest(tmp_path / "out").rows_by_measurement == {"a": 24, "b": 24}


def test_a_series_that_is_undecided(tmp_path: Path) -> None:
    """A series of which one pass is missing is refused with file, row, time and reason, and nothing is left."""
    put_csv(tmp_path / "a.csv", BERLIN, [("a", step) for step in BOTH])
    put_csv(tmp_path / "b.csv", BERLIN, [("b", step) for step in BOTH if step not in range(-4, 0)])
    with pytest.raises(ConfigError) as caught:
        staged(tmp_path, BERLIN, "infer")
    where = re.escape(str(tmp_path / "b.csv"))
    assert re.search(
        rf"{where} row 8, series m,host=b: 2024-10-27 02:00:00 is twice in Europe/Berlin, and its pass cannot",
        caught.value.message,
    )
    assert "never goes back there" in caught.value.message
    assert "nor can that of 3 more rows, of 1 series" in caught.value.message
    assert "convert the times to UTC first" in caught.value.hint
    assert not (tmp_path / "out" / "points.toml").exists()


def test_rows_that_are_not_in_order(tmp_path: Path) -> None:
    """A single row in the hour, of a series that is out of order elsewhere, is refused: both rows are named."""
    put_csv(tmp_path / "a.csv", BERLIN, [("x" * 200, step) for step in (-12, -1, 8, 7)])
    with pytest.raises(
        ConfigError, match=r"a.csv row 1, a series: .* not in time order, \S+a.csv row 3 is earlier"
    ) as caught:
        staged(tmp_path, BERLIN, "infer")
    assert "more rows" not in caught.value.message


def test_times_that_are_refused(tmp_path: Path) -> None:
    """By default such rows are counted; whether both passes are there decides which way out is named first."""
    put_csv(tmp_path / "a.csv", BERLIN, ROWS)
    with pytest.raises(ConfigError) as caught:
        staged(tmp_path, BERLIN, "refuse")
    assert "16 rows have a time that Europe/Berlin has twice, as clocks go back" in caught.value.message
    assert f"first {tmp_path / 'a.csv'} row 16 (2024-10-27 02:00:00)" in caught.value.message
    assert caught.value.message.endswith(
        f"both passes seem to be there: series m,host=a goes back at {tmp_path / 'a.csv'} row 24"
    )
    assert caught.value.hint.startswith("let the order of rows tell the passes apart (--ambiguous infer)")
    assert "if both are there, rows collide" in caught.value.hint
    put_csv(tmp_path / "a.csv", BERLIN, [(host, step) for host, step in ROWS if step < 0])
    with pytest.raises(ConfigError, match="nothing shows if both passes are there") as caught:
        staged(tmp_path, BERLIN, "refuse")
    assert "never goes back" in caught.value.hint
    assert "infer" not in caught.value.hint


def test_a_series_out_of_order_shows_no_passes(tmp_path: Path) -> None:
    """A step back in the hour says nothing where rows go back elsewhere, too."""
    put_csv(tmp_path / "a.csv", BERLIN, [("a", step) for step in (-2, -3, 9, 8)])
    with pytest.raises(ConfigError, match="nothing shows if both passes are there"):
        staged(tmp_path, BERLIN, "refuse")


@pytest.mark.parametrize(("ambiguous", "which"), [("earliest", "first"), ("latest", "second")])
def test_duplicates_that_a_choice_made(tmp_path: Path, ambiguous: str, which: str) -> None:
    """Both passes collide: the error names the choice as the cause, and the way out before the other ones."""
    put_csv(tmp_path / "a.csv", BERLIN, ROWS)
    with pytest.raises(ConfigError) as caught:
        staged(tmp_path, BERLIN, ambiguous)
    assert "8 of them lie where Europe/Berlin has each local time twice" in caught.value.message
    assert f"--ambiguous {ambiguous} takes both passes for the {which} one" in caught.value.message
    assert caught.value.hint.index("--ambiguous infer") < caught.value.hint.index("--on-duplicate last")
    found, notices = staged(tmp_path, BERLIN, ambiguous, on_duplicate="last")
    assert len(found) == 40
    assert any("takes all of them for the" in notice and "both seem to be there" in notice for notice in notices)


def test_other_duplicates_have_the_usual_cause(tmp_path: Path) -> None:
    """Rows that are twice outside of the hour are not explained by it."""
    put_csv(tmp_path / "a.csv", BERLIN, [("a", step) for step in (-12, -12, -3, 8)])
    with pytest.raises(ConfigError) as caught:
        staged(tmp_path, BERLIN, "earliest")
    assert "twice" not in caught.value.message
    assert caught.value.hint.startswith("let the last one count")


def test_a_choice_that_moves_rows_is_told(tmp_path: Path) -> None:
    """Passes that do not collide are told, too: rows of one of them get a wrong time."""
    put_csv(tmp_path / "a.csv", BERLIN, [("a", step) for step in (-12, -3, -1, 2, 8)])
    found, notices = staged(tmp_path, BERLIN, "earliest")
    assert found == [("a", step, value) for step, value in ((-12, -12), (-3, -3), (-2, 2), (-1, -1), (8, 8))]
    seen = f"series m,host=a goes back at {tmp_path / 'a.csv'} row 3"
    told = f"both seem to be there ({seen}): --ambiguous infer tells them apart"
    assert any(told in notice for notice in notices)
    put_csv(tmp_path / "b.csv", BERLIN, [("b", step) for step in (-12, -3, -1, 8)])
    _, notices = staged(tmp_path, BERLIN, "latest")
    assert any("both seem to be there" in notice and "convert the times to UTC" in notice for notice in notices)


def test_a_choice_for_one_pass_is_not_told(tmp_path: Path) -> None:
    """Where nothing shows a second pass, the choice is the user's."""
    put_csv(tmp_path / "a.csv", BERLIN, [("a", step) for step in (-12, -3, -1, 8)])
    found, notices = staged(tmp_path, BERLIN, "earliest")
    assert found == [("a", step, step) for step in (-12, -3, -1, 8)]
    assert not any("twice" in notice for notice in notices)


def test_times_far_from_a_change_of_clocks(tmp_path: Path) -> None:
    """Nothing is refused or told where no time is twice."""
    put_csv(tmp_path / "a.csv", BERLIN, [("a", step) for step in (-96, -95, 96)])
    for ambiguous in ("refuse", "infer", "earliest"):
        found, notices = staged(tmp_path, BERLIN, ambiguous)
        assert found == [("a", step, step) for step in (-96, -95, 96)]
        assert not any("twice" in notice for notice in notices)


def test_instants_are_not_inferred(tmp_path: Path) -> None:
    """Times with a zone are what they say, also those of the repeated hour; files of both kinds are refused."""
    times = [instant(BERLIN, step) for step in BOTH]
    columns = {"when": pa.array(times, pa.timestamp("us", "UTC")), "host": ["a"] * len(times), "v": list(BOTH)}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    assert staged(tmp_path, BERLIN, "infer")[0] == [("a", step, step) for step in BOTH]
    put_parquet(tmp_path / "b.parquet", BERLIN, ROWS)
    with pytest.raises(ConfigError, match=r"a.parquet: column 'when' is timestamp.* and local time in .*b.parquet"):
        staged(tmp_path, BERLIN, "infer")


@pytest.mark.parametrize("ambiguous", ["refuse", "infer"])
def test_a_field_of_local_times_is_not_inferred(tmp_path: Path, ambiguous: str) -> None:
    """The order of rows says nothing of other columns: the error names the column, and a way out for it."""
    table = pa.table({"when": pa.array([1, 2], pa.timestamp("s")), "host": ["a", "a"], "v": [1, 2]})
    odd = pa.array([datetime(2024, 10, 27, 2, 30)] * 2, pa.timestamp("s"))
    pq.write_table(table.append_column("left", odd), tmp_path / "a.parquet")
    with pytest.raises(EncodeError, match="column 'left': 2024-10-27 02:30:00 is twice in Europe/Berlin") as caught:
        staged(tmp_path, BERLIN, ambiguous)
    assert caught.value.hint.startswith("convert it to UTC first, or leave it out")
    assert "infer" not in caught.value.hint


def test_files_in_place_are_not_inferred(tmp_path: Path) -> None:
    """They are read part by part, by several threads: the error says how to stage them, and a choice is named."""
    put_parquet(tmp_path / "a.parquet", BERLIN, ROWS)
    with pytest.raises(ConfigError, match="in place, part by part") as caught:
        adopt(find_place(tmp_path / "a.parquet"), mapped(BERLIN, "infer"))
    assert f"loader stage --from {tmp_path / 'a.parquet'} --out FOLDER" in caught.value.hint
    with pytest.raises(EncodeError, match="is twice in Europe/Berlin") as refused:
        adopt(find_place(tmp_path / "a.parquet"), mapped(BERLIN, "refuse"))
    assert refused.value.hint.index("--ambiguous infer") < refused.value.hint.index("--ambiguous earliest")
    manifest = adopt(find_place(tmp_path / "a.parquet"), mapped(BERLIN, "earliest"))
    assert manifest
    found = look_at_identities(tmp_path, manifest, lambda event: None)
    assert (found.values_superseded, found.values_in_folds) == (8, 8)


@pytest.mark.parametrize(
    ("value", "unit", "told"),
    [
        (
            1_706_702_400,
            "ms",
            "1970-01-20T18:05:02Z by --time-unit ms; it would be 2024-01-31T12:00:00Z by --time-unit s",
        ),
        (1_706_702_400_000, "ns", "it would be 2024-01-31T12:00:00Z by --time-unit ms"),
        (1_706_702_400, "s", ""),
        (5, "s", ""),
    ],
)
def test_integers_of_1970_are_told(tmp_path: Path, value: int, unit: str, told: str) -> None:
    """If another unit gives a time of our days, a notice names both; a few seconds of 1970 are none of its business."""
    (tmp_path / "a.csv").write_text(f"when,v\n{value},1\n")
    notices: list[str] = []
    stage_files(
        FilesSettings(tmp_path / "out", (tmp_path / "a.csv",), ColumnMapping("m", "when", time_unit=unit), workers=1),
        lambda event: notices.append(event.message) if isinstance(event, Notice) else None,
    )
    assert any(told in notice for notice in notices) if told else not any("would" in notice for notice in notices)


@pytest.mark.parametrize("zone", ["UTC", BERLIN])
def test_dates_with_a_time_zone_are_told(tmp_path: Path, zone: str) -> None:
    """A date is midnight in UTC whatever zone is named, which a notice says of other zones."""
    (tmp_path / "a.csv").write_text("when,host,v\n2024-01-31,a,1\n")
    notices: list[str] = []
    stage_files(
        FilesSettings(tmp_path / "out", (tmp_path / "a.csv",), mapped(zone, "infer"), workers=1),
        lambda event: notices.append(event.message) if isinstance(event, Notice) else None,
    )
    assert any("midnight in UTC, not in Europe/Berlin" in notice for notice in notices) == (zone == BERLIN)


def test_local_times_in_another_form(tmp_path: Path) -> None:
    """Times of any form are inferred as those of ISO 8601 are."""
    lines = [f"{instant(BERLIN, step).astimezone(ZoneInfo(BERLIN)):%d.%m.%Y %H:%M},a,{step}" for step in BOTH]
    (tmp_path / "a.csv").write_text("when,host,v\n" + "\n".join(lines) + "\n")
    found, _ = staged(tmp_path, BERLIN, "infer", csv=CsvFormat(time_format="%d.%m.%Y %H:%M"))
    assert found == [("a", step, step) for step in BOTH]


@pytest.mark.parametrize(
    ("kind", "words"), [(pa.float64(), "floats lose digits"), (pa.timestamp("s", "UTC"), "leave out the time unit")]
)
def test_a_time_unit_for_no_integers(tmp_path: Path, kind: pa.DataType, words: str) -> None:
    """The error says what is to be done with such a column."""
    pq.write_table(pa.table({"when": pa.array([1, 2]).cast(kind), "v": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match=words):
        adopt(find_place(tmp_path / "a.parquet"), ColumnMapping("m", "when", time_unit="s"))
