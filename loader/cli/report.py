"""``loader report``: makes a page about a dataset and its runs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from loader.cli.options import DatasetArgument, JsonOption, StateOption
from loader.cli.running import DONE, DebugOption, Outcome, Output, guarded, show


def report(
    dataset: DatasetArgument = Path("data"),
    out: Annotated[Path, typer.Option("--out", help="File of the page; its data is beside it as .json.")] = Path(
        "report.html"
    ),
    compare: Annotated[
        list[Path] | None, typer.Option("--compare", help="Another dataset, to be shown beside it; may be repeated.")
    ] = None,
    state: StateOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Make a page (HTML, in one file) about a dataset: how it was staged, loaded and verified, and what to do next."""
    # Imported when it is used: no other command draws charts.
    from loader.reporting.report.report import ReportSettings  # noqa: PLC0415
    from loader.reporting.report.write import write_report  # noqa: PLC0415

    output = Output(quiet=False, json=json, debug=debug)
    made = guarded(output, lambda: write_report(ReportSettings(dataset, tuple(compare or ()), state), out))
    raise typer.Exit(show(Outcome(made, DONE), output, asdict(made), lambda _: f"report   {out}"))
