"""A dataset into a bucket, by the way that the settings name."""

from __future__ import annotations

import threading

from loader.dataset.reader import open_dataset
from loader.errors import ConfigError
from loader.events import Observer, ignore
from loader.loading.restore_path import restore
from loader.loading.settings import LoadReport, LoadSettings, Way
from loader.loading.write_path import write


def load(settings: LoadSettings, observe: Observer = ignore, stop: threading.Event | None = None) -> LoadReport:
    """Load a dataset; resumes where an earlier run of the same load stopped.

    Setting ``stop`` finishes what is in flight, records it and returns a report that says ``interrupted``.
    Raises ConfigError and StageError before anything is sent; Refused, LoadError and EncodeError when the
    load cannot go on: what was acknowledged until then is in the ledger.
    """
    if settings.via not in list(Way):
        raise ConfigError(f"no way in called {settings.via!r}", hint=f"known are {' and '.join(Way)}")
    _check(settings)
    way = restore if settings.via == Way.RESTORE else write
    return way(settings, open_dataset(settings.dataset), observe, stop or threading.Event())


def _check(settings: LoadSettings) -> None:
    for name, value, least in (
        ("batch lines", settings.batch_lines, 1),
        ("batch bytes", settings.batch_bytes, 1),
        ("connections", settings.connections, 1),
        ("rate", settings.rate, 0),
        ("max rejected", settings.max_rejected, 0),
        ("retry seconds", settings.retry_seconds, 0),
    ):
        if not value >= least:  # also for what is not a number
            raise ConfigError(f"{name} of {value}", hint=f"use {least} or more")
