"""Loads into, and verifications of, InfluxDB 3 Core by the replies that 3.10.1 gave; no server runs here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from loader.dataset.mapping import ColumnMapping
from loader.diagnosis import DiagnosisSettings, Level, diagnose
from loader.errors import ConfigError, EncodeError, LoadError, Refused
from loader.events import Event
from loader.loading import LoadReport, LoadSettings, WriteSettings, load
from loader.servers.v3 import InfluxDB3
from loader.tuning import TuneSettings, tune
from loader.verification import VerifyReport, VerifySettings, second_look, verify
from tests.recorded_core import Asked, Exchange, RecordedCore, composed, composed_parquet, recorded, recorded_core

DAY = 86_400_000_000_000
JANUARY_2 = 1_704_153_600_000_000_000
MAPPING = ColumnMapping(measurement="m", tags=("h",), time="t", time_unit="ns")
THERE = Exchange(200, recorded("databases").headers, b'[{"iox::database":"_internal"},{"iox::database":"t3"}]')
ROWS = pl.DataFrame(
    {
        "h": ["a", "a", "b"],
        "i": [1 << 62, 1 << 62, -1],
        "v": [1.5, 2.5, 3.5],
        "t": [JANUARY_2, JANUARY_2 + 1, JANUARY_2 + DAY],
    }
)
COLUMNS = composed(
    *(
        {"column_name": name, "data_type": kind}
        for name, kind in {
            "h": "Dictionary(Int32, Utf8)",
            "i": "Int64",
            "v": "Float64",
            "time": "Timestamp(ns)",
        }.items()
    )
)
CELLS = [{"t0": "a", "day": JANUARY_2}, {"t0": "b", "day": JANUARY_2 + DAY}]
ANSWERS: Mapping[str, list[Mapping[str, object]]] = {
    'count("i") AS v0, count("v")': [{"v0": 2, "v1": 2}, {"v0": 1, "v1": 1}],
    'sum(CAST("i"': [{"v0": 1 << 63}, {"v0": -1}],
    'sum("v")': [{"v0": 4.000000000000001}, {"v0": 3.5}],
    'min("i")': [{"v0": 1 << 62}, {"v0": -1}],
    'max("i")': [{"v0": 1 << 62}, {"v0": -1}],
    'min("v")': [{"v0": 1.5}, {"v0": 3.5}],
    'max("v")': [{"v0": 2.5}, {"v0": 3.5}],
}
"""What the server computes of ROWS, by what is asked; the sum of floats differs in its last digit."""


def made(folder: Path, rows: pl.DataFrame = ROWS) -> Path:
    """Return a file of ``rows``."""
    path = folder / "rows.parquet"
    rows.write_parquet(path)
    return path


def looks(asked: Asked) -> Exchange | str | None:
    """Return the reply to what a load asks before it writes, into a database that is there and empty; else None."""
    if asked.path == "/api/v3/configure/database":
        return THERE if asked.method == "GET" else "create database"
    if asked.path == "/api/v3/query_influxql":
        return "retention policies"
    if "information_schema" in asked.sql:
        return "no rows"
    return composed({"n": 3}) if "system.tables" in asked.sql else None


def writing(*replies: Exchange | str) -> Callable[[Asked], Exchange | str]:
    """Return what answers writes with ``replies``, the last of them again and again."""
    left = list(replies)

    def answer(asked: Asked) -> Exchange | str:
        return looks(asked) or (left.pop(0) if len(left) > 1 else left[0])

    return answer


def loaded(core: RecordedCore, path: Path, **settings: object) -> LoadReport:
    """Load a file into the database t3."""
    return load(LoadSettings(path, core.target, mapping=MAPPING, retry_seconds=5.0, **settings))  # type: ignore[arg-type]


def test_a_load_uses_what_suits_the_server(tmp_path: Path) -> None:
    """At most six connections and bodies of up to 10 MiB, unless settings say otherwise; writes carry the token."""
    with recorded_core(writing("write")) as core:
        report = loaded(core, made(tmp_path))
        assert (report.rows_acknowledged, report.server) == (3, "InfluxDB 3.10.1")
        assert (report.batch_lines, report.batch_bytes) == (250_000, 10_484_736)
        assert InfluxDB3.write_rules.connections == 6
        (write,) = core.writes
        assert write.body.decode().splitlines()[0] == f"m,h=a i={1 << 62}i,v=1.5 {JANUARY_2}"
        assert write.params == {"db": "t3", "precision": "nanosecond", "accept_partial": "true"}
        assert write.headers["authorization"].startswith("Bearer ")
        own = WriteSettings(batch_lines=2, batch_bytes=9_999)
        report = loaded(core, tmp_path / "rows.parquet", restart=True, connections=1, write=own)
        assert (report.connections, report.batch_lines, report.batch_bytes) == (1, 2, 9_999)
        assert len(core.writes) == 3


def test_refused_lines_are_own_rows(tmp_path: Path) -> None:
    """The numbers of the reply are rows of the body; the others are stored, and nothing is sent again."""
    rows = pl.DataFrame({"h": list("abcd"), "v": [1, 2, 3, 4], "t": [JANUARY_2 + number for number in range(4)]})
    with recorded_core(writing("malformed among good")) as core:
        report = loaded(core, made(tmp_path, rows))
        assert len(core.writes) == 1
    assert (report.rows_acknowledged, report.rows_rejected) == (2, 2)
    rejected = [json.loads(line) for line in Path(report.rejected_path).read_text().splitlines()]
    assert [(entry["row"], entry["status"], entry["line"]) for entry in rejected] == [
        (1, 400, f"m,h=b v=2i {JANUARY_2 + 1}"),
        (3, 400, f"m,h=d v=4i {JANUARY_2 + 3}"),
    ]
    # What the server shows of a line is of its own body, and not looked at.
    assert rejected[0]["reason"] == "No fields were provided"


@pytest.mark.parametrize(
    ("text", "reply"), [("a\nb", "malformed among good"), ("ab", "2001 tables")], ids=["newline", "no such line"]
)
def test_doubtful_numbers_are_not_believed(tmp_path: Path, text: str, reply: str) -> None:
    """With a newline in a string, or a number beyond the body, the bad line is found by halves."""

    def answer(asked: Asked) -> Exchange | str:
        if asked.path != "/api/v3/write_lp":
            return looks(asked) or "no rows"
        return reply if b"h=c" in asked.body else "write"

    rows = pl.DataFrame({"h": list("abcd"), "s": text, "t": [JANUARY_2 + number for number in range(4)]})
    with recorded_core(answer) as core:
        report = loaded(core, made(tmp_path, rows))
        assert len(core.writes) > 2
    assert (report.rows_acknowledged, report.rows_rejected) == (3, 1)
    assert json.loads(Path(report.rejected_path).read_text())["row"] == 2


def test_too_many_refused_lines_end_the_load(tmp_path: Path) -> None:
    """What was stored counts, and the error quotes the server."""
    rows = pl.DataFrame({"h": list("abcd"), "v": [1, 2, 3, 4], "t": [JANUARY_2 + number for number in range(4)]})
    with (
        recorded_core(writing("type conflict among good")) as core,
        pytest.raises(LoadError, match=r"2 rows were rejected.*invalid column type for column 'v'"),
    ):
        loaded(core, made(tmp_path, rows), max_rejected=1)


def test_a_body_beyond_10_mib_is_halved(tmp_path: Path) -> None:
    """The server does not say how it counts, so the size that it refuses is remembered."""
    with recorded_core(writing("10 MiB and a byte", "write")) as core:
        assert loaded(core, made(tmp_path)).rows_acknowledged == 3
        assert len(core.writes) > 1


def test_what_ends_a_load_before_anything_is_sent(tmp_path: Path) -> None:
    """Old points, too many columns and a name that poisons: each is explained, and no line is sent."""
    wide = pl.DataFrame({**{f"f{number}": 1 for number in range(499)}, "h": "a", "t": JANUARY_2})
    with recorded_core(writing("write")) as core:
        with pytest.raises(ConfigError, match="501 columns"):
            loaded(core, made(tmp_path, wide))
        old = Exchange(200, THERE.headers, b'[{"iox::database":"t3","name":"autogen","duration":"720h0m0s"}]')
        core.answer = lambda asked: old if "influxql" in asked.path else looks(asked) or "write"
        with pytest.raises(ConfigError, match="keeps 30 days"):
            loaded(core, made(tmp_path), restart=True)
        tab = ColumnMapping(measurement="a\tb", time="t", time_unit="ns")
        with pytest.raises(EncodeError, match="no line-protocol form"):
            load(LoadSettings(tmp_path / "rows.parquet", core.target, mapping=tab, restart=True))
        assert core.writes == []


def test_a_database_is_made_when_there_is_room(tmp_path: Path) -> None:
    """Five are the most; the sixth is refused with a hint before the first line."""
    missing = "databases"
    with recorded_core(lambda asked: missing if asked.method == "GET" else looks(asked) or "write") as core:
        core.answer = lambda asked: (
            missing if (asked.method, asked.path[-8:]) == ("GET", "database") else looks(asked) or "write"
        )
        assert loaded(core, made(tmp_path)).rows_acknowledged == 3
        full = "create a sixth database"
        core.answer = lambda asked: (
            (missing if asked.method == "GET" else full) if asked.path[-8:] == "database" else looks(asked) or "write"
        )
        with pytest.raises(Refused, match="limit of 5 databases"):
            loaded(core, made(tmp_path), restart=True)


class Stored:
    """Answers the queries of a verification of ROWS; ``change`` may replace an answer, and sees how often it came."""

    def __init__(self, change: Callable[[str, int], Exchange | str | None] = lambda sql, count: None) -> None:
        self.change = change
        self.counts: dict[str, int] = {}
        self.files = iter(range(1, 1_000))
        self.frame = ROWS.select(pl.col("t").alias("time"), t0="h", f0="i", f1="v")

    def __call__(self, asked: Asked) -> Exchange | str:
        """Return the answer."""
        if not asked.sql:
            return looks(asked) or "write"
        kind = re.sub(r"\d{15,}", "N", asked.sql)
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return self.change(asked.sql, self.counts[kind]) or self._answer(asked.sql)

    def _answer(self, sql: str) -> Exchange | str:
        if "information_schema" in sql:
            return composed({"column_name": "i"}, {"column_name": "v"}) if "<>" in sql else COLUMNS
        if "system.parquet_files" in sql:
            return composed({"n": 2, "r": 3}) if "count(*)" in sql else composed({"min_time": 0, "max_time": DAY})
        start, stop, *times = map(int, re.findall(r"nanos\((\d+)\)", sql))
        for words, values in ANSWERS.items():
            if words in sql:
                cells = [{**cell, **value} for cell, value in zip(CELLS, values, strict=True)]
                return composed(*(cell for cell in cells if start <= cell["day"] < stop))  # type: ignore[operator]
        found = self.frame.filter(pl.col("time").is_between(start, stop - 1))
        if times:
            found = found.filter(pl.col("time").is_in(times))
        series = re.search(r"\"h\" = '(.)'", sql)
        if series:
            found = found.filter(pl.col("t0") == series[1])
        return composed_parquet(found) if found.height else "no rows, Parquet"


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait between looks."""
    monkeypatch.setattr(second_look, "FIRST_PAUSE_SECONDS", 0.0)


