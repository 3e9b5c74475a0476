"""Text about inspected CSV, and about datasets that were staged."""

from __future__ import annotations

from loader.dataset.instant import instant
from loader.dataset.staged import StagedInspection
from loader.printable import printable
from loader.quantities import counted, size_text
from loader.reporting.inspection_text import (
    WIDE,
    command_lines,
    fieldless_text,
    inspection_text,
    load_commands,
    mapping_words,
    table,
    wrapped,
)
from loader.staging.inspection import Inspected
from loader.staging.sources.csv_format import ISO, shown
from loader.staging.sources.csv_guess import CsvInspection

_OUT = "staged/"


def csv_text(found: CsvInspection, width: int = WIDE, written: str = "") -> str:
    """Return ``found`` as text in lines of up to ``width`` characters, with the commands that stage and load it."""
    form = found.form
    first = f"the first {counted(found.sample_rows, 'row')}" + f" of {printable(found.sample_file)}" * (found.files > 1)
    looked = counted(found.sample_rows, "row") if found.whole else f"{first} are looked at"
    lines = [
        f"CSV in {counted(found.files, 'file')}, {size_text(found.size)}; {looked}",
        f"{shown(form.separator)} separates columns, {form.decimal!r} begins decimals",
    ]
    if form.time_format:
        lines.append(f"times are written as {printable(form.time_format)}")
    parts = [*lines, "", *table(found.columns, width), *wrapped("values: null counts as one", width), ""]
    notes = [*map(printable, found.notes), fieldless_text(found.fieldless, found.fieldless)]
    for note in filter(None, notes):
        parts += [*wrapped(note, width), ""]
    if found.problem:
        parts += wrapped(f"it cannot be staged as it is: {found.problem}", width)
    else:
        where = f"it is in {printable(written)}" if written else "--write points.toml writes down what columns are"
        parts.append(f"a guess, to be checked; {where}:")
    for words in stage_commands(found, written):
        parts += command_lines(words, width)
    return "\n".join(parts)


def stage_commands(found: CsvInspection, written: str = "") -> list[list[str]]:
    """Return the commands, as lists of words, that stage ``found`` by the guess and load it; none without a guess."""
    if not found.mapping:
        return []
    form = [] if found.form.separator == ISO.separator else ["--separator", shown(found.form.separator).strip("'")]
    form += [] if found.form.decimal == ISO.decimal else ["--decimal", found.form.decimal]
    form += [word for text in found.form.nulls for word in ("--null", text)]
    form += ["--time-format", found.form.time_format] if found.form.time_format else []
    words = mapping_words(found.mapping, found.columns, written)
    before = [["loader", "inspect", found.path, "--write", "points.toml", *form]] if words is None else []
    stage = ["loader", "stage", "--from", found.path, "--out", _OUT, *(words or ["--schema", "points.toml"]), *form]
    return [*before, stage, ["loader", "load", _OUT, "--bucket", found.mapping.measurement]]


def staged_text(found: StagedInspection, width: int = WIDE) -> str:
    """Return ``found`` as text in lines of up to ``width`` characters, with the command that loads it."""
    unfinished = "" if found.complete else " (unfinished: stage again with the same settings)"
    lines = wrapped(f"a dataset that loader staged, of {printable(found.source)}{unfinished}", width)
    if found.dataset != found.path:
        lines = wrapped(f"a part of the dataset that loader staged in {printable(found.dataset)}{unfinished}", width)
    rows, partitions = counted(found.rows, "row"), counted(found.partitions, "partition")
    lines += [f"{rows} in {partitions}, {size_text(found.size)}", ""]
    for each in found.measurements:
        lines += wrapped(f"measurement {printable(each.name)}: {counted(each.rows, 'row')}", width)
        lines.append(f"  from {instant(each.first)} to {instant(each.last)}")
        lines += wrapped(f"  time: {printable(each.time)}", width)
        if each.tags:
            lines += wrapped(f"  tags: {', '.join(map(printable, each.tags))}", width)
        lines += wrapped(f"  fields: {', '.join(f'{printable(name)} {kind}' for name, kind in each.fields)}", width)
    lines += ["", "it knows its columns; this loads all of it:"]
    return "\n".join([*lines, *command_lines(staged_command(found), width)])


def staged_command(found: StagedInspection) -> list[str]:
    """Return the command that loads a staged dataset."""
    return ["loader", "load", found.dataset]


def source_text(found: Inspected, width: int = WIDE, written: str = "") -> str:
    """Return what was found as text in lines of up to ``width`` characters; ``written`` is the file of the guess."""
    if isinstance(found, StagedInspection):
        return staged_text(found, width)
    return (
        csv_text(found, width, written) if isinstance(found, CsvInspection) else inspection_text(found, width, written)
    )


def source_commands(found: Inspected, written: str = "") -> list[list[str]]:
    """Return the commands, as lists of words, that stage or load what was found; none where there is no guess."""
    if isinstance(found, StagedInspection):
        return [staged_command(found)]
    return stage_commands(found, written) if isinstance(found, CsvInspection) else load_commands(found, written)
