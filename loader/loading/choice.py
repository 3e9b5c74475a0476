"""Chooses the load method where the settings leave it open: the restore path, where it can be taken and gains."""

from __future__ import annotations

import threading
from dataclasses import replace

from loader.dataset.instant import TIME_MAX
from loader.dataset.manifest import Manifest, has_manifest, read_manifest
from loader.encoding.tsm.layout import FIELD_SEPARATOR
from loader.errors import ConfigError, Refused
from loader.events import Notice, Observer
from loader.loading.ledger import origin
from loader.loading.settings import LoadSettings, WriteSettings
from loader.loading.shard_numbers import DEFAULT_DURATION, count_spanned
from loader.quantities import counted
from loader.servers.base import Bucket
from loader.servers.load_method import LoadMethod, OnExisting
from loader.servers.patience import Patience
from loader.servers.probe import probe
from loader.servers.restore import require_operator, takes_files
from loader.servers.transport import Connection

LEAST_ROWS = 100_000
"""Rows a shard, on average, from which the restore path gains: a shard costs it as much time as some 50,000 lines."""


def choose_method(settings: LoadSettings, manifest: Manifest, observe: Observer, stop: threading.Event) -> LoadSettings:
    """Return ``settings`` with a load method; where they leave it open, one notice tells which one, and why.

    A load that has begun goes on by its load method. Nothing is made or sent. Raises ConfigError where existing points
    are to end the load, and the restore path, which alone looks for them, cannot be taken; and ServerError.
    """
    if settings.via != LoadMethod.AUTO:
        return settings
    why = _begun(settings, manifest) or _obstacle(settings, manifest)
    via, words = why or _ask(settings, manifest, observe, stop)
    if via == LoadMethod.WRITE and settings.on_existing == OnExisting.FAIL:
        raise ConfigError(
            f"existing points are to end the load, which only the restore path looks for: {words}",
            hint="leave out --on-existing",
        )
    observe(Notice(f"by the {via.value} path: {words}"))
    return replace(settings, via=via)


def _begun(settings: LoadSettings, manifest: Manifest) -> tuple[LoadMethod, str] | None:
    """Return the load method by which the load began, None when this is its beginning."""
    if settings.restart or settings.dry_run:
        return None
    state = settings.place.state
    # The manifest that is kept knows which rows were moved, and so has another fingerprint.
    kept = [read_manifest(state, settings.place.root)] if has_manifest(state) else []
    for fingerprint in dict.fromkeys([manifest.fingerprint, *(each.fingerprint for each in kept)]):
        if (found := origin(state, settings.target, fingerprint)) and found.via:
            return LoadMethod(found.via), "this load began so"
    return None


def _obstacle(settings: LoadSettings, manifest: Manifest) -> tuple[LoadMethod, str] | None:
    """Return what of the settings and the dataset is for the write path, None for nothing."""
    names = {name for schema in manifest.schemas for name in (schema.measurement, *schema.tags)}
    rows = manifest.rows / max(1, count_spanned(manifest, settings.shard_duration or DEFAULT_DURATION))
    if settings.dry_run:
        words = "a dry run asks no server"
    elif settings.write != WriteSettings():
        words = "batches, compression and rate are set, which files do not have"
    elif any(FIELD_SEPARATOR.decode() in name for name in names):
        words = f"storage files cannot hold names with {FIELD_SEPARATOR.decode()}"
    elif any(partition.time_max >= TIME_MAX for partition in manifest.filled):
        words = "queries cannot count points of the last nanosecond"
    elif rows < LEAST_ROWS and settings.on_existing != OnExisting.FAIL:
        words = f"files gain nothing for fewer than {LEAST_ROWS:,} rows a shard"
    else:
        return None
    return LoadMethod.WRITE, words


def _ask(
    settings: LoadSettings, manifest: Manifest, observe: Observer, stop: threading.Event
) -> tuple[LoadMethod, str]:
    """Ask the server whether the restore path can be taken."""
    patience = Patience(settings.retry_seconds, observe, stop)
    with Connection(settings.target, settings.timeout_seconds) as link:
        server = patience.ask(lambda: probe(link), first=True)
        if not takes_files(server.dialect):
            return LoadMethod.WRITE, f"{server.name} takes no storage files"
        bucket = patience.ask(lambda: server.dialect.find_bucket(link.send, settings.target))
        try:
            patience.ask(lambda: require_operator(link.send))
        except Refused:
            return LoadMethod.WRITE, "files need an operator token, and this token is another one"
        except ConfigError as error:
            return LoadMethod.WRITE, error.message
    duration = settings.shard_duration or DEFAULT_DURATION
    return LoadMethod.RESTORE, _words(manifest, bucket, bucket.shard_duration or duration if bucket else duration)


def _words(manifest: Manifest, bucket: Bucket | None, duration: int) -> str:
    shards = counted(count_spanned(manifest, duration), "shard")
    return f"the bucket {'exists' if bucket else 'is new'}, {counted(manifest.rows, 'row')} in {shards}, operator token"
