"""Tunings on real servers: what they find, and that their scratch buckets are gone whatever happens."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pyarrow as pa
import pytest
from typer.testing import CliRunner, Result

from loader.cli import build_app
from loader.dataset.reader import open_dataset
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.errors import ConfigError, LoaderError, Refused, ServerError
from loader.events import Event, Notice, Started, ignore
from loader.loading.ledger import has_ledger
from loader.servers.base import Target
from loader.servers.patience import Stopped
from loader.servers.probe import probe
from loader.servers.transport import Connection
from loader.tuning import TunedSettings, TuneSettings, factors, search, tune
from loader.tuning.bench import Bench
from loader.tuning.sample import take_sample
from loader.tuning.scratch import Scratch, make_mark, make_name
from tests.datasets import small_dataset
from tests.fault_proxy import Answer, Call, Fault, Hang, Late, Reset, fault_proxy
from tests.processes import interrupted, running, wait_until
from tests.tables import MOMENT, write_tables

SIMILAR = "loader-tune-0123456789abcdef"
START = TunedSettings(batch_lines=100, batch_bytes=100_000)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a dataset of 3,200 rows."""
    root = tmp_path_factory.mktemp("tuned")
    small_dataset(root, days=2, rows=400)
    return root


@pytest.fixture
def settings(influx: Any, dataset: Path) -> Iterator[TuneSettings]:
    """Return a short tuning on each server in turn; no bucket may come or go by its end, nor the ledger."""
    before = names(influx)
    yield short(influx, dataset)
    assert names(influx) == before
    assert not has_ledger(dataset)


def short(server: Any, dataset: Path, **changes: Any) -> TuneSettings:
    """Return a short tuning."""
    target = Target(server.url, "never-touched", server.org, server.token)
    return TuneSettings(dataset, **{"target": target, "seconds": 2.0, "sample_rows": 1_200, "start": START, **changes})


def names(server: Any) -> set[str]:
    """Return the names of all buckets of ``server``, but for the one that 1.x makes for itself."""
    if server.kind == "v2":
        found, page = set[str](), ["..."]
        while page:
            reply = server.call(f"/api/v2/buckets?limit=100&offset={len(found)}")
            page = [bucket["name"] for bucket in json.loads(reply)["buckets"]]
            found.update(page)
        return found
    found = json.loads(server.call("/query", urlencode({"q": "SHOW DATABASES"}).encode()))
    return {name for (name,) in found["results"][0]["series"][0].get("values", [])} - {"_internal"}


def make(server: Any, name: str, mark: str) -> None:
    """Make a bucket with a description, or a database with a policy of that name."""
    if server.kind == "v2":
        organization = json.loads(server.call("/api/v2/orgs"))["orgs"][0]["id"]
        wanted = {"orgID": organization, "name": name, "description": mark, "retentionRules": []}
        server.call("/api/v2/buckets", json.dumps(wanted).encode())
    else:
        statement = f'CREATE DATABASE "{name}" WITH NAME "{mark or "autogen"}"'
        server.call("/query", urlencode({"q": statement}).encode())


def remove(server: Any, name: str) -> None:
    """Remove a bucket."""
    if server.kind == "v2":
        found = json.loads(server.call(f"/api/v2/buckets?name={name}"))["buckets"][0]["id"]
        server.call(f"/api/v2/buckets/{found}", method="DELETE")
    else:
        server.call("/query", urlencode({"q": f'DROP DATABASE "{name}"'}).encode())


def through(settings: TuneSettings, script: Callable[[Call], Fault | None], *watched: str) -> tuple[str, list[Event]]:
    """Tune through a proxy with faults, which must end in an error; return its words, and what was told."""
    told: list[Event] = []
    with fault_proxy(settings.target.url, script, watched or ("/write",)) as proxy:
        target = Target(proxy.url, "never-touched", settings.target.org, settings.target.token)
        with pytest.raises(LoaderError) as caught:
            tune(replace(settings, target=target), told.append)
    return str(caught.value), told


