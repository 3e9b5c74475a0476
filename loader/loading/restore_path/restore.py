"""The restore path: loads a dataset into a bucket of InfluxDB 2.x, as storage files over its restore API.

Shards are planned from the partitions' times. A new bucket is made while the compiled encoders are loaded, because to
make it is the server's work, a hundredth of a second for each shard; one that exists is prepared, see :mod:`existing`.
Then it is filled, see :mod:`fill`.
"""

from __future__ import annotations

import threading
from dataclasses import replace

from loader.dataset.adopt import keep_manifest
from loader.dataset.manifest import Manifest
from loader.dataset.policy import OnDuplicate
from loader.encoding.warm import compile_ahead, compile_line_encoder, compiling
from loader.events import Notice, Observer
from loader.loading.flow import Flow
from loader.loading.known_rows import KnownRows
from loader.loading.ledger import Ledger, opened_ledger
from loader.loading.look import look_through
from loader.loading.restore_path.bucket import BucketMaker, RestoredBucket
from loader.loading.restore_path.shards import check_duration
from loader.loading.settings import LoadReport, LoadSettings
from loader.loading.tally import Tally
from loader.servers.base import Bucket
from loader.servers.load_method import LoadMethod
from loader.servers.patience import Patience
from loader.servers.probe import probe
from loader.servers.transport import Connection


def restore(settings: LoadSettings, manifest: Manifest, observe: Observer, stop: threading.Event) -> LoadReport:
    """Load the dataset of ``manifest`` as :func:`loader.loading.load` promises."""
    check_duration(settings.shard_duration)
    tally = Tally(settings, observe)
    flow = Flow(0, stop)
    if settings.dry_run:
        from loader.loading.restore_path.dry_run import encode_all  # noqa: PLC0415  (it brings the encoders)

        return encode_all(manifest, tally, flow)
    with opened_ledger(settings.place.state) as database, Connection(settings.target, settings.timeout_seconds) as link:
        # Marks and attempts must be on disk before what they announce is done.
        database.execute("PRAGMA synchronous = FULL")
        patience = Patience(settings.retry_seconds, tally.wait, stop)
        server = patience.ask(lambda: probe(link), first=True)
        maker = BucketMaker(settings, manifest, database, link, server, observe, patience)
        # The marks of buckets know which rows are moved.
        moving = settings.on_duplicate == OnDuplicate.NUDGE
        bucket = None if moving else maker.find()
        manifest, known = look_through(tally, manifest, stop)
        if stop.is_set():
            return tally.report(server.name, manifest, stopped=True)
        if moving:
            maker = replace(maker, manifest=manifest)
            bucket = maker.find()
        keep_manifest(settings.place, manifest)
        if bucket and not maker.made(bucket):
            made, ledger = _enter(maker, bucket, known, tally)
        else:
            with compiling(_load_encoders, "encoders", observe) as finish:
                made = maker.prepare(bucket, afresh=settings.restart)
                tally.started += finish()
            ledger = _begin(maker, made)
        from loader.loading.restore_path.fill import fill  # noqa: PLC0415  (imported by now)
        from loader.loading.restore_path.sender import ShardClosed  # noqa: PLC0415

        try:
            resumed, rejections = fill(made, manifest, ledger, known, tally, flow)
        except ShardClosed as error:
            if made.existing is not None:
                raise
            # A request that was cut off by a kill may have closed the shard, too: the same command must still work.
            observe(Notice(f"{error.message}: the bucket, which this load made, is made anew"))
            tally.begin_again()
            made = maker.prepare(maker.find(), afresh=True)
            resumed, rejections = fill(made, manifest, _begin(maker, made), known, tally, flow)
    return tally.report(
        server.name,
        manifest,
        resumed,
        stopped=stop.is_set(),
        rejections=rejections,
    )


def _begin(maker: BucketMaker, made: RestoredBucket) -> Ledger:
    """Return the ledger of a load into the bucket that it made."""
    target = maker.settings.target
    ledger = Ledger.begin(maker.database, target, made.bucket.id, maker.manifest.fingerprint, restart=False)
    ledger.existing.begin(LoadMethod.RESTORE, made=True)
    return ledger


def _enter(maker: BucketMaker, bucket: Bucket, known: KnownRows, tally: Tally) -> tuple[RestoredBucket, Ledger]:
    """Return ``bucket``, which the load did not make, prepared for it, and the ledger of the load."""
    settings, manifest = maker.settings, maker.manifest
    key = (settings.target, bucket.id, manifest.fingerprint)
    tally.started += compile_ahead(_load_all_encoders, "encoders", maker.observe)
    from loader.loading.restore_path.existing import ExistingBucket  # noqa: PLC0415  (imported by now)

    ledger = Ledger.begin(maker.database, *key, restart=settings.restart)
    ledger.existing.begin(LoadMethod.RESTORE, made=False)
    entered = ExistingBucket(
        bucket, settings, manifest, known, ledger, maker.link, maker.dialect(), maker.observe, maker.patience
    )
    made = entered.prepare()
    tally.rows_existing = sum(each.duplicates for each in ledger.existing.by_shard.values())
    return made, ledger


def _load_all_encoders() -> None:
    """Do what ``_load_encoders`` does, also for the line protocol of leading rows."""
    from loader.loading.restore_path import existing  # noqa: F401, PLC0415

    _load_encoders()
    compile_line_encoder()


def _load_encoders() -> None:
    """Import what makes and sends storage files, and have its encoders compiled."""
    from loader.loading.restore_path import fill, storage_files  # noqa: F401, PLC0415

    storage_files.load_encoders()
