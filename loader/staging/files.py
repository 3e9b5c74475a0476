"""Stages the points in source files: reads them, sorts them on disk, and writes a dataset like that of trades."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from loader.dataset.atomic import write_whole
from loader.dataset.chunk import RejectedRow
from loader.dataset.instant import NANOSECONDS
from loader.dataset.kinds import CSV, kind_of
from loader.dataset.manifest import Manifest, Partition
from loader.dataset.mapping import ColumnMapping, FieldMapping, mapping_json, parse_mapping
from loader.dataset.points_file import points_text
from loader.dataset.policy import STRICT, OnDuplicate, duplicates_error
from loader.dataset.rejected_file import RejectedFile
from loader.dataset.schema import PointSchema
from loader.dataset.state import writing
from loader.encoding.escaping import check_names
from loader.encoding.folds import merged_text
from loader.encoding.line_protocol.decode import BadLine
from loader.encoding.warm import compile_ahead, compile_line_decoder
from loader.errors import ConfigError, EncodeError, StageError
from loader.events import Advanced, Notice, Observer, Rejected, Started, ignore
from loader.memory import measure_peak_memory
from loader.printable import MESSAGE, listed, printable
from loader.quantities import counted
from loader.staging.dataset import FOUND, DatasetWriter
from loader.staging.explained import explained
from loader.staging.folder import temporary_folder
from loader.staging.identities import ORDER, PointMerger
from loader.staging.partition import Compression
from loader.staging.points import write_partitions
from loader.staging.settings import FilesSettings, StageReport
from loader.staging.sources.csv_format import ISO
from loader.staging.sources.line_protocol import LineProtocolSource, refuse_bad_line
from loader.staging.sources.local_times import IN_UTC, INFER
from loader.staging.sources.paths import find_sources
from loader.staging.sources.source import MeasurementPoints, Source
from loader.staging.sources.tables import TableSource
from loader.staging.wide_rows import sort_rows

_SHOWN = 12
"""Most fields whose types a notice lists."""


def stage_files(settings: FilesSettings, observe: Observer = ignore) -> StageReport:
    """Stage the points of ``settings``; a dataset of the same sources and settings is kept as it is.

    Each measurement and UTC day becomes a partition with rows by tags, then time. When a run ends early, the next one
    sorts again, and keeps the partitions that are finished. Memory is bounded by that of ``sort_rows``, a row group and
    that of the source: 2 GiB at most.
    Raises ConfigError for wrong settings and unusable files, StageError for rows that cannot be points, or a lack of
    room, LoadError when rejected rows cannot be written.
    """
    began = time.monotonic()
    paths, lines = find_sources(settings.sources, settings.out, observe)
    _check(settings, lines)
    if settings.csv != ISO and not any(kind_of(path) in CSV for path in paths):
        raise ConfigError(
            "how CSV is written is said, and no source is CSV",
            hint="leave out --separator, --null, --decimal and --time-format",
        )
    described = _describe(settings, paths)
    with (
        explained(settings.out),
        writing(settings.out),
        temporary_folder(settings.out, settings.temporary) as temporary,
    ):
        return _Stage(settings, described, temporary, observe).run(paths, lines, began)


class _Stage:
    """One run of a stage of files."""

    def __init__(self, settings: FilesSettings, described: dict[str, Any], temporary: Path, observe: Observer) -> None:
        self._settings = settings
        self._described = described
        self._temporary = temporary
        self._observe = observe
        self._dataset = DatasetWriter(settings.out, described, overwrite=settings.overwrite)
        self._rejected = 0
        self._not_finite = 0
        self._first_rejected = ""
        self._file = RejectedFile(settings.out, "stage")
        self._merged: list[PointMerger] = []

    def run(self, paths: Sequence[Path], lines: bool, began: float) -> StageReport:
        if self._dataset.unchanged:
            return self._report(self._dataset.unchanged, began)
        self._file.clear()
        if lines:
            began += compile_ahead(compile_line_decoder, "decoder", self._observe)
        source = self._open(paths, lines)
        self._observe(Started("stage", source.rows))
        try:
            for points in source.measurements():
                for partition in self._write(points, source):
                    self._dataset.add(partition)
                    self._observe(Advanced(partition.rows, partition.size))
            self._refuse_duplicates()
            self._refuse_changed(paths)
            if self._dataset.empty:
                raise StageError(f"{paths[0]}: no row is a point", hint=f"see {self._file.path}")
        except BaseException as error:
            # A replacement of a dataset begins again in any case; otherwise the next run resumes.
            if self._dataset.replaces or isinstance(error, ConfigError):
                self._dataset.withdraw()
            raise
        if isinstance(source, TableSource) and self._settings.mapping:
            self._not_finite = source.values_not_finite
            self._keep_mapping(self._settings.mapping, source.schema)
            if source.inferred:
                types = [f"{field.column} {field.type}" for field in source.schema.fields]
                self._observe(Notice(f"types of fields, as inferred: {listed(types, _SHOWN)}"))
        return self._report(self._dataset.finish(), began)

    def _report(self, manifest: Manifest, began: float) -> StageReport:
        return StageReport(
            rows=manifest.rows,
            size=sum(partition.size for partition in manifest.partitions),
            partitions=len(manifest.partitions),
            partitions_kept=len(self._dataset.kept.keys() & {partition.path for partition in manifest.partitions}),
            fingerprint=manifest.fingerprint,
            seconds=time.monotonic() - began,
            peak_memory=measure_peak_memory(),
            measurements=manifest.rows_by_measurement,
            rows_rejected=self._rejected,
            rows_moved=sum(each.moved for each in self._merged),
            values_superseded=sum(each.superseded for each in self._merged),
            values_not_finite=self._not_finite,
            rejected_path=str(self._file.path) if self._rejected else "",
            first_rejected=self._first_rejected,
        )

    def _open(self, paths: Sequence[Path], lines: bool) -> Source:
        if not lines:
            assert self._settings.mapping
            return TableSource(
                paths, self._settings.mapping, self._temporary, self._reject_rows, self._observe, self._settings.csv
            )
        unit = NANOSECONDS[self._settings.time_unit]
        return LineProtocolSource(paths, unit, self._temporary, self._reject_line, self._observe)

    def _write(self, points: MeasurementPoints, source: Source) -> Iterator[Partition]:
        try:
            check_names(points.schema)
        except EncodeError as error:
            raise ConfigError(error.message, hint=error.hint) from error
        merger = PointMerger(points.series, self._settings.on_duplicate, source.address, source.merged_folds)
        self._merged.append(merger)
        keys = (*points.series, points.columns.names[len(points.series)], ORDER)
        ordered = sort_rows(points.columns, points.batches, keys, self._temporary, self._settings.workers)
        compression = Compression.parse(self._settings.compression)
        distinct = self._distinct(merger, points.schema, ordered)
        yield from write_partitions(
            self._dataset.folder, points.schema, distinct, points.read_tags, compression, self._dataset.kept.get
        )

    def _distinct(
        self, merger: PointMerger, schema: PointSchema, batches: Iterator[pa.RecordBatch]
    ) -> Iterator[pa.RecordBatch]:
        """Yield the points of ``batches``; after the first unwanted duplicate, duplicates are only counted."""
        for number, batch in enumerate(batches):
            if number == 0:  # all rows were read, and can be points
                self._dataset.begin(schema)
            points = merger.add(batch)
            if not self._unwanted:
                yield points
        last = merger.finish()
        if last is not None and not self._unwanted:
            yield last

    @property
    def _unwanted(self) -> int:
        fails = self._settings.on_duplicate == OnDuplicate.FAIL
        return sum(each.superseded for each in self._merged) if fails else 0

    def _refuse_duplicates(self) -> None:
        """Raise ConfigError for duplicates that are not wanted."""
        if not self._unwanted:
            return
        examples = [example for each in self._merged for example in each.examples][:3]
        policy = self._settings.mapping.policy if self._settings.mapping else STRICT
        cause = merged_text(policy, sum(each.superseded_in_folds for each in self._merged))
        raise duplicates_error(self._unwanted, examples, cause=cause, remedy=f"{INFER}, or {IN_UTC}")

    def _refuse_changed(self, paths: Sequence[Path]) -> None:
        """Raise ConfigError when a source has changed since the beginning: parts of two versions may have been read."""
        before, now = self._described["files"], _identities(paths)
        if changed := [path for path in before if now.get(path) != before[path]]:
            raise ConfigError(
                f"{listed(changed)}: changed while it was staged, and nothing of it is kept",
                hint="let nothing write there, and run the same command again",
            )

    def _keep_mapping(self, mapping: ColumnMapping, schema: PointSchema) -> None:
        """Write the mapping with the types that were found, so that the next run need not infer them."""
        found = tuple(FieldMapping(schema.source(field.column), field.column, field.type) for field in schema.fields)
        whole = replace(mapping, fields=found)
        self._described[FOUND] = mapping_json(whole)["fields"]
        path, text = self._settings.out / "points.toml", points_text(whole)
        if path.exists() and path.read_text(errors="replace") != self._dataset.written_mapping:
            return
        if parse_mapping(tomllib.loads(text), "") == whole:
            write_whole(path, text.encode(), self._settings.out)
        else:
            self._observe(Notice(f"{path}: is not written, since a column has = in its name: repeat the flags"))
            path.unlink(missing_ok=True)

    def _reject_line(self, path: Path, bad: BadLine) -> None:
        if self._settings.on_bad_line == "fail":
            refuse_bad_line(path, bad)
        entry = {"file": str(path), "line": bad.line, "column": bad.column, "reason": bad.reason}
        self._reject([{**entry, "text": bad.text.decode(errors="backslashreplace")}], f"{path}, line {bad.line:,}")

    def _reject_rows(self, rows: Sequence[RejectedRow]) -> None:
        first = f"{rows[0].partition}, row {rows[0].row:,}, column {rows[0].column!r}: {rows[0].value}"
        self._reject([asdict(row) for row in rows], first)

    def _reject(self, entries: Sequence[Mapping[str, Any]], first: str) -> None:
        self._file.append(entries)
        self._first_rejected = self._first_rejected or printable(f"{first}: {entries[0]['reason']}", MESSAGE)
        self._rejected += len(entries)
        self._observe(Rejected(len(entries)))
        if self._rejected > self._settings.max_rejected:
            rows = counted(self._rejected, "row was", "rows were")
            raise StageError(
                f"{rows} rejected, more than the {self._settings.max_rejected:,} allowed; the"
                f" first is {self._first_rejected}",
                hint=f"see {self._file.path}; allow more with a higher --max-rejected",
            )


def _check(settings: FilesSettings, lines: bool) -> None:
    Compression.parse(settings.compression)
    for name, value, known in (
        ("on duplicate", settings.on_duplicate, list(OnDuplicate)),
        ("on bad line", settings.on_bad_line, ["fail", "skip"]),
        ("time unit", settings.time_unit, list(NANOSECONDS)),
    ):
        if value not in known:
            raise ConfigError(f"{name} {value!r}", hint=f"known are {', '.join(known)}")
    for name, number, least in (("workers", settings.workers, 1), ("max rejected", settings.max_rejected, 0)):
        if number < least:
            raise ConfigError(f"{name}: {number}", hint=f"{name} is at least {least}")
    if lines and settings.mapping:
        raise ConfigError("line protocol knows its measurements, tags and fields", hint="leave out the mapping")
    if not lines and not settings.mapping:
        raise ConfigError(
            "which columns are tags, fields and time is not known",
            hint="say it: --measurement NAME --tag COLUMN --field COLUMN --time COLUMN, or --schema points.toml",
        )


def _describe(settings: FilesSettings, paths: Sequence[Path]) -> dict[str, Any]:
    """Return the settings that determine the content, in the form that JSON reads back."""
    return {
        "source": "files",
        "files": _identities(paths),
        "mapping": dict(mapping_json(settings.mapping)) if settings.mapping else {"time_unit": settings.time_unit},
        "on_duplicate": str(settings.on_duplicate),
        "on_bad_line": settings.on_bad_line,
        "compression": settings.compression,
        **({"csv": {**asdict(settings.csv), "nulls": list(settings.csv.nulls)}} if settings.csv != ISO else {}),
    }


def _identities(paths: Sequence[Path]) -> dict[str, list[int]]:
    """Return size and time of change of each file that is there."""
    statuses = ((path.resolve(), path.stat()) for path in paths if path.exists())
    return {str(path): [status.st_size, status.st_mtime_ns] for path, status in statuses}
