"""Prepares a bucket that the load did not make: its points are counted, its shards made by the load's own rows.

Shard groups appear with the first point that is written into their time. So rows of the dataset go ahead through the
write API, of which the server also checks types and retention. All else of the bucket stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from loader.dataset.instant import TIME_MIN, instant
from loader.dataset.manifest import Manifest
from loader.dataset.schema import Field
from loader.encoding.warm import compile_ahead, compile_decoders
from loader.errors import ConfigError, LoadError, PartialWrite
from loader.events import Notice, Observer
from loader.loading.existing_points import Existing
from loader.loading.known_rows import KnownRows
from loader.loading.ledger import Ledger
from loader.loading.ledger_values import is_mark
from loader.loading.restore_path.bucket import RestoredBucket
from loader.loading.restore_path.leading_rows import LeadingRow, leading_rows
from loader.loading.restore_path.shards import Shard, fit_shards, plan_shards
from loader.loading.settings import LoadSettings
from loader.loading.shard_numbers import DEFAULT_DURATION
from loader.quantities import counted
from loader.servers import backup, flux
from loader.servers.base import Bucket, Request
from loader.servers.load_method import OnExisting
from loader.servers.patience import Patience
from loader.servers.transport import Connection
from loader.servers.v2 import InfluxDB2

_MOST_LINES, _MOST_BYTES = 5_000, 1 << 20
"""Most lines and bytes of leading rows in a request, unless one line is longer."""


@dataclass(frozen=True)
class ExistingBucket:
    """Prepares ``bucket`` for the storage files of a load."""

    bucket: Bucket
    settings: LoadSettings
    manifest: Manifest
    known: KnownRows
    ledger: Ledger
    link: Connection
    dialect: InfluxDB2
    observe: Observer
    patience: Patience

    def prepare(self) -> RestoredBucket:
        """Return the bucket with a shard for all points of the dataset.

        Memory is that of ``leading_rows``, and of the bucket's list of shards. Raises ConfigError when the server
        refuses a row, LoadError when shards are gone that were acknowledged, StageError, EncodeError and ServerError.
        """
        duration = self.bucket.shard_duration or DEFAULT_DURATION
        planned = plan_shards(self.settings.place.root, self.manifest, duration)
        groups = self._groups()
        shards = fit_shards(planned, groups)
        self._check_restored(shards, _ids(groups))
        pending = [shard for shard in shards if shard.start not in self.ledger.restored]
        self._look_at(pending, groups)
        self._become_shared()
        shards, found = self._lead(planned, groups, pending)
        existing = self.ledger.existing.by_shard
        if pending:
            self.observe(Notice(_words(self.bucket, [existing[shard.start] for shard in pending])))
            named = {start: replace(existing[start], shard=found[start]) for start in existing.keys() & found.keys()}
            self.ledger.existing.note(named)
        return RestoredBucket(self.bucket, shards, found, existing)

    def _check_restored(self, shards: Sequence[Shard], ids: Mapping[int, int]) -> None:
        """Raise LoadError when shards that are acknowledged are gone, or others have taken their place."""
        by_start = {shard.start: shard for shard in shards}
        existing = self.ledger.existing.by_shard
        for start in sorted(self.ledger.restored):
            shard, former = by_start.get(start), existing.get(start, Existing(0)).shard
            same = start in ids and former in {0, ids[start]}
            # A shard whose rows are all rejected was never made.
            if not shard or not (same or (start not in ids and not former and not self._leading_rows(shard))):
                raise LoadError(
                    f"bucket {self.bucket.name!r}: the shard of {instant(start)}, which was loaded, is gone",
                    hint="begin again: --restart",
                )

    def _become_shared(self) -> None:
        """Take the mark of another load from the bucket, so that this one does not remove it when it begins again."""
        if is_mark(self.bucket.description):
            self.patience.ask(partial(self.dialect.describe_bucket, self.link.send, self.bucket, ""))

    def _groups(self) -> list[backup.Shard]:
        return self.patience.ask(lambda: backup.list_shards(self.link.send, self.bucket))

    def _look_at(self, shards: Sequence[Shard], groups: Sequence[backup.Shard]) -> None:
        """Record how many values the bucket has in the times of ``shards``, where that is not known yet.

        Where it has some, the points that both have are counted. Raises ConfigError if there are any that must not be.
        """
        known = self.ledger.existing.by_shard
        found = {shard.start: Existing(self._count(shard)) for shard in shards if shard.start not in known}
        if any(each.found for each in found.values()):
            compile_ahead(compile_decoders, "decoders", self.observe)
        ids = _ids(groups)
        for shard in shards:
            if shard.start in ids and shard.start in found and found[shard.start].found:
                number = self._count_duplicates(ids[shard.start], shard)
                found[shard.start] = replace(found[shard.start], duplicates=number)
        duplicates = sum(each.duplicates for each in found.values())
        if duplicates and self.settings.on_existing == OnExisting.FAIL:
            raise ConfigError(
                f"bucket {self.bucket.name!r} has {counted(duplicates, 'point')} of this dataset already, by series and"
                " time; nothing was sent",
                hint="have them replaced: --on-existing replace; or load into another bucket: --bucket",
            )
        self.ledger.existing.note(found)

    def _count_duplicates(self, shard_id: int, shard: Shard) -> int:
        from loader.loading.restore_path.duplicates import count_duplicates  # noqa: PLC0415  (it brings the decoders)

        root = self.settings.place.root
        return self.patience.ask(lambda: count_duplicates(self.link, shard_id, root, self.manifest, shard, self.known))

    def _count(self, shard: Shard) -> int:
        """Return how many values of the dataset's fields the bucket has in the times of the rows of ``shard``."""
        number = 0
        for schema in self.manifest.schemas:
            start, stop = shard.times_of(shard.partitions_of(self.manifest, schema))
            if start < stop:
                request = flux.build_totals(self.settings.target, schema, schema.fields, start, stop)
                number += sum(self.patience.ask(partial(self._totals, request, schema.fields)))
        return number

    def _totals(self, request: Request, fields: Sequence[Field]) -> list[int]:
        return flux.parse_totals(fields, self.link.send(request))

    def _lead(
        self, planned: Sequence[Shard], groups: Sequence[backup.Shard], pending: Sequence[Shard]
    ) -> tuple[tuple[Shard, ...], Mapping[int, int]]:
        """Write leading rows of ``pending`` shards, until there are shards on the server for all points.

        Returns the shards, and the ids of those that are on the server, by their start.
        """
        without_points: set[tuple[int, int]] = set()
        while pending:
            rows: list[LeadingRow] = []
            for shard in pending:
                oldest = bool(self.bucket.retention) and not rows
                found = self._leading_rows(shard, oldest=oldest)
                if not found:
                    without_points.add((shard.start, shard.stop))
                rows += found
            for some in _bodies(rows):
                self._write(some)
            groups = self._groups()
            for row in rows:
                if not any(group.start <= row.time < group.stop for group in groups):
                    raise LoadError(
                        f"{row.address}: the server has taken this row, and has no shard of {instant(row.time)}",
                        hint="look at the retention of the bucket and the server's log",
                    )
            there = _ids(groups)
            pending = [
                shard
                for shard in fit_shards(planned, groups)
                if shard.start not in there and (shard.start, shard.stop) not in without_points
            ]
        return fit_shards(planned, groups), _ids(groups)

    def _leading_rows(self, shard: Shard, *, oldest: bool = False) -> list[LeadingRow]:
        return leading_rows(self.settings.place.root, self.manifest, shard, self.known, oldest=oldest)

    def _write(self, rows: Sequence[LeadingRow]) -> None:
        """Write ``rows``; raises ConfigError with the server's words for the first that it refuses."""
        try:
            self._send(rows)
        except PartialWrite:
            for row in rows:
                try:
                    self._send([row])
                except PartialWrite as error:
                    raise ConfigError(
                        f"{row.address.partition}, row {row.address.start:,}: the server refuses this row, and no file"
                        f" was sent: {error.message}",
                        hint="load into another bucket (--bucket); by --via write, refused rows go to a file, and the"
                        " rest is loaded",
                    ) from error

    def _send(self, rows: Sequence[LeadingRow]) -> None:
        target = self.settings.target
        request = self.dialect.build_write(target, b"".join(row.line for row in rows), gzipped=False)
        self.patience.ask(lambda: self.dialect.classify_write(self.link.send(request)))


def _ids(groups: Sequence[backup.Shard]) -> dict[int, int]:
    return {max(group.start, TIME_MIN): group.id for group in groups}


def _bodies(rows: Sequence[LeadingRow]) -> Iterator[Sequence[LeadingRow]]:
    """Yield ``rows`` in runs that fit a request."""
    start = size = 0
    for number, row in enumerate(rows):
        if number > start and (number - start == _MOST_LINES or size + len(row.line) > _MOST_BYTES):
            yield rows[start:number]
            start, size = number, 0
        size += len(row.line)
    if start < len(rows):
        yield rows[start:]


def _words(bucket: Bucket, shards: Sequence[Existing]) -> str:
    held = sum(each.found > 0 for each in shards)
    duplicates = sum(each.duplicates for each in shards)
    return (
        f"bucket {bucket.name!r} exists: {counted(len(shards), 'shard')} to fill,"
        f" {held:,} with points of the same measurement and time, {counted(duplicates, 'point')} to be replaced"
    )
