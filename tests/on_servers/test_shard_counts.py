"""A real InfluxDB 2 counts several shards together; each is acknowledged by its own count, and by nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from loader.dataset.instant import instant
from loader.dataset.manifest import read_manifest
from loader.encoding.tsm.encode.buffer import Workspace
from loader.errors import LoadError, Refused, Retryable, ServerError
from loader.events import Advanced, Event
from loader.loading import LoadSettings, load
from loader.loading.flow import Flow
from loader.loading.known_rows import KnownRows
from loader.loading.ledger import last_load, opened_ledger
from loader.loading.restore_path import counting, fill, storage_files
from loader.loading.restore_path.counting import SentShard, count_shards
from loader.loading.restore_path.sender import ShardSender
from loader.loading.restore_path.shards import Shard, plan_shards
from loader.servers import restore as api
from loader.servers.backup import list_shards
from loader.servers.base import Bucket, Target
from loader.servers.transport import Connection
from loader.servers.v2 import InfluxDB2
from tests.datasets import small_dataset, trades, write_dataset
from tests.fault_proxy import Answer, Call, CutShort, Fault, Hang, Reset, Script, fault_proxy
from tests.on_servers.test_restore_path import assert_equal, exists, settings_for, through
from tests.processes import running, wait_until
from tests.stored import expected

DAY = 86_400_000_000_000
DAYS = 5
ROWS = 5 * 4 * 30
QUERIES = ("/api/v2/query",)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a dataset of five days, each of them a shard."""
    assert small_dataset(tmp_path / "data", days=DAYS, rows=30).rows == ROWS
    return tmp_path / "data"


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have shards wait until nothing else is on its way, so that they are counted together."""
    monkeypatch.setattr(fill, "_GATHER_SECONDS", 60.0)


def prepare(settings: LoadSettings) -> tuple[ShardSender, tuple[Shard, ...]]:
    """Make the bucket of ``settings``; return what sends its shards, and these."""
    manifest = read_manifest(settings.dataset)
    shards = plan_shards(settings.dataset, manifest, DAY)
    groups = [api.ShardGroup(shard.start, shard.stop) for shard in shards]
    with Connection(settings.target, 30.0) as link:
        organization = InfluxDB2().find_organization(link.send, settings.target)
        reply = link.send(api.build_bucket(settings.target, organization, "", DAY, groups))
        made = Bucket(settings.target.bucket, api.parse_bucket(settings.target, reply))
        ids = {shard.start: shard.id for shard in list_shards(link.send, made)}
    return ShardSender(settings, manifest, ids, Flow(0, threading.Event()), KnownRows()), shards


def send_all(server: Any, root: Path, bucket: str, script: Script = lambda call: None) -> list[SentShard]:
    """Send all shards of the dataset to a new bucket, and count nothing."""
    with fault_proxy(server.url, script) as proxy:
        sender, shards = prepare(through(settings_for(server, root, bucket), proxy.url))
        with sender.connection() as link:
            return [sender.send(link, shard, 1, Workspace()) for shard in shards]


def count(
    server: Any, bucket: str, sent: Sequence[SentShard], script: Script = lambda call: None
) -> tuple[list[ServerError | LoadError | None], int]:
    """Return what the counts of the shards say, and how many queries there were."""
    with fault_proxy(server.url, script, QUERIES) as proxy:
        target = Target(proxy.url, bucket, server.org, server.token)
        with Connection(target, 30.0) as link:
            return count_shards(link, sent), len(proxy.writes)


def test_all_are_there(influx_v2: Any, root: Path) -> None:
    """One query says so of several shards."""
    sent = send_all(influx_v2, root, "counts counted")
    assert count(influx_v2, "counts counted", sent) == ([None] * DAYS, 1)


def test_a_shard_alone(influx_v2: Any, root: Path) -> None:
    """It is sent and counted at once, and what its count says is raised."""
    script: Script = lambda call: CutShort() if call.number == 1 else None  # noqa: E731
    with fault_proxy(influx_v2.url, script) as proxy:
        sender, (first, second, *_) = prepare(through(settings_for(influx_v2, root, "counts alone"), proxy.url))
        assert sender.restore(first, 1, Workspace()).rows == ROWS // DAYS
        with pytest.raises(Retryable, match="the server counts 0 values"):
            sender.restore(second, 1, Workspace())


def test_many_counts(influx_v2: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a limit to the counts of one query, and each number finds its shard."""
    monkeypatch.setattr(counting, "_MOST_COUNTS", 2)
    sent = send_all(influx_v2, root, "counts many counts")
    wrong = replace(sent[3], counts=tuple((query, number + 1) for query, number in sent[3].counts))
    found, queries = count(influx_v2, "counts many counts", [*sent[:3], wrong, sent[4]])
    assert ([type(error) for error in found], queries) == ([type(None)] * 3 + [Retryable, type(None)], 3)


