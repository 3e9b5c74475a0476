"""The write path into real servers, with what networks and busy servers do planted in between."""

from __future__ import annotations

import hashlib
import json
import threading
import time
import urllib.parse
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from loader.dataset.manifest import read_manifest, write_manifest
from loader.encoding import warm
from loader.errors import ConfigError, LoadError, Refused, Retryable, StageError
from loader.events import Advanced, Event, Notice, Rejected, Started, Waited
from loader.loading import LoadSettings, WriteSettings, load
from loader.loading.ledger import last_load, ledger_path
from loader.loading.write_path import sender, write
from loader.loading.write_path.connection_limit import START
from loader.servers.base import Request, Target
from loader.servers.transport import Connection
from tests.datasets import trades, write_dataset
from tests.fault_proxy import Answer, Call, Fault, Hang, Reset, fault_proxy
from tests.killing import ServerKiller, kill_at_first_progress
from tests.stored import delete_bucket, expected, stored

ROWS = 600


def settings_for(server: Any, root: Path, **changes: Any) -> LoadSettings:
    """Return settings for a bucket of its own, with small payloads."""
    target = Target(server.url, changes.pop("bucket", None) or server.new_bucket(), server.org, server.token)
    return replace(LoadSettings(root, target, write=WriteSettings(batch_lines=37), retry_seconds=20.0), **changes)


@pytest.fixture(params=["series order", "time order"])
def root(request: Any, tmp_path: Path) -> Path:
    """Return a dataset of three days, four series and 600 rows; those in time order are sent in another order."""
    tables = [trades(day, ["AAPL", "MSFT"], 50) for day in range(3)]
    if request.param == "time order":
        tables = [table.sort_by("timestamp") for table in tables]
    assert write_dataset(tmp_path / "data", tables).rows == ROWS
    return tmp_path / "data"


def test_every_row_arrives(influx: Any, root: Path) -> None:
    """A load brings every row to the server, value for value, and reports it."""
    settings = settings_for(influx, root)
    events: list[Event] = []
    report = load(settings, events.append)
    assert stored(influx, settings.target.bucket) == expected(root)
    assert (report.rows, report.rows_done, report.rows_resumed) == (ROWS, ROWS, 0)
    assert report.server == f"InfluxDB {influx.version}"
    assert report.payload_size == report.body_size > 0
    assert not report.interrupted
    assert Started("load", ROWS, 0) in events
    assert sum(event.rows for event in events if isinstance(event, Advanced)) == ROWS


def test_a_missing_bucket_is_made(influx: Any, root: Path) -> None:
    """A bucket that is not there is created with infinite retention and the asked shard duration, and said so."""
    settings = settings_for(influx, root, bucket="new bucket's", shard_duration=2 * 86_400 * 10**9)
    events: list[Event] = []
    load(settings, events.append)
    assert [event for event in events if isinstance(event, Notice)]
    assert len(stored(influx, settings.target.bucket)) == ROWS


def test_a_bucket_of_the_default_shard_duration_is_made(influx: Any, root: Path) -> None:
    """Without a wish the server decides."""
    settings = settings_for(influx, root, bucket="default shards")
    load(settings)
    assert len(stored(influx, settings.target.bucket)) == ROWS


def test_compressed_bodies_arrive(influx: Any, root: Path) -> None:
    """Gzip makes bodies smaller and changes nothing else."""
    settings = settings_for(influx, root, write=WriteSettings(batch_lines=37, compress="gzip:6"))
    report = load(settings)
    assert report.body_size < report.payload_size / 2
    assert stored(influx, settings.target.bucket) == expected(root)


def test_a_second_run_sends_nothing(influx: Any, root: Path) -> None:
    """A finished load has nothing left, whatever the batch size; a restarted one sends everything."""
    settings = settings_for(influx, root)
    load(settings)
    again = load(replace(settings, write=WriteSettings(batch_lines=50)))
    assert (again.rows_resumed, again.rows_done) == (ROWS, 0)
    restarted = load(replace(settings, restart=True))
    assert restarted.rows_done == ROWS
    last = last_load(root)
    assert last is not None
    assert last.finished


def test_a_bucket_that_vanished_is_loaded_anew(influx: Any, root: Path) -> None:
    """An older ledger does not count for a bucket that was made again under its old name."""
    settings = settings_for(influx, root, bucket="vanishing")
    load(settings)
    if influx.kind == "v1":
        ask_post(influx, "DROP DATABASE vanishing")
    else:
        delete_bucket(influx, "vanishing")
    assert load(settings).rows_done == ROWS
    assert stored(influx, settings.target.bucket) == expected(root)


