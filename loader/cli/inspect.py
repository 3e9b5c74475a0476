"""``loader inspect``: shows what Parquet or CSV holds, and guesses which columns are tags, fields and time."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from loader.cli.options import DebugOption, DecimalOption, JsonOption, NullOption, SeparatorOption, TimeFormatOption
from loader.cli.outcome import DONE, Outcome, Output, guarded, show
from loader.importing import importing


def inspect(
    path: Annotated[Path, typer.Argument(help="Parquet or CSV: a file, a folder, a quoted pattern.", metavar="PATH")],
    write: Annotated[
        Path | None, typer.Option("--write", help="Write the guess to a new file, points.toml.", metavar="FILE")
    ] = None,
    separator: SeparatorOption = ",",
    null: NullOption = None,
    decimal: DecimalOption = ".",
    time_format: TimeFormatOption = "",
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Say what Parquet or CSV holds, and which column would be tag, field and time; nothing of it is changed."""
    with importing():
        from loader.reporting.inspection_text import WIDE
        from loader.reporting.source_text import source_commands, source_text
        from loader.staging import CsvFormat
        from loader.staging.inspection import inspect_source, write_guess
    output = Output(quiet=False, json=json, debug=debug)
    found = guarded(output, lambda: inspect_source(path, CsvFormat(separator, tuple(null or ()), decimal, time_format)))
    if write:
        guarded(output, lambda: write_guess(found, write))
    written = str(write or "")
    width = shutil.get_terminal_size((WIDE, 24)).columns
    content = {**asdict(found), "commands": [shlex.join(words) for words in source_commands(found, written)]}
    raise typer.Exit(show(Outcome(found, DONE), output, content, lambda said: source_text(said, width, written)))
