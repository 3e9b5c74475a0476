"""Text about inspected Parquet."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Sequence

from loader.dataset.guess import LEFT_OUT, PATH, Column
from loader.dataset.inspection import Inspection
from loader.dataset.instant import instant
from loader.dataset.kinds import left_out
from loader.dataset.mapping import INDEX, ColumnMapping
from loader.printable import MESSAGE, printable
from loader.quantities import counted, size_text

WIDE = 200
"""Characters of a line when there is no terminal to tell."""
_LONGEST_TYPE = 24
_LEAST_NAME = 12
_ORDERS = {
    "series": "in series order",
    "time": "in time order",
    "none": "in no order",
}
_HEADS = ("column", "type", "nulls", "values", "would be", "since")


def inspection_text(found: Inspection, width: int = WIDE, written: str = "") -> str:
    """Return ``found`` as text in lines of up to ``width`` characters, with the command that loads it.

    ``written`` is the file to which the guess was written, if any. Reasons are in the table if there is room, otherwise
    below it.
    """
    groups = counted(found.row_groups, "row group")
    sample = f"the first {counted(found.sample_rows, 'row')}"
    where = f" of {printable(found.sample_file)}" if found.files > 1 else ""
    lines = [
        f"{counted(found.rows, 'row')} in {counted(found.files, 'file')}, {size_text(found.size)}, {groups}"
        f" of up to {counted(found.largest_group, 'row')}",
        f"compression: {', '.join(found.compressions)}",
        f"{sample}{where} are {_ORDERS[found.order]}",
    ]
    if found.first is not None and found.last is not None:
        lines.append(f"from {instant(found.first)} to {instant(found.last)}")
    if found.left_out:
        lines += wrapped(printable(left_out(found.left_out), MESSAGE), width)
    note = f"values: how many there are in {sample}{where}; null counts as one"
    warning = [*wrapped(fieldless_text(*found.fieldless), width), ""] if found.fieldless[0] else []
    return "\n".join(
        [*lines, "", *table(found.columns, width), *wrapped(note, width), "", *warning, *_end(found, width, written)]
    )


def load_commands(found: Inspection, written: str = "") -> list[list[str]]:
    """Return the commands, as lists of words, that load ``found`` by the guess; none where there is no guess."""
    if not found.mapping:
        return []
    words = mapping_words(found.mapping, found.columns, written)
    before = [["loader", "inspect", found.path, "--write", "points.toml"]] if words is None else []
    return [*before, ["loader", "load", found.path, *(words or ["--schema", "points.toml"])]]


def mapping_words(mapping: ColumnMapping, columns: Sequence[Column], written: str = "") -> list[str] | None:
    """Return the options that say ``mapping``, None where only a file can; ``written`` is such a file, if any."""
    if written:
        return ["--schema", written]
    fields = [field.column for field in mapping.fields] if _must_name_fields(columns) else []
    if not all(_is_plain(name) for name in (mapping.time, *mapping.tags, *fields)):
        return None
    words = ["--measurement", mapping.measurement, "--time", mapping.time]
    words += ["--tag", ",".join(mapping.tags)] if mapping.tags else []
    words += [word for name in fields for word in ("--field", name)]
    words += ["--time-unit", mapping.time_unit] if mapping.time_unit else []
    return words + (["--timezone", mapping.policy.timezone] if mapping.policy.timezone else [])


def fieldless_text(least: int, most: int) -> str:
    """Return what is said of rows without any field, "" where none is known."""
    if not least:
        return ""
    if most == 1:
        return "1 row has no value of any field, and cannot be a point: a load or stage keeps it in the rejected file"
    number = f"{least:,}" if least == most else f"from {least:,} to {most:,}"
    return (
        f"{number} rows have no value of any field, and cannot be points: a load or stage keeps them in the rejected"
        " file, and ends if they are more than --max-rejected"
    )


def _must_name_fields(columns: Sequence[Column]) -> bool:
    """Tell whether the guess leaves out a column that a load without ``--field`` would take."""
    left = [column for column in columns if column.role == LEFT_OUT and column.type not in {PATH, "null"}]
    return any(not INDEX.fullmatch(column.name) for column in left)


def _is_plain(name: str) -> bool:
    """Tell whether people can copy ``name``, and a flag, which takes several names with commas, can hold it."""
    return name.isprintable() and name == name.strip() and "," not in name


def table(columns: Sequence[Column], width: int) -> Iterator[str]:
    """Yield the lines of a table of ``columns``; reasons are below it if there is no room for them."""
    rows = [_HEADS, *map(_cells, columns)]
    widths = [max(len(row[number]) for row in rows) for number in range(6)]
    wide = sum(widths) + 2 * 5 <= width
    if not wide:
        others = sum(widths[1:5]) + 2 * 4
        widths[0] = min(widths[0], max(_LEAST_NAME, width - others))
    for row in rows:
        cells = [
            _short(row[0], widths[0]).ljust(widths[0]),
            row[1].ljust(widths[1]),
            row[2].rjust(widths[2]),
            row[3].rjust(widths[3]),
            row[4].ljust(widths[4]),
            *([row[5]] if wide else []),
        ]
        yield "  ".join(cells).rstrip()
    if not wide:
        yield ""
        yield from _reasons(columns, width)
        yield ""


def _cells(column: Column) -> tuple[str, ...]:
    nulls, distinct = ("unknown" if number is None else f"{number:,}" for number in (column.nulls, column.distinct))
    kind = _short(printable(column.type), _LONGEST_TYPE)
    return printable(column.name), kind, nulls, distinct, column.role, printable(column.reason)


def _reasons(columns: Sequence[Column], width: int) -> Iterator[str]:
    """Yield the reasons for the roles of columns; columns of one reason are together."""
    together: dict[str, list[str]] = {}
    for column in columns:
        together.setdefault(printable(column.reason), []).append(printable(column.name))
    for reason, names in together.items():
        yield from wrapped(f"{', '.join(names)}: {reason}", width)


def _end(found: Inspection, width: int, written: str) -> Iterator[str]:
    commands = load_commands(found, written)
    if found.problem:
        yield from wrapped(f"it cannot be loaded as it is: {printable(found.problem)}", width)
        if not commands:
            return
        yield from wrapped("a guess, once that is mended:", width)
    elif written:
        yield f"a guess, to be checked; it is in {printable(written)}:"
    else:
        yield "a guess, to be checked; --write points.toml writes it down:"
    for words in commands:
        yield from command_lines(words, width)


def command_lines(words: Sequence[str], width: int) -> Iterator[str]:
    """Yield a command (two or three words, then options with values) on several lines if it is too long for one."""
    quoted = [printable(shlex.quote(word), MESSAGE) for word in words]
    first = 2 + len(words) % 2
    line = "  " + " ".join(quoted[:first])
    for option, value in zip(quoted[first::2], quoted[first + 1 :: 2], strict=True):
        if len(f"{line} {option} {value} \\") > width:
            yield f"{line} \\"
            line = "   "
        line += f" {option} {value}"
    yield line


def wrapped(text: str, width: int) -> list[str]:
    """Return ``text`` in lines of up to ``width`` characters."""
    return textwrap.wrap(text, width, subsequent_indent="  ", break_on_hyphens=False)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
