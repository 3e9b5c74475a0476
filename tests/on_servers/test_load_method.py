"""Which load method ``--via auto`` takes, and what it says of it."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loader.dataset.instant import TIME_MAX
from loader.dataset.manifest import Manifest, Partition
from loader.dataset.mapping import ColumnMapping
from loader.dataset.schema import PointSchema, trades_schema
from loader.errors import ConfigError
from loader.events import Event, Notice
from loader.loading import LoadReport, LoadSettings, WriteSettings, choice, load
from loader.loading.choice import choose_method
from loader.servers.base import Target
from tests.datasets import JANUARY_2, small_dataset
from tests.fault_proxy import Answer, fault_proxy
from tests.stored import expected, stored

WEEK = 7 * 86_400 * 10**9
NOWHERE = Target("http://127.0.0.1:1", "trades", "org")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a dataset of 60 rows in one week."""
    small_dataset(tmp_path / "data", days=3, rows=5)
    return tmp_path / "data"


@pytest.fixture
def _any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small datasets count as large."""
    monkeypatch.setattr(choice, "LEAST_ROWS", 1)


def loaded(server: Any, root: Path, bucket: str, **changes: Any) -> tuple[LoadReport, str]:
    """Load by whatever method, and return the report and all notices."""
    events: list[Event] = []
    target = Target(server.url, bucket, server.org, server.token)
    report = load(replace(LoadSettings(root, target, retry_seconds=20.0), **changes), events.append)
    return report, "\n".join(event.message for event in events if isinstance(event, Notice))


@pytest.mark.usefixtures("_any_size")
@pytest.mark.parametrize("exists", [False, True])
def test_files_where_they_are_taken(influx_v2: Any, root: Path, exists: bool) -> None:
    """With an operator token, 2.x gets files, into a new bucket and into one that exists; a second run goes on so."""
    bucket = influx_v2.new_bucket() if exists else f"auto{next(influx_v2.numbers)}"
    report, said = loaded(influx_v2, root, bucket)
    assert report.via == "restore"
    state = "exists" if exists else "is new"
    assert f"by the restore path: the bucket {state}, 60 rows in 1 shard, operator token" in said
    assert stored(influx_v2, bucket) == expected(root)
    report, said = loaded(influx_v2, root, bucket)
    assert (report.via, report.rows_resumed) == ("restore", 60)
    assert "by the restore path: this load began so" in said


def test_lines_for_few_rows(influx_v2: Any, root: Path) -> None:
    """Files gain nothing for few rows a shard, and the server is not asked; unless existing points must be found."""
    bucket = influx_v2.new_bucket()
    report, said = loaded(influx_v2, root, bucket)
    assert (report.via, "fewer than 100,000 rows a shard" in said) == ("write", True)
    report, _ = loaded(influx_v2, root, influx_v2.new_bucket(), on_existing="fail")
    assert report.via == "restore"


@pytest.mark.usefixtures("_any_size")
def test_lines_for_an_older_server(influx_v1: Any, root: Path) -> None:
    """InfluxDB 1.8 takes no files."""
    report, said = loaded(influx_v1, root, f"auto{next(influx_v1.numbers)}")
    assert (report.via, "takes no storage files" in said) == ("write", True)


@pytest.mark.usefixtures("_any_size")
def test_lines_without_an_operator_token(influx_v2: Any, root: Path) -> None:
    """Another token gets the write path, before anything is sent; existing points cannot be looked for then."""
    bucket = influx_v2.new_bucket()
    org = json.loads(influx_v2.call(f"/api/v2/orgs?org={influx_v2.org}"))["orgs"][0]["id"]
    resource = {"type": "buckets", "orgID": org}
    permissions = [{"action": action, "resource": resource} for action in ("read", "write")]
    body = json.dumps({"orgID": org, "permissions": permissions}).encode()
    token = json.loads(influx_v2.call("/api/v2/authorizations", body))["token"]
    target = Target(influx_v2.url, bucket, influx_v2.org, token)
    report, said = loaded(influx_v2, root, bucket, target=target)
    assert (report.via, "by the write path: files need an operator token" in said) == ("write", True)
    with pytest.raises(ConfigError, match="only the restore path looks for"):
        loaded(influx_v2, root, bucket, target=target, on_existing="fail", restart=True)


@pytest.mark.usefixtures("_any_size")
def test_lines_where_nobody_tells_of_operators(influx_v2: Any, root: Path) -> None:
    """A server that does not tell whose token it is gets the write path."""
    with fault_proxy(influx_v2.url, lambda call: Answer(404), ("/api/v2/config",)) as proxy:
        target = Target(proxy.url, influx_v2.new_bucket(), influx_v2.org, influx_v2.token)
        report, said = loaded(influx_v2, root, target.bucket, target=target)
    assert (report.via, "cannot be found out" in said) == ("write", True)


@pytest.mark.usefixtures("_any_size")
def test_a_load_goes_on_as_it_began(influx_v2: Any, root: Path) -> None:
    """What was begun by lines goes on by lines, and what a run went on by otherwise, by that."""
    bucket = influx_v2.new_bucket()
    assert loaded(influx_v2, root, bucket, via="write")[0].via == "write"
    report, said = loaded(influx_v2, root, bucket)
    assert (report.via, report.rows_resumed, "began so" in said) == ("write", 60, True)
    assert loaded(influx_v2, root, bucket, restart=True)[0].via == "restore"
    assert loaded(influx_v2, root, bucket)[0].via == "restore"


@pytest.mark.usefixtures("_any_size")
def test_a_load_of_moved_rows_goes_on_as_it_began(influx_v2: Any, tmp_path: Path) -> None:
    """Rows that were moved apart have another fingerprint, by which the load is known all the same."""
    times = pa.array([JANUARY_2, JANUARY_2], pa.timestamp("ns", "UTC"))
    pq.write_table(pa.table({"time": times, "v": [1.0, 2.0]}), tmp_path / "a.parquet")
    changes: dict[str, Any] = {"mapping": ColumnMapping("m", "time"), "on_duplicate": "nudge"}
    bucket = influx_v2.new_bucket()
    assert loaded(influx_v2, tmp_path / "a.parquet", bucket, via="write", **changes)[0].rows_moved == 1
    report, said = loaded(influx_v2, tmp_path / "a.parquet", bucket, **changes)
    assert (report.via, report.rows_resumed, "began so" in said) == ("write", 2, True)


@pytest.mark.usefixtures("_any_size")
def test_a_load_that_is_stopped_while_it_asks(influx_v2: Any, root: Path) -> None:
    """Nothing was sent, by either way."""
    stop = threading.Event()
    with fault_proxy(influx_v2.url, lambda call: stop.set() or Answer(503), ("/health",)) as proxy:
        report = load(LoadSettings(root, Target(proxy.url, "any", influx_v2.org, influx_v2.token)), stop=stop)
    assert (report.via, report.interrupted, report.rows_acknowledged) == ("write", True, 0)


def chosen(partitions: list[Partition], schema: PointSchema | None = None, **changes: Any) -> str:
    """Return what is said of a dataset for which no server need be asked."""
    manifest = Manifest((schema or trades_schema(),), {}, {}, tuple(partitions), complete=True)
    events: list[Event] = []
    settings = replace(LoadSettings(Path("nowhere"), NOWHERE), **changes)
    assert choose_method(settings, manifest, events.append, threading.Event()).via == "write"
    (said,) = events
    assert isinstance(said, Notice)
    return said.message


def test_what_is_for_lines_whatever_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of the write path, a dry run, and what files cannot hold are for lines."""
    large = Partition("a", 10**9, 0, WEEK, 1, "")
    assert "a dry run" in chosen([large], dry_run=True)
    assert "rate are set" in chosen([large], write=WriteSettings(rate=5.0))
    assert "names with #!~#" in chosen([large], PointSchema("m#!~#", (), trades_schema().fields, "time"))
    assert "last nanosecond" in chosen([replace(large, time_max=TIME_MAX)])
    weeks = [Partition(str(week), 150_000, week * WEEK, week * WEEK + WEEK, 1, "") for week in range(3)]
    assert "fewer than 100,000" not in chosen([*weeks, replace(large, path="b", time_max=TIME_MAX)])
    monkeypatch.setattr(choice, "LEAST_ROWS", 3 * 150_000 // 4 + 1)
    assert "fewer than" in chosen([*weeks, replace(weeks[0], rows=0)])


def test_a_setting_that_is_unknown(root: Path) -> None:
    """Words that mean nothing, and a wish that the write path cannot follow, are errors."""
    with pytest.raises(ConfigError, match="on existing keep"):
        load(LoadSettings(root, NOWHERE, on_existing="keep"))
    with pytest.raises(ConfigError, match="which the write path does not look for"):
        load(LoadSettings(root, NOWHERE, via="write", on_existing="fail"))
