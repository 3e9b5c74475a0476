"""Every value that a server of 2.x stores against every value of the dataset."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from threading import Lock

import numpy as np

from loader.dataset.manifest import Manifest
from loader.dataset.schema import PointSchema
from loader.encoding.tsm.columns import Column
from loader.encoding.tsm.layout import BLOCK_POINTS
from loader.encoding.tsm.stored_field import Reading, StoredField, gather_field
from loader.events import Advanced, Event, Observer
from loader.servers.backup import list_shards
from loader.servers.base import Bucket
from loader.servers.frames import instant
from loader.servers.transport import Connection
from loader.verification.plan import Window
from loader.verification.settings import Difference, VerifySettings
from loader.verification.values_compare import columns_differences, columns_equal, series_name
from loader.verification.values_expected import expected_columns
from loader.verification.values_files import ShardFiles, fetched
from loader.verification.values_plan import WINDOW_ROWS, Span, halves, plan_spans

SHARDS_AT_A_TIME = 2
"""Shards that are compared at a time: one is decoded while the other arrives."""


@dataclass(frozen=True)
class ValuesOutcome:
    """How many values of the dataset were compared, the first differences, and how many there are."""

    values: int
    differences: list[Difference]
    difference_count: int


def compare_values(settings: VerifySettings, manifest: Manifest, bucket: Bucket, observe: Observer) -> ValuesOutcome:
    """Compare every timestamp and value of the dataset's fields with the files of ``bucket``, bit for bit.

    Points of the dataset's measurement that the dataset does not have are found from its first day to its last.
    Memory is bounded by SHARDS_AT_A_TIME times the files of a shard, up to HELD_BYTES, and two windows of
    WINDOW_ROWS rows. Raises Refused without operator permission, ServerError, StageError, DecodeError.
    """
    partitions = [partition for partition in manifest.partitions if partition.rows]
    if not partitions:
        return ValuesOutcome(0, [], 0)
    with Connection(settings.target, settings.timeout_seconds) as connection:
        spans = plan_spans(list_shards(connection.send, bucket), partitions)
    lock = Lock()

    def tell(event: Event) -> None:
        with lock:
            observe(event)

    pool = ThreadPoolExecutor(SHARDS_AT_A_TIME, thread_name_prefix="values")
    try:
        outcomes = list(pool.map(lambda span: _compare_span(settings, manifest.schema, span, tell), spans))
    finally:
        pool.shutdown(cancel_futures=True)
    listed = [difference for outcome in outcomes for difference in outcome.differences]
    return ValuesOutcome(
        sum(outcome.values for outcome in outcomes),
        listed[: settings.max_listed],
        sum(outcome.difference_count for outcome in outcomes),
    )


def _compare_span(settings: VerifySettings, schema: PointSchema, span: Span, observe: Observer) -> ValuesOutcome:
    if span.shard is None:
        return _compare_files(settings, schema, span, ShardFiles((), ()), observe)
    with (
        Connection(settings.target, settings.timeout_seconds) as connection,
        fetched(connection, span.shard) as files,
    ):
        return _compare_files(settings, schema, span, files, observe)


def _compare_files(
    settings: VerifySettings, schema: PointSchema, span: Span, files: ShardFiles, observe: Observer
) -> ValuesOutcome:
    stored = [gather_field(files.sources, schema.measurement, field) for field in schema.fields]
    listed: list[Difference] = []
    values = count = 0
    for whole in span.windows:
        for window in _bounded(whole, stored):
            expected = expected_columns(settings.dataset, schema, window)
            values += sum(len(column.times) for column in expected)
            found = _found(stored, window)
            if not columns_equal(expected, found):
                differences = columns_differences(schema, expected, found)
                listed += islice(differences, settings.max_listed - len(listed))
                count += sum(1 for _ in differences)
            files.release()
        observe(Advanced(sum(partition.rows for partition in whole.partitions)))
    for difference in _mistyped(schema, span, stored):
        listed.append(difference)
    return ValuesOutcome(values, listed, count + len(listed))


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
    rows = sum(partition.rows for partition in window.partitions)
    parts = list(halves(window))
    if blocks * BLOCK_POINTS <= 2 * max(rows, WINDOW_ROWS) or len(parts) == 1:
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
