"""Runs the process of a command line: one guard around everything that no command catches itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import typer

from loader.cli.interrupts import INTERRUPTED, Interrupts
from loader.cli.messages import tell
from loader.cli.outcome import DONE, MISUSED, STOPPED, UNFINISHED, Output, attempt, show
from loader.cli.streams import Outlet, guard_streams
from loader.errors import ConfigError
from loader.unexpected import explain


def run_process(build_app: Callable[[], typer.Typer]) -> NoReturn:
    """Run an application with the arguments of this process, and end it; errors never end in a traceback."""
    result, _ = guard_streams()
    output = Output(quiet=True, json="--json" in sys.argv, debug=_wants_debug())
    with Interrupts(lambda: _end_with(show(STOPPED, output))) as interrupts:
        outcome = attempt(lambda: _call(build_app()), int)
        interrupts.shield()
        code = show(outcome, output) if outcome.error else outcome.code
        code = _check_result(result, code)
    if code == INTERRUPTED:
        # Threads that wait for a server are not waited for.
        _end_with(code)
    sys.exit(code)


def _call(app: typer.Typer) -> int:
    """Return the exit code of the command; raises ConfigError for invalid arguments."""
    if len(sys.argv) == 1:
        app(["--help"], standalone_mode=False)
        return MISUSED
    try:
        code: Any = app(standalone_mode=False)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        # Typer lists choices in lines of their own, and names the kind of an error of its validation.
        words = " ".join(error.format_message().split()).replace("Value error, ", "")
        raise ConfigError(words, hint=f"{_command_of(app, error)} --help says what there is") from None
    return code or DONE


def _command_of(app: typer.Typer, error: Exception) -> str:
    """Return the command that was called wrongly; Typer does not tell it of an option without its value."""
    context = getattr(error, "ctx", None)
    if context is not None:
        return str(context.command_path)
    known = {command.name for command in app.registered_commands}
    return " ".join(["loader", *(word for word in sys.argv[1:2] if word in known)])


def _check_result(result: Outlet, code: int) -> int:
    """Write the rest of the result, and return the exit code; a result that cannot be written is a failure."""
    result.flush()
    if result.failure is None:
        return code
    words = explain(result.failure).message
    tell("error", f"the result could not be written to standard output: {words}")
    if code == DONE:
        tell("hint", "the work itself is done; loader status and the metrics file of a run tell how")
    return code or UNFINISHED


def _wants_debug() -> bool:
    return "--debug" in sys.argv or bool(os.environ.get("LOADER_DEBUG"))


def _end_with(code: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
