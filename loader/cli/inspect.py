"""``loader inspect``: shows what Parquet holds, and guesses which columns are tags, fields and time."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from loader.cli.options import DebugOption, JsonOption
from loader.cli.outcome import DONE, Outcome, Output, guarded, show
from loader.importing import importing


def inspect(
    path: Annotated[Path, typer.Argument(help="Parquet: a file, a folder, or a quoted pattern.", metavar="PATH")],
    write: Annotated[
        Path | None, typer.Option("--write", help="Write the guess to a new file, points.toml.", metavar="FILE")
    ] = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Say what Parquet holds, and which column would be tag, field and time; nothing of it is changed."""
    with importing():
        from loader.dataset import inspection
        from loader.dataset.points_file import write_points_file
        from loader.reporting.inspection_text import WIDE, inspection_text, load_commands
    output = Output(quiet=False, json=json, debug=debug)
    found = guarded(output, lambda: inspection.inspect(path))
    if write:
        guarded(output, lambda: write_points_file(found, write))
    written = str(write or "")
    width = shutil.get_terminal_size((WIDE, 24)).columns
    content = {**asdict(found), "commands": [shlex.join(words) for words in load_commands(found, written)]}
    raise typer.Exit(show(Outcome(found, DONE), output, content, lambda said: inspection_text(said, width, written)))
