"""The restore path into a real InfluxDB 2, with what networks, kills and other people do planted in between."""

from __future__ import annotations

import json
import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from loader.dataset.manifest import read_manifest, write_manifest
from loader.encoding.tsm.encode.buffer import Workspace
from loader.errors import ConfigError, LoadError, Refused, ServerError, StageError
from loader.events import Advanced, Event, Notice, Started, Waited
from loader.loading import LoadSettings, WriteSettings, load
from loader.loading.flow import Flow
from loader.loading.known_rows import KnownRows
from loader.loading.ledger import last_load, opened_ledger
from loader.loading.ledger_values import make_mark
from loader.loading.marks import add_mark
from loader.loading.restore_path import bucket, storage_files
from loader.loading.restore_path import sender as sender_module
from loader.loading.restore_path.sender import Aborted, ShardSender
from loader.loading.restore_path.shards import plan_shards
from loader.servers import restore as api
from loader.servers.base import Target
from loader.servers.transport import Connection
from loader.servers.v2 import InfluxDB2
from loader.verification import VerifySettings, verify
from tests.datasets import small_dataset, trades, write_dataset
from tests.fault_proxy import Answer, Call, CutShort, Fault, Hang, HangUp, Reset, fault_proxy
from tests.killing import ServerKiller, kill_at_first_progress
from tests.stored import ask, delete_bucket, expected, stored
from tools.influxd import RunningServer

