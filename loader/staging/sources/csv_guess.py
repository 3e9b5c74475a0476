"""Tells what CSV holds, by a sample of its first file: how it is written, and which column may be what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.types as pt

from loader.dataset.fieldless import sampled_fieldless
from loader.dataset.guess import Column, Seen, guess_columns, guess_mapping
from loader.dataset.kinds import CSV, kind_of
from loader.dataset.mapping import ColumnMapping
from loader.dataset.own_files import find_files
from loader.dataset.place import find_place
from loader.errors import ConfigError
from loader.staging.sources.csv_errors import SAMPLE_BYTES
from loader.staging.sources.csv_format import ISO, CsvFormat, guess_separator
from loader.staging.sources.csv_tables import csv_types, sample_csv
from loader.staging.sources.csv_texts import advice, has_decimal_commas
from loader.staging.sources.csv_times import read_times
from loader.staging.sources.paths import find_sources
from loader.staging.sources.text import opened_text

_DAYS = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d-%m-%Y")
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S%.f", " %I:%M %p", " %I:%M:%S %p")
_TRIED = 1_000
"""Values with which a form of times is tried first."""
_NOTHING = ColumnMapping("", "")


@dataclass(frozen=True)
class CsvInspection:
    """What ``files`` of CSV hold; ``size`` is bytes, ``sample_rows`` the first rows of ``sample_file``.

    ``whole`` is true where these are all rows. ``form`` is how the file seems to be written. Of ``columns``, nulls and
    values are those of the sample. ``mapping`` is the guess, None where no column can be the time or a field, with the
    reason in ``problem``. ``notes`` say what may be wrong with columns, ``fieldless`` counts rows without any field.
    """

    path: str
    files: int
    size: int
    sample_file: str
    sample_rows: int
    whole: bool
    form: CsvFormat
    columns: tuple[Column, ...]
    mapping: ColumnMapping | None
    problem: str
    notes: tuple[str, ...]
    fieldless: int


def is_csv(path: Path) -> bool:
    """Tell whether ``path`` is a file or files of CSV, or a folder that has such, and no Parquet."""
    if path.is_dir() and any(True for _ in find_files(find_place(path))):
        return False
    try:
        return all(kind_of(each) in CSV for each in find_sources([path])[0])
    except ConfigError:
        return False


def inspect_csv(path: Path, form: CsvFormat = ISO) -> CsvInspection:
    """Look at the first SAMPLE_BYTES of the first file of ``path``; what ``form`` leaves open is guessed.

    Memory is a few times SAMPLE_BYTES. Raises ConfigError for files that are no CSV, or have no rows.
    """
    paths, _ = find_sources([path])
    first = next((each for each in paths if each.stat().st_size), paths[0])
    form = replace(form, separator=_separator(first, form))
    form, sample = _read(first, form)
    if not len(sample):
        raise ConfigError(f"{first}: has no rows", hint="there is nothing to stage")
    form, sample, unclear = _with_times(form, sample)
    seen = [
        Seen(field, column.null_count, pa.chunked_array([column]))
        for field, column in zip(sample.schema, sample.columns, strict=True)
    ]
    columns = guess_columns(seen, len(sample))
    place = find_place(path)
    named = place.path if place.path.is_file() else place.root
    mapping = guess_mapping(named.absolute().name.partition(".")[0], columns, seen)
    if mapping:
        problem = ""
    elif any(column.role == "time" for column in columns):
        problem = "no column can be a field"
    else:
        problem = unclear or "no column can be the time of points; if one is written in another form: --time-format"
    return CsvInspection(
        path=str(path),
        files=len(paths),
        size=sum(each.stat().st_size for each in paths),
        sample_file=str(first),
        sample_rows=len(sample),
        whole=len(paths) == 1 and _has_ended(first),
        form=form,
        columns=columns,
        mapping=mapping,
        problem=problem,
        notes=_notes(first, form, sample, columns),
        fieldless=sampled_fieldless(pa.table(sample), [field.column for field in mapping.fields]) if mapping else 0,
    )


def _separator(path: Path, form: CsvFormat) -> str:
    if form.separator != ISO.separator:
        return form.separator
    with opened_text(path) as file:
        return guess_separator(file.read(1 << 12).partition(b"\n")[0])


def _has_ended(path: Path) -> bool:
    """Tell whether a sample holds all of the file."""
    with opened_text(path) as file:
        return len(file.read(SAMPLE_BYTES)) < SAMPLE_BYTES


def _read(path: Path, form: CsvFormat) -> tuple[CsvFormat, pa.RecordBatch]:
    """Return the form with decimal commas, if there are such, and the sample in the types of a stage."""
    sample = sample_csv(path, form)
    if form.separator != "," and form.decimal == ".":
        names = [field.name for field in sample.schema if pt.is_string(field.type)]
        texts = sample_csv(path, form, dict.fromkeys(names, pa.string())) if names else sample
        if any(has_decimal_commas(texts.column(name)) for name in names):
            form = replace(form, decimal=",")
            sample = sample_csv(path, form)
    return form, sample_csv(path, form, csv_types(path, sample, _NOTHING, form))


def _with_times(form: CsvFormat, sample: pa.RecordBatch) -> tuple[CsvFormat, pa.RecordBatch, str]:
    """Return the form of times, the sample with the first column of text that has such times, and what is unclear."""
    if any(pt.is_timestamp(kind) for kind in sample.schema.types) and not form.time_format:
        return form, sample, ""
    for number, field in enumerate(sample.schema):
        column = sample.column(number)
        if not pt.is_string(field.type) or column.null_count == len(column):
            continue
        fitting = _fitting(column, form)
        if len(fitting) > 1:
            ways = " or ".join(f"'{each}'" for each in fitting)
            return form, sample, f"column {field.name!r} may be times of the form {ways}: say --time-format"
        if fitting:
            times = read_times(column, fitting[0])[0]
            known = sample.set_column(number, pa.field(field.name, times.type), times)
            return replace(form, time_format=fitting[0]), known, ""
    return form, sample, ""


def _fitting(column: pa.Array, form: CsvFormat) -> list[str]:
    """Return the forms that fit all times of ``column``: one for each order of day, month and year."""
    known = [[form.time_format]] if form.time_format else [[day + clock for clock in _CLOCKS] for day in _DAYS]
    fitting = (next((each for each in forms if _fits(column, each)), "") for forms in known)
    return [each for each in fitting if each]


def _fits(column: pa.Array, form: str) -> bool:
    return read_times(column.slice(0, _TRIED), form)[1] < 0 and read_times(column, form)[1] < 0


def _notes(path: Path, form: CsvFormat, sample: pa.RecordBatch, columns: Sequence[Column]) -> tuple[str, ...]:
    names = [column.name for column in columns if column.type == "string"]
    return tuple(f"{path}: {words}" for words in advice(names, sample, form.decimal))
