"""``loader status``: what is staged, loaded and verified."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from loader.cli.options import DatasetArgument, JsonOption
from loader.cli.running import Output, guarded, print_result
from loader.reporting.status import read_status
from loader.reporting.text import status_text


def status(dataset: DatasetArgument = Path("data"), json: JsonOption = False) -> None:
    """Say what of a dataset is staged, loaded and verified."""
    output = Output(quiet=False, json=json)
    found = guarded(output, lambda: read_status(dataset))
    print_result(asdict(found), found, output, status_text)
