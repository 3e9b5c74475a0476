"""Looks at what a user has: Parquet, CSV, or a dataset that was staged."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from loader.dataset.inspection import Inspection, inspect
from loader.dataset.points_file import write_points_file
from loader.dataset.staged import StagedInspection, inspect_staged
from loader.errors import ConfigError, LoaderError
from loader.staging.sources.csv_format import ISO, CsvFormat
from loader.staging.sources.csv_guess import CsvInspection, inspect_csv, is_csv

Inspected: TypeAlias = Inspection | CsvInspection | StagedInspection


def inspect_source(path: Path, form: CsvFormat = ISO) -> Inspected:
    """Return what is at ``path``; ``form`` says how CSV is written, as far as that is not to be guessed.

    Nothing is written. Memory is that of ``inspect`` or ``inspect_csv``. Raises ConfigError when nothing of it can be
    loaded or staged, StageError for what is damaged.
    """
    if staged := inspect_staged(path):
        return staged
    if is_csv(path):
        return inspect_csv(path, form)
    if form != ISO:
        raise ConfigError(f"{path}: is no CSV", hint="leave out --separator, --null, --decimal and --time-format")
    return inspect(path)


def describe_columns(path: Path) -> str:
    """Return the columns at ``path``, with those that may be the time, for a hint; "" where they cannot be read."""
    try:
        found = inspect_source(path)
    except LoaderError:
        return ""
    if isinstance(found, StagedInspection):
        return ""
    times = [column.name for column in found.columns if column.role == "time" or "timestamp" in column.type]
    names = ", ".join(column.name for column in found.columns)
    return f"columns are {names}" + (f"; {', '.join(times)} may be the time" if times else "")


def write_guess(found: Inspected, path: Path) -> None:
    """Write the guess to a new file, as ``write_points_file`` does; raises ConfigError."""
    if isinstance(found, StagedInspection):
        raise ConfigError(
            f"{found.dataset}: a staged dataset knows its columns, and needs no such file", hint="leave out --write"
        )
    write_points_file(found, path)
