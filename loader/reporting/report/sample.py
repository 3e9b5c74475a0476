"""A look at a bounded sample of a dataset's rows: how many series has it, when are its rows, how do prices move."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from loader.dataset.chunk import Chunk
from loader.dataset.instant import DAY
from loader.dataset.manifest import Manifest, Partition
from loader.dataset.reader import GROUP_ROWS, column_sizes, read_batches
from loader.dataset.schema import FieldType, PointSchema
from loader.encoding.columns import read_times
from loader.encoding.selection import select_points
from loader.encoding.series import find_series
from loader.printable import printable

MOST_PARTITIONS = 60
CHUNKS = 8
CHUNK_ROWS = 4_096
"""At most so many partitions, chunks of each, and rows of a chunk are read: 2 million rows."""
WHOLE_ROWS, WHOLE_PARTITIONS = MOST_PARTITIONS * CHUNKS * CHUNK_ROWS, 400
"""A dataset of up to so many rows and partitions is read as a whole."""
SHOWN_SERIES = 12
MOST_SERIES = 100_000
SLOT = 15 * 60 * 1_000_000_000
"""Nanoseconds of a slot of the time of day."""
_PRICES = ("price", "close", "last")
_PRICED_SERIES = 5


@dataclass(frozen=True)
class Price:
    """The median of a price in one partition: of the series with the tag value ``name``, at ``time`` (nanoseconds)."""

    name: str
    time: int
    value: float


@dataclass(frozen=True)
class Sample:
    """What a sample of ``rows`` rows in ``partitions`` partitions shows; shares and counts are of the sample.

    ``series`` has the SHOWN_SERIES series with most rows, and ``series_number`` how many there were, up to MOST_SERIES;
    ``slots`` the rows by SLOT of the day (UTC); ``entries`` how often the rows of a series begin within a chunk of up
    to CHUNK_ROWS, on average over chunks and series with several rows there (once in series order), 0 where there are
    none; ``columns`` the compressed bytes of each column in the files that were looked at; ``price`` the field that
    ``prices`` are of, "" for none.
    """

    rows: int
    partitions: int
    series: tuple[tuple[str, int], ...]
    series_number: int
    slots: tuple[tuple[int, int], ...]
    entries: float
    columns: tuple[tuple[str, int], ...]
    price: str
    prices: tuple[Price, ...]


def read_sample(root: Path, manifest: Manifest) -> Sample:
    """Return what a sample of the dataset at ``root`` shows; rows that cannot be points are left out.

    A small dataset is read as a whole; otherwise chunks are spread evenly over partitions, and these over the dataset.
    Memory is a batch, see ``read_batches``, and
    the texts of MOST_SERIES series, each up to what ``printable`` shows of it. Raises StageError and EncodeError as
    reading does, and StageError for a file of another size than the manifest says.
    """
    series: Counter[str] = Counter()
    slots: Counter[int] = Counter()
    columns: Counter[str] = Counter()
    medians: list[pl.DataFrame] = []
    runs = rows = seen = 0
    price = _price_field(manifest.schemas[0])
    whole = manifest.rows <= WHOLE_ROWS and len(manifest.filled) <= WHOLE_PARTITIONS
    partitions = list(_spread(manifest.filled, WHOLE_PARTITIONS if whole else MOST_PARTITIONS))
    for partition in partitions:
        schema = manifest.schema_of(partition.path)
        priced: list[pl.DataFrame] = []
        for batch, address in _chunks(root, schema, partition, whole=whole):
            points = select_points(batch, schema, address).points
            found = find_series(points, schema)
            rows += len(points)
            lengths = np.bincount(found.codes, found.lengths, len(found.texts)).astype(np.int64)
            several = lengths > 1
            runs += int(np.bincount(found.codes, minlength=len(found.texts))[several].sum())
            seen += int(several.sum())
            for text, length in zip(found.texts.to_pylist(), lengths.tolist(), strict=True):
                name = printable(text)
                if name in series or len(series) < MOST_SERIES:
                    series[name] += length
            times = read_times(points, schema).to_numpy()
            slots.update(
                dict(zip(*map(np.ndarray.tolist, np.unique(times % DAY // SLOT, return_counts=True)), strict=True))
            )
            if price and schema == manifest.schemas[0]:
                priced.append(_priced(points, schema, price))
        medians += _medians(priced, partition)
        columns.update(column_sizes(root, partition))
    return Sample(
        rows=rows,
        partitions=len(partitions),
        series=tuple(series.most_common(SHOWN_SERIES)),
        series_number=len(series),
        slots=tuple(sorted(slots.items())),
        entries=runs / seen if seen else 0.0,
        columns=tuple((printable(name), size) for name, size in columns.most_common()),
        price=price,
        prices=tuple(_largest(medians)),
    )


def _spread(items: tuple[Partition, ...], most: int) -> Iterator[Partition]:
    """Yield at most ``most`` of ``items``, evenly spread, the first and the last among them."""
    if len(items) <= most:
        yield from items
    else:
        yield from (items[each * (len(items) - 1) // (most - 1)] for each in range(most))


def _chunks(
    root: Path, schema: PointSchema, partition: Partition, *, whole: bool
) -> Iterator[tuple[pa.RecordBatch, Chunk]]:
    """Yield batches of chunks that are spread evenly over ``partition``; all of it if ``whole``, or if it is small."""
    whole = whole or partition.rows <= CHUNKS * CHUNK_ROWS
    apart = 0 if whole else (partition.rows - CHUNK_ROWS) // (CHUNKS - 1)
    length = partition.rows if whole else CHUNK_ROWS
    for each in range(1 if whole else CHUNKS):
        chunk = Chunk(partition.path, each * apart, each * apart + length)
        row = chunk.start
        for batch in read_batches(root, schema, chunk, GROUP_ROWS):
            yield batch, Chunk(chunk.partition, row, row + len(batch))
            row += len(batch)


def _price_field(schema: PointSchema) -> str:
    """Return the field that is a price by its name, "" for none; a series of prices needs a tag to be named by."""
    floats = [field.column for field in schema.fields if field.type is FieldType.FLOAT]
    return next((name for word in _PRICES for name in floats if word in name.lower() and schema.tags), "")


def _priced(points: pa.RecordBatch, schema: PointSchema, price: str) -> pl.DataFrame:
    tag = points.column(schema.tags[0]).dictionary_decode()
    return pl.DataFrame({"name": pl.Series(tag).cast(pl.String), "value": pl.Series(points.column(price))}).drop_nulls()


def _medians(priced: list[pl.DataFrame], partition: Partition) -> list[pl.DataFrame]:
    if not priced:
        return []
    found = pl.concat(priced).group_by("name").agg(pl.col("value").median(), rows=pl.len())
    return [found.with_columns(time=pl.lit(partition.time_min, pl.Int64))]


def _largest(medians: list[pl.DataFrame]) -> Iterator[Price]:
    """Yield the prices of the series with most rows, by name and time."""
    if not medians:
        return
    table = pl.concat(medians)
    names = table.group_by("name").agg(pl.col("rows").sum()).sort("rows", "name", descending=[True, False])["name"]
    chosen = table.filter(pl.col("name").is_in(names.head(_PRICED_SERIES).to_list())).sort("name", "time")
    for name, time, value in chosen.select("name", "time", "value").iter_rows():
        yield Price(printable(name), time, value)