def test_a_tuning(influx: Any, settings: TuneSettings) -> None:
    """It measures factor after factor within its time, keeps the result, and touches no bucket of others."""
    make(influx, SIMILAR, "")
    told: list[Event] = []
    began = time.monotonic()
    report = tune(settings, told.append)
    assert time.monotonic() - began < 30
    assert names(influx) >= {SIMILAR}
    remove(influx, SIMILAR)
    assert report.trials
    assert all(rate > 0 for trial in report.trials for rate in trial.rates)
    assert report.start == START
    assert not report.interrupted
    kept = (settings.dataset / ".loader" / "tuning.json").read_text()
    assert json.loads(kept)["found"]["connections"] == report.found.connections
    assert settings.target.token not in kept
    assert [str(event) for event in told if "never-touched" in str(event)] == []
    assert any("measuring for about 2 s" in str(event) for event in told)


def test_before_1_8(influx_early: Any, dataset: Path) -> None:
    """Databases are scratch buckets there, too."""
    before = names(influx_early)
    report = tune(short(influx_early, dataset, seconds=2.0))
    assert report.trials
    assert "takes no storage files" in report.notes[0]
    assert names(influx_early) == before


def test_a_failure_in_the_middle(settings: TuneSettings) -> None:
    """An error of a trial comes through, and its bucket is gone."""
    words, _ = through(settings, lambda call: Answer(401) if call.number == 3 else None)
    assert "401" in words


def test_lines_that_the_server_does_not_take(settings: TuneSettings) -> None:
    """A tuning that would measure only refusals is an error."""
    words, _ = through(settings, lambda call: Answer(400))
    assert "took none of the lines" in words or "refused all" in words


def test_a_lost_reply(settings: TuneSettings) -> None:
    """A bucket that was made, though the reply was lost, is found by its mark."""
    create = "CREATE+DATABASE" if settings.target.url else ""

    def script(call: Call) -> Fault | None:
        return Reset(forward=True) if call.body.startswith(b'{"orgID"') or create in call.path else None

    words, _ = through(settings, script, "/api/v2/buckets", "/query")
    assert "broke" in words


def test_a_removal_that_fails(influx_v2: Any, dataset: Path) -> None:
    """The error names the bucket and how to remove it; the next tuning names it, too; a day later, it removes it."""
    settings = short(influx_v2, dataset)
    words, _ = through(settings, lambda call: Answer(403), "/api/v2/buckets/")
    (left,) = (name for name in names(influx_v2) if name.startswith("loader-tune-"))
    assert f"scratch bucket {left!r} may be left on the server" in words
    assert f"influx bucket delete --org 'loader' --name {left}" in words
    words, told = through(settings, lambda call: Answer(401))
    assert any(f"scratch bucket {left!r} is there since" in str(event) for event in told)
    assert "401" in words
    remove(influx_v2, left)


def test_leftovers(influx: Any, settings: TuneSettings) -> None:
    """Those of a killed tuning are removed after a day, and named before; those of others stay."""
    old, young, others = make_name(), make_name(), make_name()
    now = datetime.now(UTC)
    make(influx, old, make_mark(old, now - timedelta(days=2)))
    make(influx, young, make_mark(young, now))
    make(influx, others, make_mark(old, now - timedelta(days=2)))
    _, told = through(settings, lambda call: Answer(401))
    assert names(influx) & {old, young, others} == {young, others}
    said = [event.message for event in told if isinstance(event, Notice)]
    assert any(f"removed scratch bucket {old!r}" in each for each in said)
    assert any(f"scratch bucket {young!r} is there since" in each and "remove it" in each for each in said)
    remove(influx, young)
    remove(influx, others)


def test_two_errors(influx_v2: Any, dataset: Path) -> None:
    """If the bucket cannot be removed after an error, both are told."""

    def script(call: Call) -> Fault | None:
        return Answer(401 if "/write" in call.path else 403)

    words, _ = through(short(influx_v2, dataset), script, "/api/v2/buckets/", "/write")
    assert "after another error" in words
    assert "401" in words
    (left,) = (name for name in names(influx_v2) if name.startswith("loader-tune-"))
    remove(influx_v2, left)


@pytest.mark.parametrize("when", [Started, Notice])
def test_a_stop(settings: TuneSettings, when: type[Event]) -> None:
    """It ends with what was measured until then, and keeps nothing for a load."""
    path = settings.dataset / ".loader" / "tuning.json"
    path.unlink(missing_ok=True)
    stop = threading.Event()

    def observe(event: Event) -> None:
        if isinstance(event, when):
            stop.set()

    report = tune(settings, observe, stop)
    assert report.interrupted
    assert report.found == report.start
    assert not path.exists()


