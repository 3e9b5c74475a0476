"""Parquet files that were not staged: finds those at a place, and unites their columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as pt

from loader.dataset.beneath import look
from loader.dataset.claims import check_path
from loader.dataset.hive import path_keys
from loader.dataset.kinds import PARQUET, kind_of
from loader.dataset.place import EVERY_FILE, Place
from loader.errors import ConfigError


def find_files(place: Place, leave_out: Callable[[str], None] = lambda name: None) -> Iterator[str]:
    """Yield the files of ``place`` in order, relative to its root; what begins with ``.`` or ``_`` is left out.

    ``leave_out`` is called with the files of a folder that are not Parquet by their names. Raises StageError for what
    is not a regular file, before it is opened, and ConfigError for names that cannot be paths of partitions.
    """
    try:
        paths = sorted(place.root.glob("**/*" if place.pattern == EVERY_FILE else place.pattern))
    except ValueError as error:
        raise ConfigError(f"{place.path}: {error}", hint="write ** as a whole folder: 'trips/**/*.parquet'") from None
    for path in paths:
        name = path.relative_to(place.root)
        hidden = path != place.path and is_hidden(name)
        if hidden or path.is_dir():
            continue
        if place.pattern == EVERY_FILE and kind_of(path) not in PARQUET:
            if path.is_file():
                leave_out(name.as_posix())
        else:
            try:
                path_keys(check_path(name.as_posix()))
            except ValueError as error:
                raise ConfigError(f"{place.path}: {error}", hint="give it a plain name, or leave it out") from None
            look(place.root, name.as_posix())  # a FIFO would keep whoever opens it waiting
            yield name.as_posix()


def is_hidden(name: Path) -> bool:
    """Tell whether a path, relative to the folder that was named, is skipped, as pyarrow and Spark do."""
    return any(part.startswith((".", "_")) for part in name.parts)


def unite_columns(place: Place, names: Sequence[str]) -> tuple[pa.Schema, set[str]]:
    """Return the columns of all files, in their order, and the names of those that each file has.

    Where files give a column several types, a float type is chosen over an integer one, and any type over null.
    """
    united: dict[str, pa.Field] = {}
    everywhere: set[str] | None = None
    for name in names:
        with open_parquet(place.root / name) as file:
            columns = file.schema_arrow
        if len(names) == 1 or len(set(columns.names)) < len(columns.names):
            return columns, set(columns.names)  # the mapping refuses repeated columns
        for field in columns:
            former = united.setdefault(field.name, field)
            if pt.is_null(former.type) or (pt.is_floating(field.type) and pt.is_integer(former.type)):
                united[field.name] = field
        everywhere = set(columns.names) & (set(columns.names) if everywhere is None else everywhere)
    return pa.schema(united.values()), everywhere or set()


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a Parquet file; raises ConfigError when it is not one."""
    try:
        file = pq.ParquetFile(path, pre_buffer=False)
        _ = file.schema_arrow.names  # which may be no text
        return file
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        words = " ".join(str(error).split())[:200]
        raise ConfigError(f"{path}: cannot be read as Parquet ({words})", hint=parquet_hint(path)) from None


def parquet_hint(path: Path) -> str:
    """Return a hint for a file or folder that is not Parquet."""
    files = [path] if path.is_file() else path.rglob("*") if path.is_dir() else []
    if any(kind_of(file) and kind_of(file) not in PARQUET for file in files):
        return f"stage it first: loader stage --from {path} --out data/, with what is tag, field and time of tables"
    return "name whole Parquet files, their folder, or a quoted pattern"