DAY = 86_400_000_000_000
DAYS = 5
ROWS = 5 * 4 * 30


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a dataset of five days, four series and 600 rows."""
    assert small_dataset(tmp_path / "data", days=DAYS, rows=30).rows == ROWS
    return tmp_path / "data"


def settings_for(server: Any, root: Path, bucket: str, **changes: Any) -> LoadSettings:
    """Return settings for a new bucket with a shard a day."""
    target = Target(server.url, bucket, server.org, server.token)
    settings = LoadSettings(root, target, via="restore", shard_duration=DAY, connections=2, retry_seconds=20.0)
    return replace(settings, **changes)


def exists(server: Any, bucket: str) -> bool:
    """Tell whether the server has the bucket."""
    return bool(json.loads(server.call(f"/api/v2/buckets?name={bucket}"))["buckets"])


def through(settings: LoadSettings, url: str) -> LoadSettings:
    """Return the settings with another address."""
    return replace(settings, target=replace(settings.target, url=url))


def assert_equal(server: Any, settings: LoadSettings) -> None:
    """Have every value on the server compared with the dataset."""
    report = verify(VerifySettings(settings.dataset, replace(settings.target, url=server.url), values=True))
    assert report.differences == ()


def test_every_row_arrives(influx_v2: Any, root: Path) -> None:
    """A restore brings every row to a bucket of infinite retention, value for value, and reports it."""
    settings = settings_for(influx_v2, root, "restored")
    events: list[Event] = []
    report = load(settings, events.append)
    assert stored(influx_v2, "restored") == expected(root)
    assert_equal(influx_v2, settings)
    assert (report.via, report.rows, report.rows_done, report.rows_resumed) == ("restore", ROWS, ROWS, 0)
    assert report.payload_size == report.body_size > 0
    assert Started("load", ROWS, 0) in events
    assert [event.rows for event in events if isinstance(event, Advanced)] == [ROWS // DAYS] * DAYS
    bucket = json.loads(influx_v2.call("/api/v2/buckets?name=restored"))["buckets"][0]
    rule = bucket["retentionRules"][0]
    assert (rule["everySeconds"], rule["shardGroupDurationSeconds"]) == (0, 86_400)


@pytest.mark.parametrize("dry_run", [False, True])
def test_compiling_is_no_part_of_the_rate(
    influx_v2: Any, root: Path, monkeypatch: pytest.MonkeyPatch, dry_run: bool
) -> None:
    """It is done once on a machine, so it would say nothing of the next load; what it is waited for does not count."""
    monkeypatch.setattr(storage_files, "compile_encoders", lambda: time.sleep(3.0))
    began = time.monotonic()
    seconds = load(settings_for(influx_v2, root, f"compiled-{dry_run}", dry_run=dry_run)).seconds
    assert time.monotonic() - began >= 3.0 > 1.5 + seconds


def test_a_second_run_sends_nothing(influx_v2: Any, root: Path) -> None:
    """A finished restore has nothing left; a restarted one makes the bucket anew, and says so."""
    settings = settings_for(influx_v2, root, "twice", shard_duration=0)
    load(settings)
    again = load(settings)
    assert (again.rows_resumed, again.rows_done) == (ROWS, 0)
    events: list[Event] = []
    restarted = load(replace(settings, restart=True), events.append)
    assert restarted.rows_done == ROWS
    assert any(isinstance(event, Notice) and "removed bucket 'twice'" in event.message for event in events)
    assert stored(influx_v2, "twice") == expected(root)
    last = last_load(root)
    assert last is not None
    assert (last.rows, bool(last.finished)) == (ROWS, True)


def test_a_token_without_operator_permission_is_refused(influx_v2: Any, root: Path) -> None:
    """A token that may read and write all buckets may not restore; the error says so, and no bucket is made."""
    org = json.loads(influx_v2.call(f"/api/v2/orgs?org={influx_v2.org}"))["orgs"][0]["id"]
    resources = ({"type": "buckets", "orgID": org}, {"type": "orgs", "id": org})
    permissions = [{"action": action, "resource": part} for action in ("read", "write") for part in resources]
    body = json.dumps({"orgID": org, "permissions": permissions}).encode()
    token = json.loads(influx_v2.call("/api/v2/authorizations", body))["token"]
    settings = settings_for(influx_v2, root, "not allowed")
    with pytest.raises(Refused, match="operator token") as caught:
        load(replace(settings, target=replace(settings.target, token=token)))
    assert token not in str(caught.value)
    assert not exists(influx_v2, "not%20allowed")


def test_a_server_without_a_restore_api_is_refused(influx_v1: Any, root: Path) -> None:
    """InfluxDB 1.8 gets the write path named, and no database."""
    with pytest.raises(ConfigError, match="takes no storage files"):
        load(settings_for(influx_v1, root, "none"))
    assert b'"none"' not in influx_v1.call("/query?q=SHOW+DATABASES")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"write": WriteSettings(rate=5.0, batch_lines=5)}, "batch lines and rate on the restore path"),
        ({"shard_duration": 60 * 10**9}, "below an hour"),
        ({"via": "post"}, "known are auto, write, restore"),
        ({"connections": 0}, "use 1 or more"),
    ],
)
def test_settings_that_cannot_work(influx_v2: Any, root: Path, changes: dict[str, Any], words: str) -> None:
    """A setting that the restore path cannot follow is named before anything starts."""
    with pytest.raises(ConfigError, match=words):
        load(settings_for(influx_v2, root, "unmade", **changes))


@pytest.mark.parametrize(
    "fault",
    [
        Answer(503, headers=(("Retry-After", "1"),)),
        Answer(500),
        Reset(),
        Reset(forward=True),
        CutShort(),
    ],
)
def test_a_fault_on_the_way_loses_nothing(influx_v2: Any, root: Path, fault: Fault) -> None:
    """Busy replies, broken connections and a tar cut short, to which the server says 200, are tried again."""
    name = f"fault {random.randrange(10**9)}"
    settings = settings_for(influx_v2, root, name)
    with fault_proxy(influx_v2.url, lambda call: fault if call.number == 1 else None) as proxy:
        report = load(through(settings, proxy.url))
        assert len([call for call in proxy.writes if "/restore/" in call.path]) == DAYS + 1
    assert report.retries == 1
    assert report.rows_done == ROWS
    assert_equal(influx_v2, settings)


def test_a_failed_attempt_is_followed_by_another_generation(influx_v2: Any, root: Path) -> None:
    """Files of a new attempt have another name than those that the server may have half of."""
    settings = settings_for(influx_v2, root, "generations", connections=1)
    names: list[bytes] = []

    def script(call: Call) -> Fault | None:
        names.append(call.body[:23])
        return Answer(503) if call.number < 2 else None

    with fault_proxy(influx_v2.url, script) as proxy:
        load(through(settings, proxy.url))
    assert names[:4] == [b"%09d-000000004.tsm" % generation for generation in (1, 2, 3, 1)]


def test_a_server_that_stays_busy_ends_the_load(influx_v2: Any, root: Path) -> None:
    """After the limit in time the load fails with the server's words; what was counted is not sent again."""
    settings = settings_for(influx_v2, root, "busy", connections=1, retry_seconds=1.0)

    def script(call: Call) -> Fault | None:
        return Answer(503) if call.number >= 2 else None

    with fault_proxy(influx_v2.url, script) as proxy:
        settings = through(settings, proxy.url)
        with pytest.raises(LoadError, match=r"gave up after .* planted"):
            load(settings)
        sent = len(proxy.writes)
        last = last_load(root)
        assert last is not None
        assert (last.rows, last.finished) == (2 * ROWS // DAYS, "")
    assert sent > 2


def test_a_refusal_ends_the_load(influx_v2: Any, root: Path) -> None:
    """A 401 in the middle stops everything; what was counted stays on record, and a rerun completes it."""
    settings = settings_for(influx_v2, root, "refused", connections=1)
    refusing = True

    def script(call: Call) -> Fault | None:
        return Answer(401) if refusing and call.number == 2 else None

    with fault_proxy(influx_v2.url, script) as proxy:
        settings = through(settings, proxy.url)
        with pytest.raises(Refused, match="planted"):
            load(settings)
        refusing = False
        report = load(replace(settings, shard_duration=0))
    assert (report.rows_resumed, report.rows_done) == (2 * ROWS // DAYS, 3 * ROWS // DAYS)
    assert_equal(influx_v2, settings)


def test_a_stop_finishes_what_is_in_flight(influx_v2: Any, root: Path) -> None:
    """The first wish to stop ends the load early, on record, and a rerun completes it."""
    settings = settings_for(influx_v2, root, "stopped", connections=1)
    stop = threading.Event()
    report = load(settings, lambda event: stop.set() if isinstance(event, Advanced) else None, stop)
    assert report.interrupted
    assert report.rows_done == ROWS // DAYS
    again = load(settings)
    assert again.rows_resumed == ROWS // DAYS
    assert_equal(influx_v2, settings)


def test_a_stop_does_not_wait_for_retries(influx_v2: Any, root: Path) -> None:
    """A shard that waits for its next attempt is left for the next run."""
    settings = settings_for(influx_v2, root, "impatient")
    stop = threading.Event()

    def observe(event: Event) -> None:
        if isinstance(event, Waited):
            threading.Timer(0.5, stop.set).start()

    with fault_proxy(influx_v2.url, lambda call: Answer(503, headers=(("Retry-After", "15"),))) as proxy:
        before = time.monotonic()
        report = load(through(settings, proxy.url), observe, stop)
    assert (report.interrupted, report.rows_done) == (True, 0)
    assert time.monotonic() - before < 10


def ordered(flow: Flow, pieces: Iterator[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """Give the order to stop once the first piece is on its way."""
    for piece in pieces:
        yield piece
        flow.aborted.set()


def test_a_shard_that_the_server_has_closed(influx_v2: Any, root: Path) -> None:
    """A connection that is gone before the answer may close a shard for good; the load makes its bucket anew."""
    settings = settings_for(influx_v2, root, "closed")
    events: list[Event] = []
    seen: Counter[str] = Counter()

    def script(call: Call) -> Fault | None:
        # Every second time the server is faster than the end of its connection: each shard has two chances.
        seen[call.path.partition("?")[0]] += 1
        closed = any("/backup/" in path for path in seen)
        return None if closed or seen[call.path] > 2 else HangUp()

    with fault_proxy(influx_v2.url, script) as proxy:
        report = load(through(settings, proxy.url), events.append)
    assert report.rows_acknowledged == report.rows_done == ROWS
    assert any(isinstance(event, Notice) and "closed it" in event.message for event in events)
    assert_equal(influx_v2, settings)


def test_what_others_wrote_is_not_removed(influx_v2: Any, root: Path) -> None:
    """A bucket that a restore made is not made anew while it holds measurements of somebody else."""
    settings = settings_for(influx_v2, root, "shared with others")
    load(settings)
    for name in ("other", 'q"${x}'):
        line = f"{name},host=a v=1 {expected(root)[0][0]}"
        influx_v2.call(f"/api/v2/write?org={influx_v2.org}&bucket=shared+with+others", line.encode())
    with pytest.raises(ConfigError, match=r"others have written into it: 'other', 'q\"\$\{x\}'"):
        load(replace(settings, restart=True))
    assert ask(influx_v2, "shared with others", "SELECT v FROM other")["series"][0]["values"][0][1] == 1
    assert_equal(influx_v2, settings)
    assert load(settings).rows_resumed == ROWS


def test_a_shard_that_was_closed_when_the_loader_was_killed(influx_v2: Any, root: Path) -> None:
    """The same command goes on, whatever an earlier run has left."""
    settings = settings_for(influx_v2, root, "closed by a kill", connections=1)
    stop = threading.Event()

    def script(call: Call) -> Fault | None:
        if call.number < 3 or stop.is_set():
            return None
        stop.set()
        return HangUp()

    with fault_proxy(influx_v2.url, script) as proxy:
        assert load(through(settings, proxy.url), stop=stop).interrupted
        with opened_ledger(root) as database:
            assert database.execute("SELECT count(*) FROM restored WHERE rows IS NULL").fetchone() == (1,)
        assert load(through(settings, proxy.url)).rows_acknowledged == ROWS
    assert_equal(influx_v2, settings)


def test_a_shard_that_is_closed_again(influx_v2: Any, root: Path) -> None:
    """A bucket is made anew once; then the error says that the server has to be restarted."""
    settings = settings_for(influx_v2, root, "closed again")
    well = threading.Event()
    with fault_proxy(influx_v2.url, lambda call: None if well.is_set() else Answer(500)) as proxy:
        with pytest.raises(LoadError, match="the server has closed it, or never made it") as caught:
            load(through(settings, proxy.url))
        assert "restart the server" in caught.value.hint
        well.set()
        assert load(through(settings, proxy.url)).rows_acknowledged == ROWS
    assert_equal(influx_v2, settings)


def test_a_shard_that_was_never_made(start_influxd: Callable[..., RunningServer], root: Path) -> None:
    """A server that was killed while it made the bucket lists shards that it does not have: the bucket is made anew."""
    server = start_influxd("v2")
    settings = settings_for(server, root, "half made")
    made: list[bool] = []
    notices: list[Event] = []
    with fault_proxy(server.url, lambda call: None if made else Answer(401)) as proxy:
        with pytest.raises(Refused):
            load(through(settings, proxy.url))
        server.kill()
        for folder in sorted(server.folder.glob("engine/data/*/autogen/*"))[1:]:
            shutil.rmtree(folder)
        server.restart()
        made.append(True)
        assert load(through(settings, proxy.url), notices.append).rows_acknowledged == ROWS
    assert any("is made anew" in event.message for event in notices if isinstance(event, Notice))
    assert_equal(server, settings)


def test_an_order_to_stop_breaks_off_what_is_on_its_way(
    influx_v2: Any, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more of a file is sent than was when the order came; the server has none of it."""
    settings = settings_for(influx_v2, root, "broken off")
    flow = Flow(0, threading.Event())
    with fault_proxy(influx_v2.url, lambda call: None) as proxy:
        manifest = read_manifest(root)
        (shard, *_) = plan_shards(root, manifest, DAY)
        sender = ShardSender(through(settings, proxy.url), manifest, {shard.start: 1}, flow, KnownRows())
        monkeypatch.setattr(sender_module, "tar", lambda file: ordered(flow, storage_files.tar(file)))
        with pytest.raises(Aborted):
            sender.restore(shard, 1, Workspace())
    assert all(len(call.body) <= 512 for call in proxy.writes)


def test_an_interrupt_stops_now(influx_v2: Any, root: Path) -> None:
    """A KeyboardInterrupt waits for no reply, and keeps what was counted."""
    settings = settings_for(influx_v2, root, "interrupted")

    def observe(event: Event) -> None:
        if isinstance(event, Advanced):
            raise KeyboardInterrupt

    with fault_proxy(influx_v2.url, lambda call: Hang() if call.number == 1 else None) as proxy:
        settings = through(settings, proxy.url)
        before = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            load(settings, observe)
        assert time.monotonic() - before < 10
    last = last_load(root)
    assert last is not None
    assert last.rows == ROWS // DAYS


def test_a_stop_before_anything_is_made(influx_v2: Any, root: Path) -> None:
    """Whoever stops a load while it is prepared gets no bucket, and a restart removes none."""
    settings = settings_for(influx_v2, root, "never")
    stop = threading.Event()
    stop.set()
    report = load(settings, stop=stop)
    assert (report.interrupted, report.rows_done) == (True, 0)
    assert not exists(influx_v2, "never")
    load(settings)
    assert load(replace(settings, restart=True), stop=stop).interrupted
    assert_equal(influx_v2, settings)


def test_points_of_somebody_else_are_named(influx_v2: Any, root: Path) -> None:
    """More points than were sent are no reason to send again: the error says what to do."""
    settings = settings_for(influx_v2, root, "shared")

    def observe(event: Event) -> None:
        if isinstance(event, Started):
            line = f"trades,symbol=OTHER price=1,amount=1i {expected(root)[0][0]}"
            influx_v2.call(f"/api/v2/write?org={influx_v2.org}&bucket=shared", line.encode())

    with pytest.raises(LoadError, match="somebody else writes into this bucket"):
        load(settings, observe)


def test_rows_outside_of_their_partitions_times_are_noticed(influx_v2: Any, tmp_path: Path) -> None:
    """Rows whose times the manifest does not know are named before a bucket is made."""
    root = tmp_path / "wide"
    manifest = write_dataset(root, [pa.concat_tables([trades(day, ["AAPL"], 5) for day in (0, 1, 2)])])
    (wide,) = manifest.partitions
    write_manifest(root, replace(manifest, partitions=(replace(wide, time_max=wide.time_min + DAY),)))
    with pytest.raises(StageError, match="is not among those that the manifest says"):
        load(settings_for(influx_v2, root, "narrow"))
    assert not exists(influx_v2, "narrow")


def test_rows_in_no_shard_are_no_success(influx_v2: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A load that has sent all its shards, and not all its rows, does not end as if it had."""
    plan = bucket.plan_shards
    monkeypatch.setattr(bucket, "plan_shards", lambda *wanted: plan(*wanted)[1:])
    with pytest.raises(StageError, match=f"{ROWS // DAYS} rows are in no shard"):
        load(settings_for(influx_v2, root, "one less"))


@pytest.mark.parametrize("reply", [Answer(404), Answer(200, body=b"<html>")])
def test_a_server_that_does_not_tell_of_operators(influx_v2: Any, root: Path, reply: Answer) -> None:
    """Where nobody says whose token it is, the write path goes on, and a restore says what it needs."""
    settings = settings_for(influx_v2, root, f"untold {reply.status}", via="write")
    with fault_proxy(influx_v2.url, lambda call: reply, ("/api/v2/config",)) as proxy:
        settings = through(settings, proxy.url)
        with pytest.raises(ConfigError, match="cannot be found out"):
            load(replace(settings, via="restore"))
        assert load(settings).rows_done == ROWS


def test_a_server_that_is_busy_when_asked_of_operators(influx_v2: Any, root: Path) -> None:
    """A server that may tell later is not one that never tells."""
    with fault_proxy(influx_v2.url, lambda call: Answer(503), ("/api/v2/config",)) as proxy, pytest.raises(ServerError):
        load(through(settings_for(influx_v2, root, "asked", retry_seconds=0.1), proxy.url))


def test_a_large_body_may_take_longer_than_a_reply(influx_v2: Any) -> None:
    """The timeout is for each wait, not for all of an upload."""
    target = Target(influx_v2.url, "any", influx_v2.org, influx_v2.token)

    def pieces() -> Iterator[bytes]:
        for _ in range(4):
            time.sleep(0.4)
            yield bytes(512)

    with Connection(target, 1.0) as link:
        assert link.upload(api.build_shard(999_999), pieces(), 2_048).status


def test_a_bucket_without_shards_is_made_again(influx_v2: Any, root: Path) -> None:
    """A run that was cut short while its bucket was made is no obstacle for the next."""
    settings = settings_for(influx_v2, root, "half made")
    org = json.loads(influx_v2.call(f"/api/v2/orgs?org={influx_v2.org}"))["orgs"][0]["id"]
    mark = make_mark()
    body = {"orgID": org, "name": "half made", "description": mark, "retentionRules": []}
    influx_v2.call("/api/v2/buckets", json.dumps(body).encode())
    with opened_ledger(root) as database:
        add_mark(database, settings.target, read_manifest(root).fingerprint, mark)
    assert load(settings).rows_done == ROWS
    assert_equal(influx_v2, settings)


def test_a_bucket_that_lost_shards_is_named(influx_v2: Any, root: Path) -> None:
    """Shards that are gone cannot be filled: the error says to begin again, which works."""
    settings = settings_for(influx_v2, root, "lossy")
    mark = make_mark()
    with opened_ledger(root) as database:
        add_mark(database, settings.target, read_manifest(root).fingerprint, mark)
    with Connection(settings.target, 30.0) as link:
        org = InfluxDB2().find_organization(link.send, settings.target)
        group = api.ShardGroup(0, DAY)
        api.parse_bucket(settings.target, link.send(api.build_bucket(settings.target, org, mark, DAY, [group])))
    with pytest.raises(LoadError, match="lacks 5 of the 5 shards"):
        load(settings)
    assert load(replace(settings, restart=True)).rows_done == ROWS


def test_another_shard_duration_is_named(influx_v2: Any, root: Path) -> None:
    """A restore goes on with the shards that it began with."""
    settings = settings_for(influx_v2, root, "durable")
    load(settings)
    with pytest.raises(ConfigError, match="another shard duration, 24 hours"):
        load(replace(settings, shard_duration=7 * DAY))


def test_a_bucket_that_vanished_is_restored_anew(influx_v2: Any, root: Path) -> None:
    """An older ledger does not count for a bucket that was removed."""
    settings = settings_for(influx_v2, root, "vanishing restore")
    load(settings)
    delete_bucket(influx_v2, "vanishing%20restore")
    assert load(settings).rows_done == ROWS
    assert_equal(influx_v2, settings)


def test_a_dry_run_encodes_everything(root: Path) -> None:
    """Every storage file is made and measured, without any server; a stop ends it."""
    settings = LoadSettings(root, Target("http://127.0.0.1:1", "none"), via="restore", dry_run=True, shard_duration=DAY)
    report = load(settings)
    assert (report.rows_done, report.interrupted) == (ROWS, False)
    assert report.payload_size > ROWS
    stop = threading.Event()
    stop.set()
    stopped = load(settings, stop=stop)
    assert (stopped.rows_done, stopped.interrupted) == (ROWS // DAYS, True)


PROGRAM = """
import sys
from pathlib import Path
from loader.loading import LoadSettings, load
from loader.servers.base import Target
url, bucket, org, root = sys.argv[1:]
target = Target(url, bucket, org, sys.stdin.readline().strip())
settings = LoadSettings(Path(root), target, via="restore", shard_duration=86_400 * 10**9, connections=2)
load(settings, lambda event: print(event, flush=True))
"""


def test_a_killed_restore_resumes(influx_v2: Any, root: Path) -> None:
    """After kill -9 in the middle, a rerun brings exactly what is missing."""
    settings = settings_for(influx_v2, root, "killed")
    arguments = [influx_v2.url, "killed", influx_v2.org, str(root)]
    kill_at_first_progress(PROGRAM, arguments, influx_v2.token)
    report = load(settings)
    assert report.rows_resumed >= ROWS // DAYS
    assert_equal(influx_v2, settings)


def test_the_server_dies_and_comes_back(start_influxd: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is killed in the middle and restarted later gets everything, from the same run."""
    monkeypatch.setattr(storage_files, "MOST_BYTES", 1)
    server = start_influxd("v2")
    settings = settings_for(server, root, "revived", connections=1, retry_seconds=60.0, shard_duration=2 * DAY)
    killer = ServerKiller(server)
    report = load(settings, killer)
    killer.wait()
    assert report.retries > 0
    assert_equal(server, settings)


def test_a_restored_bucket_lives_on(start_influxd: Any, root: Path) -> None:
    """Later writes, deletes, a restart, kill -9 and a full compaction meet restored points as they meet others."""
    server = start_influxd("v2")
    settings = settings_for(server, root, "living", shard_duration=7 * DAY)
    load(settings)
    points = expected(root)
    overwritten, deleted = points[0], points[-1]
    new_time = deleted[0] + 5
    lines = [
        f"trades,symbol={overwritten[4]},side={overwritten[3]} price=1.25 {overwritten[0]}",
        f"trades,symbol=NEW,side=buy price=2.5,amount=7i {new_time}",
    ]
    server.call(f"/api/v2/write?org={server.org}&bucket=living&precision=ns", "\n".join(lines).encode())
    wish = {
        "start": f"1970-01-01T00:00:{0:02}Z",
        "stop": "2100-01-01T00:00:00Z",
        "predicate": f'symbol="{deleted[4]}" AND side="{deleted[3]}"',
    }
    server.call(f"/api/v2/delete?org={server.org}&bucket=living", json.dumps(wish).encode())
    wanted = sorted(
        [[overwritten[0], overwritten[1], 1.25, *overwritten[3:]], [new_time, 7, 2.5, "buy", "NEW"]]
        + [point for point in points[1:] if point[3:] != deleted[3:]]
    )
    assert stored(server, "living") == wanted
    server.stop()
    server.restart()
    assert stored(server, "living") == wanted
    server.kill()
    server.command += [
        "--storage-compact-full-write-cold-duration=1s",
        "--storage-cache-snapshot-write-cold-duration=1s",
    ]
    server.restart()
    shard = next((server.folder / "engine" / "data").glob("*/autogen/*/*.tsm")).parent
    deadline = time.monotonic() + 60
    while (files := [path.name for path in shard.iterdir() if "tsm" in path.name]) and len(files) > 1:
        assert time.monotonic() < deadline, files
        time.sleep(0.2)
    assert stored(server, "living") == wanted
