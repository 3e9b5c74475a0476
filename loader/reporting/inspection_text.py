"""What is said of somebody's Parquet."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from loader.dataset.inspection import Inspection
from loader.dataset.instant import instant
from loader.printable import printable
from loader.reporting.text import counted, size_text

_ORDERS = {
    "series": "in series order",
    "time": "in time order",
    "none": "in no order",
}


def inspection_text(found: Inspection) -> str:
    """Return what ``found`` says, for a terminal of 80 columns, with the command that loads it."""
    groups = counted(found.row_groups, "row group")
    lines = [
        f"{found.rows:,} rows in {counted(found.files, 'file')}, {size_text(found.size)}, {groups}"
        f" of up to {found.largest_group:,} rows",
        f"the first {found.sample_rows:,} rows are {_ORDERS[found.order]}",
    ]
    if found.first is not None and found.last is not None:
        lines.append(f"from {instant(found.first)} to {instant(found.last)}")
    return "\n".join([*lines, "", *_table(found), "", *_command(found)])


def _table(found: Inspection) -> Iterator[str]:
    rows = [("column", "type", "nulls", "values", "would be", "since")]
    for column in found.columns:
        nulls = "unknown" if column.nulls is None else f"{column.nulls:,}"
        words = (printable(column.name), column.type, nulls, f"{column.distinct:,}", column.role, column.reason)
        rows.append(words)
    widths = [max(len(row[number]) for row in rows) for number in range(5)]
    for row in rows:
        cells = [
            row[0].ljust(widths[0]),
            row[1].ljust(widths[1]),
            row[2].rjust(widths[2]),
            row[3].rjust(widths[3]),
            row[4].ljust(widths[4]),
            row[5],
        ]
        yield "  ".join(cells).rstrip()
    yield f"values: how many there are in the first {found.sample_rows:,} rows"


def _command(found: Inspection) -> list[str]:
    mapping = found.mapping
    if not mapping:
        return ["no column can be the time, or none a field: nothing can be loaded as it is"]
    words = ["loader", "load", found.path, "--measurement", mapping.measurement, "--time", mapping.time]
    if mapping.tags:
        words += ["--tag", ",".join(mapping.tags)]
    if mapping.time_unit:
        words += ["--time-unit", mapping.time_unit]
    if mapping.policy.timezone:
        words += ["--timezone", mapping.policy.timezone]
    return ["a guess, to be checked; --write points.toml writes it down:", f"  {shlex.join(words)}"]
