"""Reads the rows of a Flux answer: CSV of any length, in tables that each have a header."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from loader.errors import ServerError
from loader.servers.base import Reply
from loader.servers.replies import message_of, raise_for, shown
from loader.servers.reserved import refuse_clash

_FIXED = ["", "result", "table"]
"""The first columns of every table."""
_CELL = re.compile(r'("[^"]*(?:""[^"]*)*"|[^",\r\n]*)(,|\r\n|\n|\Z)')


@dataclass(frozen=True)
class Row:
    """A row of a table: ``columns`` are the positions of its columns after the fixed ones."""

    columns: Mapping[str, int]
    cells: Sequence[str]
    quoted: bool

    @property
    def result(self) -> str:
        """The name of the result that the row belongs to."""
        return self.cells[1]

    def __getitem__(self, name: str) -> str:
        return self.cells[self.columns[name]]

    def get(self, name: str) -> str:
        """Return a cell, "" where the table has no such column."""
        position = self.columns.get(name)
        return "" if position is None else self.cells[position]


def read_rows(reply: Reply) -> Iterator[Row]:
    """Yield the rows of all tables; raises ServerError for an error, which may also follow rows."""
    if reply.status != 200:
        refuse_clash(message_of(reply))
        raise_for(reply, "query")
    columns: dict[str, int] | None = None
    header: list[str] = []
    for cells, quoted in _lines(reply.body.decode(errors="surrogateescape")):
        if cells == [""]:
            columns = None
        elif columns is None:
            header = cells
            if header[: len(_FIXED)] != _FIXED and "error" not in header:
                raise ValueError("this is no table of Flux")
            columns = {name: position for position, name in enumerate(cells) if position >= len(_FIXED)}
        elif header[: len(_FIXED)] != _FIXED:
            message = dict(zip(header, cells, strict=False))["error"]
            refuse_clash(message)
            raise ServerError(f"the server gave up a query: {shown(reply, message)}", status=reply.status)
        elif len(cells) != len(header):
            raise ValueError("a row of Flux is shorter or longer than its header")
        else:
            yield Row(columns, cells, quoted)


def _lines(text: str) -> Iterator[tuple[list[str], bool]]:
    """Yield the cells of each line of CSV, of any length, and whether one of them came in quotes."""
    if '"' not in text:
        for line in text.replace("\r\n", "\n").split("\n"):
            yield line.split(","), False
        return
    cells: list[str] = []
    quoted, at = False, 0
    while at < len(text):
        found = _CELL.match(text, at)
        if found is None:
            raise ValueError("the reply is not CSV")
        cell, end = found.groups()
        if cell.startswith('"'):
            cell, quoted = cell[1:-1].replace('""', '"'), True
        cells.append(cell)
        at = found.end()
        if end != ",":
            yield cells, quoted
            cells, quoted = [], False
