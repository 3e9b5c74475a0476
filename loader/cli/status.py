"""``loader status``: shows what is staged, loaded and verified."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import typer

from loader.cli.options import DatasetArgument, DebugOption, JsonOption, StateOption
from loader.cli.outcome import DONE, Outcome, Output, guarded, show
from loader.importing import importing


def status(
    dataset: DatasetArgument = Path("data"),
    state: StateOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Say what of a dataset is staged, loaded and verified."""
    with importing():
        from loader.reporting.status import read_status
        from loader.reporting.text import status_text
    output = Output(quiet=False, json=json, debug=debug)
    found = guarded(output, lambda: read_status(dataset, state))
    raise typer.Exit(show(Outcome(found, DONE), output, asdict(found), status_text))
