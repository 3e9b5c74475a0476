"""The write path: loads a dataset into a bucket, as line protocol over the write API.

Partitions are sent in the order of the manifest, rows in the order of their file, but those of a series together within
each batch: InfluxDB takes time order between shards and series order within one fastest. One thread, the coordinator,
reads, encodes and keeps the ledger; several connections send, as many as the server is fit for.

Memory is bounded by one record batch, the bytes in flight (128 MiB), and a copy of each payload that is being sent; it
does not depend on the size of the dataset.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from functools import partial

from loader.dataset.adopt import keep_manifest
from loader.dataset.chunk import Chunk, RejectedRow
from loader.dataset.manifest import Manifest
from loader.encoding.escaping import LineForm
from loader.encoding.warm import compile_ahead, compile_line_encoder
from loader.events import SERVER_BUSY, Answered, Observer, Started, Waited
from loader.loading.flow import Flow, Pace, gzip_level
from loader.loading.known_rows import KnownRows
from loader.loading.ledger import Ledger
from loader.loading.ledger_values import is_mark
from loader.loading.look import look_through
from loader.loading.rejected import RejectedLine, Rejections, most_rejected
from loader.loading.settings import LoadReport, LoadSettings, Sending
from loader.loading.tally import DRY_RUN, Tally
from loader.loading.write_path.bucket import check_retention, make_bucket, share_bucket
from loader.loading.write_path.connection_limit import adaptive
from loader.loading.write_path.field_types import note_other_types
from loader.loading.write_path.first_writes import FirstWrites
from loader.loading.write_path.payloads import payloads
from loader.loading.write_path.results import Results
from loader.loading.write_path.sender import Ack, Senders, compressed
from loader.servers.base import WriteRules
from loader.servers.field_types import find_types
from loader.servers.load_method import LoadMethod
from loader.servers.patience import Patience
from loader.servers.probe import probe
from loader.servers.restore import takes_files
from loader.servers.tables import check_room, has_tables
from loader.servers.transport import Connection
from loader.waiting import pause

_BUSY_SECONDS = 1.0


def write(settings: LoadSettings, manifest: Manifest, observe: Observer, stop: threading.Event) -> LoadReport:
    """Load the dataset of ``manifest`` as :func:`loader.loading.load` promises."""
    level = gzip_level(settings.write.compress, settings.target.url)
    if settings.dry_run:
        return _encode_all(settings, manifest, observe, stop, level)

    tally = Tally(settings, observe)
    patience = Patience(settings.retry_seconds, tally.wait, stop)
    with Connection(settings.target, settings.timeout_seconds) as connection:
        server = patience.ask(lambda: probe(connection), first=True)
        rules = server.dialect.write_rules
        sending = settings.sending(rules)
        for schema in manifest.schemas:
            rules.form.check_names(schema)
        found = patience.ask(lambda: server.dialect.find_bucket(connection.send, settings.target))
        if found:
            check_retention(found, manifest)
        if has_tables(server.dialect):
            patience.ask(partial(check_room, connection.send, settings.target, manifest.schemas))
        # Before a bucket is made: a dataset with duplicates may be refused.
        manifest, known = look_through(tally, manifest, stop)
        if stop.is_set():
            return tally.report(server.name, manifest, stopped=True)
        if found and takes_files(server.dialect) and is_mark(found.description):
            share_bucket(connection, server.dialect, found, settings, manifest, patience)
        bucket = found or make_bucket(connection, server, settings, observe, patience)
        for schema in manifest.schemas:
            types = patience.ask(partial(find_types, connection.send, server.dialect, settings.target, bucket, schema))
            note_other_types(schema, types, settings.target.bucket, observe)
    ledger_key = (settings.place.state, settings.target, bucket.id, manifest.fingerprint)
    with Ledger.opened(*ledger_key, restart=settings.restart) as ledger:
        ledger.existing.begin(LoadMethod.WRITE, made=found is None)
        keep_manifest(settings.place, manifest)
        rejections = Rejections.of_load(
            settings.place.state, ledger, most_rejected(settings.max_rejected, manifest.rows)
        )
        tally.rows_skipped = ledger.skipped
        pending = [chunk for partition in manifest.partitions for chunk in ledger.rows.pending(partition)]
        left = sum(chunk.rows - ledger.rows.count_scattered(chunk) for chunk in pending)
        resumed = manifest.rows - left
        _begin(tally)
        observe(Started("load", manifest.rows, resumed))
        flow = Flow(sending.batch_bytes, stop, rejections.left)
        senders = Senders(
            settings.target,
            server.dialect,
            flow,
            FirstWrites(bucket.shard_duration, alone=rules.first_alone),
            adaptive(sending.connections),
            gzip_level=level,
            retry_seconds=settings.retry_seconds,
            timeout_seconds=settings.timeout_seconds,
        )
        coordinator = _Coordinator(settings, ledger, rejections, tally, flow, sending, rules.form)
        coordinator.run(senders, manifest, pending, known)
        if resumed + tally.rows == manifest.rows:
            ledger.finish()
    report = tally.report(
        server.name,
        manifest,
        resumed,
        stopped=stop.is_set(),
        rejections=rejections,
    )
    return replace(
        report,
        connections=senders.connections,
        batch_lines=sending.batch_lines,
        batch_bytes=sending.batch_bytes,
    )


def _begin(tally: Tally) -> None:
    """Compile the encoder, which happens once on a machine, and then start the time of ``tally``."""
    compile_ahead(compile_line_encoder, "encoder", tally.observe)
    tally.started = time.monotonic()


class _Coordinator:
    """Feeds the senders and records what they report."""

    def __init__(
        self,
        settings: LoadSettings,
        ledger: Ledger,
        rejections: Rejections,
        tally: Tally,
        flow: Flow,
        sending: Sending,
        form: LineForm,
    ) -> None:
        self._settings = settings
        self._sending = sending
        self._form = form
        self._ledger = ledger
        self._rejections = rejections
        self._tally = tally
        self._flow = flow
        self._results = Results(flow, self._acknowledge, self._tell)
        self._seconds_busy = 0.0

    def run(self, senders: Senders, manifest: Manifest, pending: list[Chunk], known: KnownRows) -> None:
        """Send every row of ``pending``; raises the first error after recording what is in flight."""
        try:
            self._feed(senders, manifest, pending, known)
        except KeyboardInterrupt:
            self._flow.aborted.set()
            raise
        except Exception as error:
            self._results.error = error
        # Also after an error of reading or encoding: the ledger must know what the server has.
        self._results.record(senders.drain())
        self._tell_busy(senders)
        if self._results.error:
            raise self._results.error

    def _feed(self, senders: Senders, manifest: Manifest, pending: list[Chunk], known: KnownRows) -> None:
        pace = Pace(self._settings.write.rate)
        partitions = {partition.path: partition for partition in manifest.partitions}
        for chunk in pending:
            for payload in payloads(
                self._settings.place.root,
                manifest.schema_of(chunk.partition),
                partitions[chunk.partition],
                chunk,
                pace.lines(self._sending.batch_lines),
                lambda: self._flow.body_limit,
                known,
                self._ledger.rows.mask,
                self._form,
            ):
                self._wait(pace.ahead(len(payload)))
                if self._flow.stopping:
                    return
                if len(payload):
                    self._results.record(senders.submit(payload))
                    self._tell_busy(senders, _BUSY_SECONDS)
                else:
                    self._acknowledge(Ack(payload, 0))

    def _tell_busy(self, senders: Senders, least: float = 0.0) -> None:
        """Report how long the senders were waited for since the last report, if it was at least ``least`` seconds."""
        seconds = senders.seconds_waited - self._seconds_busy
        if seconds >= least:
            self._seconds_busy = senders.seconds_waited
            self._tally.wait(Waited(SERVER_BUSY, seconds))

    def _wait(self, seconds: float) -> None:
        if seconds:
            self._tally.wait(Waited("rate", seconds))
            pause(seconds, self._flow.stop)

    def _tell(self, event: Answered | Waited) -> None:
        if isinstance(event, Waited):
            self._tally.wait(event)
        else:
            self._tally.observe(event)

    def _acknowledge(self, ack: Ack) -> None:
        rejected: list[RejectedRow | RejectedLine] = [*ack.payload.rejected, *ack.rejected]
        self._rejections.keep(rejected)
        rows = ack.payload.rows
        skipped = ack.payload.skipped
        self._ledger.acknowledge(rows, len(rejected), skipped)
        self._flow.count_rejected(len(ack.payload.rejected))
        if not self._results.error and (error := self._rejections.excess):
            self._flow.aborted.set()
            self._results.error = error
        self._tally.reject(len(rejected))
        self._tally.advance(rows.count, ack.payload.size, ack.body_size, skipped)


def _encode_all(
    settings: LoadSettings, manifest: Manifest, observe: Observer, stop: threading.Event, level: int
) -> LoadReport:
    """Do everything that a load does except sending, and keep nothing."""
    sending = settings.sending(WriteRules())
    flow = Flow(sending.batch_bytes, stop)
    rejections = Rejections(settings.place.state, "none", most_rejected(settings.max_rejected, manifest.rows), 0)
    tally = Tally(settings, observe)
    manifest, known = look_through(tally, manifest, stop)
    _begin(tally)
    observe(Started("dry run", manifest.rows))
    encoded = (
        payload
        for partition in manifest.partitions
        for payload in payloads(
            settings.place.root,
            manifest.schema_of(partition.path),
            partition,
            partition.whole,
            sending.batch_lines,
            lambda: flow.body_limit,
            known,
        )
    )
    for payload in encoded:
        if flow.stopping:
            break
        rejections.count(payload.rejected)
        tally.reject(len(payload.rejected))
        tally.advance(payload.rows.count, payload.size, len(compressed(payload.body, level)), payload.skipped)
    return tally.report(DRY_RUN, manifest, stopped=stop.is_set(), rejections=rejections)