def ask_post(server: Any, statement: str) -> None:
    """Run an InfluxQL statement that changes something."""
    server.call("/query", urllib.parse.urlencode({"q": statement}).encode())


@pytest.mark.parametrize(
    "fault",
    [
        Answer(503, headers=(("Retry-After", "1"),)),
        Answer(429),
        Answer(500),
        Reset(),
        Reset(forward=True),
    ],
)
def test_passing_faults_are_retried(influx: Any, root: Path, fault: Fault) -> None:
    """Busy replies and broken connections, before or after the server did its work, lose and double nothing."""
    settings = settings_for(influx, root)
    events: list[Event] = []
    with fault_proxy(influx.url, lambda call: fault if call.number in {2, 5} else None) as proxy:
        report = load(replace(settings, target=replace(settings.target, url=proxy.url)), events.append)
    assert stored(influx, settings.target.bucket) == expected(root)
    assert report.retries == 2
    assert report.waits["retry"] == pytest.approx(
        sum(event.seconds for event in events if isinstance(event, Waited) and event.cause == "retry")
    )


def test_a_reply_that_never_comes_times_out(influx: Any, root: Path) -> None:
    """A hanging request is given up after the timeout and sent again."""
    settings = settings_for(influx, root, timeout_seconds=1.0)
    with fault_proxy(influx.url, lambda call: Hang() if call.number == 1 else None) as proxy:
        report = load(replace(settings, target=replace(settings.target, url=proxy.url)))
    assert report.retries == 1
    assert stored(influx, settings.target.bucket) == expected(root)


def test_a_fault_that_lasts_ends_the_load_and_a_rerun_resumes(influx: Any, root: Path) -> None:
    """After the limit in time the load fails with the server's words; what was acknowledged is not sent again."""
    settings = settings_for(influx, root, retry_seconds=1.0)
    with (
        fault_proxy(influx.url, lambda call: Answer(503) if call.number >= 5 else None) as proxy,
        pytest.raises(LoadError, match="planted"),
    ):
        load(replace(settings, target=replace(settings.target, url=proxy.url)))
    with fault_proxy(influx.url, lambda call: None) as other:
        address = other.url
        assert load(replace(settings, target=replace(settings.target, url=address))).rows_done == ROWS
    assert stored(influx, settings.target.bucket) == expected(root)


def test_a_rerun_resumes_where_the_first_stopped(influx: Any, root: Path) -> None:
    """Acknowledged rows are not sent twice, even with another batch size, and none is missed."""
    settings = settings_for(influx, root)
    broken = {"now": True}

    def script(call: Call) -> Fault | None:
        return Answer(401) if broken["now"] and call.number >= 6 else None

    with fault_proxy(influx.url, script) as proxy:
        through = replace(settings, target=replace(settings.target, url=proxy.url))
        with pytest.raises(Refused, match="401"):
            load(through)
        sent = len(proxy.writes)
        assert sent <= 6 + START
        broken["now"] = False
        report = load(replace(through, write=WriteSettings(batch_lines=100)))
    assert report.rows_resumed + report.rows_done == ROWS
    assert report.rows_resumed >= 37
    assert stored(influx, settings.target.bucket) == expected(root)


def test_a_body_that_is_too_large_is_split_and_remembered(influx: Any, root: Path) -> None:
    """After a 413 the body goes in parts, and later bodies are cut to the size that passed."""
    settings = settings_for(influx, root, write=WriteSettings(batch_lines=150), connections=1)
    limit = 3_000

    def script(call: Call) -> Fault | None:
        return Answer(413) if len(call.body) > limit else None

    with fault_proxy(influx.url, script) as proxy:
        load(replace(settings, target=replace(settings.target, url=proxy.url)))
        refused = [call.number for call in proxy.writes if len(call.body) > limit]
    assert stored(influx, settings.target.bucket) == expected(root)
    # Bodies that were cut before the first refusal are still to come: two of them, and one that waits for its place.
    assert len(refused) <= 10
    assert len(proxy.writes) - refused[-1] > 5


def test_a_line_that_is_too_large_alone_is_rejected(influx: Any, root: Path) -> None:
    """A server that takes nothing gets the load stopped, with each line on record."""
    settings = settings_for(influx, root, write=WriteSettings(batch_lines=4), max_rejected=2, connections=1)
    with (
        fault_proxy(influx.url, lambda call: Answer(413)) as proxy,
        pytest.raises(LoadError, match="rejected"),
    ):
        load(replace(settings, target=replace(settings.target, url=proxy.url)))
    assert stored(influx, settings.target.bucket) == []


