"""The restore path into buckets of a real InfluxDB 2 that exist, with others in them and at work."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loader.dataset.mapping import ColumnMapping
from loader.errors import ConfigError, LoadError, ServerError
from loader.events import Answered, Event, Notice, Started, Waited
from loader.loading import LoadSettings, load
from loader.loading.ledger import opened_ledger
from loader.loading.restore_path import attempt, existing, fill, proving, storage_files
from loader.loading.restore_path import sender as sender_module
from loader.loading.shard_files import list_files
from loader.reporting.text import load_text
from loader.servers.backup import list_shards
from loader.servers.base import Target
from loader.servers.transport import Connection
from loader.servers.v2 import InfluxDB2
from loader.staging import FilesSettings, stage_files
from loader.verification import VerifySettings, verify
from tests.datasets import JANUARY_2, small_dataset, trades, write_dataset
from tests.fault_proxy import Answer, Call, CutShort, Dated, Fault, fault_proxy
from tests.stored import ask, delete_bucket, expected, stored

DAY = 86_400_000_000_000
ROWS = 5 * 4 * 30
FILES = ("/restore/shards",)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a dataset of five days, from a Tuesday on, four series and 600 rows: in one shard of a week."""
    assert small_dataset(tmp_path / "data", days=5, rows=30).rows == ROWS
    return tmp_path / "data"


def settings_for(server: Any, root: Path, bucket: str, **changes: Any) -> LoadSettings:
    """Return settings to restore into a bucket, which may exist."""
    target = Target(server.url, bucket, server.org, server.token)
    return replace(LoadSettings(root, target, via="restore", connections=2, retry_seconds=20.0), **changes)


def write(server: Any, bucket: str, *lines: str) -> None:
    """Write line protocol as others do."""
    server.call(f"/api/v2/write?org={server.org}&bucket={bucket}", "\n".join(lines).encode())


def trade(time: int, price: float, symbol: str = "AAPL") -> str:
    """Return a trade as line protocol."""
    return f"trades,symbol={symbol},side=buy price={price},amount=1i {time}"


def shard_ids(settings: LoadSettings) -> list[int]:
    """Return the ids of the bucket's shards by time."""
    with Connection(settings.target, 30.0) as link:
        bucket = InfluxDB2().find_bucket(link.send, settings.target)
        assert bucket
        return [shard.id for shard in list_shards(link.send, bucket)]


def files_of(settings: LoadSettings) -> list[str]:
    """Return the names of all storage files of the bucket; what is in memory is written to files first."""
    with Connection(settings.target, 30.0) as link:
        return [name for shard_id in shard_ids(settings) for name in list_files(link, shard_id, "")]


def merged(*parts: list[list[Any]]) -> list[list[Any]]:
    """Return points of ``parts`` in the form of ``stored``: of one identity, that of the last part."""
    found = {(point[0], *point[3:]): point for points in parts for point in points}
    return sorted(found.values())


def assert_proven(server: Any, settings: LoadSettings) -> None:
    """Have every value of the dataset compared with the server."""
    target = replace(settings.target, url=server.url)
    report = verify(VerifySettings(settings.dataset, target, values=True, surplus="ignore"))
    assert (report.differences, report.rows) == ((), report.rows)


def notices(events: list[Event]) -> str:
    """Return all notices as one text."""
    return "\n".join(event.message for event in events if isinstance(event, Notice))


def test_an_increment_joins_what_is_there(influx_v2: Any, root: Path, tmp_path: Path) -> None:
    """Rows go into a shard that held points and into new ones; each stored point is one of either load."""
    bucket = influx_v2.new_bucket()
    before = settings_for(influx_v2, root, bucket, via="write")
    load(before)
    write_dataset(tmp_path / "more", [trades(day, ["AAPL", "NVDA"], 200) for day in (3, 4, 12)])
    settings = settings_for(influx_v2, tmp_path / "more", bucket)
    events: list[Event] = []
    report = load(settings, events.append)
    assert (report.via, report.rows_acknowledged, report.retries) == ("restore", 3 * 4 * 200, 0)
    assert "120 points of the same series and time were there before, and replaced" in load_text(report)
    assert stored(influx_v2, bucket) == merged(expected(root), expected(tmp_path / "more"))
    assert "2 shards to fill, 1 with points of the same measurement and time, 120 points to be replaced" in notices(
        events
    )
    assert_proven(influx_v2, settings)
    assert load(settings).rows_resumed == report.rows


