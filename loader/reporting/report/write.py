"""Writes a report: a page, and the data behind it."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from loader.dataset.atomic import write_whole
from loader.dataset.place import find_place
from loader.errors import ConfigError
from loader.printable import printable
from loader.reporting.report.page import render
from loader.reporting.report.report import Report, ReportSettings, report


@dataclass(frozen=True)
class WrittenReport:
    """A report, the file of its page, and whether that took the place of another file."""

    report: Report
    page: Path
    replaced: bool


def page_of(dataset: Path) -> Path:
    """Return the name of the page of ``dataset``, in the current folder: trades-report.html for data/trades."""
    name = dataset.stem if dataset.is_file() else find_place(dataset).root.resolve().name
    plain = re.sub(r"[^\w.-]+", "-", name).strip("-.")
    return Path(f"{plain}-report.html" if plain else "report.html")


def write_report(settings: ReportSettings, out: Path | None = None) -> WrittenReport:
    """Write the report that ``settings`` ask for to ``out`` as HTML, and as JSON to the same name with .json behind it.

    Without ``out``, the page is called after the dataset, see ``page_of``. Both files appear whole or not at all, in
    place of those that are there. Raises what ``report`` raises, and ConfigError when they cannot be written.
    """
    out = out or page_of(settings.dataset)
    if out.suffix not in {".html", ".htm"}:
        raise ConfigError(f"{printable(str(out))}: is no name of a page", hint="name it like report.html")
    made = report(settings)
    page = render(made)
    try:
        replaced = out.exists()
        write_whole(out, page.encode())
        content = json.dumps(asdict(made), indent=1, default=str, allow_nan=False)
        write_whole(out.with_name(f"{out.name}.json"), content.encode())
    except OSError as error:
        raise ConfigError(
            f"{printable(str(error.filename or out))}: cannot be written: {error.strerror}",
            hint="name a file in a folder that can be written: --out report.html",
        ) from error
    return WrittenReport(made, out, replaced)