def test_rejected_lines_are_kept_with_their_address(influx: Any, tmp_path: Path) -> None:
    """A type conflict costs exactly its own lines: they are on file, all others are stored."""
    root = tmp_path / "data"
    write_dataset(root, [trades(0, ["AAPL", "MSFT"], 50), trades(10, ["AAPL", "MSFT"], 50).sort_by("timestamp")])
    settings = settings_for(influx, root)
    symbol = "trades,symbol=AAPL,side=buy amount="
    first = expected(root)[0][0]
    path = f"/api/v2/write?org={influx.org}&bucket={settings.target.bucket}&precision=ns"
    influx.call(path, f'{symbol}"text" {first + 1}'.encode())
    events: list[Event] = []
    # The field type is fixed per shard: every row of the first shard conflicts, and only those.
    report = load(replace(settings, max_rejected=ROWS), events.append)
    lines = [json.loads(line) for line in Path(report.rejected_path).read_text().splitlines()]
    assert report.rows_rejected == len(lines) == sum(event.rows for event in events if isinstance(event, Rejected))
    assert len(lines) == 200
    kept = [point for point in stored(influx, settings.target.bucket) if point[0] > first + 86_400 * 10**9]
    assert kept == [row for row in expected(root) if row[0] > first + 86_400 * 10**9]
    for entry in lines:
        day = pl.read_parquet(root / entry["partition"], hive_partitioning=False)
        row = day.row(entry["row"], named=True)
        assert f"symbol={row['symbol']},side={row['side']} " in entry["line"]
        assert f"amount={row['amount']}i" in entry["line"]
        assert entry["status"] in {400, 422}
        assert "conflict" in entry["reason"]
    assert (report.rows_done, report.rows_acknowledged) == (400, 200)
    assert load(settings).rows_rejected == len(lines)


def test_too_many_rejected_lines_stop_the_load(influx: Any, root: Path) -> None:
    """A load whose lines are refused one after the other stops at the limit and says where they are."""
    settings = settings_for(influx, root, max_rejected=0, write=WriteSettings(batch_lines=10))
    with (
        fault_proxy(influx.url, lambda call: Answer(400)) as proxy,
        pytest.raises(LoadError, match="more than the 0 allowed") as caught,
    ):
        load(replace(settings, target=replace(settings.target, url=proxy.url)))
    assert ".jsonl" in caught.value.hint


def test_rejected_lines_that_cannot_be_kept_stop_the_load(influx: Any, root: Path) -> None:
    """Without a place for rejected lines their rows are not acknowledged."""
    settings = settings_for(influx, root, write=WriteSettings(batch_lines=10))
    (ledger_path(root).parent / "rejected").write_text("a file where a folder should be")
    with (
        fault_proxy(influx.url, lambda call: Answer(400)) as proxy,
        pytest.raises(LoadError, match="cannot be written"),
    ):
        load(replace(settings, target=replace(settings.target, url=proxy.url)))


def test_a_refusal_amid_a_body_keeps_what_was_taken_of_it(influx: Any, root: Path) -> None:
    """Of a body that goes in halves the first may be stored when the second is refused: it is on record."""
    settings = settings_for(influx, root, write=WriteSettings(batch_lines=100), connections=1)
    faults = {0: Answer(400), 2: Answer(401)}
    with fault_proxy(influx.url, lambda call: faults.get(call.number)) as proxy, pytest.raises(Refused):
        load(replace(settings, target=replace(settings.target, url=proxy.url)))
    last = last_load(root)
    assert last is not None
    assert last.rows == len(stored(influx, settings.target.bucket)) == 50


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_stops_at_once(influx: Any, root: Path, status: int) -> None:
    """Nothing more is sent than what was in flight."""
    settings = settings_for(influx, root)
    with fault_proxy(influx.url, lambda call: Answer(status)) as proxy, pytest.raises(Refused):
        load(replace(settings, target=replace(settings.target, url=proxy.url)))
    assert len(proxy.writes) <= START
    assert stored(influx, settings.target.bucket) == []


