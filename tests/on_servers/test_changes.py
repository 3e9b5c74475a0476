"""Datasets that are staged, replaced or made by others while, or before, they are loaded into real servers."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from loader.cli import build_app
from loader.dataset.manifest import read_manifest
from loader.dataset.opened import FilesChanged
from loader.dataset.state import STATE
from loader.errors import ConfigError, StageError
from loader.events import Advanced, Event
from loader.loading import LoadSettings, WriteSettings, load
from loader.loading.ledger import last_load, ledger_path, opened_ledger
from loader.servers.base import Target
from loader.staging import StageSettings, stage
from loader.verification import VerifySettings, verify
from tests.datasets import small_dataset
from tests.plants import PRECIOUS
from tests.stored import expected, stored

DAY = 86_400_000_000_000
ROWS = 600
NAME = "date=2024-01-03/trades.parquet"


class Once:
    """An observer that does ``action`` when rows have arrived for the first time."""

    def __init__(self, action: Callable[[], object]) -> None:
        self.action: Callable[[], object] | None = action

    def __call__(self, event: Event) -> None:
        """Look for rows."""
        if isinstance(event, Advanced) and self.action:
            action, self.action = self.action, None
            action()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a dataset of three days, four series and 600 rows."""
    assert small_dataset(tmp_path / "data").rows == ROWS
    return tmp_path / "data"


def settings_for(server: Any, root: Path, **changes: Any) -> LoadSettings:
    """Return settings for a bucket of its own, with small payloads, or for a restore into a new one."""
    bucket = "changed meanwhile" if "via" in changes else server.new_bucket()
    target = Target(server.url, bucket, server.org, server.token)
    return replace(LoadSettings(root, target, write=WriteSettings(batch_lines=37), retry_seconds=20.0), **changes)


def run(*arguments: str | Path) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(build_app(), [str(argument) for argument in arguments])


def replace_file(path: Path) -> bytes:
    """Put other prices in place of those in the file, and return what it was."""
    content = path.read_bytes()
    table = pq.read_table(path, partitioning=None)
    other = table.set_column(2, "price", [[float(row) for row in range(table.num_rows)]])
    pq.write_table(other, path.with_name("new"))
    path.with_name("new").replace(path)
    return content


def test_a_dataset_is_not_staged_while_it_is_loaded(influx: Any, tmp_path: Path) -> None:
    """``stage --overwrite`` beside a load is refused with who is at it, and the bucket holds one dataset.

    A verification beside the load is possible, and a second load is not.
    """
    root = tmp_path / "data"
    stage(StageSettings(root, trades=ROWS, calendar="24/7", symbols=("A", "B"), end=date(2024, 1, 3), workers=1))
    settings = settings_for(influx, root)
    seen: list[Result] = []
    verified: list[int] = []

    def interfere() -> None:
        seen.append(run("stage", "--out", root, "--trades", "700", "--end", "2024-01-03", "--seed", "2", "--overwrite"))
        verified.append(verify(VerifySettings(root, settings.target)).difference_count)
        with pytest.raises(ConfigError, match="another load"):
            load(settings)

    report = load(settings, Once(interfere))
    (refused,) = seen
    assert refused.exit_code == 2, refused.output
    assert "data: is being loaded, exported or verified" in refused.stderr
    assert report.rows_done == ROWS
    assert verified[0] > 0
    assert verify(VerifySettings(root, settings.target)).difference_count == 0


def test_a_file_that_is_replaced_during_a_load_ends_it(influx: Any, root: Path) -> None:
    """With an error that names it; once it is back, its rows are sent again, and the bucket is right."""
    settings = settings_for(influx, root, write=WriteSettings(batch_lines=37, rate=5_000.0))
    kept: list[bytes] = []
    with pytest.raises(FilesChanged, match=r"date=2024-01-03/trades\.parquet: changed while"):
        load(settings, Once(lambda: kept.append(replace_file(root / NAME))))
    with pytest.raises(StageError, match="the manifest says"):
        load(settings)
    last = last_load(root)
    assert last is not None
    assert (last.rows, last.finished) == (400, "")
    (root / NAME).write_bytes(kept[0])
    report = load(settings)
    assert (report.rows_resumed, report.rows_done) == (400, 200)
    assert stored(influx, settings.target.bucket) == expected(root)


def test_a_file_that_is_replaced_during_a_restore_ends_it(influx_v2: Any, root: Path) -> None:
    """All shards are restored again then, and every value is right."""
    settings = settings_for(influx_v2, root, via="restore", write=WriteSettings(), shard_duration=DAY, connections=1)
    kept: list[bytes] = []
    with pytest.raises(FilesChanged, match=r"date=2024-01-03/trades\.parquet: changed while"):
        load(settings, Once(lambda: kept.append(replace_file(root / NAME))))
    (root / NAME).write_bytes(kept[0])
    assert load(settings).rows_done == ROWS
    assert verify(VerifySettings(root, settings.target, values=True)).difference_count == 0


def test_a_file_that_is_replaced_during_a_verification_ends_it(influx: Any, root: Path) -> None:
    """Whatever was found is about something else."""
    settings = settings_for(influx, root)
    load(settings)
    with pytest.raises(FilesChanged, match=r"date=2024-01-03/trades\.parquet: changed while"):
        verify(VerifySettings(root, settings.target), Once((root / NAME).touch))
    assert verify(VerifySettings(root, settings.target)).difference_count == 0


@pytest.mark.parametrize("mark", ["", " ", "restored by loader, ", "mine"])
def test_a_bucket_is_not_ours_for_a_mark_of_another_form(influx_v2: Any, root: Path, mark: str) -> None:
    """A ledger of somebody else with such a mark makes no bucket ours, and none is deleted."""
    bucket = influx_v2.new_bucket()
    influx_v2.call(f"/api/v2/write?org={influx_v2.org}&bucket={bucket}", b"m v=1 1")
    found = json.loads(influx_v2.call(f"/api/v2/buckets?name={bucket}"))["buckets"][0]
    influx_v2.call(f"/api/v2/buckets/{found['id']}", json.dumps({"description": mark}).encode(), "PATCH")
    settings = LoadSettings(root, Target(influx_v2.url, bucket, influx_v2.org, influx_v2.token), via="restore")
    fingerprint = read_manifest(root).fingerprint
    with opened_ledger(root):
        pass
    with closing(sqlite3.connect(ledger_path(root))) as database, database:
        values = (mark, influx_v2.url, influx_v2.org, bucket, fingerprint)
        database.execute("INSERT INTO marks VALUES (?, ?, ?, ?, ?)", values)
    for restart in (False, True):
        load(replace(settings, restart=restart))
    reply = influx_v2.call(f"/query?db={bucket}&q=SELECT+count(v)+FROM+m")
    assert json.loads(reply)["results"][0]["series"][0]["values"][0][1] == 1


@pytest.mark.parametrize("name", ["load.lock", "ledger.sqlite", "ledger.sqlite-wal"])
def test_a_load_touches_nothing_behind_planted_links(influx: Any, root: Path, name: str) -> None:
    """Beside a real server, too: what a link leads to is as it was."""
    victim = root.parent / "victim"
    victim.write_bytes(PRECIOUS)
    (root / STATE / name).symlink_to(victim)
    with pytest.raises(StageError, match=f"{name}: is a link"):
        load(settings_for(influx, root))
    assert victim.read_bytes() == PRECIOUS
