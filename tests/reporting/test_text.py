"""Reports as text and as files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from loader.dataset.manifest import read_manifest
from loader.errors import ConfigError
from loader.events import SERVER_BUSY, Advanced, Answered, Notice, Rejected, Started, Waited
from loader.loading import LoadReport, LoadSettings
from loader.loading.ledger import Ledger, last_load
from loader.quantities import counted, size_text
from loader.reporting.counts import Counts
from loader.reporting.metrics import list_metrics, machine, read_metrics, settings_json, write_metrics
from loader.reporting.status import read_status
from loader.reporting.text import load_text, rate_text, stage_text, status_text, verify_text
from loader.reporting.usage import Usage
from loader.reporting.versions import versions
from loader.servers.base import Target
from loader.staging import StageReport
from loader.verification import Difference, UnfitRows, VerifyReport
from tests.datasets import small_dataset

LOADED = LoadReport(
    *("InfluxDB 2.9.1", "write", 1_000, 0, 1_000, 1_000, 0, 0, 0), *(72_000, 72_000, 2.0, 0, {}, False, "", "")
)
VERIFIED = VerifyReport("InfluxDB 2.9.1", 1_000, 8, 10, (), 0, 2.0)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (5 * 2**20, "5.0 MiB"),
        (2**30, "1.0 GiB"),
        (2**50, "1024.0 TiB"),
    ],
)
def test_sizes_have_their_natural_unit(size: int, text: str) -> None:
    """From bytes to the largest unit there is."""
    assert size_text(size) == text


def test_no_time_is_no_rate() -> None:
    """Nothing is divided by zero."""
    assert rate_text(10, 0.0) == "-"
    assert rate_text(10, 2.0) == "5/s"


def test_a_stage_is_summarised() -> None:
    """Rows, size and rate are there, and what was kept only if something was."""
    report = StageReport(1_000, 7_000, 3, 0, "print", 2.0, 2**20, {"trades": 1_000})
    assert "7.0 bytes a trade" in stage_text(report)
    assert "kept" not in stage_text(report)
    assert "2 of them kept" in stage_text(replace(report, partitions_kept=2))


def test_a_load_is_summarised() -> None:
    """What is not worth a word is not there."""
    assert "loaded   1,000 of 1,000 points\n" in load_text(LOADED)
    assert "rejected" not in load_text(LOADED)
    bad = replace(
        LOADED,
        rows_resumed=300,
        rows_done=200,
        rows_acknowledged=496,
        rows_skipped=7,
        rows_existing=5,
        values_not_finite=3,
        interrupted=True,
        rows_rejected=4,
        rejected_path="there.jsonl",
        first_rejected="a.parquet, row 3",
        waits={"retry": 2.5, SERVER_BUSY: 9.5},
    )
    for words in (
        "stopped",
        "496 of 1,000",
        "300 rows were done by earlier runs",
        "4 rows: there.jsonl",
        "a.parquet, row 3",
        "skipped  7 rows: later ones",
        "5 points of the same series and time were there before, and replaced",
        "3 values left out: NaN or infinite",
        "waited 2.5 s: retry",
        "again",
    ):
        assert words in load_text(bad)
    assert "9.5" not in load_text(bad)


def test_a_verification_lists_its_differences() -> None:
    """Each difference has a line, and those that are not listed are counted."""
    assert "no differences" in verify_text(VERIFIED)
    differences = (
        Difference("missing", "2024-01-02", "AAPL,buy", "", "3 points"),
        Difference("different", "2024-01-02", "AAPL,buy", "price", "1.0, not 2.0"),
    )
    text = verify_text(replace(VERIFIED, differences=differences, difference_count=5))
    assert "5 differences" in text
    assert "missing   2024-01-02 AAPL,buy: 3 points" in text
    assert "AAPL,buy price: 1.0, not 2.0" in text
    assert "and 3 more" in text


def test_a_verification_says_what_it_does_not_look_for() -> None:
    """Points of others, where they are ignored, and rows that a replay sent with other values."""
    assert "were not looked for" not in verify_text(VERIFIED)
    text = verify_text(replace(VERIFIED, surplus="ignore", rows_edited=2))
    assert "points that the dataset does not have were not looked for" in text
    assert "2 rows were edited before a replay: compared with the dataset's values" in text


def test_settings_lose_their_token() -> None:
    """What goes into a metrics file holds no token."""
    settings = LoadSettings(Path("data"), Target("http://h", "b", "o", "very-secret"))
    assert "very-secret" not in json.dumps(settings_json(settings), default=str)
    assert settings_json(Difference("missing", "", "", "", "")) == {
        "kind": "missing",
        "day": "",
        "series": "",
        "field": "",
        "detail": "",
    }


def test_events_add_up() -> None:
    """Rows of this run and of earlier ones are counted apart; each cause of waiting has its seconds."""
    counts = Counts()
    for event in (
        Notice("said"),
        Started("load", 1_000, 100),
        Advanced(300, 4_096),
        Waited("retry", 1.5, "busy"),
        Waited("retry", 0.5),
        Waited(SERVER_BUSY, 0.25),
        Rejected(2),
        Answered(0.25, 100),
        Advanced(600, 4),
    ):
        counts.count(event)
    assert counts.read() == {
        "rows": 900,
        "rows_resumed": 100,
        "bytes": 4_100,
        "retries": 2,
        "rejected": 2,
        "waits": {"retry": 2.0, SERVER_BUSY: 0.25},
        "requests": {"number": 1, "sum": 0.25, "p50": 0.25, "p90": 0.25, "p99": 0.25, "max": 0.25},
    }


def test_metrics_are_found_again(tmp_path: Path) -> None:
    """The newest metrics of an activity are the last that were written."""
    for number in range(2):
        write_metrics(tmp_path, "load", {"number": number, **Usage().read_peak()})
    path, content = read_metrics(tmp_path, list_metrics(tmp_path)[-1])
    assert path.is_file()
    assert content["number"] == 1
    assert content["peak_memory"] > 2**20


def test_the_machine_and_the_versions_are_named() -> None:
    """Figures without them mean nothing."""
    assert machine()["cores"] >= 1
    assert machine()["processor"]
    assert {"python", "loader", "polars"} <= versions().keys()


def test_the_status_follows_the_work(tmp_path: Path) -> None:
    """Staged, then loaded, and not verified."""
    with pytest.raises(ConfigError):
        read_status(tmp_path / "data")
    manifest = small_dataset(tmp_path / "data")
    root = tmp_path / "data"
    text = status_text(read_status(root))
    assert "loaded   nothing yet" in text
    assert "verified nothing yet" in text
    target = Target("http://h", "bucket", "org")
    with Ledger.opened(root, target, "", "of another dataset", restart=False):
        assert "of an earlier dataset" in status_text(read_status(root))
    with Ledger.opened(root, target, "", manifest.fingerprint, restart=False) as ledger:
        assert "unfinished" in status_text(read_status(root))
        ledger.finish()
    assert ": finished" in status_text(read_status(root))
    last = last_load(root)
    assert last is not None
    assert status_text(read_status(root)).endswith(
        "verified nothing yet\n         the last load is not verified: loader verify does it"
    )


def verified(
    root: Path,
    hours: int,
    *,
    bucket: str = "bucket",
    found: int | None = 0,
    said: Mapping[str, object] = MappingProxyType({}),
    **settings: Any,
) -> str:
    """Return the lines of the status about verifications after one of now and so many ``hours``."""
    target = {"url": "http://h", "bucket": bucket}
    whole = {"difference_count": found, "fingerprint": read_manifest(root, root).fingerprint, **said}
    report = None if found is None else whole
    started = (datetime.now(UTC) + timedelta(hours=hours)).isoformat(timespec="milliseconds")
    write_metrics(root, "verify", {"started": started, "settings": {"target": target, **settings}, "report": report})
    text = status_text(read_status(root)).partition("verified ")[2]
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "then", text)


def test_the_status_says_whether_the_last_load_is_verified(tmp_path: Path) -> None:
    """A verification before it, of another bucket, of candles, or without an end tells nothing of it."""
    manifest = small_dataset(tmp_path)
    sums, here = "counts, sums, extremes and samples", "bucket at http://h, then"
    assert verified(tmp_path, -9) == f"{here}: {sums}, no differences"
    with Ledger.opened(
        tmp_path, Target("http://h", "bucket", "org"), "", manifest.fingerprint, restart=False
    ) as ledger:
        ledger.finish()
    unverified = "\n         the last load is not verified: loader verify does it"
    assert verified(tmp_path, -8) == f"{here}: {sums}, no differences{unverified}"
    assert verified(tmp_path, 1, bucket="b") == f"b at http://h, then: {sums}, no differences{unverified}"
    assert verified(tmp_path, 2, candles={"every": 1}) == f"{here}: candles, no differences{unverified}"
    assert verified(tmp_path, 3, found=None) == f"{here}: {sums}, not finished{unverified}"
    assert verified(tmp_path, 4, found=3) == f"{here}: {sums}, 3 differences"
    assert verified(tmp_path, 5, values=True) == f"{here}: every value, no differences"
    end = "\n         the last load, then: every value, no differences"
    assert verified(tmp_path, 6, candles={"every": 1}) == f"{here}: candles, no differences{end}"
    assert verified(tmp_path, 7, found=None, values=True) == f"{here}: every value, not finished{end}"
    assert verified(tmp_path, 8, values=None) == f"{here}: {sums}, no differences"
    assert verified(tmp_path, 9, values=None, said={"values": 7}) == f"{here}: every value, no differences"
    unfit = {"unfit": 38, "unfit_rows": []}
    assert verified(tmp_path, 10, said=unfit) == f"{here}: {sums}, no differences, 38 rows cannot be points"
    former = {"unfit": 38}  # which counted them as differences
    assert verified(tmp_path, 11, found=40, said=former) == f"{here}: {sums}, 2 differences, 38 rows cannot be points"


def test_a_load_that_had_nothing_to_do_is_verified_as_before(tmp_path: Path) -> None:
    """A load that runs again and sends nothing leaves what was verified; one that begins anew does not."""
    manifest = small_dataset(tmp_path)
    finished = []
    for restart in (False, False, True):
        target = Target("http://h", "bucket", "org")
        with Ledger.opened(tmp_path, target, "", manifest.fingerprint, restart=restart) as ledger:
            ledger.finish()
        last = last_load(tmp_path)
        assert last is not None
        finished.append(last.finished)
    assert finished[0] == finished[1] < finished[2]


def test_the_status_of_files_that_were_not_staged(tmp_path: Path) -> None:
    """They are adopted, and their rows are rows, whatever their measurement is called."""
    small_dataset(tmp_path)
    text = status_text(replace(read_status(tmp_path), adopted=True))
    assert text.startswith("adopted  600 rows in 3 files, ")


def test_the_status_names_what_is_unfinished(tmp_path: Path) -> None:
    """An unfinished stage and rejected lines are said."""
    small_dataset(tmp_path / "data")
    status = read_status(tmp_path / "data")
    with Ledger.opened(tmp_path / "data", Target("http://h", "b"), "", "print", restart=False):
        pass
    load = last_load(tmp_path / "data")
    assert load is not None
    text = status_text(
        replace(status, complete=False, load=replace(load, rows=10, acknowledged=2, rejected=7, skipped=1))
    )
    assert "unfinished: stage again" in text
    assert "loaded   2 points into b" in text
    assert "7 rows rejected" in text


def test_rows_that_cannot_be_compared() -> None:
    """A verification says how many rows cannot be points, and how many values later rows set again."""
    groups = (UnfitRows("m", "a, b", "a point needs a field", 1_002, ("x.parquet, row 1,000", "x.parquet, row 1,001")),)
    text = verify_text(replace(VERIFIED, rows=2_000, unfit=1_002, unfit_rows=groups, superseded=3_000))
    assert text.startswith("verified 998 of 2,000 points: no differences; 1,002 rows not compared\n")
    assert "1,002 rows cannot be points: a load rejects them" in text
    assert "  no point  1,002 rows: m, a, b: a point needs a field\n" in text
    assert "            x.parquet, row 1,000; x.parquet, row 1,001; and 1,000 more" in text
    assert "3,000 values are superseded" in text


def test_rows_that_are_in_no_candle() -> None:
    """A comparison of candles says how many rows it did not compare, and what staged candles have that servers lack."""
    text = verify_text(replace(VERIFIED, candles=7, rows_left_out=1, superseded=2))
    assert f"{VERIFIED.rows - 1:,} of {VERIFIED.rows:,} points: no differences; 1 row not compared\n" in text
    assert "         1 row left out: no price, no amount, or no time\n" in text
    assert "loader candles counts each of these rows" in text
    assert "loader candles" not in verify_text(replace(VERIFIED, superseded=2))


def test_one_is_not_many() -> None:
    """A single thing is told as one."""
    text = verify_text(replace(VERIFIED, difference_count=1, unfit=1, superseded=1, samples=1))
    for words in (
        ": 1 difference; 1 row not compared\n",
        "1 row cannot be a point: a load rejects",
        "1 value is superseded",
        "1 sample,",
    ):
        assert words in text
    assert (counted(1, "retry", "retries"), counted(0, "retry", "retries")) == ("1 retry", "0 retries")
    assert (counted(1, "row"), counted(2_000, "row")) == ("1 row", "2,000 rows")