def test_an_html_page_with_status_200_is_no_success(influx: Any, root: Path) -> None:
    """Only a 204 is an acknowledgement."""
    settings = settings_for(influx, root)
    with fault_proxy(influx.url, lambda call: Answer(200, b"<html>")) as proxy, pytest.raises(Refused):
        load(replace(settings, target=replace(settings.target, url=proxy.url)))


def test_a_stop_finishes_what_is_in_flight(influx: Any, root: Path) -> None:
    """The first wish to stop ends the load early, on record, and a rerun completes it."""
    settings = settings_for(influx, root, write=WriteSettings(batch_lines=37, rate=300.0))
    stop = threading.Event()

    def observe(event: Event) -> None:
        if isinstance(event, Advanced):
            stop.set()

    report = load(settings, observe, stop)
    assert report.interrupted
    assert 0 < report.rows_done < ROWS
    assert len(stored(influx, settings.target.bucket)) == report.rows_done
    again = load(replace(settings, write=WriteSettings(batch_lines=37, rate=0.0)))
    assert again.rows_resumed == report.rows_done
    assert stored(influx, settings.target.bucket) == expected(root)


def test_a_stop_does_not_wait_for_retries(influx: Any, root: Path) -> None:
    """A payload that waits for its next attempt is left for the next run."""
    settings = settings_for(influx, root)
    stop = threading.Event()

    def observe(event: Event) -> None:
        if isinstance(event, Waited):
            stop.set()

    with fault_proxy(influx.url, lambda call: Answer(503, headers=(("Retry-After", "15"),))) as proxy:
        before = time.monotonic()
        report = load(replace(settings, target=replace(settings.target, url=proxy.url)), observe, stop)
    assert report.interrupted
    assert report.rows_done == 0
    assert time.monotonic() - before < 10


def test_an_observer_that_raises_loses_nothing(influx: Any, root: Path) -> None:
    """The error of a program's own observer ends the load, once all that was in flight is in the ledger."""
    settings = settings_for(influx, root, write=WriteSettings(batch_lines=10))

    def observe(event: Event) -> None:
        if isinstance(event, Advanced):
            raise ZeroDivisionError

    with fault_proxy(influx.url, lambda call: None) as proxy:
        asked = replace(settings, target=replace(settings.target, url=proxy.url))
        with pytest.raises(ZeroDivisionError):
            load(asked, observe)
        sent = len(proxy.writes)
        report = load(asked)
    assert 0 < report.rows_resumed == 10 * sent


def test_an_interrupt_stops_now(influx: Any, root: Path) -> None:
    """A KeyboardInterrupt passes through at once and keeps what was acknowledged."""
    settings = settings_for(influx, root)

    def observe(event: Event) -> None:
        if isinstance(event, Advanced):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(settings, observe)
    report = load(settings)
    assert 0 < report.rows_resumed <= 37
    assert stored(influx, settings.target.bucket) == expected(root)


def test_a_killed_load_resumes(influx: Any, root: Path) -> None:
    """After kill -9 in the middle, a rerun brings exactly the missing rows."""
    settings = settings_for(influx, root)
    program = (
        "import sys\nfrom pathlib import Path\nfrom loader.loading import LoadSettings, WriteSettings, load\n"
        "from loader.servers.base import Target\n"
        "target = Target(sys.argv[2], sys.argv[3], sys.argv[4], sys.stdin.readline().strip())\n"
        "write = WriteSettings(batch_lines=37, rate=300.0)\n"
        "load(LoadSettings(Path(sys.argv[1]), target, write=write), lambda e: print(e, flush=True))\n"
    )
    arguments = [str(root), influx.url, settings.target.bucket, influx.org]
    kill_at_first_progress(program, arguments, influx.token)
    report = load(settings)
    assert 0 < report.rows_resumed < ROWS
    assert stored(influx, settings.target.bucket) == expected(root)


def test_the_server_dies_and_comes_back(start_influxd: Any, root: Path) -> None:
    """A server that is killed in the middle and restarted later gets everything, from the same run."""
    server = start_influxd("v1")
    settings = settings_for(server, root, write=WriteSettings(batch_lines=37, rate=300.0), retry_seconds=60.0)
    killer = ServerKiller(server)
    report = load(settings, killer)
    killer.wait()
    assert report.retries > 0
    assert stored(server, settings.target.bucket) == expected(root)


