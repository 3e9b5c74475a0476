"""Every value that a server of 2.x stores against every value of the dataset."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Lock

import polars as pl
import pyarrow as pa

from loader.dataset.manifest import Manifest
from loader.dataset.schema import PointSchema
from loader.encoding.tsm.decode.columns import Column
from loader.encoding.tsm.decode.fields import Reading, StoredField
from loader.encoding.tsm.decode.gather import gather_fields
from loader.encoding.warm import compile_decoders
from loader.errors import Retryable
from loader.events import Advanced, Event, Observer, Started, Waited, ignore
from loader.loading.compiling import compile_ahead
from loader.loading.flow import backoff
from loader.servers.backup import Shard
from loader.servers.frames import instant
from loader.servers.transport import Connection
from loader.verification.outcome import Outcome, merged
from loader.verification.plan import Window
from loader.verification.series import stored_keys, tags_of
from loader.verification.settings import Difference, VerifySettings
from loader.verification.texts import cut, short_texts
from loader.verification.values.compare import columns_differences, columns_equal, day_counts
from loader.verification.values.expected import expected_values
from loader.verification.values.plan import WINDOW_BYTES, Span, in_parts, plan_spans
from loader.verification.values.shard_files import ShardFiles, fetched

SHARDS_AT_A_TIME = 2
"""Shards that are compared at a time: one is decoded while the other arrives."""
ATTEMPTS = 5
"""How often the files of a shard are asked for."""
_POINT_BYTES = 16
_SECOND_LOOK_SECONDS = 1.0


def compare_values(settings: VerifySettings, manifest: Manifest, shards: Sequence[Shard], observe: Observer) -> Outcome:
    """Compare every timestamp and value of the dataset's fields with the files of ``shards``, bit for bit.

    Points of the dataset's measurement that the dataset does not have are found from its first day to its last.
    Memory is bounded by SHARDS_AT_A_TIME times the files of a shard, up to HELD_BYTES, and WINDOW_BYTES of both
    sides, twice. Raises Refused without operator permission, ServerError, StageError, DecodeError.
    """
    spans = plan_spans(shards, [partition for partition in manifest.partitions if partition.rows])
    observe(Started("verify values", sum(span.rows for span in spans)))
    lock = Lock()

    def tell(event: Event) -> None:
        with lock:
            observe(event)

    compile_ahead(compile_decoders, "decoders", observe)
    pool = ThreadPoolExecutor(SHARDS_AT_A_TIME, thread_name_prefix="values")
    try:
        outcomes = list(pool.map(lambda span: _compare_span(settings, manifest.schema, span, tell), spans))
    finally:
        pool.shutdown(cancel_futures=True)
    return merged(outcomes, settings.max_listed)


def _compare_span(settings: VerifySettings, schema: PointSchema, span: Span, observe: Observer) -> Outcome:
    """Compare a span; what differs is looked at twice.

    For a backup passes over what the server has in memory while it happens to write something of it to disk.
    """
    if span.shard is None:
        return _compare_files(settings, schema, span, ShardFiles((), ()), observe)
    outcome = _fetch_and_compare(settings, schema, span, span.shard, observe)
    if outcome.difference_count:
        time.sleep(_SECOND_LOOK_SECONDS)
        outcome = _fetch_and_compare(settings, schema, span, span.shard, ignore)
    return outcome


def _fetch_and_compare(
    settings: VerifySettings, schema: PointSchema, span: Span, shard: Shard, observe: Observer
) -> Outcome:
    """Compare a span with the files of ``shard``, which the server refuses to give while it deletes in it."""
    attempt = 0
    while True:
        attempt += 1
        try:
            with (
                Connection(settings.target, settings.timeout_seconds) as connection,
                fetched(connection, shard) as files,
            ):
                return _compare_files(settings, schema, span, files, observe)
        except Retryable as error:
            if attempt == ATTEMPTS:
                raise
            delay = backoff(attempt, error.retry_after, random.Random())
            observe(Waited("retry", delay, error.message))
            time.sleep(delay)


def _compare_files(
    settings: VerifySettings, schema: PointSchema, span: Span, files: ShardFiles, observe: Observer
) -> Outcome:
    stored = gather_fields(files.sources, schema.measurement, schema.fields)
    keys = stored_keys(list(set[bytes]().union(*(field.series for field in stored))))
    outcome = Outcome(settings.max_listed)

    def compare(window: Window, most: int) -> None:
        _compare_window(settings, schema, window, stored, keys, outcome, most)
        files.release()

    for whole in span.windows:
        in_parts(whole, WINDOW_BYTES, compare)
        observe(Advanced(whole.rows))
    outcome.add(_mistyped(schema, span, stored, keys))
    return outcome


def _compare_window(
    settings: VerifySettings,
    schema: PointSchema,
    window: Window,
    stored: Sequence[StoredField],
    keys: Mapping[bytes, bytes],
    outcome: Outcome,
    most: int,
) -> None:
    """Compare the points of ``window``; raises TooManyPoints when they take more than ``most`` bytes, 0 for any."""
    found = _found(stored, window, keys, most)
    order = {key: number for number, key in enumerate(keys.values())}
    expected = expected_values(settings.dataset, schema, window, order, settings.max_listed, most)
    outcome.values += expected.size
    outcome.superseded += expected.superseded
    outcome.add_unfit(expected.unfit, expected.unfit_count)
    outcome.cells.append(day_counts(schema, expected.columns))
    if not columns_equal(expected.columns, found):
        outcome.add(columns_differences(schema, expected.columns, found))


def _found(stored: Sequence[StoredField], window: Window, keys: Mapping[bytes, bytes], most: int) -> list[Column]:
    """Return what the server has in ``window``, series by their tags; the order of series stays."""
    points = max(most // (_POINT_BYTES * len(stored)), 1) if most else 0
    columns = []
    former: Reading | None = None
    for field in stored:
        former = field.read(window.start, window.stop, former, _short_texts, points)
        columns.append(replace(former.column, series=[keys[text] for text in former.column.series]))
    return columns


def _short_texts(texts: pa.LargeBinaryArray) -> pa.LargeBinaryArray:
    return short_texts(pl.Series(texts)).to_arrow(compat_level=pl.CompatLevel.oldest())


def _mistyped(
    schema: PointSchema, span: Span, stored: Sequence[StoredField], keys: Mapping[bytes, bytes]
) -> Iterator[Difference]:
    """Yield a difference for each series that holds a field of another type, of which nothing was read."""
    start = instant(span.windows[0].start)[:10]
    for field, entry in zip(schema.fields, stored, strict=True):
        for text, kind in entry.mistyped.items():
            detail = f"stored as {kind} from this day's shard on, expected {field.type}"
            key = keys.get(text) or stored_keys([text])[text]
            yield Difference("different", start, tags_of(schema, key)[1], cut(field.column), detail)
