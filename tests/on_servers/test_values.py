"""Comparison of all stored values with real servers: every kind of fault is planted, found and named."""

from __future__ import annotations

import io
import json
import random
import tarfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from loader.dataset.schema import Field, FieldType, PointSchema, trades_schema
from loader.encoding import warm
from loader.errors import Refused, ServerError, StageError
from loader.events import Advanced, Event, Notice, Started, Waited
from loader.loading import LoadSettings, WriteSettings, load, shard_files
from loader.servers import retries
from loader.servers.backup import build_shard, list_shards
from loader.servers.base import Target
from loader.servers.probe import probe
from loader.servers.transport import Connection
from loader.verification import Difference, VerifyReport, VerifySettings, verify
from loader.verification.outcome import Outcome
from loader.verification.values import by_file, by_query, spans
from tests.cases import Case, agreeing, name_of
from tests.fault_proxy import Answer, Reset, fault_proxy
from tests.points import DAY, FIRST_DAY, MINUTE, line, trades, write_dataset
from tools.influxd import RunningServer

BUY = "symbol=AAPL,side=buy"


@pytest.fixture
def case(influx: Any, tmp_path: Path) -> Case:
    """Return a dataset and a server that agree, of each version."""
    return agreeing(influx, tmp_path)


@pytest.fixture
def case_v2(influx_v2: Any, tmp_path: Path) -> Case:
    """Return a dataset and a server of 2.x that agree."""
    return agreeing(influx_v2, tmp_path)


def members(case: Case) -> dict[str, list[str]]:
    """Return the names of the files of each shard; to ask for them makes the server write what is in its memory."""
    found = {}
    with Connection(case.target, 30.0) as connection:
        bucket = probe(connection).dialect.find_bucket(connection.send, case.target)
        assert bucket is not None
        for shard in list_shards(connection.send, bucket):
            with connection.open(build_shard(shard.id)) as stream:
                content = stream.body.read(1 << 30)
            with tarfile.open(fileobj=io.BytesIO(content)) as tar:
                found[str(shard.id)] = [name.rpartition("/")[2] for name in tar.getnames()]
    return found


def test_a_server_that_is_busy_deleting_is_asked_again(case_v2: Case) -> None:
    """A shard that the server does not give at once is waited for, and said so; a server that never gives ends it."""
    events: list[Event] = []
    with fault_proxy(case_v2.target.url, lambda call: Answer(500) if call.number == 0 else None) as proxy:
        target = replace(case_v2.target, url=proxy.url)
        report = verify(VerifySettings(case_v2.root, target, values=True), events.append)
    assert report.difference_count == 0
    assert [event.cause for event in events if isinstance(event, Waited)] == ["retry"]
    assert sum(event.rows for event in events if isinstance(event, Advanced)) == report.rows
    with fault_proxy(case_v2.target.url, lambda call: Answer(500)) as proxy:
        settings = VerifySettings(case_v2.root, replace(target, url=proxy.url), values=True, retry_seconds=0.8)
        with pytest.raises(ServerError, match=r"gave up after . attempts in 0\.8 s: read shard"):
            verify(settings)