def test_points_older_than_the_retention_are_refused_before_the_load(influx_v2: Any, root: Path) -> None:
    """A bucket that would drop old points is refused with its retention, and nothing is sent."""
    name = f"short-lived-{uuid.uuid4()}"
    org = json.loads(influx_v2.call(f"/api/v2/orgs?org={influx_v2.org}"))["orgs"][0]["id"]
    body = {"orgID": org, "name": name, "retentionRules": [{"type": "expire", "everySeconds": 7 * 86_400}]}
    influx_v2.call("/api/v2/buckets", json.dumps(body).encode())
    with pytest.raises(ConfigError, match="keeps 7 days"):
        load(settings_for(influx_v2, root, bucket=name))


def test_points_older_than_the_retention_of_1_are_refused(influx_v1: Any, root: Path) -> None:
    """The default retention policy of a database counts."""
    ask_post(influx_v1, "CREATE DATABASE short WITH DURATION 48h30m")
    with pytest.raises(ConfigError, match=r"keeps 2\.02083 days"):
        load(settings_for(influx_v1, root, bucket="short"))


def test_a_dry_run_sends_nothing(root: Path) -> None:
    """Everything is encoded and measured, without any server."""
    settings = LoadSettings(
        root, Target("http://127.0.0.1:1", "trades"), write=WriteSettings(compress="gzip"), dry_run=True
    )
    events: list[Event] = []
    report = load(settings, events.append)
    assert report.rows_done == ROWS
    assert 0 < report.body_size < report.payload_size
    assert Started("dry run", ROWS) in events
    assert not ledger_path(root).exists()


@pytest.mark.parametrize("dry_run", [False, True])
def test_compiling_is_said_before_it_starts(
    influx: Any, root: Path, monkeypatch: pytest.MonkeyPatch, dry_run: bool
) -> None:
    """Where the encoder has to be compiled, that is said, and done before the load counts as started."""
    events: list[Event] = []
    monkeypatch.setattr(warm, "_MOMENT", 0.05)
    monkeypatch.setattr(write, "compile_line_encoder", lambda: time.sleep(0.2))
    load(settings_for(influx, root, dry_run=dry_run, via="write"), events.append)
    said = [event for event in events if isinstance(event, Notice | Started)]
    assert [type(event) for event in said if "server " not in str(event)] == [Notice, Started]


def test_a_dry_run_can_be_stopped(root: Path) -> None:
    """A stop ends a dry run too."""
    stop = threading.Event()
    stop.set()
    report = load(LoadSettings(root, Target("http://127.0.0.1:1", "trades"), dry_run=True), stop=stop)
    assert report.interrupted


def test_an_unreachable_address_is_named(root: Path) -> None:
    """Nobody listens there, and the error says so without a traceback of sockets."""
    with pytest.raises(Retryable, match=r"http://127\.0\.0\.1:1: cannot connect"):
        load(LoadSettings(root, Target("http://127.0.0.1:1", "trades")))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://localhost",
        "localhost:8086",
        "http://",
        "http://h:99999",
        "http://u:p@h",
        "http://h?token=x",
        "http://h#x",
    ],
)
def test_a_wrong_address_is_refused(root: Path, url: str) -> None:
    """Only http and https addresses without secrets in them are addresses."""
    with pytest.raises(ConfigError, match="address"):
        load(LoadSettings(root, Target(url, "trades")))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"write": WriteSettings(batch_lines=0)}, "batch lines"),
        ({"write": WriteSettings(batch_bytes=0)}, "batch bytes"),
        ({"write": WriteSettings(batch_bytes=2**30 + 1)}, "batch bytes"),
        ({"write": WriteSettings(rate=-1.0)}, "rate"),
        ({"write": WriteSettings(rate=float("nan"))}, "rate"),
        ({"connections": 0}, "connections"),
        ({"max_rejected": -1}, "max rejected"),
        ({"retry_seconds": -1.0}, "retry seconds"),
    ],
)
def test_impossible_settings_are_refused(root: Path, change: dict[str, Any], name: str) -> None:
    """A setting that cannot work is named before anything starts."""
    with pytest.raises(ConfigError, match=name):
        load(replace(LoadSettings(root, Target("http://127.0.0.1:1", "trades")), **change))


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf"), 86_401.0])
def test_an_impossible_timeout_is_refused(root: Path, seconds: float) -> None:
    """No time at all is too short, and more than a day is longer than sockets can wait."""
    with pytest.raises(ConfigError, match="timeout of"):
        load(LoadSettings(root, Target("http://127.0.0.1:1", "trades"), timeout_seconds=seconds))


