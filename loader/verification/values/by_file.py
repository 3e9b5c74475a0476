"""Compares every value in the storage files of InfluxDB 2.x with every value of the dataset."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import polars as pl
import pyarrow as pa

from loader.dataset.instant import instant
from loader.dataset.manifest import Manifest
from loader.dataset.schema import PointSchema
from loader.encoding.tsm.decode.columns import Column, same_series
from loader.encoding.tsm.decode.fields import Reading, Source, StoredField
from loader.encoding.tsm.decode.gather import gather_fields
from loader.encoding.tsm.decode.keys import find_numbers
from loader.encoding.warm import compile_ahead, compile_decoders
from loader.events import Advanced, Observer, Started, ignore, one_at_a_time
from loader.loading.shard_files import open_shard
from loader.memory import release_free_memory
from loader.servers.backup import Shard
from loader.servers.load_method import Surplus
from loader.servers.patience import Patience
from loader.servers.transport import Connection
from loader.verification.outcome import Outcome, merge_outcomes
from loader.verification.series import series_name, stored_keys
from loader.verification.series_columns import stored_forms
from loader.verification.settings import Difference, VerifySettings
from loader.verification.surplus import columns_within
from loader.verification.texts import cut, short_texts
from loader.verification.values.columns import columns_differences, columns_equal, day_counts
from loader.verification.values.expected import expected_values, row_bytes
from loader.verification.values.extents import Extents
from loader.verification.values.spans import WINDOW_BYTES, Span, in_parts, plan_spans
from loader.verification.windows import Window
from loader.waiting import Workers, pause

SHARDS_AT_A_TIME = 2
"""Shards that are compared at a time: one is decoded while the other arrives."""
_NEXT_LOOK_SECONDS = 1.0
_MOST_LOOKS = 10


def prepare_decoders(observe: Observer) -> float:
    """Have the decoders compiled, say so when it takes longer than a moment, and return the seconds that it took."""
    return compile_ahead(compile_decoders, "decoders", observe)


def compare_values(
    settings: VerifySettings, measurements: Sequence[Manifest], shards: Sequence[Shard], observe: Observer
) -> list[Outcome]:
    """Compare every timestamp and value of the fields of ``measurements`` with the files of ``shards``, bit for bit.

    There is an outcome for each measurement. Points that the dataset does not have are found from the first day of the
    measurement to its last. Memory is bounded by SHARDS_AT_A_TIME times the files of a shard, up to HELD_BYTES, and
    WINDOW_BYTES of both sides, twice; besides, each series of the shard takes some 200 bytes and its name four times,
    each block of its fields some 40 bytes, and so does each run of rows of one series in a window.
    Raises Refused without operator permission, ServerError, StageError, DecodeError.
    """
    spans = [plan_spans(shards, each.filled) for each in measurements]
    observe(Started("verify values", sum(span.rows for each in spans for span in each)))
    tell = one_at_a_time(observe)
    places = [(number, span) for number, each in enumerate(spans) for span in each]
    subject = _Subject(settings, [each.schema for each in measurements], Extents())
    with Workers(SHARDS_AT_A_TIME) as workers:
        answers = [
            workers.submit(_compare_shard, subject, together, tell, workers.closed) for together in _by_shard(places)
        ]
        found = [pair for answer in answers for pair in answer.result()]
    return [
        merge_outcomes([outcome for place, outcome in found if place == number], settings.max_listed)
        for number in range(len(measurements))
    ]


_Spans = list[tuple[int, Span]]
"""Spans of one shard, with the number of the measurement of each."""
_Outcomes = list[tuple[int, Outcome]]


@dataclass(frozen=True)
class _Subject:
    """What is compared; ``schemas`` has the schema of each measurement, by its number."""

    settings: VerifySettings
    schemas: Sequence[PointSchema]
    extents: Extents


def _by_shard(places: _Spans) -> list[_Spans]:
    """Group ``places`` by shard, in time order: the files of a shard are fetched once for all measurements."""
    together: dict[tuple[int, int], _Spans] = {}
    for number, span in places:
        alone = (number, span.windows[0].start)
        together.setdefault((-1, span.shard.id) if span.shard else alone, []).append((number, span))
    return sorted(together.values(), key=lambda spans: spans[0][1].windows[0].start)


def _compare_shard(subject: _Subject, spans: _Spans, observe: Observer, closed: threading.Event) -> _Outcomes:
    """Compare ``spans``; if they differ, compare again, until two comparisons agree or ``closed`` is set.

    This is because a backup lacks points in the server's memory while the server is writing them to disk.
    """
    shard = spans[0][1].shard
    if shard is None:
        return _compare_spans(subject, spans, (), observe)
    looked = _fetch_and_compare(subject, spans, shard, observe, closed)
    for _ in range(_MOST_LOOKS - 1):
        if not any(outcome.difference_count for _, outcome in looked) or pause(_NEXT_LOOK_SECONDS, closed):
            break
        former, looked = looked, _fetch_and_compare(subject, spans, shard, ignore, closed)
        if list(map(_differences, former)) == list(map(_differences, looked)):
            break
    return looked


def _differences(found: tuple[int, Outcome]) -> tuple[list[Difference], int]:
    return found[1].differences, found[1].difference_count


def _fetch_and_compare(
    subject: _Subject, spans: _Spans, shard: Shard, observe: Observer, closed: threading.Event
) -> _Outcomes:
    """Compare spans with the files of ``shard``; retried, since the server gives no files during a deletion in it."""
    settings = subject.settings

    def compare() -> _Outcomes:
        with (
            Connection(settings.target, settings.timeout_seconds) as connection,
            open_shard(connection, shard.id) as files,
        ):
            return _compare_spans(subject, spans, files, observe)

    return Patience(settings.retry_seconds, observe, closed).ask(compare)


def _compare_spans(subject: _Subject, spans: _Spans, files: Sequence[Source], observe: Observer) -> _Outcomes:
    settings, extents = subject.settings, subject.extents
    return [
        (number, _compare_files(settings, subject.schemas[number], extents, span, files, observe))
        for number, span in spans
    ]


@dataclass(frozen=True)
class _Stored:
    """The ``fields`` in the files of a shard, all of their ``series`` in the server's order, and the forms of these.

    ``forms_of_fields`` are the forms of the series of each field.
    """

    fields: Sequence[StoredField]
    series: pl.Series
    forms: pl.Series
    forms_of_fields: Sequence[pl.Series]


def _gather(schema: PointSchema, files: Sequence[Source]) -> _Stored:
    """Return where the values of the fields are; series that fields share are held once."""
    fields = gather_fields(files, schema.measurement, schema.fields)
    distinct = {id(field.series): field.series for field in fields}
    series = next(iter(distinct.values()))
    if len(distinct) > 1:
        series = pl.concat(distinct.values()).unique().sort()
    forms = stored_forms(series)
    named = {
        key: forms if same_series(part, series) else forms.gather(find_numbers(part, series))
        for key, part in distinct.items()
    }
    return _Stored(fields, series, forms, [named[id(field.series)] for field in fields])


def _compare_files(
    settings: VerifySettings,
    schema: PointSchema,
    extents: Extents,
    span: Span,
    files: Sequence[Source],
    observe: Observer,
) -> Outcome:
    stored = _gather(schema, files)
    release_free_memory()
    outcome = Outcome(settings.max_listed)

    def compare(window: Window, most: int) -> None:
        _compare_window(settings, schema, extents, window, stored, outcome, most)

    for whole in span.windows:
        in_parts(whole, WINDOW_BYTES, compare, row_bytes(schema))
        observe(Advanced(whole.rows))
    outcome.add(_mistyped(schema, span, stored))
    return outcome


def _compare_window(
    settings: VerifySettings,
    schema: PointSchema,
    extents: Extents,
    window: Window,
    stored: _Stored,
    outcome: Outcome,
    most: int,
) -> None:
    """Compare the points of ``window``; raises TooManyPoints when they take more than ``most`` bytes, 0 for any."""
    found = _found(stored, window, most)
    expected = expected_values(settings.place.root, schema, window, stored.forms, most, extents)
    outcome.values += expected.size
    outcome.superseded += expected.superseded
    outcome.add_unfit(expected.unfit)
    outcome.cells.append(day_counts(schema, expected.columns))
    if settings.surplus == Surplus.IGNORE:
        outcome.stored.append(day_counts(schema, found))
        found = columns_within(expected.columns, found)
    if not columns_equal(expected.columns, found):
        outcome.add(columns_differences(schema, expected.columns, found))


def _found(stored: _Stored, window: Window, most: int) -> list[Column]:
    """Return what the server has in ``window``, with series by their forms; they keep their order."""
    held = 0
    columns: list[Column] = []
    former: Reading | None = None
    for field, forms in zip(stored.fields, stored.forms_of_fields, strict=True):
        former = field.read(window.start, window.stop, former, _short_texts, max(1, most - held) if most else 0)
        held += former.column.size
        for source in field.sources:
            source.release()
        columns.append(replace(former.column, series=forms))
    return columns


def _short_texts(texts: pa.LargeBinaryArray) -> pa.LargeBinaryArray:
    return short_texts(pl.Series(texts)).to_arrow(compat_level=pl.CompatLevel.oldest())


def _mistyped(schema: PointSchema, span: Span, stored: _Stored) -> Iterator[Difference]:
    """Yield a difference for each series that holds a field in another type; its values were not read."""
    start = instant(span.windows[0].start)[:10]
    for field, entry in zip(schema.fields, stored.fields, strict=True):
        numbers = find_numbers(pl.Series(list(entry.mistyped), dtype=pl.Binary), stored.series)
        for number, (text, kind) in zip(numbers, entry.mistyped.items(), strict=True):
            detail = f"stored as {kind} from this day's shard on, expected {field.type}"
            key = stored_keys([text])[text] if number is None else stored.forms[number]
            yield Difference("different", start, series_name(schema, key), cut(field.column), detail)
