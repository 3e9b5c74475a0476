"""Finds the files that the sources of a stage name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loader.dataset.hive import path_keys
from loader.dataset.kinds import LINES, kind_of, known_kinds, left_out
from loader.dataset.own_files import is_hidden
from loader.dataset.place import EVERY_FILE, find_place
from loader.errors import ConfigError
from loader.events import Notice, Observer, ignore


def find_sources(
    sources: Sequence[Path], out: Path | None = None, observe: Observer = ignore
) -> tuple[list[Path], bool]:
    """Return the files that ``sources`` (files, folders, patterns) name, each once, and whether they are line protocol.

    Files below ``out`` are no sources. Files of a folder whose suffixes are unknown are left out, with a notice. Raises
    ConfigError for sources that are missing, of unknown kind, or a mix of line protocol and tables.
    """
    found: dict[Path, Path] = {}
    own = out.resolve() if out else None
    for source in sources:
        named = _files(source)
        files = [path for path in named if not (own and path.resolve().is_relative_to(own))]
        if named and not files:
            raise ConfigError(f"{source}: lies in {out}, where the result is to be", hint="stage into another folder")
        if source.is_dir():
            if odd := [path.relative_to(source).as_posix() for path in files if not kind_of(path)]:
                observe(Notice(f"{source}: {left_out(odd)}"))
            files = [path for path in files if kind_of(path)]
        if not files:
            there = source.exists()
            missing = "no file matches this pattern" if find_place(source).pattern != EVERY_FILE else "no such file"
            raise ConfigError(
                f"{source}: " + ("no file here that is known" if there else missing),
                hint=f"known are {known_kinds()}" if there else "name files, folders, or patterns in quotes",
            )
        for path in files:
            found.setdefault(path.resolve(), path)  # a file may be named in two ways
    kinds = {kind_of(path): path for path in found.values()}
    if unknown := kinds.get(""):
        raise ConfigError(f"{unknown}: what it holds is not known", hint=f"known are {known_kinds()}")
    lines = {kind in LINES for kind in kinds}
    if len(lines) > 1:
        raise ConfigError("line protocol and tables together", hint="stage each into a folder of its own")
    return list(found.values()), lines.pop()


def _files(source: Path) -> list[Path]:
    """Return the files that a source names, in order."""
    place = find_place(source)
    pattern = "**/*" if source.is_dir() else place.pattern
    try:
        paths = sorted(place.root.glob(pattern))
        shown = [path for path in paths if not is_hidden(path.relative_to(place.root))]
        if link := next((path for path in shown if path.is_symlink() and path.is_dir()), None):
            raise ConfigError(f"{link}: is a link to a folder, and not followed", hint="name the folder itself: --from")
        files = [path for path in shown if path.is_file()]
        for path in files:
            path_keys(path.resolve().as_posix())
    except ValueError as error:
        hint = "write ** as a whole folder: 'trips/**/*.csv'; keys of folders are UTF-8, quoted as in URLs"
        raise ConfigError(f"{source}: {error}", hint=hint) from None
    return files
