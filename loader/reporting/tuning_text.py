"""Text about a tuning. Pure: a report in, lines out."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from itertools import groupby

from loader.tuning.settings import Trial, TuneReport, Verdict

_WIDTH = 100
_RULE = (
    "> marks what is chosen. Within the noise: the ranges of the repeats overlap, or the medians differ by less than"
    " a spread (of three repeats: than two); then the value that the others are compared with (ratio 1.00) is kept"
)


def tuning_text(report: TuneReport) -> str:
    """Return the table of all that was measured, and what to use."""
    word = "stopped" if report.interrupted else "tuned"
    server = f"{report.server} at " if report.server else ""  # a stop may come before it is known
    lines = [f"{word:<8} {server}{report.url}, {report.seconds:.0f} s"]
    if report.sample_rows:
        lines.append(f"         {report.sample_rows:,} of {report.rows:,} rows a trial")
    if report.trials:
        lines += ["", *_table(report.trials), "", *textwrap.wrap(_RULE, _WIDTH)]
    lines += [line for note in report.notes for line in textwrap.wrap(f"note: {note}", _WIDTH)]
    if not report.interrupted:
        lines += ["", *_result(report)]
    return "\n".join(lines)


def _result(report: TuneReport) -> Iterator[str]:
    if not report.trials:
        yield "nothing was measured; a load begins with these settings:"
    elif report.found == report.start:
        yield "nothing that was measured is faster than these settings beyond the noise:"
    else:
        yield f"fastest, {report.gain:.2f} times the start:"
    yield f"  {report.flags}"
    if report.path:
        yield "loader load --tuned takes them"


def _table(trials: tuple[Trial, ...]) -> Iterator[str]:
    heads = ("", "points/s", "spread", "ratio", "repeats", "CPU s/M", "")
    widest = max(len(_name(trial)) for trial in trials)
    yield _row(widest, *heads)
    for factor, group in groupby(trials, lambda trial: trial.factor):
        yield factor
        for trial in group:
            verdict = "" if trial.verdict is Verdict.BASE else str(trial.verdict)
            yield _row(
                widest,
                _name(trial),
                f"{trial.rate:,.0f}",
                f"{trial.spread:.0%}" if len(trial.rates) > 1 else "",
                f"{trial.ratio:.2f}",
                str(len(trial.rates)),
                f"{trial.cpu_seconds:.2f}",
                verdict,
            )


def _name(trial: Trial) -> str:
    return f"{'>' if trial.chosen else ' '} {trial.value}"


def _row(widest: int, name: str, rate: str, spread: str, ratio: str, repeats: str, cpu: str, verdict: str) -> str:
    return f"{name:<{widest}} {rate:>11} {spread:>7} {ratio:>6} {repeats:>8} {cpu:>8}  {verdict}".rstrip()
