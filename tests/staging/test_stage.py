"""Staging: exactly N trades, the same ones each time, and nothing half-written whatever happens."""

from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loader.dataset.chunk import Chunk
from loader.dataset.manifest import NAME, read_manifest
from loader.dataset.reader import read_batches
from loader.dataset.schema import trades_schema
from loader.errors import ConfigError, StageError
from loader.events import Advanced, Event, Started
from loader.market.prices import SessionPlan
from loader.market.trades import SCHEMA, make_trades
from loader.staging import StageSettings, stage
from loader.staging import partition as partition_module
from loader.staging.stage import _end_with_coordinator, _interrupts_held, _run


def settings(out: Path, **changes) -> StageSettings:
    """Return settings for a small dataset: 4,000 trades of three symbols in eight days."""
    small = StageSettings(
        out=out,
        trades=4_000,
        calendar="24/7",
        symbols=("AAPL", "BRK.B", "TSLA"),
        end=date(2024, 1, 8),
        workers=1,
    )
    return replace(small, **changes)


def files(root: Path) -> dict[str, str]:
    """Return path and SHA-256 of each file of the dataset, the loader's own folder left out."""
    paths = [path for path in root.rglob("*") if path.is_file() and ".loader" not in path.parts]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.fixture(scope="module")
def straight(tmp_path_factory) -> dict[str, str]:
    """Stage in one go, and return what :func:`files` says."""
    root = tmp_path_factory.mktemp("straight")
    stage(settings(root))
    return files(root)


class AfterPartitions:
    """An observer that does ``action`` when ``count`` partitions are finished."""

    def __init__(self, count: int, action) -> None:
        self.left = count
        self.action = action

    def __call__(self, event: Event) -> None:
        """Count partitions."""
        self.left -= isinstance(event, Advanced)
        if self.left == 0:
            self.action()


def test_manifest_agrees_with_the_files(tmp_path):
    """The manifest holds settings, versions, and rows, time range, size and checksum of each file."""
    report = stage(settings(tmp_path))
    manifest = read_manifest(tmp_path)
    assert manifest.complete
    assert manifest.rows == report.rows == 4_000
    assert report.fingerprint == manifest.fingerprint
    assert report.partitions == len(manifest.partitions) == 8
    assert report.partitions_kept == 0
    assert report.size == sum(path.stat().st_size for path in tmp_path.rglob("*.parquet"))
    assert report.peak_memory > 10_000_000
    assert {"trades", "calendar", "symbols", "start", "end", "seed", "compression"} == set(manifest.settings)
    assert {"loader", "numpy", "polars", "pyarrow", "python"} == set(manifest.versions)
    assert files(tmp_path) == {partition.path: partition.checksum for partition in manifest.partitions}
    for partition in manifest.partitions:
        times = pl.read_parquet(tmp_path / partition.path, hive_partitioning=False)["timestamp"].cast(pl.Int64)
        assert (partition.rows, partition.time_min, partition.time_max) == (len(times), times.min(), times.max())
        assert partition.size == (tmp_path / partition.path).stat().st_size


def test_files_are_made_for_streaming(tmp_path):
    """Row groups are bounded, columns have statistics, tags are dictionaries, and a trade takes few bytes."""
    report = stage(settings(tmp_path, trades=300_000, end=date(2024, 1, 1)))
    file = pq.ParquetFile(tmp_path / "date=2024-01-01/trades.parquet")
    groups = [file.metadata.row_group(index) for index in range(file.num_row_groups)]
    assert [group.num_rows for group in groups] == [131_072, 131_072, 300_000 - 2 * 131_072]
    for group in groups:
        columns = [group.column(index) for index in range(group.num_columns)]
        assert all(column.statistics.has_min_max for column in columns)
        assert [column.compression for column in columns] == ["ZSTD"] * 4 + ["UNCOMPRESSED"]
    assert groups[0].column(0).statistics.min == "AAPL"
    assert report.size < 10 * 300_000