def verified(core: RecordedCore, folder: Path, **settings: object) -> tuple[VerifyReport, list[Event]]:
    """Load ROWS into the database and verify it."""
    events: list[Event] = []
    path = made(folder)
    loaded(core, path)
    report = verify(VerifySettings(path, core.target, retry_seconds=5.0, **settings), events.append)  # type: ignore[arg-type]
    return report, events


@pytest.mark.parametrize("values", [False, True])
def test_equal_points_have_no_differences(tmp_path: Path, values: bool) -> None:
    """Sums of integers are compared exactly, of floats within the tolerance; or every value by Parquet."""
    with recorded_core(Stored()) as core:
        report, _ = verified(core, tmp_path, values=values)
    assert report.differences == ()
    assert (report.windows, report.values, report.samples) == (2, 6 if values else 0, 0 if values else 3)


@pytest.mark.parametrize("values", [False, True])
def test_the_file_limit_halves_the_time(tmp_path: Path, values: bool) -> None:
    """The reply is that of the server for 432 files; the answers of the halves are put together."""

    def change(sql: str, count: int) -> str | None:
        times = [int(text) for text in re.findall(r"nanos\((\d+)\)", sql)]
        return "file limit" if len(times) == 2 and times[1] - times[0] > DAY else None

    with recorded_core(Stored(change)) as core:
        report, _ = verified(core, tmp_path, values=values)
        halves = [sql for sql in core.queries if f"nanos({JANUARY_2 + DAY})" in sql]
    assert report.differences == ()
    assert halves


