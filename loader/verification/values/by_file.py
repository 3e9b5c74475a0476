"""Every value that a server of 2.x stores against every value of the dataset."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import numpy as np

from loader.dataset.manifest import Manifest
from loader.dataset.schema import PointSchema
from loader.encoding.tsm.decode.columns import Column
from loader.encoding.tsm.decode.fields import Reading, StoredField, gather_field
from loader.encoding.tsm.layout import BLOCK_POINTS
from loader.encoding.warm import compile_decoders
from loader.events import Advanced, Observer, Started, ignore, one_at_a_time
from loader.loading.compiling import compile_ahead
from loader.servers.backup import Shard
from loader.servers.frames import instant
from loader.servers.transport import Connection
from loader.verification.plan import Window
from loader.verification.retried import retried
from loader.verification.settings import Difference, VerifySettings
from loader.verification.values.compare import columns_differences, columns_equal, day_counts, series_name
from loader.verification.values.expected import expected_values
from loader.verification.values.outcome import Outcome, merged
from loader.verification.values.plan import WINDOW_ROWS, Span, halves, plan_spans
from loader.verification.values.shard_files import ShardFiles, fetched
from loader.waiting import Workers, pause

SHARDS_AT_A_TIME = 2
"""Shards that are compared at a time: one is decoded while the other arrives."""
_NEXT_LOOK_SECONDS = 1.0
_MOST_LOOKS = 10


def compare_values(settings: VerifySettings, manifest: Manifest, shards: Sequence[Shard], observe: Observer) -> Outcome:
    """Compare every timestamp and value of the dataset's fields with the files of ``shards``, bit for bit.

    Points of the dataset's measurement that the dataset does not have are found from its first day to its last.
    Memory is bounded by SHARDS_AT_A_TIME times the files of a shard, up to HELD_BYTES, and two windows of
    WINDOW_ROWS rows. Raises Refused without operator permission, ServerError, StageError, DecodeError.
    """
    spans = plan_spans(shards, [partition for partition in manifest.partitions if partition.rows])
    observe(Started("verify values", sum(span.rows for span in spans)))
    tell = one_at_a_time(observe)
    compile_ahead(compile_decoders, "decoders", observe)
    with Workers(SHARDS_AT_A_TIME) as workers:
        answers = [
            workers.submit(_compare_span, settings, manifest.schema, span, tell, workers.closed) for span in spans
        ]
        outcomes = [answer.result() for answer in answers]
    return merged(outcomes, settings.max_listed)


def _compare_span(
    settings: VerifySettings, schema: PointSchema, span: Span, observe: Observer, closed: threading.Event
) -> Outcome:
    """Compare a span; what differs is looked at again, until two looks agree or ``closed`` is set.

    For a backup passes over what the server has in memory while it happens to write something of it to disk.
    """
    if span.shard is None:
        return _compare_files(settings, schema, span, ShardFiles((), ()), observe)
    looked = _fetch_and_compare(settings, schema, span, span.shard, observe, closed)
    for _ in range(_MOST_LOOKS - 1):
        if not looked.difference_count or pause(_NEXT_LOOK_SECONDS, closed):
            break
        again = _fetch_and_compare(settings, schema, span, span.shard, ignore, closed)
        agree = again.differences == looked.differences and again.difference_count == looked.difference_count
        looked = again
        if agree:
            break
    return looked


def _fetch_and_compare(
    settings: VerifySettings,
    schema: PointSchema,
    span: Span,
    shard: Shard,
    observe: Observer,
    closed: threading.Event,
) -> Outcome:
    """Compare a span with the files of ``shard``, which the server refuses to give while it deletes in it."""

    def compare() -> Outcome:
        with Connection(settings.target, settings.timeout_seconds) as connection, fetched(connection, shard) as files:
            return _compare_files(settings, schema, span, files, observe)

    return retried(compare, settings.retry_seconds, observe, closed)


def _compare_files(
    settings: VerifySettings, schema: PointSchema, span: Span, files: ShardFiles, observe: Observer
) -> Outcome:
    stored = [gather_field(files.sources, schema.measurement, field) for field in schema.fields]
    outcome = Outcome(settings.max_listed)
    for whole in span.windows:
        for window in _bounded(whole, stored):
            expected = expected_values(settings.dataset, schema, window)
            outcome.values += expected.size
            outcome.duplicates += expected.duplicates
            outcome.cells.append(day_counts(schema, expected.columns))
            found = _found(stored, window)
            if not columns_equal(expected.columns, found):
                outcome.add(columns_differences(schema, expected.columns, found))
            files.release()
        observe(Advanced(whole.rows))
    outcome.add(_mistyped(schema, span, stored))
    return outcome


def _found(stored: list[StoredField], window: Window) -> list[Column]:
    columns = []
    former: Reading | None = None
    for field in stored:
        former = field.read(window.start, window.stop, former)
        columns.append(former.column)
    return columns


def _bounded(window: Window, stored: list[StoredField]) -> Iterator[Window]:
    """Yield ``window``, in parts where the server has many more points in it than the dataset."""
    blocks = max(int(np.sum((field.first < window.stop) & (field.last >= window.start))) for field in stored)
    parts = list(halves(window))
    if blocks * BLOCK_POINTS <= 2 * max(window.rows, WINDOW_ROWS) or len(parts) == 1:
        yield window
        return
    for part in parts:
        yield from _bounded(part, stored)


def _mistyped(schema: PointSchema, span: Span, stored: list[StoredField]) -> Iterator[Difference]:
    """Yield a difference for each series that holds a field of another type, of which nothing was read."""
    start = instant(span.windows[0].start)[:10]
    for field, entry in zip(schema.fields, stored, strict=True):
        for text, kind in entry.mistyped.items():
            detail = f"stored as {kind} from this day's shard on, expected {field.type}"
            yield Difference("different", start, series_name(schema, text)[1], field.column, detail)
