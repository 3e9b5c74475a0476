"""The command line: one module for each command."""

from __future__ import annotations

from typing import NoReturn

import typer

from loader.cli.export import export
from loader.cli.inspect import inspect
from loader.cli.load import load
from loader.cli.process import run_process
from loader.cli.report import report
from loader.cli.stage import stage
from loader.cli.status import status
from loader.cli.verify import verify


def build_app() -> typer.Typer:
    """Return the command line application."""
    app = typer.Typer(
        name="loader",
        help="Bulk loader for InfluxDB: stages Parquet, loads it and proves that every point arrived.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    for command in (stage, inspect, load, verify, status, report):
        app.command()(command)
    app.command(name="export-tsm")(export)
    return app


def main() -> NoReturn:
    """Run the command line and end the process with its exit code."""
    run_process(build_app)
