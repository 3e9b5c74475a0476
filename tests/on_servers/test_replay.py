"""Rejected rows are sent again after a fix, into real servers: once, whatever comes between, and counted right."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loader.dataset import rejected_file
from loader.dataset.mapping import ColumnMapping, FieldMapping
from loader.dataset.policy import Policy
from loader.errors import ConfigError, LoadError, Refused
from loader.events import Advanced, Event, Notice
from loader.loading import LoadSettings, ReplayReport, ReplaySettings, WriteSettings, load, replay
from loader.loading.replaying import entries, run
from loader.loading.replaying import replay as module
from loader.reporting.status import read_status
from loader.reporting.text import replay_text
from loader.servers.base import Target
from loader.verification import VerifyReport, VerifySettings, verify
from tests.datasets import small_dataset
from tests.fault_proxy import Answer, Call, Proxy, fault_proxy
from tests.killing import kill_at_first_progress
from tests.stored import ask, expected, stored

ROWS = 240
REFUSED = 12
"""Rows whose amount is 100, of 3 days and 4 series."""


class Refusal:
    """Refuses bodies that hold rows with an amount of 100, unless it is mended; ``planned`` are answers by number."""

    mended = False

    def __init__(self) -> None:
        self.planned: dict[int, Answer] = {}

    def __call__(self, call: Call) -> Answer | None:
        """Answer in place of the server, or not."""
        if call.number in self.planned:
            return self.planned[call.number]
        return Answer(400) if b"amount=100i" in call.body and not self.mended else None


@dataclass
class Broken:
    """A dataset that was loaded into a server, behind a proxy, which refused some rows then."""

    server: Any
    proxy: Proxy
    refusal: Refusal
    root: Path
    target: Target

    def replay(self, observe: Any = lambda event: None, stop: Any = None, **changes: Any) -> ReplayReport:
        """Replay by one connection."""
        return replay(ReplaySettings(self.root, self.target, connections=1, **changes), observe, stop)

    def verify(self, **changes: Any) -> VerifyReport:
        """Verify."""
        return verify(VerifySettings(self.root, self.target, **changes))

    @property
    def settings(self) -> LoadSettings:
        """Settings of the load."""
        return LoadSettings(self.root, self.target, write=WriteSettings(batch_lines=50))

    @property
    def file(self) -> Path:
        """The rejected file."""
        (path,) = (self.root / ".loader" / "rejected").iterdir()
        return path

    @property
    def entries(self) -> list[dict[str, Any]]:
        """What it holds."""
        return [json.loads(line) for line in self.file.read_text().splitlines()]

    def edit(self, *changed: dict[str, Any]) -> None:
        """Write it as a person might, with a blank line at the end."""
        self.file.write_text("".join(json.dumps(entry) + "\n" for entry in changed) + "\n")


@contextmanager
def breaking(server: Any, root: Path) -> Iterator[Broken]:
    """Yield a loaded dataset with rejected rows, behind a proxy that is mended now."""
    small_dataset(root, rows=20)
    refusal = Refusal()
    with fault_proxy(server.url, refusal) as proxy:
        target = Target(proxy.url, server.new_bucket(), server.org, server.token)
        found = Broken(server, proxy, refusal, root, target)
        report = load(found.settings)
        assert (report.rows_acknowledged, report.rows_rejected) == (ROWS - REFUSED, REFUSED)
        refusal.mended = True
        yield found


@pytest.fixture
def broken(influx_v2: Any, tmp_path: Path) -> Iterator[Broken]:
    """Return such a dataset."""
    with breaking(influx_v2, tmp_path / "data") as found:
        yield found


@pytest.fixture
def each_broken(influx: Any, tmp_path: Path) -> Iterator[Broken]:
    """Return such a dataset, on each server."""
    with breaking(influx, tmp_path / "data") as found:
        yield found


def test_what_is_taken_is_rejected_no_more(each_broken: Broken) -> None:
    """After the server was mended all is there, and verified; the counts know it, and a second replay has nothing."""
    assert each_broken.verify().difference_count > 0
    before = read_status(each_broken.root).load
    report = each_broken.replay()
    assert (report.rows_replayed, report.rows_edited, report.rows_rejected, report.rows_absent) == (REFUSED, 0, 0, 0)
    assert (report.rows, report.rows_acknowledged, report.rows_skipped, report.rows_left) == (ROWS, ROWS, 0, 0)
    assert stored(each_broken.server, each_broken.target.bucket) == expected(each_broken.root)
    assert each_broken.file.read_text() == ""
    assert each_broken.verify().difference_count == 0
    status = read_status(each_broken.root).load
    assert status is not None
    assert before is not None
    assert (status.rows, status.acknowledged, status.rejected) == (ROWS, ROWS, 0)
    assert status.finished > before.finished  # so that the verification before it is none of this load any more
    sent = len(each_broken.proxy.writes)
    again = each_broken.replay()
    assert (again.rows_replayed, again.rows_rejected, again.rejected_path) == (0, 0, "")
    resumed = load(each_broken.settings)
    assert (resumed.rows_resumed, resumed.rows_acknowledged, resumed.rows_rejected) == (ROWS, ROWS, 0)
    assert len(each_broken.proxy.writes) == sent


def test_what_is_refused_again_stays(each_broken: Broken) -> None:
    """With its new reason, while other rows go; the text says how many, and where they are."""
    each_broken.refusal.mended = False
    first, second, *others = each_broken.entries
    first["line"] = first["line"].replace("amount=100i", "amount=1i")
    each_broken.edit(first, {**second, "reason": "long ago"}, *others)
    report = each_broken.replay()
    assert (report.rows_replayed, report.rows_edited, report.rows_rejected) == (1, 1, REFUSED - 1)
    assert [entry["row"] for entry in each_broken.entries] == [entry["row"] for entry in (second, *others)]
    assert all("planted" in entry["reason"] for entry in each_broken.entries)
    text = replay_text(report)
    assert text.startswith(f"replayed 1 of {REFUSED} rejected rows\n")
    assert f"rejected {REFUSED - 1} rows: {report.rejected_path}\n         {second['partition']}, row" in text
    assert "edited   1 row has other values than the dataset" in text


def test_edited_rows_are_no_success(each_broken: Broken) -> None:
    """A row at another time of its day changes no count, sum or extreme: verification looks at it all the same."""
    first, second, *others = each_broken.entries
    series, fields, time = first["line"].split(" ")
    each_broken.edit({**first, "line": f"{series} {fields} {int(time) + 1}"}, second, *others)
    report = each_broken.replay()
    assert (report.rows_edited, report.rows_rejected) == (1, 0)
    events: list[Event] = []
    found = verify(VerifySettings(each_broken.root, each_broken.target, samples=0, surplus="fail"), events.append)
    assert found.rows_edited == 1
    assert [difference.kind for difference in found.differences] == ["missing"]
    assert any(isinstance(event, Notice) and "1 row was sent by a replay" in event.message for event in events)
    if each_broken.server.kind == "v2":
        assert each_broken.verify(values=True, surplus="fail").difference_count == 2  # and the point at the other time
    load(replace(each_broken.settings, restart=True))
    assert each_broken.verify(samples=0).rows_edited == 0


def test_an_entry_that_is_removed_is_not_sent(broken: Broken) -> None:
    """Its row is still rejected, since the server does not have it, and is said to be in the file no more."""
    broken.edit(*broken.entries[:-2])
    report = broken.replay()
    assert (report.rows_replayed, report.rows_rejected, report.rows_absent) == (REFUSED - 2, 2, 2)
    assert report.rows_acknowledged + report.rows_rejected == ROWS
    assert "2 rows of these not in the rejected file any more" in replay_text(report)
    assert load(broken.settings).rows_rejected == 2


def test_a_replay_that_was_cut_off(broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the server took before an error leaves the file at the next run of either command, and is sent once."""
    monkeypatch.setattr(entries, "BATCH_ENTRIES", 5)

    def observe(event: Event) -> None:
        if isinstance(event, Advanced):
            raise ZeroDivisionError

    before = REFUSED
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            broken.replay(observe)
        assert len(broken.entries) == before
        report = load(broken.settings)
        assert report.rows_acknowledged + report.rows_rejected == ROWS
        assert len(broken.entries) == report.rows_rejected < before
        before = report.rows_rejected
    with pytest.raises(ZeroDivisionError):
        broken.replay(observe)
    sent = len(broken.proxy.writes)
    assert broken.replay().rows_rejected == 0
    lines = [line for call in broken.proxy.writes[sent:] for line in call.body.splitlines()]
    assert len(lines) < before
    assert stored(broken.server, broken.target.bucket) == expected(broken.root)