def test_one_lacks_points(influx_v2: Any, root: Path) -> None:
    """A tar that was cut short, to which the server says 200, is an error of its own shard, which may be sent again."""
    sent = send_all(influx_v2, root, "counts one less", lambda call: CutShort() if call.number == 2 else None)
    (first, second, error, *others), queries = count(influx_v2, "counts one less", sent)
    assert [first, second, *others] == [None] * (DAYS - 1)
    assert isinstance(error, Retryable)
    assert f"{instant(sent[2].shard.start)}: the server counts 0 values" in str(error)
    assert queries == 1


def test_one_has_too_many(influx_v2: Any, root: Path) -> None:
    """Points of somebody else are an error of the shard that they are in, and not to be mended."""
    sent = send_all(influx_v2, root, "counts one more")
    line = f"trades,symbol=OTHER price=1,amount=1i {sent[1].shard.start + 5}"
    influx_v2.call(f"/api/v2/write?org={influx_v2.org}&bucket=counts+one+more", line.encode())
    (first, error, *others), _ = count(influx_v2, "counts one more", sent)
    assert [first, *others] == [None] * (DAYS - 1)
    assert isinstance(error, LoadError)
    assert "somebody else writes" in str(error)


def test_too_many_come_before_too_few(influx_v2: Any, root: Path) -> None:
    """A shard with both is not sent again."""
    sent = send_all(influx_v2, root, "counts both")
    ((query, number),) = sent[0].counts
    both = replace(sent[0], counts=((query, number + 1), (query, number - 1)))
    ((error,), _) = count(influx_v2, "counts both", [both])
    assert isinstance(error, LoadError)


def test_a_query_for_several_that_fails(influx_v2: Any, root: Path) -> None:
    """Each shard is asked for alone then, and none is sent again for it."""
    sent = send_all(influx_v2, root, "counts together")
    found, queries = count(influx_v2, "counts together", sent, lambda call: Answer(500) if call.number == 0 else None)
    assert (found, queries) == ([None] * DAYS, 1 + DAYS)


@pytest.mark.parametrize(("status", "kind"), [(503, Retryable), (401, Refused)])
def test_a_query_that_fails_for_one(influx_v2: Any, root: Path, status: int, kind: type[ServerError]) -> None:
    """It is an error of this shard, and does not stand in the way of others."""
    name = f"counts alone {status}"
    sent = send_all(influx_v2, root, name)
    start = instant(sent[3].shard.start).encode()

    def script(call: Call) -> Fault | None:
        return Answer(status) if b"start: " + start in call.body else None

    (*others, error, last), queries = count(influx_v2, name, sent, script)
    assert [*others, last] == [None] * (DAYS - 1)
    assert type(error) is kind
    assert queries == 1 + DAYS


def test_a_server_that_does_not_answer(influx_v2: Any, root: Path) -> None:
    """It is not waited for once for each shard."""
    sent = send_all(influx_v2, root, "counts silent")
    found, queries = count(influx_v2, "counts silent", sent, lambda call: Reset())
    assert ([type(error) for error in found], queries) == ([Retryable] * DAYS, 2)


