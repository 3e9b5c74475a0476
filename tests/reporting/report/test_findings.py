"""What is found in the metrics of runs, rule by rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from loader.events import SERVER_BUSY
from loader.reporting.report.finding import Evidence, Level
from loader.reporting.report.findings import find
from loader.reporting.report.runs import DRY_RUN, Run
from tests.reporting.report.runs import SAMPLE, evidence, run, tuned, tuning, verified

QUICK = {"number": 1_000, "sum": 20.0, "p50": 0.02, "p99": 0.1}
SMALL = {"connections": 3, "batch_lines": 1_000, "batch_bytes": 4_000_000}
SLOW = {"number": 10, "sum": 150.0, "p50": 12.0, "p99": 30.0}


def titles(known: Evidence) -> list[str]:
    """Return the titles of what is found."""
    return [finding.title for finding in find(known)]


def test_nothing_is_found_where_there_is_nothing() -> None:
    """Of a dataset without runs, whose rows are in no special order, there is nothing to say."""
    assert titles(evidence()) == []


def test_a_load_that_is_well_and_verified() -> None:
    """That is the only thing to say of it."""
    assert titles(evidence(run(), verified())) == ["The bucket was verified after the load"]
    (finding,) = find(evidence(run(), verified(way="values")))
    assert (finding.level, finding.figure) == (
        Level.GOOD,
        "bucket 'b' at http://localhost:8086: every value, no differences",
    )


def test_a_load_into_files() -> None:
    """It is verified once any bucket is."""
    files = run(url="file:///parts", bucket="")
    (finding,) = find(evidence(files))
    assert (finding.title, finding.figure[:14]) == ("The last load is not verified", "file:///parts,")
    assert titles(evidence(files, verified())) == ["The bucket was verified after the load"]


def test_rows_that_were_replayed() -> None:
    """Those that are still rejected count, and what was sent is to be verified; a replay elsewhere does not count."""
    load = run(rejected=3)
    assert "Rows were rejected" in titles(evidence(load, verified()))
    mended = titles(evidence(load, verified(), run(activity="replay", rows=3)))
    assert mended == ["The last load is not verified"]
    found = find(evidence(load, run(activity="replay", rows=1, rejected=2)))
    assert "2 rows of 1,000,000" in {finding.figure for finding in found}
    for other in ({"bucket": "other"}, {"interrupted": True}, {"exit_code": 3}):
        assert "Rows were rejected" in titles(evidence(load, run(activity="replay", rows=3, **other)))


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"waits": {SERVER_BUSY: 50.0}}, "The server sets the pace"),
        ({"waits": {SERVER_BUSY: 49.0}}, ""),
        ({"waits": {SERVER_BUSY: 24.0}, "cpu_seconds": 80.0}, "The loader sets the pace"),
        ({"waits": {SERVER_BUSY: 24.0}, "cpu_seconds": 79.0}, ""),
        ({"waits": {SERVER_BUSY: 26.0}, "cpu_seconds": 80.0}, ""),
        ({"requests": QUICK, "settings": SMALL}, "Requests are small"),
        ({"requests": QUICK, "settings": SMALL | {"batch_lines": 2_100}}, ""),
        ({"requests": QUICK, "settings": SMALL | {"batch_bytes": 150_000, "batch_lines": 9_999}}, "Requests are small"),
        ({"requests": QUICK | {"number": 100}, "settings": SMALL}, ""),
        ({"requests": QUICK | {"p50": 0.06}, "settings": SMALL}, ""),
        ({"requests": SLOW}, "Requests take long"),
        ({"requests": {}}, ""),
        ({"requests": {"number": 50, "sum": 270.0, "p50": 1.0}}, "All connections are busy"),
        ({"requests": {"number": 50, "sum": 269.0, "p50": 1.0}}, ""),
        ({"requests": {"number": 50, "sum": 290.0, "p50": 1.0}, "settings": {}}, ""),
        ({"requests": {"number": 9, "sum": 40.0, "p50": 1.0}, "settings": {"connections": 1}}, ""),
        ({"waits": {SERVER_BUSY: 90.0, "retry": 31.0}, "retries": 9}, "Requests were tried again"),
        ({"waits": {SERVER_BUSY: 90.0}, "settings": {"rate": 5.0}}, ""),
        ({"waits": {SERVER_BUSY: 4.8}, "seconds": 4.9, "work_seconds": 4.9}, ""),
        ({"payload_size": 200_000_000}, "Compression divides what is sent by 2.0"),
        ({"payload_size": 140_000_000}, ""),
        ({"size": 0}, ""),
        ({"rejected": 3}, "Rows were rejected"),
        ({"retries": 3, "waits": {"retry": 1.5}}, "Requests were tried again"),
        ({"server": "InfluxDB 2.9.1"}, "The restore path is possible"),
        ({"way": "restore", "work_seconds": 4.9}, "Shards are small"),
        ({"way": "restore", "work_seconds": 5.0}, ""),
    ],
)
def test_each_rule(changes: dict[str, Any], title: str) -> None:
    """It holds from its border on, and not before."""
    found = titles(evidence(run(**changes), verified()))
    assert [each for each in found if each != "The bucket was verified after the load"] == [title] * bool(title)


def test_busy_connections_of_a_server_that_sets_the_pace() -> None:
    """More of them would only wait."""
    busy = run(requests={"number": 50, "sum": 290.0, "p50": 1.0}, waits={SERVER_BUSY: 90.0})
    assert titles(evidence(busy, verified())) == ["The server sets the pace", "The bucket was verified after the load"]


def test_each_order_of_rows() -> None:
    """Series that begin once are series order, those that begin often are mixed; of one series both are the same."""
    for entries, number, expected in (
        (1.2, 10, ["Rows lie in series order"]),
        (1.2, 1, []),
        (0.0, 10, []),
        (3.9, 10, []),
        (4.0, 10, ["Rows of series are mixed"]),
        (4.0, 1, []),
    ):
        assert titles(evidence(sample=replace(SAMPLE, entries=entries, series_number=number))) == expected


def test_what_is_not_done_yet() -> None:
    """Staging and loads that did not finish, loads that are not verified, and differences."""
    assert titles(evidence(complete=False)) == ["Staging did not finish"]
    (finding,) = find(evidence(run(exit_code=3, error="the server is away")))
    assert (finding.title, finding.figure) == ("The last load did not finish", "the server is away")
    assert titles(evidence(run(exit_code=2, error="401", rows=0))) == ["The last load could not begin"]
    stopped = run(interrupted=True)
    assert titles(evidence(run(), verified(), stopped))[0] == "The last load did not finish"
    assert titles(evidence(verified(), run())) == ["The last load is not verified"]
    assert titles(evidence(run(), verified(differences=2, exit_code=1))) == ["The bucket differs from the dataset"]


@pytest.mark.parametrize(
    "other",
    [
        verified(bucket="other"),
        verified(url="http://elsewhere"),
        verified(bucket="other", differences=9, exit_code=1),
        verified(way="candles"),
        verified(exit_code=3, interrupted=True),
    ],
)
def test_only_a_verification_of_the_loaded_bucket_counts(other: Run) -> None:
    """One of another bucket, of candles, or without an end, tells neither good nor bad of it."""
    assert titles(evidence(run(), other)) == ["The last load is not verified"]
    assert titles(evidence(run(), verified(), other)) == ["The bucket was verified after the load"]


@pytest.mark.parametrize("nothing", [run(way=DRY_RUN), run(rows=0)])
def test_loads_that_did_nothing_count_for_nothing(nothing: Run) -> None:
    """A dry run, or one that had nothing left to do, needs no verification."""
    assert titles(evidence(run(), verified(), nothing)) == ["The bucket was verified after the load"]
    assert titles(evidence(nothing)) == []


def test_problems_come_first() -> None:
    """Then advice, then notes, then what is well."""
    found = find(evidence(run(rejected=1, waits={SERVER_BUSY: 60.0}, server="InfluxDB 2.9.1"), verified()))
    assert [finding.level for finding in found] == [Level.PROBLEM, Level.ADVICE, Level.NOTE, Level.GOOD]
    assert all(finding.figure and finding.rule for finding in found)
    assert all(finding.advice for finding in found if finding.level in {Level.PROBLEM, Level.ADVICE})


RULES_OF_THUMB = [
    ("batch size", {"requests": QUICK, "settings": SMALL}, "Requests are small"),
    ("batch size", {"requests": SLOW}, "Requests take long"),
    ("connections", {"requests": {"number": 50, "sum": 270.0, "p50": 1.0}}, "All connections are busy"),
    ("compression", {"payload_size": 200_000_000}, "Compression divides what is sent by 2.0"),
    ("load path", {"server": "InfluxDB 2.9.1"}, "The restore path is possible"),
    ("row order", {}, "Rows of series are mixed"),
]


@pytest.mark.parametrize(("factor", "changes", "title"), RULES_OF_THUMB)
def test_what_was_measured_takes_the_place_of_rules_of_thumb(factor: str, changes: dict[str, Any], title: str) -> None:
    """Of this server, and often enough to tell; otherwise they hold."""
    known = evidence(run(**changes), sample=replace(SAMPLE, entries=9.0))
    assert title in titles(known)
    measured = titles(replace(known, tuning=tuning(*tuned(factor))))
    assert title not in measured
    assert "No other settings were faster" in measured
    for other in (
        tuning(*tuned("all together")),
        tuning(*tuned(factor), url="http://elsewhere"),
        tuning(*tuned(factor, verdict="too few repeats")),
    ):
        assert title in titles(replace(known, tuning=other))


def test_what_a_tuning_found_is_advice() -> None:
    """Flags that the load did not have, an order of rows, and a load path."""
    values = (*tuned("batch size", verdict="faster"), *tuned("row order", "series order", "faster"))
    known = evidence(run(), verified(), tuning=tuning(*values, *tuned("load path", "restore", "faster"), gain=1.5))
    found = {each.title: each for each in find(known)}
    assert found["Tuned settings are faster"].advice == "use them: loader load --tuned"
    assert "1.50 times the rate of the start, with --batch-lines 40000" in found["Tuned settings are faster"].figure
    assert "3.0 times the rate" in found["Series order is faster"].figure
    assert "--via restore" in found["The restore path is faster"].advice
    same = {"settings": {"connections": 6, "batch_lines": 40_000, "batch_bytes": 8_000_000}}
    assert "The newest load has the tuned settings" in titles(replace(known, runs=(run(**same), verified())))
    restored = titles(replace(known, runs=(run(way="restore"), verified(bucket="b"))))
    assert restored == ["Series order is faster", "The bucket was verified after the load"]
    assert "Tuned settings are faster" in titles(replace(known, runs=()))


def test_rows_that_cannot_be_points_are_no_difference_of_the_bucket() -> None:
    """No other load would bring them, so none is advised."""
    (finding,) = find(evidence(run(), verified(differences=0, unfit=3, exit_code=1)))
    assert (finding.level, finding.title) == (Level.NOTE, "All rows that can be points were verified after the load")
    assert "3 rows cannot be points" in finding.figure
    assert "--restart" not in finding.advice
    (finding,) = find(evidence(run(), verified(differences=2, unfit=3, exit_code=1)))
    assert "2 differences" in finding.figure
    assert "--restart" in finding.advice
