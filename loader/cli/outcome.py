"""How a command ends: its result, an error in words, and its exit code.

Exit codes: 0 done; 1 differences, or rejected rows; 2 usage or configuration, or the server refuses it; 3 it could not
finish; 130 interrupted. No error of any kind becomes a 1. After a 3 the same command may go on, after a 2 it will not.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import typer

from loader.cli.interrupts import INTERRUPTED
from loader.cli.live import LiveOptions
from loader.cli.messages import tell
from loader.cli.streams import say
from loader.errors import ConfigError, LoaderError, Refused
from loader.unexpected import explain, find_secrets, hide, trace

if TYPE_CHECKING:
    from loader.loading import ExportReport, LoadReport, ReplayReport
    from loader.staging import StageReport

DONE, DIFFERENT, MISUSED, UNFINISHED = 0, 1, 2, 3


@dataclass(frozen=True)
class Output:
    """How much is printed, and in which form."""

    quiet: bool
    json: bool
    debug: bool = False
    live: LiveOptions = field(default_factory=LiveOptions)

    @property
    def silent(self) -> bool:
        """Whether no progress is shown."""
        return self.quiet or self.json or self.live.owns_stderr


@dataclass(frozen=True)
class Outcome:
    """How something ended: its report if there is one, its exit code, and the texts of an error."""

    report: Any
    code: int
    error: str = ""
    hint: str = ""
    trace: str = ""


STOPPED = Outcome(None, INTERRUPTED, "interrupted")


def attempt(
    work: Callable[[], Any], judge: Callable[[Any], int] = lambda _: DONE, secrets: Iterable[str] = ()
) -> Outcome:
    """Run ``work`` and return how it ended, also if it raised an error of any kind."""
    secrets = [*find_secrets(sys.argv, os.environ), *filter(None, secrets)]
    try:
        report = work()
        return Outcome(report, judge(report))
    except KeyboardInterrupt:
        return STOPPED
    except LoaderError as error:
        # What a server refuses for good (token, permission, certificate) is configuration, whenever it is found out.
        code = MISUSED if isinstance(error, ConfigError | Refused) else UNFINISHED
        return Outcome(None, code, hide(error.message, secrets), error.hint, trace(error, secrets))
    except BaseException as error:  # also a panic of Polars, which is not an Exception
        explained = explain(error, secrets)
        return Outcome(None, UNFINISHED, explained.message, explained.hint, trace(error, secrets))


def judge_rows(report: LoadReport | ExportReport | ReplayReport | StageReport) -> int:
    """Return the exit code for a report that counts rejected rows, and may have been told to stop."""
    if getattr(report, "interrupted", False):
        return INTERRUPTED
    return DIFFERENT if report.rows_rejected else DONE


def guarded(output: Output, prepare: Callable[[], Any]) -> Any:
    """Return the result of ``prepare``, which reads the options; an error ends the command with its exit code."""
    outcome = attempt(prepare)
    if outcome.code == DONE:
        return outcome.report
    raise typer.Exit(show(replace(outcome, report=None), output))


def show(
    outcome: Outcome,
    output: Output,
    content: Mapping[str, Any] | None = None,
    render: Callable[[Any], str] | None = None,
    *,
    logged: bool = False,
) -> int:
    """Print how something ended, as JSON (``content``) or as text for people; return the exit code.

    Errors that are ``logged`` are not told again. If the result cannot be shown, that is one more error, which does not
    hide how the work ended.
    """
    if not logged:
        _tell(outcome, output)
    if output.json:
        failures = {"exit_code": outcome.code, "error": outcome.error}
        printed = attempt(lambda: say(json.dumps(content or failures, default=str)))
    elif render and outcome.report is not None and not output.quiet:
        printed = attempt(lambda: say(render(outcome.report)))
    else:
        return outcome.code
    if printed.code == DONE:
        return outcome.code
    show(replace(printed, error=f"the result cannot be shown: {printed.error}"), replace(output, json=False))
    return outcome.code or printed.code


def _tell(outcome: Outcome, output: Output) -> None:
    """Print the error of an outcome, if it has one, to stderr."""
    if output.debug and outcome.trace:
        say(outcome.trace, error=True)
    if outcome.error:
        tell("error", outcome.error)
    if outcome.hint:
        tell("hint", outcome.hint)
