"""``loader inspect``: what somebody's Parquet holds, and a guess which column is what."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from loader.cli.options import JsonOption
from loader.cli.running import DONE, DebugOption, Outcome, Output, guarded, show
from loader.dataset import inspection
from loader.reporting.inspection_text import inspection_text


def inspect(
    path: Annotated[Path, typer.Argument(help="Parquet: a file, a folder, or a quoted pattern.")],
    write: Annotated[Path | None, typer.Option("--write", help="Write the guess to a new file, points.toml.")] = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Say what Parquet holds, and which column would be tag, field and time; nothing of it is changed."""
    output = Output(quiet=False, json=json, debug=debug)
    found = guarded(output, lambda: inspection.inspect(path))
    if write:
        guarded(output, lambda: inspection.write_points_file(found, write))
    raise typer.Exit(show(Outcome(found, DONE), output, asdict(found), inspection_text))