@pytest.mark.parametrize("values", [False, True])
def test_a_shortfall_that_passes_is_no_difference(tmp_path: Path, values: bool) -> None:
    """The first answers lack points that the server moves to files; the second ones have them."""
    short = {'count("i")': composed({**CELLS[0], "v0": 2, "v1": 2}), 'AS t0, "i" AS f0': "no rows, Parquet"}

    def change(sql: str, count: int) -> Exchange | str | None:
        return next((reply for words, reply in short.items() if words in sql and count == 1), None)

    with recorded_core(Stored(change)) as core:
        report, events = verified(core, tmp_path, values=values)
        files = [sql for sql in core.queries if "SELECT count(*) AS n, sum(row_count)" in sql]
    assert report.differences == ()
    assert len(files) >= 2
    assert any("until two answers agree" in str(event) for event in events)


@pytest.mark.parametrize("values", [False, True])
def test_what_differs_for_good_is_found(tmp_path: Path, values: bool) -> None:
    """A changed float is named with its time, and a series that the server lacks is missing."""
    stored = Stored(lambda sql, count: None)
    stored.frame = stored.frame.filter(pl.col("t0") == "a").with_columns(
        f1=pl.when(pl.col("time") == JANUARY_2 + 1).then(2.75).otherwise(pl.col("f1"))
    )
    fewer = {'count("i") AS v0, count("v")': composed({**CELLS[0], "v0": 2, "v1": 2})}
    fewer |= {'max("v")': composed({**CELLS[0], "v0": 2.75}), 'sum("v")': composed({**CELLS[0], "v0": 4.25})}
    stored.change = lambda sql, count: next((reply for words, reply in fewer.items() if words in sql), None)
    with recorded_core(stored) as core:
        report, _ = verified(core, tmp_path, values=values)
    found = {(each.kind, each.day, each.series, each.field) for each in report.differences}
    assert found == {("different", "2024-01-02", "h=a", "v"), ("missing", "2024-01-03", "h=b", "")}
    assert any("expected 2.5, found 2.75" in each.detail for each in report.differences)