def test_an_interrupt(influx_v2: Any, dataset: Path) -> None:
    """A signal ends it within a second though the server does not answer, and the scratch bucket is gone."""
    before = names(influx_v2)
    arguments = ("tune", dataset, "--org", influx_v2.org, "--seconds", "4", "--sample-rows", "100")
    environment = {"INFLUX_TOKEN": influx_v2.token}
    with (
        fault_proxy(influx_v2.url, lambda call: Hang() if call.number > 2 else None) as proxy,
        running(*arguments, "--host", proxy.url, environment=environment) as process,
    ):
        wait_until(lambda: len(proxy.writes) > 3, process)
        assert names(influx_v2) > before
        output, errors = interrupted(process, signal.SIGINT)
    assert "stopped" in output
    assert "stopping" in errors
    assert names(influx_v2) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("when", ["made", "removed"])
def test_an_interrupt_while_a_bucket_comes_or_goes(
    influx: Any, dataset: Path, when: str, number: signal.Signals
) -> None:
    """If the server does not answer then, the command ends all the same, and names the bucket that may be left."""
    before = names(influx)
    hanging = threading.Event()

    def script(call: Call) -> Fault | None:
        comes = call.body.startswith(b'{"orgID"') or "CREATE+DATABASE" in call.path
        goes = "/api/v2/buckets/" in call.path or "DROP+DATABASE" in call.path
        if not (comes if when == "made" else goes):
            return None
        hanging.set()
        return Hang()

    arguments = ("tune", dataset, "--org", influx.org, "--seconds", "4", "--sample-rows", "100")
    with (
        fault_proxy(influx.url, script, ("/api/v2/buckets", "/query")) as proxy,
        running(*arguments, "--host", proxy.url, environment={"INFLUX_TOKEN": influx.token}) as process,
    ):
        wait_until(hanging.is_set, process)
        process.send_signal(number)
        began = time.monotonic()
        output, errors = process.communicate(timeout=30)
        assert time.monotonic() - began < 10, "it waited for the server"
    assert "Traceback" not in errors
    assert influx.token not in output + errors
    left = names(influx) - before
    if when == "made":
        assert left == set()
        assert "was asked for, and the server did not answer" in errors
        assert process.returncode == 130
    else:
        (name,) = left
        assert f"scratch bucket {name!r} may be left on the server" in errors
        assert name in errors.partition("hint:")[2]
        assert process.returncode == 3
        remove(influx, name)


def test_a_bucket_that_is_made_after_the_stop_is_not_left(influx_v2: Any, dataset: Path) -> None:
    """The server is making it when the stop comes; it is removed within the second."""
    before = names(influx_v2)
    stop = threading.Event()

    def script(call: Call) -> Fault | None:
        if call.body.startswith(b'{"orgID"'):
            threading.Timer(0.05, stop.set).start()
            return Late(0.15)
        return None

    with fault_proxy(influx_v2.url, script, ("/api/v2/buckets",)) as proxy:
        target = Target(proxy.url, "never-touched", influx_v2.org, influx_v2.token)
        assert tune(short(influx_v2, dataset, target=target), stop=stop).interrupted
        assert len([call for call in proxy.writes if call.body.startswith(b'{"orgID"')]) == 1
    assert names(influx_v2) == before


def test_a_bucket_that_may_come_after_the_stop_is_named(influx_v2: Any, dataset: Path) -> None:
    """The server did not answer to the request for it, so it is not known whether it will be made."""
    stop = threading.Event()
    told: list[Event] = []

    def script(call: Call) -> Fault | None:
        if call.body.startswith(b'{"orgID"'):
            stop.set()
            return Hang()
        return None

    with fault_proxy(influx_v2.url, script, ("/api/v2/buckets",)) as proxy:
        target = Target(proxy.url, "never-touched", influx_v2.org, influx_v2.token)
        assert tune(short(influx_v2, dataset, target=target), told.append, stop).interrupted
    (notice,) = (each.message for each in told if isinstance(each, Notice) and "was asked for" in each.message)
    assert "influx bucket delete" in notice


