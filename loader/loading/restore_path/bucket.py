"""The bucket of a restore: made with all its shards, or found where an earlier run of the same load made it.

A load only removes a bucket that it made itself. So the ledger records a mark before a bucket is made, and the bucket's
description carries it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from loader.dataset.instant import TIME_MAX, TIME_MIN
from loader.dataset.manifest import Manifest
from loader.errors import ConfigError, LoadError
from loader.events import Notice, Observer
from loader.loading.existing_points import Existing
from loader.loading.ledger_values import make_mark
from loader.loading.marks import add_mark, marks
from loader.loading.restore_path.shards import HOUR, Shard, plan_shards
from loader.loading.settings import LoadSettings
from loader.loading.shard_numbers import DEFAULT_DURATION
from loader.printable import listed
from loader.quantities import counted
from loader.servers import flux
from loader.servers import restore as api
from loader.servers.backup import is_open, list_shards
from loader.servers.base import Bucket
from loader.servers.patience import Patience
from loader.servers.probe import Server
from loader.servers.transport import Connection
from loader.servers.v2 import InfluxDB2


@dataclass(frozen=True)
class RestoredBucket:
    """A bucket with a shard on the server, by its start, for each of ``shards`` that has points.

    For a bucket that the load did not make, ``existing`` says what it held of the time of each shard; None otherwise.
    """

    bucket: Bucket
    shards: tuple[Shard, ...]
    ids: Mapping[int, int]
    existing: Mapping[int, Existing] | None = None


@dataclass(frozen=True)
class BucketMaker:
    """Makes the bucket of a load, or finds the one that an earlier run of it made."""

    settings: LoadSettings
    manifest: Manifest
    database: sqlite3.Connection
    link: Connection
    server: Server
    observe: Observer
    patience: Patience

    def find(self) -> Bucket | None:
        """Return the target's bucket, None when there is none of this name.

        Raises ConfigError or Refused when the restore is not possible.
        """
        return self.patience.ask(self._find)

    def _find(self) -> Bucket | None:
        target = self.settings.target
        self.dialect()
        bucket = self.server.dialect.find_bucket(self.link.send, target)
        api.require_operator(self.link.send)
        return bucket

    def made(self, bucket: Bucket) -> bool:
        """Tell whether an earlier run of this load made ``bucket``."""
        return bucket.description in marks(self.database, self.settings.target, self.manifest.fingerprint)

    def prepare(self, bucket: Bucket | None, *, afresh: bool) -> RestoredBucket:
        """Return ``bucket`` with its shards, or make it; with ``afresh``, an existing one is removed and made again.

        Raises ConfigError or LoadError when it does not fit, or must be removed but somebody else has written into it.
        """
        if bucket and not afresh:
            found = self._resume(bucket)
            if found:
                return found
        if bucket:
            self._refuse_others(bucket)
            self.patience.ask(lambda: self.server.dialect.remove_bucket(self.link.send, self.settings.target, bucket))
            self.observe(Notice(f"removed bucket {bucket.name!r}, which an earlier run of this load made"))
        return self._make(self.dialect())

    def _refuse_others(self, bucket: Bucket) -> None:
        """Raise ConfigError when ``bucket`` holds measurements that this load has not brought.

        Shards that the server has closed cannot be queried, and are passed over.
        """
        others: set[str] = set()
        for shard in self.patience.ask(lambda: list_shards(self.link.send, bucket)):
            if self.patience.ask(partial(is_open, self.link.send, shard.id)):
                others |= {*self.patience.ask(partial(self._others, shard.start, shard.stop))}
        if others:
            raise ConfigError(
                f"bucket {bucket.name!r} would have to be removed, and others have written into it:"
                f" {listed([*map(repr, sorted(others))], 3)}",
                hint="load into another bucket (--bucket), or remove this one yourself if nobody needs it",
            )

    def _others(self, start: int, stop: int) -> Sequence[str]:
        ours = [schema.measurement for schema in self.manifest.schemas]
        start, stop = max(start, TIME_MIN), min(stop, TIME_MAX + 1)
        return flux.parse_fields(self.link.send(flux.build_others(self.settings.target, ours, start, stop)))

    def dialect(self) -> InfluxDB2:
        """Return the server's dialect; raises ConfigError when it takes no storage files."""
        if not api.takes_files(self.server.dialect):
            raise ConfigError(
                f"{self.settings.target.url}: {self.server.name} takes no storage files",
                hint="use the write path: --via write",
            )
        return self.server.dialect

    def _resume(self, bucket: Bucket) -> RestoredBucket | None:
        """Return what an earlier run made, None when it was cut short before there were shards."""
        ids = self._ids(bucket)
        if not ids:
            return None
        duration = self.settings.shard_duration
        if duration and duration != bucket.shard_duration:
            raise ConfigError(
                f"bucket {bucket.name!r} was begun with another shard duration, {bucket.shard_duration // HOUR} hours",
                hint="leave --shard-duration out, or begin again: --restart",
            )
        return self._with_shards(bucket, self._plan(bucket.shard_duration), ids)

    def _ids(self, bucket: Bucket) -> Mapping[int, int]:
        return {shard.start: shard.id for shard in self.patience.ask(lambda: list_shards(self.link.send, bucket))}

    def _with_shards(self, bucket: Bucket, shards: tuple[Shard, ...], ids: Mapping[int, int]) -> RestoredBucket:
        if missing := [shard for shard in shards if shard.start not in ids]:
            needed = counted(len(shards), "shard")
            raise LoadError(
                f"bucket {bucket.name!r} lacks {len(missing):,} of the {needed} that this load needs",
                hint="begin again, which removes the bucket first: --restart",
            )
        return RestoredBucket(bucket, shards, ids)

    def _plan(self, duration: int) -> tuple[Shard, ...]:
        return plan_shards(self.settings.place.root, self.manifest, duration)

    def _make(self, dialect: InfluxDB2) -> RestoredBucket:
        settings = self.settings
        shards = self._plan(settings.shard_duration or DEFAULT_DURATION)
        mark = make_mark()
        add_mark(self.database, settings.target, self.manifest.fingerprint, mark)
        request = api.build_bucket(
            settings.target,
            self.patience.ask(lambda: dialect.find_organization(self.link.send, settings.target)),
            mark,
            settings.shard_duration or DEFAULT_DURATION,
            [api.ShardGroup(shard.start, shard.stop) for shard in shards],
        )

        def make() -> Bucket:
            made = dialect.find_bucket(self.link.send, settings.target)
            if made and made.description == mark:  # by an earlier attempt, whose reply was lost
                return made
            return Bucket(settings.target.bucket, api.parse_bucket(settings.target, self.link.send(request)))

        bucket = self.patience.ask(make)
        self.observe(
            Notice(f"created bucket {bucket.name!r} with {counted(len(shards), 'shard')} and infinite retention")
        )
        return self._with_shards(bucket, shards, self._ids(bucket))
