"""The bucket of a load by lines: made where it is missing, and otherwise fit for the dataset."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial

from loader.dataset.manifest import Manifest
from loader.errors import ConfigError, Refused
from loader.events import Notice, Observer
from loader.loading.ledger import forget
from loader.loading.marks import has_mark
from loader.loading.settings import LoadSettings
from loader.servers.base import Bucket
from loader.servers.patience import Patience
from loader.servers.probe import Server
from loader.servers.transport import Connection
from loader.servers.v2 import InfluxDB2


def share_bucket(
    connection: Connection,
    dialect: InfluxDB2,
    bucket: Bucket,
    settings: LoadSettings,
    manifest: Manifest,
    patience: Patience,
) -> None:
    """Take the mark of another dataset's restore from ``bucket``, so that it is not removed when that begins again."""
    if not has_mark(settings.place.state, manifest.fingerprint, bucket.description):
        with suppress(Refused):  # a token may write points only
            patience.ask(partial(dialect.describe_bucket, connection.send, bucket, ""))


def make_bucket(
    connection: Connection, server: Server, settings: LoadSettings, observe: Observer, patience: Patience
) -> Bucket:
    """Return a new bucket, made only when a ledger can be kept."""

    def make() -> Bucket:
        # An earlier attempt may have made it, and only its reply was lost.
        found = server.dialect.find_bucket(connection.send, settings.target)
        return found or server.dialect.create_bucket(connection.send, settings.target, settings.shard_duration)

    forget(settings.place.state, settings.target)
    made = patience.ask(make)
    observe(Notice(f"created bucket {settings.target.bucket!r} with infinite retention"))
    return made


def check_retention(bucket: Bucket, manifest: Manifest) -> None:
    """Raise ConfigError when ``bucket`` would drop the oldest points of the dataset."""
    oldest = min(partition.time_min for partition in manifest.partitions)
    if bucket.retention and oldest < time.time_ns() - bucket.retention:
        days = bucket.retention / 86_400e9
        raise ConfigError(
            f"bucket {bucket.name!r} keeps {days:g} days; the dataset has older points, which it would drop",
            hint="load into a new bucket (--bucket), or make this one's retention longer",
        )
