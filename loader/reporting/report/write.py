"""Writes a report: a page, and the data behind it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from loader.dataset.atomic import write_whole
from loader.errors import ConfigError
from loader.printable import printable
from loader.reporting.report.page import render
from loader.reporting.report.report import Report, ReportSettings, report


def write_report(settings: ReportSettings, out: Path) -> Report:
    """Write the report that ``settings`` ask for to ``out`` as HTML, and as JSON to the same name with .json behind it.

    Both files appear whole or not at all. Raises what ``report`` raises, and ConfigError when they cannot be written.
    """
    if out.suffix not in {".html", ".htm"}:
        raise ConfigError(f"{printable(str(out))}: is no name of a page", hint="name it like report.html")
    made = report(settings)
    page = render(made)
    try:
        write_whole(out, page.encode())
        content = json.dumps(asdict(made), indent=1, default=str, allow_nan=False)
        write_whole(out.with_name(f"{out.name}.json"), content.encode())
    except OSError as error:
        raise ConfigError(
            f"{printable(str(error.filename or out))}: cannot be written: {error.strerror}",
            hint="name a file in a folder that can be written: --out report.html",
        ) from error
    return made
