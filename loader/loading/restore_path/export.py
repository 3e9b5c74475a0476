"""Writes the storage files of a dataset to disk, as a restore would send them, for inspection and study.

The folder looks like a server's engine path: ``influxd inspect verify-tsm --engine-path FOLDER`` checks it, and
``influxd inspect export-lp --engine-path FOLDER --bucket-id 0000000000000001`` turns it into line protocol.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from loader.dataset.atomic import whole_file
from loader.dataset.chunk import RejectedRow
from loader.dataset.manifest import Manifest
from loader.dataset.opened import opened_dataset
from loader.dataset.place import Place, find_place
from loader.errors import ConfigError, LoadError
from loader.events import Advanced, Observer, Started, ignore
from loader.loading.identities import look_at_identities
from loader.loading.rejected import describe
from loader.loading.restore_path.shards import check_duration, plan_shards
from loader.loading.shard_numbers import DEFAULT_DURATION

BUCKET_ID = "0000000000000001"


@dataclass(frozen=True)
class ExportSettings:
    """Which dataset goes to which folder; ``shard_duration`` is nanoseconds, 0 for the server's default of 7 days."""

    dataset: Path
    out: Path
    shard_duration: int = 0
    state: Path | None = None

    @cached_property
    def place(self) -> Place:
        """Where files and state of the dataset are."""
        return find_place(self.dataset, self.state)


@dataclass(frozen=True)
class ExportReport:
    """What was written; ``size`` is bytes."""

    rows: int
    rows_rejected: int
    first_rejected: str
    shards: int
    files: int
    size: int
    seconds: float
    out: str
    interrupted: bool


def export(settings: ExportSettings, observe: Observer = ignore, stop: threading.Event | None = None) -> ExportReport:
    """Write the storage files of a dataset, each whole or not at all; setting ``stop`` ends it after a file.

    Memory is bounded as for one shard of a restore: 144 MiB of values, a batch, and the file. Raises ConfigError before
    anything is written when a setting is wrong or the folder is not empty, StageError or EncodeError for the dataset,
    LoadError when files cannot be written.
    """
    began = time.monotonic()
    check_duration(settings.shard_duration)
    with opened_dataset(settings.place.root, observe, stop, settings.place.state) as manifest:
        return _export(settings, manifest, observe, stop, began)


def _export(
    settings: ExportSettings, manifest: Manifest, observe: Observer, stop: threading.Event | None, began: float
) -> ExportReport:
    # Imported when it is used, as in ``load``.
    from loader.encoding.tsm.encode.buffer import Workspace  # noqa: PLC0415
    from loader.loading.restore_path.storage_files import encode_shard, prepare_encoders  # noqa: PLC0415

    root = settings.out / "data" / BUCKET_ID / "autogen"
    sizes: list[int] = []
    rows = 0
    rejected: list[RejectedRow] = []
    try:
        if settings.out.exists() and any(settings.out.iterdir()):
            raise ConfigError(f"{settings.out}: is not empty", hint="name a new folder: --out FOLDER")
        known = look_at_identities(settings.place.root, manifest, observe, stop)
        duration = settings.shard_duration or DEFAULT_DURATION
        shards = plan_shards(settings.place.root, manifest, duration)
        began += prepare_encoders(observe)
        workspace = Workspace()
        observe(Started("export", manifest.rows))
        files = (
            (number, file)
            for number, shard in enumerate(shards, 1)
            for file in encode_shard(settings.place.root, manifest, shard, 1, workspace, known)
        )
        for number, file in files:
            rejected += file.rejected
            rows += file.rows
            if file.points:
                with whole_file(root / str(number) / file.name) as temporary, temporary.open("wb") as content:
                    content.writelines(file.content.pieces)
                sizes.append(file.content.size)
            observe(Advanced(file.rows, file.content.size if file.points else 0))
            if stop and stop.is_set():
                break
    except OSError as error:
        raise LoadError(
            f"{error.filename or settings.out}: cannot be written: {error.strerror}",
            hint="check space and permissions, and name a new folder: --out FOLDER",
        ) from error
    return ExportReport(
        rows=rows - len(rejected),
        rows_rejected=len(rejected),
        first_rejected=describe(rejected[0]) if rejected else "",
        shards=len(shards),
        files=len(sizes),
        size=sum(sizes),
        seconds=time.monotonic() - began,
        out=str(settings.out),
        interrupted=bool(stop and stop.is_set()) and rows < manifest.rows,
    )
