"""``loader report``: makes a page about a dataset and its runs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from loader.cli.options import DatasetArgument, DebugOption, JsonOption, StateOption
from loader.cli.outcome import DONE, Outcome, Output, guarded, show
from loader.importing import importing


def report(
    dataset: DatasetArgument = Path("data"),
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="File of the page; its data is in FILE.json. By default it is called after the dataset.",
            metavar="FILE",
        ),
    ] = None,
    compare: Annotated[
        list[Path] | None,
        typer.Option("--compare", help="Another dataset, to be shown beside it; may be repeated.", metavar="PATH"),
    ] = None,
    state: StateOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Make a page (HTML, in one file) about a dataset: how it was staged, loaded and verified, and what to do next."""
    with importing():
        from loader.reporting.report.report import ReportSettings
        from loader.reporting.report.write import write_report
    output = Output(quiet=False, json=json, debug=debug)
    made = guarded(output, lambda: write_report(ReportSettings(dataset, tuple(compare or ()), state), out))
    word = "replaced" if made.replaced else "report"
    shown = {**asdict(made.report), "page": str(made.page), "replaced": made.replaced}
    raise typer.Exit(show(Outcome(made, DONE), output, shown, lambda _: f"{word:<8} {made.page}"))
