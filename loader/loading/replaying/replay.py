"""Sends the rejected rows of a load again, after a fix of the server, of their lines, or of the mapping.

Rows that the server takes are acknowledged in the ledger, and leave the rejected file; others stay there, with their
new reason. What the server has taken is recorded body by body, and the file is replaced as a whole: so a replay that
was killed is run again, and sends nothing twice but what was on its way.
"""

from __future__ import annotations

import sqlite3
import threading
import time

from loader.dataset.adopt import keep_manifest
from loader.dataset.manifest import Manifest
from loader.dataset.opened import opened_dataset
from loader.dataset.rejected_file import RejectedFile
from loader.errors import ConfigError
from loader.events import Notice, Observer, ignore
from loader.loading.ledger import Ledger, has_ledger, opened_ledger
from loader.loading.replaying.remapping import is_relaxed, remap
from loader.loading.replaying.settings import ReplayReport, ReplaySettings
from loader.servers.base import Bucket
from loader.servers.patience import Patience, find_server
from loader.servers.probe import Server
from loader.servers.transport import Connection


def replay(settings: ReplaySettings, observe: Observer = ignore, stop: threading.Event | None = None) -> ReplayReport:
    """Send the rejected rows of the load of a dataset into a bucket again, from where an earlier replay stopped.

    A row whose line in the rejected file was edited is sent as that line; other rows are encoded again, by the
    settings' mapping if there is one. Setting ``stop`` finishes what is in flight, records it and returns a report that
    says ``interrupted``. Memory is bounded by BATCH_ENTRIES or BATCH_BYTES of the file, and one batch of the dataset.
    Raises ConfigError, before anything is sent, where there is no such load, and for an entry of the file that is no
    rejected row; StageError, ServerError, EncodeError and LoadError as a load does.
    """
    started = time.monotonic()
    stop = stop or threading.Event()
    for name, value, least in (
        ("connections", 1 if settings.connections is None else settings.connections, 1),
        ("retry seconds", settings.retry_seconds, 0),
    ):
        if not value >= least:  # also for NaN
            raise ConfigError(f"{name} of {value}", hint=f"use {least} or more")
    place = settings.place
    if not has_ledger(place.state):
        raise ConfigError(f"{settings.dataset}: nothing of it was loaded", hint="load it first: loader load")
    with opened_dataset(place.root, observe, stop, place.state) as former:
        server, bucket = _find(settings, observe, Patience(settings.retry_seconds, observe, stop))
        with opened_ledger(place.state) as database:
            other = remap(place, former, settings.mapping, observe) if settings.mapping else None
            ledger, manifest = _load_of(database, settings, bucket, former, other, observe)
            file = RejectedFile(place.state, ledger.name)
            # Imported when it is used: a program that loads storage files needs no encoder of lines.
            from loader.loading.replaying.run import ReplayRun  # noqa: PLC0415
            from loader.loading.replaying.sender import ReplaySender  # noqa: PLC0415

            sender = ReplaySender(settings, server.dialect, bucket, ledger, observe, stop)
            run = ReplayRun(settings.place.root, manifest, other or manifest, ledger, file, sender)
            run.run()
            rejected, done = ledger.rejected, ledger.rows_done
            skipped = ledger.skipped
    return ReplayReport(
        server=server.name,
        rows=manifest.rows,
        rows_replayed=sender.rows,
        rows_edited=sender.edited,
        rows_acknowledged=done - rejected - skipped,
        rows_rejected=rejected,
        rows_absent=max(0, rejected - run.kept),
        rows_skipped=skipped,
        rows_left=manifest.rows - done,
        payload_size=sender.payload_size,
        body_size=sender.body_size,
        seconds=time.monotonic() - started,
        retries=sender.retries,
        interrupted=stop.is_set() and run.left > 0,
        rejected_path=str(file.path) if run.kept else "",
        first_rejected=run.first,
        fingerprint=manifest.fingerprint,
    )


def _find(settings: ReplaySettings, observe: Observer, patience: Patience) -> tuple[Server, Bucket]:
    with Connection(settings.target, settings.timeout_seconds) as link:
        server = find_server(link, observe, patience)
        bucket = patience.ask(lambda: server.dialect.find_bucket(link.send, settings.target))
    if bucket is None:
        raise ConfigError(
            f"bucket {settings.target.bucket!r} does not exist", hint="name the bucket of the load: --bucket"
        )
    return server, bucket


def _load_of(
    database: sqlite3.Connection,
    settings: ReplaySettings,
    bucket: Bucket,
    manifest: Manifest,
    other: Manifest | None,
    observe: Observer,
) -> tuple[Ledger, Manifest]:
    """Return the ledger of the load into ``bucket``, and the manifest by which its rows are points from now on.

    That is ``other`` where it makes points of rejected rows only. Raises ConfigError when there is no such load.
    """
    ledger = Ledger.find(database, settings.target, bucket.id, manifest.fingerprint)
    if other and is_relaxed(manifest, other):
        former = Ledger.find(database, settings.target, bucket.id, other.fingerprint)
        if former is None and ledger:
            ledger.rename(other.fingerprint)
        if former is None or ledger is None:  # without the latter, a replay was killed after the line above
            keep_manifest(settings.place, other)
            observe(Notice("this mapping is kept: it makes the same points of all other rows"))
            ledger, manifest = ledger or former, other
    if ledger is None:
        raise ConfigError(
            f"{settings.dataset}: was not loaded into bucket {bucket.name!r} as it is now: nothing of it is rejected",
            hint="loader status shows the last load; name its bucket: --bucket",
        )
    return ledger, manifest