def test_samples_are_compared_bit_for_bit(tmp_path: Path) -> None:
    """One query asks for all points of rows that are together; what sums do not show is found in them."""
    stored = Stored()
    changed = pl.when(pl.col("time") == JANUARY_2 + 1).then(2.5000000000000004).otherwise(pl.col("f1"))
    stored.frame = stored.frame.with_columns(f1=changed)
    with recorded_core(stored) as core:
        report, _ = verified(core, tmp_path, values=False)
        (asked,) = {sql for sql in core.queries if "time IN (" in sql}
    assert asked.count("to_timestamp_nanos") == 2 + 3
    assert [(each.kind, each.series, each.field) for each in report.differences] == [("different", "h=a", "v")]
    assert "expected 2.5, found 2.5000000000000004" in report.differences[0].detail


def test_a_missing_table_lacks_every_point(tmp_path: Path) -> None:
    """The server answers 400 to each query; none of them is asked again and again."""
    with recorded_core(
        lambda asked: "unknown table" if asked.sql and 'FROM "m"' in asked.sql else Stored()(asked)
    ) as core:
        report, _ = verified(core, tmp_path, values=False)
    assert [(each.kind, each.series) for each in report.differences] == [("missing", "h=a"), ("missing", "h=b")]


def test_a_diagnosis_finds_nothing_wrong(tmp_path: Path) -> None:
    """What the token may do is found out by a write of nothing; the database need not be there."""

    def answer(asked: Asked) -> Exchange | str:
        return looks(asked) or ("no rows" if asked.sql else "write of nothing")

    with recorded_core(answer) as core:
        for target, words in (
            (core.target, "'t3' is there; points are kept for ever"),
            (replace(core.target, bucket="x"), "a load makes it"),
        ):
            found = {each.subject: each for each in diagnose(DiagnosisSettings(target)).findings}
            assert {found[name].level for name in ("server", "bucket", "restore")} == {Level.OK}
            assert words in found["bucket"].text
        assert "takes no files" in found["restore"].text
        for name, level in (("write of nothing", Level.OK), ("write without a token", Level.PROBLEM)):
            core.answer = lambda asked, name=name: looks(asked) or name  # type: ignore[misc]
            found = {each.subject: each for each in diagnose(DiagnosisSettings(core.target)).findings}
            assert found["write"].level is level
        assert all(each.body == b"" for each in core.writes)


def test_what_other_commands_do_not_do_here(tmp_path: Path) -> None:
    """A tuning and a restore say so before they make anything."""
    path = made(tmp_path)
    with recorded_core(writing("write")) as core:
        with pytest.raises(ConfigError, match="is not measured"):
            tune(TuneSettings(path, core.target, mapping=MAPPING))
        with pytest.raises(ConfigError, match="takes no storage files"):
            loaded(core, path, via="restore")
        assert core.writes == []


def test_candles_say_that_they_are_not_compared(tmp_path: Path) -> None:
    """Nothing is computed before that."""
    from loader.staging.candles.settings import CandleRule

    with recorded_core(Stored()) as core, pytest.raises(ConfigError, match="candles are not compared on InfluxDB 3"):
        verified(core, tmp_path, candles=CandleRule(every=DAY, price="v"))