@pytest.mark.usefixtures("patient")
def test_a_load_counts_shards_together(influx_v2: Any, root: Path) -> None:
    """Shards that are sent while others are on their way share a query; each has its own entry in the ledger."""
    settings = settings_for(influx_v2, root, "counts loaded together")
    events: list[Event] = []
    with fault_proxy(influx_v2.url, lambda call: None, QUERIES) as proxy:
        assert load(through(settings, proxy.url), events.append).rows_done == ROWS
    assert len(proxy.writes) == 1
    assert [event.rows for event in events if isinstance(event, Advanced)] == [ROWS // DAYS] * DAYS
    assert_equal(influx_v2, settings)


@pytest.mark.usefixtures("patient")
def test_only_what_lacks_points_is_sent_again(influx_v2: Any, root: Path) -> None:
    """One shard of those that were counted together gets another attempt; the others keep their first."""
    settings = settings_for(influx_v2, root, "counts one again")
    with fault_proxy(influx_v2.url, lambda call: CutShort() if call.number == 1 else None) as proxy:
        report = load(through(settings, proxy.url))
    assert (report.rows_done, report.retries, len(proxy.writes)) == (ROWS, 1, DAYS + 1)
    with opened_ledger(root) as database:
        attempts = database.execute("SELECT attempts FROM restored ORDER BY attempts").fetchall()
    assert attempts == [(1,)] * (DAYS - 1) + [(2,)]
    assert_equal(influx_v2, settings)


@pytest.mark.usefixtures("patient")
def test_others_are_acknowledged_beside_one_with_too_many(influx_v2: Any, root: Path) -> None:
    """The load ends with the error of one shard; what the same query says of the others is kept."""
    settings = settings_for(influx_v2, root, "counts one of others")

    def script(call: Call) -> Fault | None:
        if call.number == 0:
            line = f"trades,symbol=OTHER price=1,amount=1i {expected(root)[0][0]}"
            influx_v2.call(f"/api/v2/write?org={influx_v2.org}&bucket=counts+one+of+others", line.encode())
        return None

    with fault_proxy(influx_v2.url, script, QUERIES) as proxy:
        with pytest.raises(LoadError, match="somebody else writes"):
            load(through(settings, proxy.url))
        last = last_load(root)
    assert last is not None
    assert (last.rows, last.finished) == (ROWS - ROWS // DAYS, "")


def test_one_connection_restores_one_shard_at_a_time(influx_v2: Any, root: Path) -> None:
    """With one connection, a shard is counted before the next begins."""
    settings = settings_for(influx_v2, root, "counts in turn", connections=1)
    with fault_proxy(influx_v2.url, lambda call: None, ("/restore/shards", *QUERIES)) as proxy:
        load(through(settings, proxy.url))
    assert ["query" in call.path for call in proxy.writes] == [False, True] * DAYS


@pytest.mark.usefixtures("patient")
def test_most_that_are_not_counted(influx_v2: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many shards are sent before some are counted, and no more."""
    monkeypatch.setattr(fill, "_MOST_UNCOUNTED", 2)
    settings = settings_for(influx_v2, root, "counts few at a time")
    with fault_proxy(influx_v2.url, lambda call: None, ("/restore/shards", *QUERIES)) as proxy:
        assert load(through(settings, proxy.url)).rows_done == ROWS
    asked = ["query" in call.path for call in proxy.writes]
    assert 2 <= asked.index(True) <= 4
    assert sum(asked) >= 2


@pytest.mark.usefixtures("patient")
def test_rejected_rows_are_not_gathered(influx_v2: Any, tmp_path: Path) -> None:
    """Shards with rejected rows, which are kept in memory, are counted before others begin."""
    root = tmp_path / "rejected"
    tables = [trades(day, ["AAPL"], 30) for day in range(DAYS)]
    bad = [table.set_column(2, "price", pa.array([float("nan"), *table["price"].to_pylist()[1:]])) for table in tables]
    write_dataset(root, bad)
    settings = settings_for(influx_v2, root, "counts rejected")
    with fault_proxy(influx_v2.url, lambda call: None, QUERIES) as proxy:
        report = load(through(settings, proxy.url))
    assert (report.rows_rejected, report.rows_done) == (DAYS, DAYS * 60)
    assert len(proxy.writes) >= DAYS // 2


def test_a_kill_before_the_count(influx_v2: Any, root: Path) -> None:
    """What was sent and not counted is not acknowledged; the same command sends it again, under another name."""
    arguments = ("load", root, "--org", influx_v2.org, "--bucket", "counts killed between", "--via", "restore")
    flags = ("--shard-duration", "1d")
    names: list[bytes] = []
    well = threading.Event()

    def script(call: Call) -> Fault | None:
        if "/query" in call.path:
            return None if well.is_set() else Hang()
        names.append(call.body[:9])
        return None

    with fault_proxy(influx_v2.url, script, ("/restore/shards", *QUERIES)) as proxy:
        environment = {"INFLUX_TOKEN": influx_v2.token}
        with running(*arguments, *flags, "--host", proxy.url, environment=environment) as process:
            wait_until(lambda: len(names) == DAYS, process)
            wait_until(lambda: any("/query" in call.path for call in proxy.writes), process)
            process.kill()
            process.wait()
        last = last_load(root)
        assert last is not None
        assert (last.rows, last.finished) == (0, "")
        well.set()
        target = Target(proxy.url, "counts killed between", influx_v2.org, influx_v2.token)
        settings = LoadSettings(root, target, via="restore", shard_duration=DAY)
        report = load(settings)
    assert (report.rows_resumed, report.rows_done) == (0, ROWS)
    assert names == [b"000000001"] * DAYS + [b"000000002"] * DAYS
    assert_equal(influx_v2, settings)


def test_an_error_that_nobody_expects(influx_v2: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the load, which has acknowledged nothing, instead of leaving it to wait for ever."""

    def fail(*arguments: object) -> None:
        raise RuntimeError("no count")

    monkeypatch.setattr(fill, "prove_shards", fail)
    with pytest.raises(RuntimeError, match="no count"):
        load(settings_for(influx_v2, root, "counts failing"))
    last = last_load(root)
    assert last is not None
    assert (last.rows, last.finished) == (0, "")


def test_the_bucket_is_made_while_encoders_are_loaded(
    influx_v2: Any, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is the server's work does not wait for that of the loader."""

    def wait_for_bucket() -> None:
        deadline = time.monotonic() + 20
        while not exists(influx_v2, "counts+beside"):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    monkeypatch.setattr(storage_files, "compile_encoders", wait_for_bucket)
    assert load(settings_for(influx_v2, root, "counts beside")).rows_done == ROWS
