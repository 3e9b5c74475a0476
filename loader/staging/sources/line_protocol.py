"""Line protocol as a source: it is decoded by blocks, and kept on disk by measurement until all columns are known."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from loader.dataset.arrow_types import FIELD_TYPES
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.encoding.folds import NO_FOLDS, Folds
from loader.encoding.line_protocol.decode import BadLine, Decoder
from loader.errors import ConfigError, StageError
from loader.events import Advanced, Observer
from loader.staging.identities import ORDER, TIME
from loader.staging.sources.source import MeasurementPoints
from loader.staging.sources.spool import Spool
from loader.staging.sources.text import opened_text, read_blocks

_SERIES = "\0series"
_COLUMN = "time"
"""The column of times: InfluxDB has neither tag nor field of this name."""
_CONTEXTS = (b"# CONTEXT-DATABASE:", b"# CONTEXT-RETENTION-POLICY:")
_FIXED = (_SERIES, TIME, ORDER)


class LineProtocolSource:
    """The points of files of line protocol, whose times are in units of ``unit`` nanoseconds.

    The constructor decodes all files into ``folder``. Memory is that of ``Decoder``: a few blocks, and a few hundred
    bytes a series. ``reject`` is called with each bad line and its file. Raises ConfigError for files that cannot be
    read, or hold points of several databases, and what ``reject`` raises.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        unit: int,
        folder: Path,
        reject: Callable[[Path, BadLine], None],
        observe: Observer,
    ) -> None:
        self._paths = paths
        self._folder = folder
        self._offsets = [0]
        """The number of lines before each file, and in all."""
        self._spools: dict[str, Spool] = {}
        self._contexts: dict[bytes, tuple[Path, bytes]] = {}
        self._decoder = Decoder(unit)
        for path in paths:
            self._decode(path, reject, observe)

    def _decode(self, path: Path, reject: Callable[[Path, BadLine], None], observe: Observer) -> None:
        offset, lines = self._offsets[-1], 0
        self._decoder.begin_file(str(path))
        with opened_text(path) as file:
            for block in read_blocks(path, file):
                self._check_context(path, block)
                points, bad = self._decoder.decode(block)
                for line in bad:
                    reject(path, line)
                for part in points:
                    name = str(self._folder / f"{len(self._spools)}.arrows")
                    spool = self._spools.setdefault(part.measurement, Spool(Path(name)))
                    fixed = [pa.array(part.series), pa.array(part.times), pa.array(part.lines + offset)]
                    names = [_SERIES, TIME, ORDER, *part.fields]
                    spool.add(pa.RecordBatch.from_arrays([*fixed, *part.fields.values()], names=names))
                lines += block.count(b"\n") + (not block.endswith(b"\n"))
                observe(Advanced(0, len(block)))
        self._offsets.append(offset + lines + 1)

    def _check_context(self, path: Path, block: bytes) -> None:
        """Raise ConfigError for exports of several databases: their points may have the same identity."""
        for kind in _CONTEXTS:
            at = block.find(kind)
            while at >= 0:
                if at == 0 or block[at - 1 : at] == b"\n":
                    name = block[at + len(kind) : block.find(b"\n", at)].strip()
                    other, known = self._contexts.setdefault(kind, (path, name))
                    if known != name:
                        what = "databases" if kind == _CONTEXTS[0] else "retention policies"
                        raise ConfigError(
                            f"{path}: holds points of {name.decode(errors='replace')!r}, and {other} of"
                            f" {known.decode(errors='replace')!r}: they are of different {what}",
                            hint="export one at a time: influx_inspect export -database NAME -retention NAME",
                        )
                at = block.find(kind, at + 1)

    @property
    def rows(self) -> int:
        """Lines that are points."""
        return sum(spool.rows for spool in self._spools.values())

    @property
    def merged_folds(self) -> Folds:
        """None: times of line protocol are UTC."""
        return NO_FOLDS

    def measurements(self) -> Iterator[MeasurementPoints]:
        """Yield the points of one measurement after another, by name; raises ConfigError for names that collide."""
        numbers: dict[str, list[int]] = {}
        for number, (measurement, _) in enumerate(self._decoder.series):
            numbers.setdefault(measurement, []).append(number)
        for measurement in sorted(self._spools):
            yield self._points(measurement, self._spools[measurement], numbers[measurement])

    def _points(self, measurement: str, spool: Spool, numbers: Sequence[int]) -> MeasurementPoints:
        tags_of = {number: dict(self._decoder.series[number][1]) for number in numbers}
        keys = sorted({key for tags in tags_of.values() for key in tags})
        found = {name: kind for name, kind in spool.columns.items() if name not in _FIXED}
        both = set(keys) & set(found)
        if both:
            raise ConfigError(
                f"measurement {measurement!r}: {min(both)!r} is a tag and a field, and a dataset has one column of a"
                " name",
                hint="rename one of them before: a query could not tell them apart either",
            )
        ordered = sorted(numbers, key=lambda number: [tags_of[number].get(key, "") for key in keys])
        ranks = np.full(max(numbers) + 1, -1, np.int64)
        ranks[ordered] = np.arange(len(ordered))
        types = {kind: entry for entry, kind in FIELD_TYPES.items()}
        fields = tuple(Field(key, FieldType(types[kind])) for key, kind in found.items())
        series = [tags_of[number] for number in ordered]

        def read_tags(batch: pa.RecordBatch) -> list[pa.Array]:
            ranked, places = np.unique(batch.column(_SERIES).to_numpy(), return_inverse=True)
            rows = [series[rank] for rank in ranked.tolist()]
            columns = (pa.array([row.get(key) for row in rows], pa.string()).dictionary_encode() for key in keys)
            return [column.take(pa.array(places)) for column in columns]

        schema = PointSchema(measurement, tuple(keys), fields, _COLUMN)
        columns = pa.schema([*((name, pa.int64()) for name in _FIXED), *found.items()])
        batches = (batch.set_column(0, columns[0], pa.array(ranks[batch.column(0)])) for batch in spool.read(columns))
        return MeasurementPoints(schema, (_SERIES,), columns, batches, read_tags)

    def address(self, order: int) -> str:
        """Return the source file of the line at position ``order``, and its number there."""
        number = bisect_right(self._offsets, order) - 1
        return f"{self._paths[number]} line {order - self._offsets[number]:,}"


def refuse_bad_line(path: Path, bad: BadLine) -> None:
    """Raise StageError for a bad line."""
    raise StageError(
        f"{path}, line {bad.line:,}, column {bad.column:,}: {bad.reason}: {bad.text[:100]!r}",
        hint="mend the line, or leave such lines out: --on-bad-line skip",
    )