def test_a_restore_path_that_fails(influx_v2: Any, dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found for the write path holds, and a note says what happened."""
    for name in ("_SCALES", "_CONNECTIONS", "_COMPRESSIONS"):
        monkeypatch.setattr(factors, name, ())
    monkeypatch.setattr(search, "MOST_REPEATS", 3)
    before = names(influx_v2)
    with fault_proxy(influx_v2.url, lambda call: Answer(500), ("/restore/shards",)) as proxy:
        target = Target(proxy.url, "never-touched", influx_v2.org, influx_v2.token)
        report = tune(short(influx_v2, dataset, target=target, seconds=60.0))
    assert any("the restore path failed" in note for note in report.notes)
    assert {trial.value for trial in report.trials if trial.factor == "load path"} == {"write"}
    assert report.path
    assert names(influx_v2) == before


def test_a_busy_server_is_asked_again_whether_it_restores(influx_v2: Any, dataset: Path) -> None:
    """A 503 there does not end the tuning."""
    with fault_proxy(influx_v2.url, lambda call: Answer(503) if not call.number else None, ("/config",)) as proxy:
        target = Target(proxy.url, "never-touched", influx_v2.org, influx_v2.token)
        report = tune(short(influx_v2, dataset, target=target))
        assert len(proxy.writes) == 2
    assert not any("restore path was not measured" in note for note in report.notes)


def test_lines_that_the_server_refuses_are_told(influx: Any, tmp_path: Path) -> None:
    """To find them costs time, so the figures are not those of a load."""
    times = pa.array([MOMENT + row for row in range(400)], pa.timestamp("ns", "UTC"))
    table = pa.table({"host": pa.array(["a", "b"] * 200).dictionary_encode(), "v": pa.array([1] * 400), "t": times})
    write_tables(tmp_path, PointSchema("m", ("host",), (Field("v", FieldType.INTEGER),), "t"), {"a.parquet": table})

    def script(call: Call) -> Fault | None:
        return Answer(400) if b" " + str(MOMENT).encode() + b"\n" in call.body else None

    with fault_proxy(influx.url, script, ("/write",)) as proxy:
        target = Target(proxy.url, "never-touched", influx.org, influx.token)
        report = tune(short(influx, tmp_path, target=target, start=TunedSettings(50, 100_000)))
    assert any(note.startswith("the server refused 1 line of a trial of") for note in report.notes)


def test_a_slow_server_does_not_keep_it_for_long(influx_v2: Any, dataset: Path) -> None:
    """Though each body takes half a second, it ends soon after its time."""
    began = time.monotonic()
    with fault_proxy(influx_v2.url, lambda call: Late(0.5), ("/write",)) as proxy:
        target = Target(proxy.url, "never-touched", influx_v2.org, influx_v2.token)
        report = tune(short(influx_v2, dataset, target=target, seconds=4.0))
    assert report.seconds < 12
    assert time.monotonic() - began < 30
    assert any("there was no time left" in note for note in report.notes)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (TunedSettings(batch_lines=0), "batch lines of 0"),
        (TunedSettings(batch_bytes=0), "batch bytes of 0"),
        (TunedSettings(connections=0), "connections of 0"),
        (TunedSettings(compress="zip"), "unknown compression"),
    ],
)
def test_a_start_that_no_load_takes(dataset: Path, start: TunedSettings, words: str) -> None:
    """It is an error before a server is asked."""
    with pytest.raises(ConfigError, match=words):
        tune(TuneSettings(dataset, Target("http://localhost:1", "never-touched"), start=start))


def test_an_interrupt_of_a_library_call(influx_v2: Any, dataset: Path) -> None:
    """A KeyboardInterrupt removes the bucket, too; if that takes too long, the error says which one is left."""
    before = names(influx_v2)
    target = Target(influx_v2.url, make_name(), influx_v2.org, influx_v2.token)
    with Connection(target, 30) as link:
        scratch = Scratch.on(probe(link), target, 30, ignore, threading.Event())
        with pytest.raises(KeyboardInterrupt), scratch.bucket(lambda: scratch.create(link.send)):
            interrupt(made=target.bucket in names(influx_v2))
        assert names(influx_v2) == before
        # A bucket of the same name with another mark is not taken for ours.
        make(influx_v2, target.bucket, "of others")
        with pytest.raises(ServerError, match="create bucket"), scratch.bucket(lambda: scratch.create(link.send)):
            pass
        assert target.bucket in names(influx_v2)
        remove(influx_v2, target.bucket)
        made = scratch.create(link.send)
        with fault_proxy(influx_v2.url, lambda call: Hang(), ("/buckets/",)) as proxy:
            away = Target(proxy.url, target.bucket, target.org, target.token)
            hurried = Scratch.on(scratch.server, away, 30, ignore, threading.Event())
            with pytest.raises(ServerError, match="may be left on the server"), hurried.bucket(lambda: made):
                raise Stopped("stopped")
        with pytest.raises(ConfigError, match="exists"):
            scratch.tidy(link.send)
        scratch.server.dialect.remove_bucket(link.send, target, made)


def test_a_stop_of_a_restore(influx_v2: Any, dataset: Path) -> None:
    """A trial of the restore path, for which the server has no answer, ends with the stop; its bucket is gone."""
    before = names(influx_v2)
    stop = threading.Event()

    def hang(call: Call) -> Fault:
        stop.set()
        return Hang()

    with fault_proxy(influx_v2.url, hang, ("/restore/shards",)) as proxy:
        target = Target(proxy.url, make_name(), influx_v2.org, influx_v2.token)
        with Connection(target, 30) as link:
            scratch = Scratch.on(probe(link), target, 30, ignore, threading.Event())
            sample = take_sample(dataset, open_dataset(dataset), 100)
            with pytest.raises(Stopped):
                Bench(short(influx_v2, dataset), scratch, link, stop).restore(sample, 3)
    assert names(influx_v2) == before


def interrupt(*, made: bool) -> None:
    """Do as Ctrl-C does, if the bucket is there."""
    assert made
    raise KeyboardInterrupt


def test_a_slow_way_to_the_server(influx_v2: Any, dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If each request takes long, larger batches are found to be faster, and faster than the start in the end."""
    monkeypatch.setattr(factors, "_SCALES", (1, 4))
    monkeypatch.setattr(factors, "_CONNECTIONS", ())
    monkeypatch.setattr(factors, "_COMPRESSIONS", ())
    monkeypatch.setattr(search, "MOST_REPEATS", 5)
    # All of the sample, in spite of the short time.
    monkeypatch.setattr(sys.modules["loader.tuning.tune"], "_LEAST_TRIAL", 1.0)
    start = TunedSettings(10, 1_000_000, connections=1)
    with fault_proxy(influx_v2.url, lambda call: Late(0.05), ("/write",)) as proxy:
        target = Target(proxy.url, "never-touched", influx_v2.org, influx_v2.token)
        report = tune(short(influx_v2, dataset, target=target, start=start, sample_rows=80, seconds=60.0))
    assert report.found == replace(start, batch_lines=40, batch_bytes=4_000_000)
    assert report.gain > 1.5
    assert report.flags == report.found.flags
    assert [trial.value for trial in report.trials if trial.factor == "all together" and trial.chosen] == ["found"]


def test_no_more_is_sent_after_the_time_of_a_trial(influx_v2: Any, dataset: Path) -> None:
    """A value that is very slow does not take the time of the others."""
    with fault_proxy(influx_v2.url, lambda call: Late(0.1), ("/write",)) as proxy:
        target = Target(proxy.url, make_name(), influx_v2.org, influx_v2.token)
        with Connection(target, 30) as link:
            scratch = Scratch.on(probe(link), target, 30, ignore, threading.Event())
            bench = Bench(short(influx_v2, dataset), scratch, link, threading.Event())
            sample = take_sample(dataset, open_dataset(dataset), 2_400)
            measured = bench.send(sample, TunedSettings(100, 1_000_000, connections=1), 0.2)
    assert 0 < measured.rows < 1_000


def test_a_busy_server_and_rows_that_cannot_be_points(influx_v2: Any, tmp_path: Path) -> None:
    """Both are met in a trial as in a load: it waits, and counts only points."""
    times = pa.array([MOMENT, MOMENT + 1], pa.timestamp("ns", "UTC"))
    schema = PointSchema("m", (), (Field("v", FieldType.FLOAT),), "t")
    tables = {name: pa.table({"v": pa.array(values, pa.float64()), "t": times}) for name, values in ROWS.items()}
    manifest = write_tables(tmp_path, schema, tables)
    with fault_proxy(influx_v2.url, lambda call: None if call.number else Answer(503), ("/write",)) as proxy:
        target = Target(proxy.url, make_name(), influx_v2.org, influx_v2.token)
        with Connection(target, 30) as link:
            scratch = Scratch.on(probe(link), target, 30, ignore, threading.Event())
            bench = Bench(short(influx_v2, tmp_path), scratch, link, threading.Event())
            measured = bench.send(take_sample(tmp_path, manifest, 4), TunedSettings(), 10.0)
    assert measured.rows == 2


ROWS: dict[str, list[float | None]] = {"a.parquet": [None, None], "b.parquet": [1.0, 2.0]}


def test_a_token_without_permission(influx_v2: Any, dataset: Path) -> None:
    """The error says what the token must be able to do, and that nothing else helps."""
    organization = json.loads(influx_v2.call("/api/v2/orgs"))["orgs"][0]["id"]
    resources = [{"type": kind, "orgID": organization} for kind in ("buckets", "orgs")]
    permissions = [{"action": "read", "resource": resource} for resource in resources]
    wanted = json.dumps({"orgID": organization, "permissions": permissions}).encode()
    token = json.loads(influx_v2.call("/api/v2/authorizations", wanted))["token"]
    target = Target(influx_v2.url, "trades", influx_v2.org, token)
    with pytest.raises(Refused, match="a scratch bucket cannot be made") as caught:
        tune(short(influx_v2, dataset, target=target))
    assert "needs a token that may make and remove buckets" in caught.value.hint


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seconds": 0.5}, "seconds of 0.5"),
        ({"seconds": float("nan")}, "seconds of nan"),
        ({"sample_rows": 0}, "sample rows of 0"),
    ],
)
def test_wrong_settings(influx_v2: Any, dataset: Path, changes: dict[str, Any], words: str) -> None:
    """They are refused before anything is made."""
    with pytest.raises(ConfigError, match=words):
        tune(short(influx_v2, dataset, **changes))


