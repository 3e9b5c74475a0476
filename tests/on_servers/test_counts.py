"""The rows of a dataset are acknowledged, rejected, skipped or left: these add up after every run, everywhere."""

from __future__ import annotations

import json
import math
import threading
from dataclasses import replace
from typing import Any

import pytest

from loader.errors import LoadError
from loader.events import Advanced, Event
from loader.loading import LoadReport, LoadSettings, ReplaySettings, WriteSettings, load, replay
from loader.reporting.status import read_status
from loader.reporting.text import status_text
from tests.on_servers.test_rows import SCHEMA, points, table
from tests.on_servers.ways import NAMES, WAYS, way_into
from tests.tables import HOUR, MOMENT, write_tables

DAY = 24 * HOUR
ROWS, NANS, REPLACED, REFUSED = 120, 12, 20, 4


@pytest.fixture(params=WAYS, ids=NAMES)
def way(request: pytest.FixtureRequest, tmp_path: Any) -> tuple[Any, LoadSettings]:
    """Return a server, and settings to load rows of every fate, some of them a week later; few at a time."""
    server, settings = way_into(
        request, tmp_path / "data", "counts", write=WriteSettings(batch_lines=10), connections=1, max_rejected=100
    )
    first = [("a", math.nan if row % 10 == 0 else 1.0, 1, None, MOMENT + row) for row in range(ROWS)]
    later = [("a", 2.0, 2, None, MOMENT + row) for row in range(ROWS) if row % 6 == 1]
    weeks = [("a", 3.0, 3, "x", MOMENT + 8 * DAY + row) for row in range(REFUSED)]
    tables = {"a.parquet": table(*first), "b.parquet": table(*later), "c.parquet": table(*weeks)}
    write_tables(settings.dataset, SCHEMA, tables)
    return server, settings


def check_balance(report: LoadReport, settings: LoadSettings) -> None:
    """Assert that the counts of a report, and those of the status, add up, and are those of each other."""
    done = report.rows_acknowledged + report.rows_rejected + report.rows_skipped
    assert report.rows == done + report.rows_left == ROWS + REPLACED + REFUSED
    assert report.rows_resumed + report.rows_done == done
    status = read_status(settings.dataset)
    found = status.load
    assert found is not None
    assert found.rows == found.acknowledged + found.rejected + found.skipped == done
    assert (found.acknowledged, found.rejected) == (report.rows_acknowledged, report.rows_rejected)


def points_there(settings: LoadSettings) -> int:
    """Return how many points the bucket holds, in all its shards."""
    return len(points(settings)) + len(points(settings, since=MOMENT + 8 * DAY))


def load_whole(settings: LoadSettings) -> None:
    """Load everything, into a bucket that refuses nothing; assert that each row is counted once, as what it is."""
    report = load(settings)
    assert (report.rows_rejected, report.rows_skipped, report.rows_left) == (NANS, REPLACED, 0)
    assert report.rows_acknowledged == points_there(settings)
    check_balance(report, settings)


def replay_two(settings: LoadSettings, before: int) -> None:
    """Give two rows that could not be points a line, and replay them; assert that the counts know it."""
    (path,) = (settings.dataset / ".loader" / "rejected").iterdir()
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    mended = [entry for entry in entries if "column" in entry][:2]
    for entry in mended:
        entry["line"] = f"m,tag=a f=1,n=1i {MOMENT + entry['row']}"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    report = replay(ReplaySettings(settings.dataset, settings.target))
    done = report.rows_acknowledged + report.rows_rejected + report.rows_skipped
    assert (report.rows, report.rows_left, report.rows_replayed, report.rows_edited) == (done, 0, 2, 2)
    status = read_status(settings.dataset).load
    assert status is not None
    assert (status.rows, status.acknowledged, status.skipped) == (done, report.rows_acknowledged, REPLACED)
    assert points_there(settings) == before + 2 == report.rows_acknowledged


def test_counts_add_up_after_every_run(way: tuple[Any, LoadSettings]) -> None:
    """After a stop, a resume and one more run, by either way in; what is acknowledged is what the server has."""
    server, settings = way
    refused = 0
    if settings.via == "write":
        refused = REFUSED
        conflict = f'm,tag=z n="text" {MOMENT + 8 * DAY - 1}'.encode()
        server.call(f"/api/v2/write?org={server.org}&bucket={settings.target.bucket}&precision=ns", conflict)
    stop = threading.Event()

    def observe(event: Event) -> None:
        if isinstance(event, Advanced):
            stop.set()

    stopped = load(settings, observe, stop)
    assert stopped.interrupted
    assert 0 < stopped.rows_left < stopped.rows
    check_balance(stopped, settings)
    assert points_there(settings) == stopped.rows_acknowledged
    for _ in range(2):
        report = load(settings)
        assert (report.rows_rejected, report.rows_skipped, report.rows_left) == (NANS + refused, REPLACED, 0)
        check_balance(report, settings)
        assert points_there(settings) == report.rows_acknowledged
    assert f"{NANS + refused} rows rejected, {REPLACED} rows skipped" in status_text(read_status(settings.dataset))
    replay_two(settings, points_there(settings))
    check_balance(load(settings), settings)
    check_balance(load(replace(settings, restart=True)), settings)
    dry = load(replace(settings, dry_run=True))
    assert (dry.rows_rejected, dry.rows_skipped) == (NANS, REPLACED)


def test_counts_add_up_after_another_mapping_came_between(way: tuple[Any, LoadSettings]) -> None:
    """What a load forgets of another one it forgets as a whole: nothing is counted twice when that is run again."""
    server, settings = way
    # A bucket that a restore made belongs to one mapping.
    settings = replace(settings, via="write", target=replace(settings.target, bucket=server.new_bucket()))
    load(settings)
    manifest = settings.dataset / ".loader" / "manifest.json"
    former = manifest.read_text()
    manifest.write_text(former.replace('"measurement": "m"', '"measurement": "other"'))
    load(settings)
    manifest.write_text(former)
    load_whole(settings)


def test_counts_add_up_where_too_many_rows_are_rejected(way: tuple[Any, LoadSettings]) -> None:
    """A load that ends for that tells by its status how far it came, and goes on once more are allowed."""
    _, settings = way
    with pytest.raises(LoadError, match="more than the 2 allowed"):
        load(replace(settings, max_rejected=2))
    status = read_status(settings.dataset).load
    assert status is not None
    assert status.rejected > 2
    assert status.rows == status.acknowledged + status.rejected + status.skipped
    load_whole(settings)
