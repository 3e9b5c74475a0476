"""Text about a diagnosis."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from loader.diagnosis import Diagnosis, Finding
from loader.quantities import counted

WIDE = 200
"""Characters of a line when there is no terminal to tell."""
_INDENT = 9
_LEAST = 20


def diagnosis_text(diagnosis: Diagnosis, width: int = WIDE) -> str:
    """Return ``diagnosis`` as text in lines of up to ``width`` characters, which begin with the level of a finding."""
    lines = [line for finding in diagnosis.findings for line in _lines(finding, max(width, _INDENT + _LEAST))]
    problems, warnings = counted(diagnosis.problems, "problem"), counted(diagnosis.warnings, "warning")
    end = "nothing is wrong" if not (diagnosis.problems or diagnosis.warnings) else f"{problems}, {warnings}"
    return "\n".join([*lines, "", end])


def _lines(finding: Finding, width: int) -> Iterator[str]:
    yield from _wrapped(f"{finding.level:<{_INDENT}}", f"{finding.subject}: {finding.text}", width)
    if finding.effect:
        yield from _wrapped(" " * _INDENT, finding.effect, width)
    if finding.hint:
        yield from _wrapped(" " * _INDENT + "hint: ", finding.hint, width)


def _wrapped(first: str, text: str, width: int) -> list[str]:
    # Paths and commands stay whole, so that they can be copied.
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )
