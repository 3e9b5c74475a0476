"""What a diagnosis finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from loader.errors import LoaderError
from loader.printable import printable


class Level(StrEnum):
    """How bad a finding is: nothing, something to know, or something that will fail."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """What was found of ``subject``; unless it is ok, what would go wrong (``effect``), and what to do (``hint``).

    All texts are safe to show: in one line, without control characters and without secrets.
    """

    subject: str
    level: Level
    text: str
    effect: str = ""
    hint: str = ""

    def __post_init__(self) -> None:
        for name in ("text", "effect", "hint"):
            object.__setattr__(self, name, printable(getattr(self, name), 2_000))


@dataclass(frozen=True)
class Diagnosis:
    """All findings, in the order of their subjects."""

    findings: tuple[Finding, ...]

    @property
    def problems(self) -> int:
        """How many findings are problems."""
        return sum(finding.level is Level.PROBLEM for finding in self.findings)

    @property
    def warnings(self) -> int:
        """How many findings are warnings."""
        return sum(finding.level is Level.WARNING for finding in self.findings)


def ok(subject: str, text: str) -> Finding:
    """Return a finding that nothing is wrong."""
    return Finding(subject, Level.OK, text)


def warning(subject: str, text: str, effect: str, hint: str) -> Finding:
    """Return a finding of something to know."""
    return Finding(subject, Level.WARNING, text, effect, hint)


def problem(subject: str, text: str, effect: str, hint: str) -> Finding:
    """Return a finding of something that will fail."""
    return Finding(subject, Level.PROBLEM, text, effect, hint)


def failure(subject: str, error: LoaderError, effect: str) -> Finding:
    """Return the finding that ``error`` is."""
    return problem(subject, error.message, effect, error.hint)


def looked_at(subject: str, effect: str, look: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """Return what ``look`` finds; an error of the loader or of the system, which ends it, is a finding, too."""
    found: list[Finding] = []
    try:
        for finding in look():
            found.append(finding)
    except LoaderError as error:
        found.append(failure(subject, error, effect))
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        hint = "look at the file, its permissions and its disk"
        found.append(problem(subject, f"{where}{error.strerror}", effect, hint))
    return found
