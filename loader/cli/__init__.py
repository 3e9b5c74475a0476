"""The command line: one module for each command.

These modules need Typer only, so that the help and the completion of a shell come at once. What a command does, and
the libraries for that, are imported when it runs: see :mod:`loader.importing`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NoReturn

import typer

from loader.cli.candles import candles
from loader.cli.completion import VARIABLE, complete, completion
from loader.cli.doctor import doctor
from loader.cli.examples import epilog
from loader.cli.export import export
from loader.cli.inspect import inspect
from loader.cli.load import load
from loader.cli.process import run_process
from loader.cli.replay import replay
from loader.cli.report import report
from loader.cli.stage import stage
from loader.cli.status import status
from loader.cli.tune import tune
from loader.cli.verify import verify
from loader.cli.version import VersionOption, version

COMMANDS: tuple[tuple[str, Callable[..., None]], ...] = (
    ("stage", stage),
    ("inspect", inspect),
    ("candles", candles),
    ("tune", tune),
    ("load", load),
    ("replay", replay),
    ("verify", verify),
    ("status", status),
    ("report", report),
    ("export-tsm", export),
    ("doctor", doctor),
    ("version", version),
    ("completion", completion),
)
"""All commands, in the order of the help; their examples are in :mod:`loader.cli.examples`."""


def build_app() -> typer.Typer:
    """Return the command line application."""
    app = typer.Typer(
        name="loader",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    app.callback()(_loader)
    for name, command in COMMANDS:
        app.command(name=name, help=_joined(command.__doc__ or ""), epilog=epilog(name))(command)
    return app


def _loader(version: VersionOption = False) -> None:
    """Bulk loader for InfluxDB: stages Parquet, loads it and proves that every point arrived."""


def _joined(text: str) -> str:
    """Return ``text`` with each paragraph in one line: the terminal's width says where lines end."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def main() -> NoReturn:
    """Run the command line and end the process with its exit code."""
    if VARIABLE in os.environ:
        complete(build_app())
    run_process(build_app)