def run(server: Any, *arguments: str | Path) -> Result:
    """Run the command line with the server's address and token in the environment."""
    environment = {"INFLUX_HOST": server.url, "INFLUX_TOKEN": server.token, "INFLUX_ORG": server.org}
    return CliRunner().invoke(build_app(), [*map(str, arguments)], env=environment)


def test_the_whole_way(influx_v2: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What tune finds, load takes: with Parquet that was not staged, and a flag that wins."""
    import polars as pl

    monkeypatch.setattr(search, "MOST_REPEATS", 5)
    path = tmp_path / "trips.parquet"
    times = pl.Series(range(600)).cast(pl.Datetime("us", "UTC"))
    pl.DataFrame({"when": times, "kind": ["a", "b"] * 300, "v": [1.5] * 600}).write_parquet(path)
    mapping = ("--measurement", "trips", "--time", "when", "--tag", "kind")
    measured = run(influx_v2, "tune", path, *mapping, "--seconds", "30")
    assert measured.exit_code == 0, measured.output
    assert {"compression", "row order", "load path"} <= {line.strip() for line in measured.stdout.splitlines()}
    assert "loader load --tuned takes them" in measured.stdout
    bucket = influx_v2.new_bucket()
    planned = run(influx_v2, "load", path, *mapping, "--dry-run", "--tuned")
    assert "tuned: --batch-lines 20000" in planned.stderr, planned.output
    loaded = run(influx_v2, "load", path, *mapping, "--bucket", bucket, "--tuned", "--connections", "2", "--json")
    assert loaded.exit_code == 0, loaded.output
    said = json.loads(loaded.stdout)
    kept = json.loads((tmp_path / ".loader" / "trips.parquet" / ".loader" / "tuning.json").read_text())
    assert said["settings"]["write"]["compress"] == kept["found"]["compress"]
    assert said["settings"]["write"]["batch_lines"] == kept["found"]["batch_lines"]
    assert said["settings"]["connections"] == 2
    assert said["report"]["rows_acknowledged"] == 600
    elsewhere = run(influx_v2, "load", path, "--tuned", "--host", "http://127.0.0.1:1")
    assert elsewhere.exit_code == 2
    assert "its tuning is of" in elsewhere.stderr
