"""Errors, warnings and hints on standard error: set off by colour and column on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from contextlib import suppress

from loader.cli.streams import say

_STYLES = {"error": "bold red", "warning": "bold yellow", "hint": "bold"}


def tell(kind: str, text: str) -> None:
    """Write ``text`` as an "error", "warning" or "hint". Scripts read the plain form, one line of ``kind: text``.

    A terminal gets its kind in a column of its own, and lines no wider than the terminal. NO_COLOR and FORCE_COLOR
    count as Rich does it.
    """
    # This may be the end of a process without memory, or of an installation that is broken.
    with suppress(Exception):
        if _tell_person(kind, text):
            return
    say(f"{kind}: {text}", error=True)


def _tell_person(kind: str, text: str) -> bool:
    """Write to a terminal; return whether it is one."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=sys.stderr)
    if not console.is_terminal:
        return False
    line = Table.grid(padding=(0, 1))
    line.add_column(justify="right", no_wrap=True, width=len("error:"))
    line.add_column(overflow="fold")
    line.add_row(Text(f"{kind}:", _STYLES[kind]), Text(text))
    console.print(line)
    return True
