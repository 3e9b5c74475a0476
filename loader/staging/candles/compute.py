"""Stages the candles of a dataset as a dataset of their own."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa

from loader.dataset.instant import DAY
from loader.dataset.manifest import Manifest, Partition
from loader.dataset.opened import opened_dataset
from loader.dataset.place import EVERY_FILE
from loader.dataset.schema import PointSchema
from loader.dataset.state import writing
from loader.encoding.escaping import check_names
from loader.errors import ConfigError, EncodeError, StageError
from loader.events import Advanced, Observer, Started, ignore, one_at_a_time
from loader.memory import measure_peak_memory
from loader.staging.candles.aggregate import aggregate, finish
from loader.staging.candles.merging import SERIES, PartMerger, plan_stretches
from loader.staging.candles.plan import CandlePlan, plan_candles
from loader.staging.candles.settings import CandleReport, CandleSettings
from loader.staging.candles.trades import SeriesNumbers, read_trades
from loader.staging.dataset import DatasetWriter
from loader.staging.explained import explained
from loader.staging.folder import temporary_folder
from loader.staging.identities import TIME
from loader.staging.partition import Compression
from loader.staging.points import TAG, ReadTags, name_partition, write_partitions
from loader.waiting import Workers

AHEAD_ROWS = 2_000_000
"""Most rows of a stretch that is computed while an earlier one is written."""
_WORKERS = 2
_COMPRESSION = Compression.parse("zstd")
_Found: TypeAlias = tuple[SeriesNumbers, Iterable[pl.DataFrame]]
"""The series of a stretch, and the parts of its candles in their order, merged."""


def stage_candles(settings: CandleSettings, observe: Observer = ignore) -> CandleReport:
    """Stage the candles of ``settings``; a dataset of the same candles is kept as it is.

    Each UTC day becomes a partition in series order. After a run that ended early, the next one keeps the partitions
    that are finished, and does not read the source's partitions of these days. Each row of the source counts, also one
    that a server would replace by a later row of its series and time. The same source and settings give the same
    content. Memory is bounded by a few batches, by the names of the series of the days that are read together, and by
    that of ``PartMerger``: 1 GiB in all.

    Raises ConfigError for wrong settings and a source that is none, StageError for a source that is damaged or has no
    trades, a volume that does not fit, or a lack of room.
    """
    began = time.monotonic()
    place = settings.place
    _refuse_inside(settings)
    with explained(settings.out), opened_dataset(place.root, observe, state=place.state) as manifest:
        plan = plan_candles(settings.rule, manifest.schemas)
        (source,) = (part for part in manifest.measurements if part.schema == plan.source)
        schema = plan.points(settings.name)
        try:
            check_names(schema)
        except EncodeError as error:
            raise ConfigError(error.message, hint=error.hint) from error
        with writing(settings.out), temporary_folder(settings.out) as temporary:
            return _Stage(settings, source, plan, schema, temporary, observe).run(began)


class _Stage:
    """One run: the partitions of ``source`` become those of ``schema``."""

    def __init__(
        self,
        settings: CandleSettings,
        source: Manifest,
        plan: CandlePlan,
        schema: PointSchema,
        temporary: Path,
        observe: Observer,
    ) -> None:
        self._root = settings.place.root
        self._source = source
        self._plan = plan
        self._schema = schema
        self._temporary = temporary
        self._observe = one_at_a_time(observe)
        self._counting = threading.Lock()
        self._dataset = DatasetWriter(settings.out, _describe(plan, schema, source), overwrite=settings.overwrite)
        self._left_out = 0

    def run(self, began: float) -> CandleReport:
        if self._dataset.unchanged:
            return self._report(self._dataset.unchanged, self._source.rows, began)
        stretches = plan_stretches(self._source.filled)
        kept = [partition for stretch in stretches if (partition := self._kept(stretch))]
        left = [stretch for stretch in stretches if not self._kept(stretch)]
        rows_kept = self._source.rows - sum(map(_rows, left))
        self._observe(Started("candles", self._source.rows, rows_kept))
        try:
            self._dataset.begin(self._schema)
            for partition in chain(kept, self._write(left)):
                self._dataset.add(partition)
                self._observe(Advanced(0, partition.size))
            if self._dataset.empty:
                raise StageError(
                    f"{self._root}: no row of {self._plan.source.measurement!r} is a trade",
                    hint="a trade has a time, a price and, if one is named, an amount",
                )
        except BaseException as error:
            if self._dataset.replaces or isinstance(error, ConfigError):
                self._dataset.withdraw()
            raise
        return self._report(self._dataset.finish(), rows_kept, began)

    def _kept(self, stretch: Sequence[Partition]) -> Partition | None:
        """Return the finished partition that holds all candles of ``stretch``; None where there is work to do."""
        first, last = min(part.time_min for part in stretch) // DAY, max(part.time_max for part in stretch) // DAY
        return self._dataset.kept.get(name_partition(self._schema.measurement, first * DAY)) if first == last else None

    def _write(self, stretches: Sequence[Sequence[Partition]]) -> Iterator[Partition]:
        tags, kept = len(self._plan.by), self._dataset.kept.get
        for series, found in self._compute_all(stretches):
            whole = (finish(parts, [SERIES]) for parts in found)
            batches = (batch for frame in whole for batch in _batches(frame))
            reader = _tag_reader(series, tags)
            yield from write_partitions(self._dataset.folder, self._schema, batches, reader, _COMPRESSION, kept)

    def _compute_all(self, stretches: Sequence[Sequence[Partition]]) -> Iterator[_Found]:
        """Yield what each of ``stretches`` has, in their order; small ones are computed ahead, in threads."""
        ahead: deque[Future[_Found]] = deque()
        with Workers(_WORKERS) as workers:
            for number, stretch in enumerate(stretches):
                small = _rows(stretch) <= AHEAD_ROWS
                while ahead and (not small or len(ahead) > _WORKERS):
                    yield ahead.popleft().result()
                if small:
                    ahead.append(workers.submit(self._compute_small, stretch, number))
                else:
                    yield self._compute(stretch, number)
            while ahead:
                yield ahead.popleft().result()

    def _compute_small(self, stretch: Sequence[Partition], number: int) -> _Found:
        series, found = self._compute(stretch, number)
        return series, list(found)

    def _compute(self, stretch: Sequence[Partition], number: int) -> _Found:
        series, merger = SeriesNumbers(), PartMerger(self._temporary / f"{number}")
        for partition in stretch:
            for trades in read_trades(self._root, self._plan, partition, series):
                merger.add(aggregate(trades.frame, [SERIES], self._plan.every))
                self._observe(Advanced(trades.rows))
                with self._counting:
                    self._left_out += trades.rows - trades.frame.height
        return series, merger.finish(series)

    def _report(self, manifest: Manifest, rows_kept: int, began: float) -> CandleReport:
        return CandleReport(
            measurement=self._schema.measurement,
            rows=self._source.rows,
            rows_kept=rows_kept,
            rows_left_out=self._left_out,
            candles=manifest.rows,
            partitions=len(manifest.partitions),
            partitions_kept=len(self._dataset.kept.keys() & {partition.path for partition in manifest.partitions}),
            size=sum(partition.size for partition in manifest.partitions),
            fingerprint=manifest.fingerprint,
            seconds=time.monotonic() - began,
            peak_memory=measure_peak_memory(),
        )


def _rows(stretch: Sequence[Partition]) -> int:
    return sum(partition.rows for partition in stretch)


def _refuse_inside(settings: CandleSettings) -> None:
    """Raise ConfigError when the candles would be among the files of their source."""
    place, out = settings.place, settings.out.resolve()
    root = place.root.resolve()
    if out == root or (place.pattern == EVERY_FILE and root in out.parents):
        raise ConfigError(
            f"{settings.out}: is within the dataset of the trades", hint="stage candles into another folder: --out"
        )


def _describe(plan: CandlePlan, schema: PointSchema, source: Manifest) -> dict[str, Any]:
    """Return the settings that determine the content, in the form that JSON reads back."""
    return {
        "source": "candles",
        "dataset": source.fingerprint,
        "trades": plan.source.measurement,
        "price": plan.price.column,
        "amount": plan.amount.column if plan.amount else "",
        "by": list(plan.by),
        "every": plan.every,
        "name": schema.measurement,
    }


def _batches(candles: pl.DataFrame) -> Iterator[pa.RecordBatch]:
    table = candles.to_arrow()
    renamed = table.rename_columns([TIME if name == "start" else name for name in table.column_names])
    yield from renamed.combine_chunks().to_batches()


def _tag_reader(series: SeriesNumbers, tags: int) -> ReadTags:
    """Return a function that returns the tags of candles, null where a series has no such tag."""

    def read_tags(batch: pa.RecordBatch) -> list[pa.Array]:
        numbers = batch.column(SERIES).to_numpy()
        found, codes = np.unique(numbers, return_inverse=True)
        names = [series.names[number] for number in found.tolist()]
        columns = []
        for position in range(tags):
            texts = pa.array([name[position] or None for name in names], pa.string()).dictionary_encode()
            columns.append(pa.DictionaryArray.from_arrays(texts.indices.take(pa.array(codes)), texts.dictionary))
        return [column.cast(TAG) for column in columns]

    return read_tags
