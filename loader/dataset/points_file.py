"""Writes the guess of a mapping to a file, such as ``points.toml``, for people to edit and ``read_mapping`` to read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from loader.dataset.atomic import write_whole
from loader.dataset.guess import LEFT_OUT, Column
from loader.dataset.mapping import ColumnMapping, mapping_json
from loader.errors import ConfigError
from loader.printable import printable

_REASONS = {
    "measurement": "the name of the file or folder",
    "time_unit": "the unit in which the times are of this century",
    "timezone": "an assumption, to be checked: there are timestamps without a zone",
}


class Guess(Protocol):
    """What an inspection guesses: a mapping, with a reason for each column."""

    @property
    def path(self) -> str:
        """What was looked at."""
        ...

    @property
    def columns(self) -> Sequence[Column]:
        """The columns, with roles and reasons."""
        ...

    @property
    def mapping(self) -> ColumnMapping | None:
        """The guess, None where there is none."""
        ...


def write_points_file(inspection: Guess, path: Path) -> None:
    """Write the guess as TOML that ``read_mapping`` reads, with its reasons; the file appears whole.

    Raises ConfigError when there is no guess, something is there already, or nothing can be written.
    """
    if not inspection.mapping:
        raise ConfigError(f"{inspection.path}: there is no guess to write", hint="write the file by hand")
    try:
        if path.exists() or path.is_symlink():
            raise ConfigError(f"{path}: is there already", hint="name another file, or remove this one")
        write_whole(path, points_text(inspection.mapping, inspection.columns).encode())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}", hint="name another file") from error


def points_text(mapping: ColumnMapping, columns: Sequence[Column] = ()) -> str:
    """Return ``mapping`` as TOML; beside each name stands its reason, where ``columns`` have one."""
    reasons = {column.name: column.reason for column in columns if column.role != LEFT_OUT}
    usual = mapping_json(ColumnMapping("", ""))
    lines = []
    for key, value in mapping_json(mapping).items():
        if value == usual.get(key):
            continue
        if isinstance(value, list):
            lines += [f"{key} = [", *(f"  {_quoted(text)},{_comment(reasons, text)}" for text in value), "]"]
        else:
            why = _comment(reasons, value) if key == "time" else _comment(_REASONS if columns else {}, key)
            lines.append(f"{key} = {_quoted(value)}{why}")
    left = [(printable(column.name), printable(column.reason)) for column in columns if column.role == LEFT_OUT]
    lines += [f"# left out: {name}: {reason}" for name, reason in left]
    return "\n".join(lines) + "\n"


def _comment(reasons: Mapping[str, str], key: str) -> str:
    """Return the reason of ``key`` without the characters that a comment cannot have, "" when there is none."""
    return f"  # {printable(reasons[key])}" if key in reasons else ""


def _quoted(text: str) -> str:
    """Return ``text`` as a basic string of TOML: as in JSON, except for one control character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