def test_damage_to_staged_values_is_found(tmp_path):
    """A byte that changed on disk is an error of the file it is in, and not another trade."""
    stage(settings(tmp_path, compression="none"))
    path = tmp_path / "date=2024-01-03/trades.parquet"
    partition = read_manifest(tmp_path).partitions[2]
    content = bytearray(path.read_bytes())
    column = pq.ParquetFile(path).metadata.row_group(0).column(4)
    content[column.data_page_offset + column.total_compressed_size - 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(StageError, match=r"date=2024-01-03/trades\.parquet: cannot be read as Parquet .*CRC"):
        list(read_batches(tmp_path, trades_schema(), Chunk(partition.path, 0, partition.rows), 1_000))


@pytest.mark.parametrize("fault", ["equal times", "times out of order", "series out of order"])
def test_trades_that_would_replace_each_other_are_not_staged(tmp_path, monkeypatch, fault):
    """Rows that are not in strict order of symbol, side and time are an error that names the row, and no file."""

    def make_wrong_trades(plan: SessionPlan) -> pa.Table:
        rows = make_trades(plan).to_pylist()
        first, second = rows[9:11]
        if fault == "equal times":
            second["timestamp"] = first["timestamp"]
        elif fault == "times out of order":
            rows[9:11] = second, first
        else:
            rows = rows[11:] + rows[:11]
        return pa.Table.from_pylist(rows, SCHEMA).unify_dictionaries()

    monkeypatch.setattr(partition_module, "make_trades", make_wrong_trades)
    with pytest.raises(StageError, match=r"trades\.parquet, row \d+: symbol \S+, side \S+, time \d+ does not come"):
        stage(settings(tmp_path))
    assert files(tmp_path) == {}


def test_events_add_up(tmp_path):
    """Observers hear of the start, and of each partition's rows and bytes; a rerun says what was done before."""
    events: list[Event] = []
    report = stage(settings(tmp_path), events.append)
    assert events[0] == Started("stage", 4_000, 0)
    assert sum(event.rows for event in events[1:] if isinstance(event, Advanced)) == 4_000
    assert sum(event.size for event in events[1:] if isinstance(event, Advanced)) == report.size
    again: list[Event] = []
    assert stage(settings(tmp_path), again.append).partitions_kept == 8
    assert again == [Started("stage", 4_000, 4_000)]


@pytest.mark.parametrize("trades", [1, 5, 4_001])
def test_exactly_n_trades(tmp_path, trades):
    """N is met exactly, also with fewer trades than sessions."""
    assert stage(settings(tmp_path, trades=trades)).rows == trades
    assert pl.scan_parquet(tmp_path / "**/*.parquet").select(pl.len()).collect().item() == trades


def test_same_trades_with_any_number_of_workers(tmp_path, straight):
    """Two workers make the same files as one."""
    stage(settings(tmp_path, workers=2))
    assert files(tmp_path) == straight


def test_only_missing_partitions_are_made_again(tmp_path, straight):
    """A rerun makes partitions that are gone or another of ours, and keeps the others as they are."""
    stage(settings(tmp_path))
    first, second, third, fourth, *_ = sorted(tmp_path.glob("date=*/*"))
    first.unlink()
    second.write_bytes(fourth.read_bytes())
    kept = third.stat().st_mtime_ns
    report = stage(settings(tmp_path))
    assert report.partitions_kept == 6
    assert files(tmp_path) == straight
    assert third.stat().st_mtime_ns == kept


def test_a_partition_that_somebody_changed_is_not_replaced(tmp_path, straight):
    """Nobody knows whose a damaged file is: a rerun names it, and goes on once it is moved away."""
    stage(settings(tmp_path))
    damaged = sorted(tmp_path.glob("date=*/*"))[1]
    content = bytearray(damaged.read_bytes())
    content[100] ^= 1
    damaged.write_bytes(content)
    for overwrite in (False, True):
        with pytest.raises(ConfigError, match=r"changed since: 'date=2024-01-02/trades\.parquet'"):
            stage(settings(tmp_path, overwrite=overwrite))
    assert damaged.read_bytes() == content
    damaged.rename(tmp_path / "damaged")
    assert stage(settings(tmp_path)).partitions_kept == 7
    (tmp_path / "damaged").unlink()
    assert files(tmp_path) == straight


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_stage_is_resumed(tmp_path, straight, workers):
    """After SIGKILL what is listed is whole, workers end by themselves, and a rerun completes the same dataset."""
    children = tmp_path / "children"
    process = multiprocessing.get_context("spawn").Process(
        target=stage_and_be_killed, args=(settings(tmp_path / "data", workers=workers), children)
    )
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    listed = read_manifest(tmp_path / "data")
    assert not listed.complete
    assert len(listed.partitions) >= 2
    assert all(files(tmp_path / "data")[partition.path] == partition.checksum for partition in listed.partitions)
    pids = json.loads(children.read_text())
    assert len(pids) == (0 if workers == 1 else workers)
    deadline = time.monotonic() + 20
    while any(map(is_alive, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (tmp_path / "data/date=2024-01-08").mkdir(exist_ok=True)
    leftovers = [
        tmp_path / "data" / folder / f".{name}.loader-{7:016x}.tmp"
        for folder, name in (("date=2024-01-08", "trades.parquet"), (".loader", "manifest.json"))
    ]
    others = [tmp_path / "data/date=2024-01-08" / name for name in (".mine.tmp", ".trades.parquet.1.tmp")]
    for path in (*leftovers, *others):
        path.write_bytes(b"PAR1 cut short")
    report = stage(settings(tmp_path / "data"))
    assert report.partitions_kept == len(listed.partitions)
    assert not any(path.exists() for path in leftovers)
    for path in others:  # what somebody else calls so is theirs
        path.unlink()
    assert files(tmp_path / "data") == straight


def stage_and_be_killed(asked: StageSettings, children: Path) -> None:
    """Stage two partitions, write down the workers, and die without warning."""

    def die() -> None:
        children.write_text(json.dumps([child.pid for child in multiprocessing.active_children()]))
        os.kill(os.getpid(), signal.SIGKILL)

    stage(asked, AfterPartitions(2, die))


def is_alive(pid: int) -> bool:
    """Return whether a process still runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_only_a_worker_has_a_coordinator_to_end_with():
    """In a process that nobody spawned, the watch for the coordinator's end is over at once."""
    _end_with_coordinator()


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_stage_leaves_nothing_half_written(tmp_path, straight, workers):
    """Ctrl-C stops the workers and gets through to the caller; a rerun completes the same dataset."""
    with pytest.raises(KeyboardInterrupt):
        stage(
            settings(tmp_path, workers=workers),
            AfterPartitions(2, lambda: signal.raise_signal(signal.SIGINT)),
        )
    assert not multiprocessing.active_children()
    assert not list(tmp_path.rglob("*.tmp"))
    assert files(tmp_path).items() <= straight.items()
    assert stage(settings(tmp_path)).partitions_kept >= 2
    assert files(tmp_path) == straight


class Endless:
    """A partition that takes a minute to make."""

    def __init__(self, root):
        self.root = root

    @property
    def plan(self):
        """Take a minute."""
        time.sleep(60)


def test_an_interrupted_stage_waits_for_no_session(tmp_path):
    """A session that is being made is nothing yet: its worker is killed."""
    began = time.monotonic()
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        next(_run([Endless(tmp_path), Endless(tmp_path)], 2))
    assert time.monotonic() - began < 30
    assert not multiprocessing.active_children()


def test_an_interrupted_stage_ends_no_process_of_others(tmp_path):
    """Only its own workers are killed: a program may have other children."""
    child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,))
    child.start()
    with pytest.raises(KeyboardInterrupt):
        stage(settings(tmp_path, workers=2), AfterPartitions(1, lambda: signal.raise_signal(signal.SIGINT)))
    assert multiprocessing.active_children() == [child]
    child.kill()
    child.join()


def test_ctrl_c_reaches_no_worker(tmp_path):
    """A terminal interrupts all its processes: workers that are only just starting say nothing, and the stage ends."""
    command = [sys.executable, "-m", "loader", "stage", "--out", str(tmp_path / "data"), "--workers", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while len(children.read_text().split()) < 2:  # the first is no worker, it tracks resources
            assert process.poll() is None
        time.sleep(0.3)  # by now it imports, which takes longer
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "interrupted" in errors


def test_ctrl_c_while_a_worker_is_spawned_comes_through():
    """An interrupt is held back until the worker is whole, and not lost."""

    def interrupt() -> None:
        with _interrupts_held():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_stage_may_run_in_any_thread(tmp_path, straight):
    """Only the main thread has to do with signals."""
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(stage, settings(tmp_path, workers=2)).result().rows == 4_000
    assert files(tmp_path) == straight


def test_a_killed_worker_is_an_error_and_a_rerun_goes_on(tmp_path, straight):
    """When the system kills a worker the stage says so, and what is finished is kept."""

    def kill_worker() -> None:
        for child in multiprocessing.active_children():
            child.kill()

    with pytest.raises(StageError, match="a worker was killed") as caught:
        stage(settings(tmp_path, workers=2, end=date(2024, 3, 1)), AfterPartitions(1, kill_worker))
    assert "fewer --workers" in caught.value.hint
    assert stage(settings(tmp_path, overwrite=True)).rows == 4_000
    assert files(tmp_path) == straight


def test_a_full_disk_is_an_error_and_a_rerun_goes_on(tmp_path, straight, monkeypatch):
    """When the disk fills up the stage says so, leaves no part of a file, and goes on once there is room."""
    write, left = os.write, 3 * 2

    def fill(descriptor: int, content: memoryview) -> int:
        nonlocal left
        left -= 1
        if left < 0:
            write(descriptor, content[:100])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, content)

    monkeypatch.setattr(os, "write", fill)
    with pytest.raises(StageError, match="no room to write") as caught:
        stage(settings(tmp_path))
    monkeypatch.undo()
    assert "run the same command again" in caught.value.hint
    assert len(read_manifest(tmp_path).partitions) == 2
    assert files(tmp_path).items() < straight.items()
    assert stage(settings(tmp_path)).partitions_kept == 2
    assert files(tmp_path) == straight


def test_a_limit_on_file_size_is_an_error_from_workers_too(tmp_path):
    """A file that may not grow large enough is reported like a full disk, also out of a worker process."""
    script = tmp_path / "limited.py"
    script.write_text(
        "import resource, sys\n"
        "from datetime import date\n"
        "from pathlib import Path\n"
        "from loader.errors import StageError\n"
        "from loader.staging import StageSettings, stage\n"
        "if __name__ == '__main__':\n"
        f"    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, {resource.RLIM_INFINITY}))\n"
        "    try:\n"
        "        stage(StageSettings(Path(sys.argv[1]), trades=90_000, calendar='24/7', symbols=('A',),\n"
        "                            end=date(2024, 1, 4), workers=2))\n"
        "    except StageError as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, script, tmp_path / "data"], capture_output=True, text=True, timeout=60, check=True
    )
    assert "no room to write (File too large)" in done.stdout
    assert files(tmp_path / "data") == {}


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    """Without the right to write there, or below a file, staging is refused and the path is named."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file") as caught:
        stage(settings(tmp_path / "file/data"))
    assert "--out" in caught.value.hint
    tmp_path.chmod(0o500)
    user = os.geteuid()
    try:
        if user == 0:  # the superuser may write anywhere
            os.seteuid(65534)
        with pytest.raises(ConfigError, match=r"data.*: Permission denied"):
            stage(settings(tmp_path / "data"))
    finally:
        os.seteuid(user)
        tmp_path.chmod(0o700)


def test_a_second_stage_into_the_same_folder_is_refused(tmp_path):
    """While one stage is at work, another one into its folder is refused."""

    def stage_again() -> None:
        with pytest.raises(ConfigError, match="another stage is writing here"):
            stage(settings(tmp_path))

    assert stage(settings(tmp_path), AfterPartitions(1, stage_again)).rows == 4_000


def test_other_settings_are_refused_by_name(tmp_path, straight):
    """A rerun with other settings names each that differs, as staged and as asked, and touches nothing."""
    stage(settings(tmp_path))
    with pytest.raises(ConfigError) as caught:
        stage(settings(tmp_path, seed=2, trades=5_000, symbols=("AAPL", "F")))
    message = str(caught.value)
    assert "seed: staged 1, asked 2" in message
    assert "trades: staged 4000, asked 5000" in message
    assert "symbols: staged 3, asked 2, differing in BRK.B, F, TSLA" in message
    assert "calendar" not in message
    assert caught.value.hint == "repeat those settings, stage into another folder, or replace it: --overwrite"
    assert files(tmp_path) == straight


def test_overwrite_stages_afresh(tmp_path, straight):
    """With overwrite, other settings replace the dataset, and partitions of the old one are gone."""
    stage(settings(tmp_path, end=date(2024, 1, 20), seed=9))
    (tmp_path / "date=2024-01-20/notes.txt").write_text("mine")
    report = stage(settings(tmp_path, overwrite=True))
    assert report.partitions_kept == 0
    assert {path: text for path, text in files(tmp_path).items() if path in straight} == straight
    assert sorted(set(files(tmp_path)) - set(straight)) == ["date=2024-01-20/notes.txt"]
    assert not (tmp_path / "date=2024-01-19").exists()


def test_a_damaged_manifest_needs_overwrite(tmp_path, straight):
    """A manifest that cannot be read is an error, until overwrite replaces it and the files it was about."""
    stage(settings(tmp_path))
    (tmp_path / NAME).write_text("{")
    with pytest.raises(StageError, match="damaged manifest"):
        stage(settings(tmp_path))
    assert stage(settings(tmp_path, overwrite=True)).rows == 4_000
    assert files(tmp_path) == straight


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trades": 0}, "trades: 0"),
        ({"trades": -5}, "trades: -5"),
        ({"workers": 0}, "workers: 0"),
        ({"seed": -1}, "seed: -1"),
        ({"trades": 10**9}, "125,000,000 a session"),
        ({"trades": 10**30}, "a session"),
        ({"calendar": "XMAS"}, "unknown"),
        ({"symbols": ("A", "A")}, "named twice"),
        ({"symbols_file": Path("/nowhere.csv")}, "/nowhere.csv: No such file"),
        ({"compression": "gzip"}, "compression 'gzip': unknown"),
        ({"compression": "lz4:3"}, "compression 'lz4:3': unknown"),
        ({"compression": "zstd:23"}, "no such level"),
        ({"compression": "zstd:"}, "no such level"),
        ({"compression": "zstd:fast"}, "no such level"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_written(tmp_path, changes, message):
    """Each wrong setting is an error with a hint, and the folder is not even made."""
    with pytest.raises(ConfigError, match=message) as caught:
        stage(settings(tmp_path / "data", **changes))
    assert caught.value.hint
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("compression", "codec"),
    [("zstd", "ZSTD"), ("zstd:9", "ZSTD"), ("lz4", "LZ4"), ("snappy", "SNAPPY"), ("none", "UNCOMPRESSED")],
)
def test_compression_changes_the_files_and_not_the_trades(tmp_path, compression, codec):
    """Each codec is in the files, and the trades read from them are the same."""
    stage(settings(tmp_path / "plain"))
    stage(settings(tmp_path / "other", compression=compression))
    path = "date=2024-01-02/trades.parquet"
    assert pq.ParquetFile(tmp_path / "other" / path).metadata.row_group(0).column(2).compression == codec
    assert pq.read_table(tmp_path / "other" / path).equals(pq.read_table(tmp_path / "plain" / path))


def test_symbols_come_from_a_file(tmp_path):
    """A CSV file replaces the built-in symbols; names can be picked from it."""
    table = tmp_path / "symbols.csv"
    table.write_text("symbol,weight,price,volatility\nXX,1,5,0.2\nYY,3,50,0.4\n", encoding="utf-8-sig")
    stage(settings(tmp_path / "all", symbols=(), symbols_file=table))
    stage(settings(tmp_path / "one", symbols=("YY",), symbols_file=table))
    counts = {}
    for name in ("all", "one"):
        trades = pl.read_parquet(tmp_path / name / "**/*.parquet")
        counts[name] = dict(trades["symbol"].cast(pl.String).value_counts().iter_rows())
    assert 2.5 < counts["all"]["YY"] / counts["all"]["XX"] < 3.5
    assert counts["one"] == {"YY": 4_000}


def test_a_symbols_file_that_is_not_text_is_refused(tmp_path):
    """A binary file for --symbols-file is an error that says so."""
    (tmp_path / "symbols.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        stage(settings(tmp_path / "data", symbols_file=tmp_path / "symbols.csv"))
