"""The tables of docs/own-data.md, whose examples are tested."""

from __future__ import annotations

from pathlib import Path

DOC = (Path(__file__).parents[1] / "docs" / "own-data.md").read_text()


def table(heading: str) -> list[list[str]]:
    """Return the rows of the table whose first columns are called ``heading``, without ticks around a cell."""
    rows = DOC[DOC.index(f"| {heading} |") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def quoted(cell: str) -> str:
    """Return what stands between ticks in a cell, the first of it."""
    return cell.split("`")[1]


def examples(cell: str) -> list[str]:
    """Return all that stands between ticks in a cell and is no flag."""
    return [part for part in cell.split("`")[1::2] if not part.startswith("--")]