def test_a_wrong_token_is_refused(influx_v2: Any, root: Path) -> None:
    """A token that the server does not know stops the load before it begins, and stays out of the error."""
    settings = settings_for(influx_v2, root)
    with pytest.raises(Refused, match="token") as caught:
        load(replace(settings, target=replace(settings.target, token="very-secret-token")))
    assert "very-secret-token" not in str(caught.value)


@pytest.mark.parametrize(("org", "words"), [("unknown", "unknown"), ("", "no organization is named")])
def test_a_wrong_organization_is_refused(influx_v2: Any, root: Path, org: str, words: str) -> None:
    """An organization that is unknown or not named is an error of configuration."""
    settings = settings_for(influx_v2, root)
    with pytest.raises(ConfigError, match=words):
        load(replace(settings, target=replace(settings.target, org=org)))


def test_an_impossible_database_is_refused(influx_v1: Any, root: Path) -> None:
    """A statement that 1.x refuses is an error in its own words."""
    with pytest.raises(Refused, match="create database"):
        load(settings_for(influx_v1, root, bucket="a\\b"))


def test_a_page_that_cannot_be_read_stops_the_load_and_keeps_the_rest(influx_v1: Any, root: Path) -> None:
    """Damage that the manifest does not know of ends the load at its page; what came before is on record."""
    first, second, third = read_manifest(root).partitions
    path = root / second.path
    content = bytearray(path.read_bytes())
    start = pq.read_metadata(path).row_group(0).column(0).dictionary_page_offset
    content[start : start + 60] = b"\xff" * 60
    path.write_bytes(content)
    damaged = replace(second, checksum=hashlib.sha256(content).hexdigest())
    write_manifest(root, replace(read_manifest(root), partitions=(first, damaged, third), distinct=True))
    settings = settings_for(influx_v1, root)
    with pytest.raises(StageError, match=r"date=2024-01-03/trades\.parquet: cannot be read as Parquet"):
        load(settings)
    last = last_load(root)
    assert last is not None
    assert last.rows == len(stored(influx_v1, settings.target.bucket)) == 200


def test_a_damaged_partition_stops_before_anything_is_sent(influx_v1: Any, root: Path) -> None:
    """A partition that was cut short is named before the load begins."""
    path = next(root.glob("*/trades.parquet"))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(StageError, match=r"trades\.parquet"):
        load(settings_for(influx_v1, root))


def test_a_tls_address_without_tls_is_named(influx_v1: Any, root: Path) -> None:
    """Https to a server that speaks http is an error of the handshake."""
    address = influx_v1.url.replace("http://", "https://")
    with pytest.raises(Refused, match="TLS"):
        load(LoadSettings(root, Target(address, "trades")))
    with Connection(Target(address, "trades"), 5.0) as connection, pytest.raises(Refused, match="TLS"):
        connection.send(Request("POST", "/api/v2/write", body=b"m f=1"))


def test_bytes_in_flight_are_bounded(influx: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one body is all that may be under way, one connection does the work, however many are allowed."""
    monkeypatch.setattr(sender, "MOST_BYTES_IN_FLIGHT", 1)
    report = load(settings_for(influx, root, connections=8))
    assert (report.rows_acknowledged, report.connections) == (ROWS, 1)


def test_connections_beyond_a_busy_server_are_given_up(influx: Any, root: Path) -> None:
    """A server that refuses what comes beside another body is sent one at a time, and has every row in the end."""
    faults = {number: Answer(429, headers=(("Retry-After", "0"),)) for number in range(3)}
    with fault_proxy(influx.url, lambda call: faults.get(call.number)) as proxy:
        settings = settings_for(influx, root)
        report = load(replace(settings, target=replace(settings.target, url=proxy.url)))
    assert (report.rows_acknowledged, report.retries) == (ROWS, 3)
    assert stored(influx, settings.target.bucket) == expected(root)


def test_a_rate_holds_at_the_server(influx: Any, root: Path) -> None:
    """At no moment has the server been sent more than the rate allows since the load began to send."""
    seen: list[tuple[float, int]] = []

    def script(call: Call) -> None:
        seen.append((time.monotonic(), call.body.count(b"\n")))

    with fault_proxy(influx.url, script) as proxy:
        settings = settings_for(influx, root, write=WriteSettings(batch_lines=37, rate=1_000.0))
        began = time.monotonic()
        report = load(replace(settings, target=replace(settings.target, url=proxy.url)))
    assert report.waits["rate"] > 0
    for number, (now, _) in enumerate(seen):
        assert sum(lines for _, lines in seen[: number + 1]) <= 1_000 * (now - began)