def test_a_replay_that_was_killed(broken: Broken) -> None:
    """After kill -9 in the middle, a rerun brings the missing rows; each line is at the server at most twice."""
    program = (
        "import sys\nfrom pathlib import Path\nfrom loader.loading import ReplaySettings, WriteSettings, replay\n"
        "from loader.servers.base import Target\n"
        "target = Target(sys.argv[2], sys.argv[3], sys.argv[4], sys.stdin.readline().strip())\n"
        "write = WriteSettings(batch_lines=1)\n"
        "settings = ReplaySettings(Path(sys.argv[1]), target, write=write, connections=1)\n"
        "replay(settings, lambda event: print(event, flush=True))\n"
    )
    arguments = [str(broken.root), broken.target.url, broken.target.bucket, broken.target.org]
    kill_at_first_progress(program, arguments, broken.server.token)
    report = broken.replay()
    assert 0 < report.rows_replayed < REFUSED
    assert (report.rows_rejected, report.rows_acknowledged) == (0, ROWS)
    assert stored(broken.server, broken.target.bucket) == expected(broken.root)


def test_a_replay_that_is_stopped(broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on its way is finished, all else stays in the file; the same command goes on."""
    monkeypatch.setattr(entries, "BATCH_ENTRIES", 5)
    stop = threading.Event()

    def observe(event: Event) -> None:
        if isinstance(event, Advanced):
            stop.set()

    report = broken.replay(observe, stop, write=WriteSettings(batch_lines=1))
    assert report.interrupted
    assert 0 < report.rows_replayed < 5
    assert len(broken.entries) == report.rows_rejected == REFUSED - report.rows_replayed
    assert "run the same command again" in replay_text(report)
    again = broken.replay()
    assert (again.interrupted, again.rows_rejected) == (False, 0)
    assert broken.verify().difference_count == 0


def test_a_long_file_is_replaced_in_between(broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger remembers so many rows at most; lines that were refused again are not sent once more for that."""
    monkeypatch.setattr(entries, "BATCH_ENTRIES", 2)
    monkeypatch.setattr(run, "_MOST_REMEMBERED", 3)
    broken.refusal.mended = False
    edited = [
        {**entry, "line": entry["line"].replace("amount=100i", "amount=1i")} if number % 2 else entry
        for number, entry in enumerate(broken.entries)
    ]
    broken.edit(*edited)
    sent = len(broken.proxy.writes)
    report = broken.replay()
    assert (report.rows_replayed, report.rows_rejected) == (REFUSED // 2, REFUSED // 2)
    assert len(broken.entries) == REFUSED // 2
    alone = [call.body.decode().strip() for call in broken.proxy.writes[sent:]]
    assert all(alone.count(entry["line"]) == 1 for entry in broken.entries)


def test_errors_of_a_server_end_a_replay(broken: Broken) -> None:
    """What it had taken before is recorded, and the first error is told."""
    sent = len(broken.proxy.writes)
    # Of the first body one half is taken, and the other one refused for good.
    broken.refusal.planned = {sent: Answer(400), sent + 2: Answer(401)}
    events: list[Event] = []
    with pytest.raises(Refused, match="401"):
        broken.replay(events.append, write=WriteSettings(batch_lines=4))
    taken = sum(event.rows for event in events if isinstance(event, Advanced))
    assert 0 < taken < REFUSED
    sent = len(broken.proxy.writes)
    broken.refusal.planned = {sent: Answer(503)}
    report = broken.replay()
    assert (report.rows_replayed, report.rows_rejected, report.retries) == (REFUSED - taken, 0, 1)
    assert broken.verify().difference_count == 0


def test_a_replay_of_which_nothing_is_taken(broken: Broken) -> None:
    """The file stays as it was, and the next replay sends all of it."""
    broken.refusal.planned = {len(broken.proxy.writes): Answer(401)}
    with pytest.raises(Refused, match="401"):
        broken.replay()
    broken.refusal.planned = {}
    report = broken.replay()
    assert (report.rows_replayed, report.rows_rejected) == (REFUSED, 0)


def test_an_interrupt_leaves_at_once(broken: Broken) -> None:
    """What the server had taken until then is on record, and the file is as it was."""

    def observe(event: Event) -> None:
        if isinstance(event, Advanced):
            raise KeyboardInterrupt

    before = broken.file.read_text()
    with pytest.raises(KeyboardInterrupt):
        broken.replay(observe)
    assert broken.file.read_text() == before
    assert broken.replay().rows_rejected == 0
    assert broken.verify().difference_count == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense", "line 1: Expecting value"),
        ("[1]", r"line 1: the entry is \[1\], not an object"),
        ("{}", "line 1: 'partition' is missing"),
        ('{"partition": "p", "row": -1}', "line 1: the row is -1"),
        ('{"partition": "other", "row": 0}', "row 0 of 'other' is no row of the dataset"),
        ('{"partition": "PATH", "row": 80}', "row 80 of 'date=2024-01-02/trades.parquet' is no row"),
        ('{"partition": "PATH", "row": 0, "line": 7}', "the line is 7, not text"),
        ('{"partition": "PATH", "row": 0, "line": "m x=1"}', "is not one point with its time"),
        ('{"partition": "PATH", "row": 0, "line": "# m x=1 5"}', "is not one point with its time"),
        ('{"partition": "PATH", "row": 0, "line": "m x=1 5\\nm x=1 6"}', "is not one point with its time"),
        ('{"partition": "PATH", "row": 0, "line": "m x=1 99999999999999999999"}', "is not one point with its time"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_an_entry_that_is_none(influx_v2: Any, tmp_path: Path, text: str, words: str) -> None:
    """It is named by its line before anything is sent, and the file stays as it is."""
    root = tmp_path / "data"
    path = small_dataset(root, rows=20).partitions[0].path
    target = Target(influx_v2.url, influx_v2.new_bucket(), influx_v2.org, influx_v2.token)
    load(LoadSettings(root, target))
    file = root / ".loader" / "rejected" / "load-1.jsonl"
    file.parent.mkdir()
    file.write_text(text.replace("PATH", path) + "\n")
    with pytest.raises(ConfigError, match=words):
        replay(ReplaySettings(root, target))
    assert file.read_text() == text.replace("PATH", path) + "\n"


def test_an_entry_that_is_too_long(influx_v2: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not read to its end."""
    root = tmp_path / "data"
    small_dataset(root, rows=1)
    target = Target(influx_v2.url, influx_v2.new_bucket(), influx_v2.org, influx_v2.token)
    load(LoadSettings(root, target))
    (root / ".loader" / "rejected").mkdir()
    (root / ".loader" / "rejected" / "load-1.jsonl").write_text("x" * 100)
    for place in (entries, rejected_file):
        monkeypatch.setattr(place, "MOST_BYTES", 50)
    with pytest.raises(ConfigError, match="line 1: it has more than 0 MiB"):
        replay(ReplaySettings(root, target))


def test_what_was_not_loaded_is_not_replayed(influx_v2: Any, tmp_path: Path) -> None:
    """Without a load, without a bucket, into another bucket, or with nonsense for a setting: an error that says so."""
    root = tmp_path / "data"
    small_dataset(root, rows=20)
    target = Target(influx_v2.url, influx_v2.new_bucket(), influx_v2.org, influx_v2.token)
    settings = ReplaySettings(root, target)
    with pytest.raises(ConfigError, match="nothing of it was loaded"):
        replay(settings)
    load(LoadSettings(root, target))
    with pytest.raises(ConfigError, match="'nowhere' does not exist"):
        replay(replace(settings, target=replace(target, bucket="nowhere")))
    with pytest.raises(ConfigError, match="was not loaded into bucket"):
        replay(replace(settings, target=replace(target, bucket=influx_v2.new_bucket())))
    for wrong in ({"connections": 0}, {"retry_seconds": math.nan}):
        with pytest.raises(ConfigError, match="use"):
            replay(replace(settings, **wrong))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="is a staged dataset"):
        replay(replace(settings, mapping=ColumnMapping("m", "timestamp")))


def test_a_file_that_cannot_be_read_or_written(broken: Broken) -> None:
    """Nothing is sent without it."""
    text = broken.file.read_text()
    path = broken.file
    path.unlink()
    path.mkdir()
    sent = len(broken.proxy.writes)
    with pytest.raises(LoadError, match="rejected rows cannot be read"):
        broken.replay()
    assert len(broken.proxy.writes) == sent
    path.rmdir()
    path.write_text(text)
    assert broken.replay().rows_replayed == REFUSED


TIMES = pa.array([10**18 + row for row in range(6)], pa.timestamp("ns", "UTC"))


def adopted(server: Any, path: Path, **changes: Any) -> LoadSettings:
    """Return settings to load ``path`` into a bucket of its own."""
    target = Target(server.url, server.new_bucket(), server.org, server.token)
    return LoadSettings(path, target, mapping=ColumnMapping("m", "time", **changes))


def test_rows_that_could_not_be_points(influx: Any, tmp_path: Path) -> None:
    """They stay without a fix; with NaN left out they are points, also for verification; replaced ones are skipped."""
    path = tmp_path / "odd.parquet"
    x, y = [math.nan, 1.0, math.inf, 2.0, math.nan, None], [1, 2, 3, 4, None, 6]
    times = TIMES.take(pa.array([0, 1, 2, 3, 4, 0]))
    pq.write_table(pa.table({"time": times, "x": x, "y": y}), path)
    settings = replace(adopted(influx, path), on_duplicate="last")
    report = load(settings)
    assert (report.rows_acknowledged, report.rows_rejected, report.rows_skipped) == (3, 3, 0)
    asked = ReplaySettings(path, settings.target)
    assert (replay(asked).rows_replayed, replay(asked).rows_rejected) == (0, 3)
    events: list[Event] = []
    lenient = replace(asked, mapping=ColumnMapping("m", "time", policy=Policy(non_finite="skip")))
    done = replay(lenient, events.append)
    assert any(isinstance(event, Notice) and "this mapping is kept" in event.message for event in events)
    # The first row has nothing left that the last one does not set; the fifth has no field at all.
    assert (done.rows_replayed, done.rows_edited, done.rows_rejected, done.rows_skipped) == (1, 0, 1, 1)
    assert (done.rows_acknowledged, done.rows_left) == (4, 0)
    rows = ask(influx, settings.target.bucket, "SELECT x, y FROM m")["series"][0]["values"]
    assert [row[1:] for row in rows] == [[None, 6], [1.0, 2], [None, 3], [2.0, 4]]
    found = verify(VerifySettings(path, settings.target))
    assert (found.difference_count, found.unfit, found.rows_edited) == (0, 1, 0)
    again = load(replace(settings, mapping=None))
    assert (again.rows_acknowledged, again.rows_rejected, again.rows_skipped, again.rows_left) == (4, 1, 1, 0)
    assert replay(lenient).rows_replayed == 0


def test_a_replay_killed_amid_a_mapping(influx_v2: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger knows of it before the manifest: the same command finds the load all the same."""
    path = tmp_path / "odd.parquet"
    pq.write_table(pa.table({"time": TIMES, "x": [math.nan, 1.0, 2.0, 3.0, 4.0, 5.0], "y": range(6)}), path)
    settings = adopted(influx_v2, path)
    assert load(settings).rows_rejected == 1
    lenient = ReplaySettings(path, settings.target, ColumnMapping("m", "time", policy=Policy(non_finite="skip")))
    with monkeypatch.context() as patch:
        patch.setattr(module, "keep_manifest", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            replay(lenient)
    assert replay(lenient).rows_rejected == 0
    assert verify(VerifySettings(path, settings.target)).difference_count == 0


def test_a_mapping_that_was_loaded_before(influx_v2: Any, tmp_path: Path) -> None:
    """It is not kept for a replay, since it has a load of its own: the row differs, and verification says so."""
    path = tmp_path / "odd.parquet"
    pq.write_table(pa.table({"time": TIMES, "x": [math.nan, 1.0, 2.0, 3.0, 4.0, 5.0], "y": range(6)}), path)
    settings = adopted(influx_v2, path)
    lenient = ColumnMapping("m", "time", policy=Policy(non_finite="skip"))
    load(replace(settings, mapping=lenient))
    assert load(settings).rows_rejected == 1
    report = replay(ReplaySettings(path, settings.target, lenient))
    assert (report.rows_edited, report.rows_rejected) == (1, 0)
    found = verify(VerifySettings(path, settings.target))
    assert (found.rows_edited, found.unfit) == (1, 1)


def test_rows_by_another_mapping(influx_v2: Any, tmp_path: Path) -> None:
    """A tag without a form as a field: the row is a point, another one than the dataset's, and verification says so."""
    path = tmp_path / "tags.parquet"
    pq.write_table(pa.table({"time": TIMES, "host": ["a", "b\n", "a", "a", "a", "a"], "x": range(6)}), path)
    settings = adopted(influx_v2, path, tags=("host",))
    assert load(settings).rows_rejected == 1
    other = ColumnMapping("m", "time", fields=(FieldMapping.parse("x"), FieldMapping.parse("host=name")))
    report = replay(ReplaySettings(path, settings.target, other))
    assert (report.rows_replayed, report.rows_edited, report.rows_rejected) == (1, 1, 0)
    rows = ask(influx_v2, settings.target.bucket, "SELECT x, \"name\" FROM m WHERE host = ''")["series"][0]["values"]
    assert rows == [[10**18 + 1, 1, "b\n"]]
    found = verify(VerifySettings(path, settings.target, surplus="fail"))
    assert found.rows_edited == 1
    assert "surplus" in {difference.kind for difference in found.differences}


def test_rows_that_were_moved_apart(influx_v2: Any, tmp_path: Path) -> None:
    """Lines are those of the moved rows; another mapping may have moved others, and is refused."""
    path = tmp_path / "twice.parquet"
    pq.write_table(pa.table({"time": TIMES.take(pa.array([0, 0, 1])), "x": [1.0, 2.0, math.nan]}), path)
    settings = replace(adopted(influx_v2, path), on_duplicate="nudge")
    assert load(settings).rows_rejected == 1
    asked = ReplaySettings(path, settings.target)
    with pytest.raises(ConfigError, match="moved apart"):
        replay(replace(asked, mapping=ColumnMapping("m", "time")))
    (file,) = (tmp_path / ".loader" / path.name / ".loader" / "rejected").iterdir()
    entry = json.loads(file.read_text())
    file.write_text(json.dumps({**entry, "line": f"m x=3 {10**18 + 2}"}))
    assert replay(asked).rows_edited == 1


def test_lines_of_rows_that_lost_a_value(influx_v2: Any, tmp_path: Path) -> None:
    """A line without what a later row replaces is that of the dataset: it was not edited."""
    path = tmp_path / "twice.parquet"
    pq.write_table(pa.table({"time": TIMES.take(pa.array([0, 0])), "x": [1.0, 2.0], "amount": [100, None]}), path)
    broken: list[int] = [1]
    with fault_proxy(influx_v2.url, lambda call: Answer(400) if b"amount" in call.body and broken else None) as proxy:
        settings = adopted(influx_v2, path)
        settings = replace(settings, target=replace(settings.target, url=proxy.url), on_duplicate="last")
        assert load(settings).rows_rejected == 1
        broken.clear()
        report = replay(ReplaySettings(path, settings.target))
    assert (report.rows_replayed, report.rows_edited) == (1, 0)
    rows = ask(influx_v2, settings.target.bucket, "SELECT x, amount FROM m")["series"][0]["values"]
    assert rows == [[10**18, 2.0, 100]]