def test_the_same_dataset_again(influx_v2: Any, root: Path) -> None:
    """A restart into a bucket with all its points sends them all again, and changes none."""
    settings = settings_for(influx_v2, root, influx_v2.new_bucket())
    load(settings)
    events: list[Event] = []
    assert load(replace(settings, restart=True), events.append).rows_acknowledged == ROWS
    assert f"{ROWS} points to be replaced" in notices(events)
    assert stored(influx_v2, settings.target.bucket) == expected(root)


def test_existing_points_may_end_the_load(influx_v2: Any, root: Path) -> None:
    """Where they must not be replaced, one of them is enough, and nothing was written; without it, the load goes on."""
    bucket = influx_v2.new_bucket()
    first = expected(root)[0]
    write(influx_v2, bucket, f"trades,symbol={first[4]},side={first[3]} price=5,amount=1i {first[0]}")
    settings = settings_for(influx_v2, root, bucket, on_existing="fail")
    with pytest.raises(ConfigError, match="has 1 point of this dataset already, by series and time; nothing was sent"):
        load(settings)
    assert len(stored(influx_v2, bucket)) == 1
    other = settings_for(influx_v2, root, influx_v2.new_bucket(), on_existing="fail")
    write(influx_v2, other.target.bucket, trade(first[0] + 1, 5.0, "OTHER"))
    assert load(other).rows_acknowledged == ROWS


