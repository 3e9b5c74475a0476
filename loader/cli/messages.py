"""Errors, warnings and hints on standard error: set off by colour and column on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from contextlib import suppress

from loader.cli.streams import say

_STYLES = {"error": "bold red", "warning": "bold yellow", "hint": "bold"}
INSECURE = (
    "the server's certificate is not verified (--insecure-skip-verify): others on the way to the server can read the"
    " token, and change what is sent"
)


def tell(kind: str, text: str, *, alarming: bool = False) -> None:
    """Write ``text`` as an "error", "warning" or "hint". Scripts read the plain form, one line of ``kind: text``.

    A terminal gets its kind in a column of its own, and lines no wider than the terminal; what is ``alarming`` is red
    as a whole. NO_COLOR and FORCE_COLOR count as Rich does it.
    """
    # This may be the end of a process without memory, or of an installation that is broken.
    with suppress(Exception):
        if _tell_person(kind, text, alarming=alarming):
            return
    say(f"{kind}: {text}", error=True)


def _tell_person(kind: str, text: str, *, alarming: bool) -> bool:
    """Write to a terminal; return whether it is one."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=sys.stderr)
    if not console.is_terminal:
        return False
    line = Table.grid(padding=(0, 1))
    line.add_column(justify="right", no_wrap=True, min_width=len("error:"))
    line.add_column(overflow="fold")
    red = _STYLES["error"] if alarming else ""
    line.add_row(Text(f"{kind}:", red or _STYLES[kind]), Text(text, red))
    console.print(line)
    return True