def test_a_backup_that_fails_for_longer_is_waited_for(case_v2: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that refuses its files more often than five times is asked for as long as is allowed."""
    monkeypatch.setattr(retries, "_LONGEST_DELAY", 0.1)
    with fault_proxy(case_v2.target.url, lambda call: Answer(500) if call.number < 6 else None) as proxy:
        target = replace(case_v2.target, url=proxy.url)
        report = verify(VerifySettings(case_v2.root, target, values=True))
    assert report.difference_count == 0


@pytest.mark.parametrize("wish", ["999999999", "9" * 400])
def test_the_wish_of_a_backup_is_bounded(case_v2: Case, wish: str) -> None:
    """A server that wants to be asked again in years is not waited for, and its wish is shown."""
    answer = Answer(503, headers=(("Retry-After", wish),))
    with (
        fault_proxy(case_v2.target.url, lambda call: answer) as proxy,
        pytest.raises(ServerError, match="it wants to be asked again in"),
    ):
        verify(VerifySettings(case_v2.root, replace(case_v2.target, url=proxy.url), values=True))


def test_a_query_that_fails_in_passing_is_asked_again(case: Case) -> None:
    """A verification does not end for one answer of a server that is busy, or that was away."""
    faults = {4: Answer(503), 6: Reset()}
    events: list[Event] = []
    with fault_proxy(case.target.url, lambda call: faults.get(call.number), ("/query",)) as proxy:
        report = verify(VerifySettings(case.root, replace(case.target, url=proxy.url), samples=5), events.append)
    assert report.difference_count == 0
    assert sum(isinstance(event, Waited) for event in events) == 2


def test_what_differs_is_looked_at_twice(case_v2: Case) -> None:
    """A backup that leaves something out, as it does while the server writes to disk, is no difference."""
    empty = Answer(200, body=bytes(1024))
    with fault_proxy(case_v2.target.url, lambda call: empty if call.number == 0 else None) as proxy:
        target = replace(case_v2.target, url=proxy.url)
        report = verify(VerifySettings(case_v2.root, target, values=True))
        assert len(proxy.writes) == 2
    assert report.difference_count == 0


def test_what_keeps_changing_is_looked_at_until_two_looks_agree(case_v2: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that differs from the one before proves nothing: there is another one; those that agree are enough."""
    monkeypatch.setattr(by_file, "_NEXT_LOOK_SECONDS", 0.0)
    looks: list[int] = []

    def differing(number: int) -> Any:
        compare = by_file._compare_files

        def compared(settings: VerifySettings, *rest: Any) -> Outcome:
            outcome = compare(settings, *rest)
            looks.append(number)
            outcome.add(Difference("missing", "2024-01-02", "", "", str(min(len(looks), number))) for _ in "x")
            return outcome

        return compared

    monkeypatch.setattr(by_file, "_compare_files", differing(3))
    report = case_v2.verify(values=True)
    assert len(looks) == 4
    assert [difference.detail for difference in report.differences] == ["3"]
    monkeypatch.setattr(by_file, "_MOST_LOOKS", 2)
    looks.clear()
    case_v2.verify(values=True)
    assert len(looks) == 2


def names(report: VerifyReport) -> list[tuple[str, str, str, str]]:
    """Return all of the differences but their details."""
    assert report.difference_count == len(report.differences)
    return [name_of(difference) for difference in report.differences]


def test_equal(case: Case) -> None:
    """A server that holds exactly the dataset shows no difference, and says how many values were compared."""
    events: list[Event] = []
    report = case.verify(events.append, values=True)
    assert report.differences == ()
    assert (report.rows, report.values, report.windows, report.samples) == (360, 720, 18, 0)
    advanced = sum(event.rows for event in events if isinstance(event, Advanced))
    assert advanced == sum(event.rows for event in events if isinstance(event, Started)) - case.rows.height
    slower = any("far longer" in event.message for event in events if isinstance(event, Notice))
    assert slower == (case.server.kind == "v1")


def test_compiling_is_said(case_v2: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """When decoders take more than a moment to compile, it is said why nothing moves."""
    monkeypatch.setattr(warm, "_MOMENT", 0.05)
    monkeypatch.setattr(by_file, "compile_decoders", lambda: time.sleep(0.2))
    events: list[Event] = []
    assert case_v2.verify(events.append, values=True).differences == ()
    assert any(isinstance(event, Notice) and "compiling" in event.message for event in events)


def test_compiling_is_no_part_of_the_rate(case_v2: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is done once on a machine, so it would say nothing of the next verification."""
    monkeypatch.setattr(by_file, "compile_decoders", lambda: time.sleep(3.0))
    began = time.monotonic()
    seconds = case_v2.verify(values=True).seconds
    assert time.monotonic() - began >= 3.0 + seconds


def test_one_changed_value(case: Case) -> None:
    """A change of the last bit of one value is found, with what was expected and what was found."""
    row = case.rows.row(25, named=True)
    case.write(line({**row, "price": row["price"] + 2**-46}))
    (difference,) = case.verify(values=True).differences
    assert name_of(difference) == ("different", "2024-01-02", f"symbol={row['symbol']},side={row['side']}", "price")
    assert f"1 value, such as at 2024-01-02T00:05:00.000000001Z ({row['timestamp']})" in difference.detail
    assert f"expected {row['price']!r}, found {row['price'] + 2**-46!r}" in difference.detail


def test_an_overwritten_identity(case_v2: Case) -> None:
    """A second value of one identity, in a file of its own, is the one that is compared; a third one mends it."""
    row = case_v2.rows.row(25, named=True)
    assert case_v2.verify(values=True).differences == ()
    case_v2.write(line({**row, "amount": 7}))
    assert len(set(*members(case_v2).values())) == 2
    for _ in range(2):
        (difference,) = case_v2.verify(values=True).differences
        assert name_of(difference)[::3] == ("different", "amount")
        assert f"expected {row['amount']}, found 7" in difference.detail
    case_v2.write(line(row))
    assert case_v2.verify(values=True).differences == ()
    assert len(set(*members(case_v2).values())) == 3


def test_one_missing_point(case: Case) -> None:
    """A point that is deleted is found, and only it."""
    case.delete("NVDA", FIRST_DAY + DAY + MINUTE, FIRST_DAY + DAY + 2 * MINUTE)
    report = case.verify(values=True)
    assert names(report) == [("missing", "2024-01-03", f"symbol=NVDA,side={side}", "") for side in ("buy", "sell")]
    assert "1 of 20 points missing" in report.differences[0].detail


def test_one_extra_point(case: Case) -> None:
    """A point too many is found in a series that the dataset has."""
    case.write(f"trades,{BUY} price=1.5,amount=7i {FIRST_DAY + 5}")
    (difference,) = case.verify(values=True).differences
    assert name_of(difference) == ("surplus", "2024-01-02", BUY, "")
    assert f"price=1.5, amount=7 at 2024-01-02T00:00:00.000000005Z ({FIRST_DAY + 5})" in difference.detail


def test_a_deleted_series(case: Case) -> None:
    """A series that the server lacks is named on each of its days."""
    case.delete("MSFT", FIRST_DAY, FIRST_DAY + 3 * DAY)
    report = case.verify(values=True)
    assert sorted(names(report)) == sorted(
        ("missing", f"2024-01-0{day}", f"symbol=MSFT,side={side}", "") for side in ("buy", "sell") for day in (2, 3, 4)
    )
    assert report.values == 720


def test_extra_series(case: Case) -> None:
    """Series that the dataset does not have are found; those with a tag outside of the schema by all their tags."""
    case.write(
        f"trades,symbol=ZZZ,side=buy price=1,amount=7i {FIRST_DAY + DAY}",
        f"trades,symbol=AAPL price=2,amount=8i {FIRST_DAY + DAY}",
        f"trades,{BUY},venue=X price=2,amount=8i {FIRST_DAY + 5}",
        f"other,{BUY} price=2,amount=8i {FIRST_DAY + 5}",
        f"trades,{BUY} price=2,amount=8i {FIRST_DAY - 5}",
    )
    venue = ",venue=X" if case.server.kind == "v2" else ""
    assert sorted(names(case.verify(values=True))) == [
        ("surplus", "2024-01-02", BUY + venue, ""),
        ("surplus", "2024-01-03", "symbol=AAPL,side=", ""),
        ("surplus", "2024-01-03", "symbol=ZZZ,side=buy", ""),
    ]


def test_a_missing_field(case: Case) -> None:
    """A point that lacks one field is found, and the field named."""
    first = case.rows.row(0, named=True)
    case.delete("AAPL", FIRST_DAY, FIRST_DAY + MINUTE)
    for row in case.rows.filter(symbol="AAPL", timestamp=first["timestamp"]).iter_rows(named=True):
        text = line(row)
        case.write(text.replace(f",amount={row['amount']}i", "") if row["side"] == "buy" else text)
    (difference,) = case.verify(values=True).differences
    assert name_of(difference) == ("missing", "2024-01-02", BUY, "amount")
    assert f"expected {first['amount']}, found nothing" in difference.detail


def test_a_deleted_range_before_and_after_compaction(
    start_influxd: Callable[[str], RunningServer], tmp_path: Path
) -> None:
    """Points that a tombstone hides are missing, also once the server has merged it into its files."""
    server = start_influxd("v2")
    case = agreeing(server, tmp_path)
    members(case)
    case.delete("MSFT", FIRST_DAY + DAY, FIRST_DAY + DAY + 3 * MINUTE)
    row = case.rows.filter(symbol="MSFT").row(0, named=True)
    case.write(line({**row, "amount": 7}))
    expected = [
        ("different", "2024-01-02", "symbol=MSFT,side=buy", "amount"),
        ("missing", "2024-01-03", "symbol=MSFT,side=buy", ""),
        ("missing", "2024-01-03", "symbol=MSFT,side=sell", ""),
    ]
    (files,) = members(case).values()
    assert sum(name.endswith(".tombstone") for name in files) == 1
    assert sum(name.endswith(".tsm") for name in files) == 2
    assert sorted(names(case.verify(values=True))) == expected
    server.stop()
    server.command.append("--storage-compact-full-write-cold-duration=1s")
    server.restart()
    deadline = time.monotonic() + 60
    while len(files) > 1:
        assert time.monotonic() < deadline, files
        time.sleep(0.2)
        (files,) = members(case).values()
    assert sorted(names(case.verify(values=True))) == expected


def test_a_dataset_with_gaps(case: Case, tmp_path: Path) -> None:
    """Days between partitions are looked at, with a shard and without; those before the first are not."""
    rows = case.rows.filter(pl.col("timestamp") // DAY * DAY != FIRST_DAY + DAY)
    later = rows.head(2).with_columns(pl.col("timestamp") + 30 * DAY)
    root = tmp_path / "gap"
    write_dataset(root, trades_schema(), pl.concat([rows, later]))
    case.write(f"trades,{BUY} price=1,amount=7i {FIRST_DAY - 1}")
    differences = verify(VerifySettings(root, case.target, values=True)).differences
    assert sorted(name_of(difference)[:2] for difference in differences) == [
        ("missing", "2024-02-01"),
        *[("surplus", "2024-01-03")] * 6,
    ]


def test_a_missing_bucket(case: Case) -> None:
    """Without the bucket everything is missing, and no value is compared."""
    target = Target(case.server.url, "nowhere", case.server.org, case.server.token)
    report = verify(VerifySettings(case.root, target, values=True))
    assert (report.difference_count, report.values) == (18, 0)


def test_an_empty_bucket(case: Case) -> None:
    """In an empty bucket everything is missing; all is counted, the list has its limit."""
    target = Target(case.server.url, case.server.new_bucket(), case.server.org, case.server.token)
    report = verify(VerifySettings(case.root, target, values=True, max_listed=4))
    assert (report.difference_count, len(report.differences)) == (18, 4)
    assert "20 of 20 points missing" in report.differences[0].detail


def test_an_empty_dataset(influx: Any, tmp_path: Path) -> None:
    """A dataset without rows has nothing to compare, and none is not proven."""
    write_dataset(tmp_path, trades_schema(), trades().clear())
    target = Target(influx.url, influx.new_bucket(), influx.org, influx.token)
    with pytest.raises(StageError, match="lists no rows"):
        verify(VerifySettings(tmp_path, target, values=True))


def test_a_field_of_another_type(case_v2: Case, tmp_path: Path) -> None:
    """Values of another type are missing, and the type that is stored is named."""
    target = Target(case_v2.server.url, case_v2.server.new_bucket(), case_v2.server.org, case_v2.server.token)
    other = Case(case_v2.server, case_v2.root, target, case_v2.rows)
    rows = case_v2.rows.filter(symbol="AAPL", side="buy").head(20)
    root = tmp_path / "typed"
    write_dataset(root, trades_schema(), rows)
    other.write(*(line(row).replace("i ", " ") for row in rows.iter_rows(named=True)))
    report = verify(VerifySettings(root, target, values=True))
    assert names(report) == [
        ("missing", "2024-01-02", BUY, "amount"),
        ("different", "2024-01-02", BUY, "amount"),
    ]
    assert "stored as float" in report.differences[1].detail


def test_a_token_without_permission(case_v2: Case) -> None:
    """A token that may read the bucket, but not the server's files, is told what is needed."""
    org = json.loads(case_v2.server.call("/api/v2/orgs"))["orgs"][0]["id"]
    kinds = ("buckets", "orgs")
    wanted = {"orgID": org, "permissions": [{"action": "read", "resource": {"type": kind}} for kind in kinds]}
    token = json.loads(case_v2.server.call("/api/v2/authorizations", json.dumps(wanted).encode()))["token"]
    target = Target(case_v2.target.url, case_v2.target.bucket, case_v2.target.org, token)
    assert verify(VerifySettings(case_v2.root, target)).differences == ()
    with pytest.raises(Refused) as caught:
        verify(VerifySettings(case_v2.root, target, values=True))
    assert "operator token" in caught.value.hint


SCHEMA = PointSchema(
    measurement="odd, name",
    tags=("tag=key", "a"),
    fields=(
        Field("f, x", FieldType.FLOAT),
        Field("i", FieldType.INTEGER),
        Field("u", FieldType.UNSIGNED),
        Field("b=", FieldType.BOOLEAN),
        Field("text", FieldType.STRING),
    ),
    time="when",
)


def odd_rows(number: int) -> pl.DataFrame:
    """Return rows in no order over five weeks: nulls, empty tags, every type to its bounds, a few identities twice."""
    chance = random.Random(7)

    def some(*choices: Any) -> Any:
        return chance.choice(choices)

    rows = [
        {
            "tag=key": some("", "a b", "c,d=e", "ü", None),
            "a": some("x", "y\\z", None, ""),
            "f, x": some(None, 0.0, -0.0, 5e-324, 1e308, chance.random()),
            "i": some(None, 2**63 - 1, -(2**63), chance.randrange(1000)),
            "u": some(None, 2**64 - 1, 0, chance.randrange(2**64)),
            "b=": some(None, True, False),
            "text": some("", "line\nbreak", 'quo"te\\', "ü" * 300, str(chance.random())),
            "when": FIRST_DAY + chance.randrange(35 * DAY),
        }
        for _ in range(number)
    ]
    types = {"u": pl.UInt64, "i": pl.Int64, "when": pl.Int64}
    return pl.DataFrame([*rows, *rows[5:9]], schema_overrides=types)


@pytest.mark.parametrize(
    ("window_rows", "window_bytes", "held"), [(200, 12_000, 0), (spans.WINDOW_ROWS, 1 << 30, shard_files.HELD_BYTES)]
)
def test_every_type_in_no_order(
    influx: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window_rows: int, window_bytes: int, held: int
) -> None:
    """What the write path stored is found again, whatever types, nulls, tags and order; partitions span shards."""
    monkeypatch.setattr(spans, "WINDOW_ROWS", window_rows)
    for module in (by_file, by_query):
        monkeypatch.setattr(module, "WINDOW_BYTES", window_bytes)
    monkeypatch.setattr(shard_files, "HELD_BYTES", held)
    rows = odd_rows(800)
    if influx.kind == "v1":
        rows = rows.with_columns(u=pl.lit(None, pl.UInt64))
    write_dataset(tmp_path, SCHEMA, rows, partition_days=10)
    target = Target(influx.url, influx.new_bucket(), influx.org, influx.token)
    load(LoadSettings(tmp_path, target, write=WriteSettings(batch_lines=200)))
    events: list[Event] = []
    report = verify(VerifySettings(tmp_path, target, values=True), events.append)
    assert report.differences == ()
    unique = rows.with_columns(pl.col("tag=key", "a").fill_null("")).unique(["tag=key", "a", "when"], keep="last")
    assert report.values == sum(unique[field.column].count() for field in SCHEMA.fields)
    assert report.superseded == sum(rows[5:9][field.column].count() for field in SCHEMA.fields)
    assert any(isinstance(event, Notice) and "superseded" in event.message for event in events)


def test_many_more_points_than_the_dataset_has(case_v2: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A window in which the server has far more than the dataset is compared day by day."""
    monkeypatch.setattr(by_file, "WINDOW_BYTES", 4_000)
    root = tmp_path / "few"
    first, last = case_v2.rows.row(0, named=True), case_v2.rows.row(-1, named=True)
    write_dataset(root, trades_schema(), pl.DataFrame([first, last]), partition_days=7)
    report = verify(VerifySettings(root, case_v2.target, values=True))
    assert report.difference_count == 18
    assert {difference.kind for difference in report.differences} == {"surplus"}
    assert report.values == 4
