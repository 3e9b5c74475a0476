"""Loads a dataset into a bucket, by the load method that the settings name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from math import inf

from loader.dataset.adopt import adopt, prepare_state
from loader.dataset.manifest import Manifest, has_manifest, read_manifest
from loader.dataset.opened import FilesChanged, opened_dataset
from loader.dataset.policy import OnDuplicate
from loader.encoding.escaping import check_names
from loader.errors import ConfigError
from loader.events import Observer, ignore
from loader.loading.changed_files import forget_rows
from loader.loading.choice import choose_method
from loader.loading.rejected import most_rejected
from loader.loading.settings import FolderTarget, LoadReport, LoadSettings, WriteSettings
from loader.loading.tally import Tally
from loader.servers.load_method import LoadMethod, OnExisting
from loader.servers.patience import Stopped
from loader.servers.probe import introduction

_MOST_BATCH_BYTES = 1 << 30
"""More than any server accepts in one body; memory grows with it."""


def load(settings: LoadSettings, observe: Observer = ignore, stop: threading.Event | None = None) -> LoadReport:
    """Load a dataset, from where an earlier run of the same load stopped. Parquet that was not staged is adopted first.

    Setting ``stop`` finishes what is in flight, records it and returns a report that says ``interrupted``.
    Raises ConfigError and StageError before anything is sent; Refused, LoadError and EncodeError when the
    load cannot go on: what was acknowledged until then is in the ledger. Raises FilesChanged when files of the dataset
    changed during the load: a rerun sends the rows of those files again.
    """
    if settings.via not in list(LoadMethod):
        raise ConfigError(f"no way in called {settings.via!r}", hint=f"known are {', '.join(LoadMethod)}")
    _check(settings)
    place = settings.place
    moving = settings.on_duplicate == OnDuplicate.NUDGE
    adopted = adopt(place, settings.mapping, observe, afresh=settings.restart, moving=moving)
    if adopted and not settings.dry_run:
        prepare_state(place)
    stop = stop or threading.Event()
    try:
        with opened_dataset(place.root, observe, stop, place.state, adopted) as manifest:
            for schema in manifest.schemas:
                check_names(schema)
            to_folder = isinstance(settings.target, FolderTarget)
            for notice in [] if settings.dry_run or to_folder else introduction(settings.target):
                observe(notice)
            try:
                if to_folder:
                    settings = replace(settings, via=LoadMethod.WRITE)
                settings = choose_method(settings, manifest, observe, stop)
                return _way(settings)(settings, manifest, observe, stop)
            except Stopped:
                if settings.via == LoadMethod.AUTO:  # nothing was sent in either way
                    settings = replace(settings, via=LoadMethod.WRITE)
                return Tally(settings, observe).report(settings.target.url, manifest, stopped=True)
    except FilesChanged as error:
        # The manifest that is kept knows which rows were moved, and so has another fingerprint.
        kept = [read_manifest(place.state, place.root)] if has_manifest(place.state) else []
        for fingerprint in {error.fingerprint, *(manifest.fingerprint for manifest in kept)}:
            forget_rows(place.state, fingerprint, error.paths)
        raise


def _way(settings: LoadSettings) -> Callable[[LoadSettings, Manifest, Observer, threading.Event], LoadReport]:
    if isinstance(settings.target, FolderTarget) and not settings.dry_run:
        from loader.loading.write_path.parts import write_parts  # noqa: PLC0415

        return write_parts
    # Imported when it is used: a program that verifies pays neither time nor memory for compiled encoders.
    if settings.via == LoadMethod.RESTORE:
        from loader.loading.restore_path.restore import restore  # noqa: PLC0415

        return restore
    from loader.loading.write_path.write import write  # noqa: PLC0415

    return write


def _check(settings: LoadSettings) -> None:
    if isinstance(settings.target, FolderTarget) and settings.via == LoadMethod.RESTORE:
        raise ConfigError(
            "storage files into a folder", hint="parts are line protocol; loader export-tsm writes storage files"
        )
    if settings.via == LoadMethod.RESTORE and settings.write != (usual := WriteSettings()):
        others = [name for name, value in asdict(settings.write).items() if value != getattr(usual, name)]
        raise ConfigError(
            f"{' and '.join(others).replace('_', ' ')} on the restore path, which sends whole files",
            hint="leave it out, or use --via write",
        )
    if settings.on_existing not in list(OnExisting):
        raise ConfigError(f"on existing {settings.on_existing}", hint=f"known are {' and '.join(OnExisting)}")
    by_lines = settings.via == LoadMethod.WRITE or isinstance(settings.target, FolderTarget)
    if by_lines and settings.on_existing != OnExisting.REPLACE:
        raise ConfigError(
            "existing points are to end the load, which the write path does not look for",
            hint="leave out --on-existing, or use --via restore",
        )
    if settings.assume_distinct and settings.on_duplicate == OnDuplicate.NUDGE:
        raise ConfigError("rows are to be moved apart, and not to be looked for", hint="leave out --assume-distinct")
    most_rejected(settings.max_rejected, 0)
    for name, value, least, most in (
        ("batch lines", _or_one(settings.write.batch_lines), 1, inf),
        ("batch bytes", _or_one(settings.write.batch_bytes), 1, _MOST_BATCH_BYTES),
        ("connections", _or_one(settings.connections), 1, inf),
        ("rate", settings.write.rate, 0, inf),
        ("retry seconds", settings.retry_seconds, 0, inf),
    ):
        if not least <= value <= most:  # also for NaN
            bounds = f"{least} or more" if most == inf else f"{least} to {most:,}"
            raise ConfigError(f"{name} of {value}", hint=f"use {bounds}")


def _or_one(number: int | None) -> int:
    return 1 if number is None else number