def test_duplicates_are_counted_in_parts(influx_v2: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However little memory there is, the number is the same."""
    from loader.loading.restore_path import duplicates

    monkeypatch.setattr(duplicates, "_MOST_BYTES", 64)
    bucket = influx_v2.new_bucket()
    write(
        influx_v2, bucket, *(trade(point[0], 1.0) for point in expected(root)[:100:7] if point[3:] == ["buy", "AAPL"])
    )
    number = len(stored(influx_v2, bucket))
    with pytest.raises(ConfigError, match=f"has {number} points of this dataset already"):
        load(settings_for(influx_v2, root, bucket, on_existing="fail"))
    assert number > 1


def test_another_type_ends_the_load(influx_v2: Any, root: Path) -> None:
    """The server refuses a leading row; the error has its words and the row, and no file was sent."""
    bucket = influx_v2.new_bucket()
    write(influx_v2, bucket, f"trades,symbol=X amount=1.5 {JANUARY_2}")
    settings = settings_for(influx_v2, root, bucket)
    with fault_proxy(influx_v2.url, lambda call: None, FILES) as proxy:
        through = replace(settings, target=replace(settings.target, url=proxy.url))
        with pytest.raises(ConfigError, match=r"trades.parquet, row 0: the server refuses this row.*conflict"):
            load(through)
    assert proxy.writes == []


def test_points_beyond_the_retention_end_the_load(influx_v2: Any, root: Path) -> None:
    """The oldest row leads: what the server would drop is refused by it, before a file is sent."""
    org = json.loads(influx_v2.call(f"/api/v2/orgs?org={influx_v2.org}"))["orgs"][0]["id"]
    bucket = f"short{next(influx_v2.numbers)}"
    rules = [{"type": "expire", "everySeconds": 30 * 86_400}]
    influx_v2.call("/api/v2/buckets", json.dumps({"orgID": org, "name": bucket, "retentionRules": rules}).encode())
    with pytest.raises(ConfigError, match=r"the server refuses this row.*retention"):
        load(settings_for(influx_v2, root, bucket))
    assert shard_ids(settings_for(influx_v2, root, bucket)) == []


def test_a_refusal_that_is_over(influx_v2: Any, root: Path) -> None:
    """A request with leading rows that is refused as a whole is no reason to stop where each row is taken."""
    settings = settings_for(influx_v2, root, influx_v2.new_bucket())
    with fault_proxy(influx_v2.url, lambda call: Answer(400) if call.number == 0 else None, ("/write",)) as proxy:
        assert load(replace(settings, target=replace(settings.target, url=proxy.url))).rows_acknowledged == ROWS
    assert len(proxy.writes) == 2
    assert stored(influx_v2, settings.target.bucket) == expected(root)


def test_a_row_that_makes_no_shard(influx_v2: Any, root: Path) -> None:
    """A server that takes leading rows, and has no shard for them, gets no files."""
    settings = settings_for(influx_v2, root, influx_v2.new_bucket())
    taken = fault_proxy(influx_v2.url, lambda call: Answer(204), ("/write",))
    with taken as proxy, pytest.raises(LoadError, match="has no shard of 2024-01-02"):
        load(replace(settings, target=replace(settings.target, url=proxy.url)))


def test_rows_without_points_need_no_shard(influx_v2: Any, tmp_path: Path) -> None:
    """A shard whose rows are all rejected is not made, and its rows are accounted for."""
    times = [JANUARY_2, JANUARY_2 + 30 * DAY]
    table = pa.table({"time": pa.array(times, pa.timestamp("ns", "UTC")), "v": pa.array([1.0, float("nan")])})
    pq.write_table(table, tmp_path / "a.parquet")
    settings = settings_for(influx_v2, tmp_path / "a.parquet", influx_v2.new_bucket())
    settings = replace(settings, mapping=ColumnMapping("m", "time"))
    report = load(settings)
    assert (report.rows_done, report.rows_rejected) == (2, 1)
    assert len(shard_ids(settings)) == 1
    assert load(settings).rows_resumed == 2
    pq.write_table(table.slice(1), tmp_path / "b.parquet")
    nothing = settings_for(influx_v2, tmp_path / "b.parquet", influx_v2.new_bucket(), mapping=settings.mapping)
    report = load(nothing)
    assert (report.rows_done, report.rows_rejected, shard_ids(nothing)) == (1, 1, [])


def test_several_measurements(influx_v2: Any, tmp_path: Path) -> None:
    """Each is counted in its own time, and points of another measurement are no duplicates."""
    lines = [f"one v=1 {JANUARY_2}", f"two v=2 {JANUARY_2}", f"two v=2 {JANUARY_2 + 7 * DAY}"]
    (tmp_path / "x.lp").write_text("\n".join(lines) + "\n")
    stage_files(FilesSettings(tmp_path / "data", (tmp_path / "x.lp",), workers=1))
    bucket = influx_v2.new_bucket()
    write(influx_v2, bucket, f"one v=5 {JANUARY_2}", f"three v=1 {JANUARY_2}")
    report = load(settings_for(influx_v2, tmp_path / "data", bucket))
    assert (report.rows_acknowledged, report.rows_existing) == (3, 1)
    assert_proven(influx_v2, settings_for(influx_v2, tmp_path / "data", bucket))


def test_a_file_that_is_not_listed(influx_v2: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where points are counted, and the file is not in the server's list, it is sent again."""
    settings = settings_for(influx_v2, root, influx_v2.new_bucket())
    look = proving.list_files
    events: list[Event] = []

    def some(*asked: Any) -> Any:
        return look(*asked) if any(isinstance(event, Waited) for event in events) else {}

    monkeypatch.setattr(proving, "list_files", some)
    assert load(settings, events.append).retries == 1
    assert "does not list the file" in str([event for event in events if isinstance(event, Waited)])


def test_leading_rows_go_in_several_requests(influx_v2: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request stays small, and holds a row at least."""
    monkeypatch.setattr(existing, "_MOST_BYTES", 10)
    org = json.loads(influx_v2.call(f"/api/v2/orgs?org={influx_v2.org}"))["orgs"][0]["id"]
    bucket = f"daily{next(influx_v2.numbers)}"
    rules = [{"type": "expire", "everySeconds": 0, "shardGroupDurationSeconds": 86_400}]
    influx_v2.call("/api/v2/buckets", json.dumps({"orgID": org, "name": bucket, "retentionRules": rules}).encode())
    settings = settings_for(influx_v2, root, bucket)
    with fault_proxy(influx_v2.url, lambda call: None, ("/write",)) as proxy:
        assert load(replace(settings, target=replace(settings.target, url=proxy.url))).rows_acknowledged == ROWS
    assert len(proxy.writes) == len(shard_ids(settings)) == 5
    assert_proven(influx_v2, settings)


def test_shards_of_differing_spans(influx_v2: Any, tmp_path: Path) -> None:
    """Where the duration of shards has changed, rows go into the shards that there are, and into the gaps."""
    write_dataset(tmp_path / "data", [trades(day, ["AAPL"], 20) for day in range(-3, 13)])
    bucket = influx_v2.new_bucket()
    settings = settings_for(influx_v2, tmp_path / "data", bucket)
    described = json.loads(influx_v2.call(f"/api/v2/buckets?name={bucket}"))["buckets"][0]
    for seconds, day in ((86_400, 2), (2 * 86_400, 9), (7 * 86_400, 30)):
        rule = {"type": "expire", "everySeconds": 0, "shardGroupDurationSeconds": seconds}
        changed = json.dumps({"retentionRules": [rule]}).encode()
        influx_v2.call(f"/api/v2/buckets/{described['id']}", changed, method="PATCH")
        write(influx_v2, bucket, trade(JANUARY_2 + day * DAY, 1.0, "OTHER"))
    assert load(settings).rows_acknowledged == 16 * 2 * 20
    assert_proven(influx_v2, settings)
    with Connection(settings.target, 30.0) as link:
        found = InfluxDB2().find_bucket(link.send, settings.target)
        assert found
        spans = [(shard.stop - shard.start) // DAY for shard in list_shards(link.send, found)]
    assert sorted({*spans}) == [1, 2, 3, 7]


def test_a_shard_duration_that_is_not_told(influx_v2: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leading rows are written until there is a shard for every row, also where shards are shorter than thought."""
    bucket = f"hourly{next(influx_v2.numbers)}"
    org = json.loads(influx_v2.call(f"/api/v2/orgs?org={influx_v2.org}"))["orgs"][0]["id"]
    rules = [{"type": "expire", "everySeconds": 0, "shardGroupDurationSeconds": 2 * 86_400}]
    influx_v2.call("/api/v2/buckets", json.dumps({"orgID": org, "name": bucket, "retentionRules": rules}).encode())
    find = InfluxDB2.find_bucket
    monkeypatch.setattr(InfluxDB2, "find_bucket", lambda *given: replace(find(*given), shard_duration=0))  # type: ignore[type-var]
    settings = settings_for(influx_v2, root, bucket)
    assert load(settings).rows_acknowledged == ROWS
    assert stored(influx_v2, bucket) == expected(root)


@pytest.mark.parametrize("listed", [True, False])
def test_a_file_of_the_same_number_stays(
    influx_v2: Any, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: bool
) -> None:
    """Two loads of one second do not meet: their numbers differ, or the sequence that each draws."""
    monkeypatch.setattr(fill, "generation_now", lambda: 77)
    if not listed:
        monkeypatch.setattr(attempt, "list_files", lambda *asked: {})
    bucket = influx_v2.new_bucket()
    small_dataset(tmp_path / "other", days=5, rows=7, symbols=["ZZZ"])
    for dataset in (root, tmp_path / "other"):
        load(settings_for(influx_v2, dataset, bucket))
    planted = [name for name in files_of(settings_for(influx_v2, root, bucket)) if name >= "000000077"]
    assert len({name for name in planted if name.startswith("000000077")}) == (1 if listed else 2)
    assert stored(influx_v2, bucket) == merged(expected(root), expected(tmp_path / "other"))


def test_another_attempt_has_a_higher_number(influx_v2: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time may stand still or go back: the ledger's last number for the shard counts."""
    now = iter([50, 40, 30])
    monkeypatch.setattr(fill, "generation_now", lambda: next(now))
    settings = settings_for(influx_v2, root, influx_v2.new_bucket())
    names: list[str] = []

    def script(call: Call) -> Fault | None:
        names.append(call.body[:9].decode())
        return Answer(503) if call.number < 2 else None

    with fault_proxy(influx_v2.url, script, FILES) as proxy:
        load(replace(settings, target=replace(settings.target, url=proxy.url)))
    assert names == ["000000050", "000000051", "000000052"]


@pytest.mark.parametrize("occupied", [False, True])
@pytest.mark.parametrize("fault", [Answer(200), CutShort()])
def test_an_answer_alone_proves_nothing(influx_v2: Any, root: Path, fault: Fault, occupied: bool) -> None:
    """A file that was answered for and not stored is sent again; also where the bucket has all the points already."""
    settings = settings_for(influx_v2, root, influx_v2.new_bucket())
    if occupied:
        load(replace(settings, via="write"))
    with fault_proxy(influx_v2.url, lambda call: fault if call.number == 0 else None, FILES) as proxy:
        report = load(replace(settings, restart=True, target=replace(settings.target, url=proxy.url)))
    assert (report.retries, len(proxy.writes)) == (1, 2)
    assert stored(influx_v2, settings.target.bucket) == expected(root)


@pytest.mark.parametrize("seconds", [None, 3_600.0])
def test_a_clock_that_does_not_fit(influx_v2: Any, root: Path, seconds: float | None) -> None:
    """Without the server's clock, or with that of somebody in between, its whole list is asked for."""
    settings = settings_for(influx_v2, root, influx_v2.new_bucket())
    with fault_proxy(influx_v2.url, lambda call: Dated(seconds), ("/ping",)) as proxy:
        report = load(replace(settings, target=replace(settings.target, url=proxy.url)))
        again = load(replace(settings, restart=True, target=replace(settings.target, url=proxy.url)))
    assert (report.retries, again.retries) == (0, 0)


def test_a_series_that_no_query_finds(influx_v2: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are there, of which a series is in no index, are sent again."""
    settings = settings_for(influx_v2, root, influx_v2.new_bucket())
    load(settings)
    find = proving._stored_series
    events: list[Event] = []

    def some(*asked: Any) -> Any:
        found = find(*asked)
        return found if any(isinstance(event, Waited) for event in events) else found.sort()[:-1]

    monkeypatch.setattr(proving, "_stored_series", some)
    assert load(replace(settings, restart=True), events.append).retries == 1
    assert "queries do not find 1 of its 4 series" in str([event for event in events if isinstance(event, Waited)])


def test_others_write_into_the_same_time(influx_v2: Any, root: Path) -> None:
    """More points than were sent are no error where others may write: files and series prove the shard."""
    settings = settings_for(influx_v2, root, influx_v2.new_bucket())
    times = iter(range(100))

    def script(call: Call) -> None:
        for symbol in ("AAPL", 'O,d\\ "d='):
            name = symbol.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")
            write(influx_v2, settings.target.bucket, trade(expected(root)[0][0] + 5 + next(times), 2.0, name))

    with fault_proxy(influx_v2.url, script, FILES) as proxy:
        report = load(replace(settings, target=replace(settings.target, url=proxy.url)))
    assert report.rows_acknowledged == ROWS
    assert len(stored(influx_v2, settings.target.bucket)) == ROWS + 2
    assert_proven(influx_v2, settings)


def test_a_measurement_without_tags(influx_v2: Any, tmp_path: Path) -> None:
    """It has one series, whose name is its own."""
    times = pa.array([JANUARY_2 + number for number in range(5)], pa.timestamp("ns", "UTC"))
    pq.write_table(pa.table({"time": times, "v": pa.array([1.0, 2.0, None, 4.0, 5.0])}), tmp_path / "a.parquet")
    settings = settings_for(influx_v2, tmp_path / "a.parquet", influx_v2.new_bucket())
    settings = replace(settings, mapping=ColumnMapping("m", "time"))
    load(settings)
    assert load(replace(settings, restart=True)).retries == 0
    assert_proven(influx_v2, settings)


def test_two_loads_at_once(influx_v2: Any, root: Path, tmp_path: Path) -> None:
    """Loads of two datasets into one shard end with the points of both."""
    small_dataset(tmp_path / "other", days=5, rows=40, symbols=["AAPL", "ZZZ"])
    bucket = influx_v2.new_bucket()
    errors: list[BaseException] = []

    def work(dataset: Path) -> None:
        try:
            load(settings_for(influx_v2, dataset, bucket))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(dataset,)) for dataset in (root, tmp_path / "other")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    wanted = {(point[0], *point[3:]) for dataset in (root, tmp_path / "other") for point in expected(dataset)}
    assert {(point[0], *point[3:]) for point in stored(influx_v2, bucket)} == wanted


def test_a_load_that_was_cut_short_goes_on(influx_v2: Any, tmp_path: Path) -> None:
    """Its own leading rows and files are no existing points for the next run, also where none may be."""
    write_dataset(tmp_path / "data", [trades(day, ["AAPL"], 20) for day in (0, 7, 14)])
    settings = settings_for(influx_v2, tmp_path / "data", influx_v2.new_bucket(), connections=1, on_existing="fail")
    stop = threading.Event()
    report = load(settings, lambda event: stop.set() if isinstance(event, Answered) else None, stop)
    assert (report.interrupted, report.rows_acknowledged) == (True, 40)
    assert load(settings).rows_resumed == 40
    assert stored(influx_v2, settings.target.bucket) == expected(tmp_path / "data")


def test_a_shard_that_is_gone(influx_v2: Any, root: Path) -> None:
    """A load whose acknowledged shard was deleted does not go on as if it were there; a restart brings all."""
    settings = settings_for(influx_v2, root, influx_v2.new_bucket())
    load(settings)
    with opened_ledger(root) as database, database:
        database.execute("UPDATE restored SET start = start - 7 * 86400000000000")
    with pytest.raises(LoadError, match=r"shard of 2023-12-25.*is gone") as caught:
        load(settings)
    assert "--restart" in caught.value.hint
    assert load(replace(settings, restart=True)).rows_acknowledged == ROWS


def test_a_shard_that_goes_during_the_load(influx_v2: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Points for which there is no shard any more are not sent anywhere else."""
    settings = settings_for(influx_v2, root, influx_v2.new_bucket())
    monkeypatch.setattr(existing, "_ids", lambda groups: {})
    monkeypatch.setattr(existing.ExistingBucket, "_lead", lambda self, planned, groups, pending: (tuple(planned), {}))
    with pytest.raises(LoadError, match="the server has none, though there are points for it"):
        load(settings)


def test_a_shard_that_stays_closed(influx_v2: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket of others is not made anew: the error says to restart the server, and the next run goes on."""
    monkeypatch.setattr(sender_module, "_LOOK_SECONDS", 0.0)
    bucket = influx_v2.new_bucket()
    write(influx_v2, bucket, trade(JANUARY_2, 1.0, "OTHER"))
    settings = settings_for(influx_v2, root, bucket)

    def script(call: Call) -> Fault | None:
        return Answer(500) if "/restore/" in call.path or "since=2262" in call.path else None

    with fault_proxy(influx_v2.url, script) as proxy, pytest.raises(LoadError, match="closed it") as caught:
        load(replace(settings, target=replace(settings.target, url=proxy.url)))
    assert "restart the server" in caught.value.hint
    assert load(settings).rows_acknowledged == ROWS
    assert len(stored(influx_v2, bucket)) == ROWS + 1


def test_a_bucket_that_is_shared_is_not_removed(influx_v2: Any, root: Path, tmp_path: Path) -> None:
    """A load that made a bucket does not remove it once another load has brought points into it."""
    settings = settings_for(influx_v2, root, f"made{next(influx_v2.numbers)}")
    load(settings)
    small_dataset(tmp_path / "other", days=1, rows=7, symbols=["ZZZ"])
    load(settings_for(influx_v2, tmp_path / "other", settings.target.bucket))
    assert load(settings).rows_resumed == ROWS
    assert load(replace(settings, restart=True)).rows_acknowledged == ROWS
    both = merged(expected(root), expected(tmp_path / "other"))
    assert stored(influx_v2, settings.target.bucket) == both


def test_files_of_a_shard_that_are_many(influx_v2: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several files of a shard are listed, or read back, all of them."""
    monkeypatch.setattr(storage_files, "MOST_BYTES", 1)
    settings = settings_for(influx_v2, root, influx_v2.new_bucket())
    load(settings)
    assert load(replace(settings, restart=True)).retries == 0
    assert len(files_of(settings)) >= 5
    assert stored(influx_v2, settings.target.bucket) == expected(root)


def test_a_server_that_does_not_count(influx_v2: Any, root: Path) -> None:
    """Without a count, nothing is acknowledged."""
    settings = settings_for(influx_v2, root, influx_v2.new_bucket(), retry_seconds=1.0)
    sent = threading.Event()

    def script(call: Call) -> Fault | None:
        if "/restore/" in call.path:
            sent.set()
        return Answer(503) if sent.is_set() and "/query" in call.path else None

    with fault_proxy(influx_v2.url, script, (*FILES, "/query")) as proxy, pytest.raises(LoadError, match="planted"):
        load(replace(settings, target=replace(settings.target, url=proxy.url)))
    with opened_ledger(root) as database:
        assert database.execute("SELECT count(rows) FROM restored").fetchone() == (0,)


def price_of(server: Any, bucket: str, moment: int) -> float:
    """Return the price at one time."""
    (found,) = [point[2] for point in stored(server, bucket) if point[0] == moment]
    return float(found)


def compact(server: Any) -> None:
    """Restart the server so that it compacts each shard into one file, and wait for it."""
    server.kill()
    server.command += [
        "--storage-compact-full-write-cold-duration=1s",
        "--storage-cache-snapshot-write-cold-duration=1s",
    ]
    server.restart()
    shards = {path.parent for path in (server.folder / "engine" / "data").glob("*/autogen/*/*.tsm")}
    deadline = time.monotonic() + 60
    while any(len([path for path in shard.iterdir() if "tsm" in path.name]) > 1 for shard in shards):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_which_point_wins(start_influxd: Any, tmp_path: Path) -> None:
    """Ours win over what was in files and in the cache; what is written during and after the load wins over ours."""
    server = start_influxd("v2")
    bucket = server.new_bucket()
    in_files, in_cache, during, after, alone = (JANUARY_2 + number for number in range(5))
    times = pa.array([in_files, in_cache, during, after, alone], pa.timestamp("ns", "UTC"))
    columns = {"symbol": ["AAPL"] * 5, "side": ["buy"] * 5, "price": [10.0] * 5, "amount": [7] * 5}
    pq.write_table(pa.table({"time": times, **columns}), tmp_path / "a.parquet")
    settings = settings_for(server, tmp_path / "a.parquet", bucket)
    settings = replace(settings, mapping=ColumnMapping("trades", "time", ("symbol", "side")))
    write(server, bucket, trade(in_files, 1.0), trade(during, 3.0))
    files_of(settings)  # a backup has the server write its cache to a file
    write(server, bucket, trade(in_cache, 2.0))

    def script(call: Call) -> None:
        write(server, bucket, trade(during, 30.0))

    with fault_proxy(server.url, script, FILES) as proxy:
        load(replace(settings, target=replace(settings.target, url=proxy.url)))
    write(server, bucket, trade(after, 40.0))
    wanted = {in_files: 10.0, in_cache: 10.0, during: 30.0, after: 40.0, alone: 10.0}
    assert {moment: price_of(server, bucket, moment) for moment in wanted} == wanted
    server.kill()
    server.restart()
    assert {moment: price_of(server, bucket, moment) for moment in wanted} == wanted
    compact(server)
    assert {moment: price_of(server, bucket, moment) for moment in wanted} == wanted


class Writer:
    """Writes points as fast as it can, each until it gets a 204, and knows those that it got one for."""

    def __init__(self, server: Any, bucket: str, number: int) -> None:
        self.acknowledged = 0
        self.done = threading.Event()
        self._server, self._bucket, self._symbol = server, bucket, f"W{number}"
        self.thread = threading.Thread(target=self._work)
        self.thread.start()

    def _work(self) -> None:
        while not self.done.is_set() or self.acknowledged % 50:
            lines = [trade(JANUARY_2 + self.acknowledged + step, 1.0, self._symbol) for step in range(50)]
            try:
                write(self._server, self._bucket, *lines)
            except (OSError, urllib.error.HTTPError, ConnectionError):
                time.sleep(0.02)
                continue
            self.acknowledged += 50


def test_writers_lose_nothing(start_influxd: Any, tmp_path: Path) -> None:
    """With writers at full rate, 20 restores into their shard and a kill -9 in between lose no acknowledged point."""
    server = start_influxd("v2")
    bucket = server.new_bucket()
    tables = [trades(day % 5, [f"S{day}"], 40) for day in range(20)]
    writers: list[Writer] = []
    try:
        writers += [Writer(server, bucket, number) for number in range(2)]
        for number, table in enumerate(tables):
            write_dataset(tmp_path / str(number), [table])
            if number == 10:
                server.kill()
                threading.Thread(target=server.restart).start()
            settings = settings_for(server, tmp_path / str(number), bucket, retry_seconds=60.0)
            began = time.monotonic()
            while True:
                try:
                    assert load(settings).rows_acknowledged == table.num_rows
                    break
                except ServerError:  # an address that refuses the first request is an error at once
                    assert time.monotonic() < began + 60
                    time.sleep(0.05)
    finally:
        for writer in writers:
            writer.done.set()
        for writer in writers:
            writer.thread.join()
    server.kill()
    server.restart()
    for number, writer in enumerate(writers):
        counted = ask(server, bucket, f"SELECT count(price) FROM trades WHERE symbol = 'W{number}'")
        assert counted["series"][0]["values"][0][1] >= writer.acknowledged > 0
    ours = ask(server, bucket, "SELECT amount, price, side, symbol FROM trades WHERE symbol =~ /^S/")
    wanted = sorted(point for number in range(20) for point in expected(tmp_path / str(number)))
    assert sorted(ours["series"][0]["values"]) == wanted


def test_a_bucket_that_is_deleted_during_the_load(influx_v2: Any, root: Path) -> None:
    """Without the shard, nothing is tried again: the error says that it is gone."""
    settings = settings_for(influx_v2, root, influx_v2.new_bucket())

    def observe(event: Event) -> None:
        if isinstance(event, Started):
            delete_bucket(influx_v2, settings.target.bucket)

    with pytest.raises(LoadError, match=r"the shard of 2024-01-01.* is gone"):
        load(settings, observe)


def test_a_shard_that_another_one_has_replaced(influx_v2: Any, root: Path) -> None:
    """A shard of the same time with another id has none of the load's points."""
    settings = settings_for(influx_v2, root, influx_v2.new_bucket())
    load(settings)
    with opened_ledger(root) as database, database:
        database.execute("UPDATE existing SET shard = shard + 1000000")
    with pytest.raises(LoadError, match=r"shard of 2024-01-01.*is gone"):
        load(settings)


@pytest.mark.parametrize("allowed", [True, False])
def test_lines_share_a_bucket_too(influx_v2: Any, root: Path, tmp_path: Path, allowed: bool) -> None:
    """What lines bring into a bucket that a restore made is not removed by that; a token need not allow it."""
    settings = settings_for(influx_v2, root, f"made{next(influx_v2.numbers)}")
    load(settings)
    small_dataset(tmp_path / "other", days=1, rows=7, symbols=["ZZZ"])
    other = settings_for(influx_v2, tmp_path / "other", settings.target.bucket, via="write")
    refused = Answer(403) if not allowed else None
    with fault_proxy(influx_v2.url, lambda call: refused, ("/api/v2/buckets/",)) as proxy:
        load(replace(other, target=replace(other.target, url=proxy.url)))
    assert load(replace(settings, via="write")).rows_acknowledged == ROWS  # its own mark stays its own
    if allowed:
        assert load(replace(settings, restart=True)).rows_acknowledged == ROWS
        both = merged(expected(root), expected(tmp_path / "other"))
        assert stored(influx_v2, settings.target.bucket) == both
