"""Checks the values of a ledger: it may come from anybody, as its dataset may, and SQLite stores any value anywhere.

Each check returns what it was given, or raises sqlite3.DatabaseError, as SQLite does for damage that it detects.
"""

from __future__ import annotations

import re
import sqlite3
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from loader.dataset.claims import excerpt, is_line
from loader.servers.base import Target

_MARK = re.compile("restored by loader, [0-9a-f]{32}")
_ADDRESS = re.compile("https?://[!-~]{1,2000}")
_FOLDER = re.compile("file:///[!-~]{0,20000}")
_MOST = 2**63 - 1
_MOST_ATTEMPTS = 10**9 - 1
"""A storage file's name has nine digits for it."""


def make_mark() -> str:
    """Return a new mark for a bucket that is about to be made."""
    return f"restored by loader, {uuid.uuid4().hex}"


def is_mark(text: object) -> bool:
    """Tell whether ``text`` has the form of a mark: nothing else makes a bucket ours."""
    return isinstance(text, str) and _MARK.fullmatch(text) is not None


def check_count(what: str, value: Any, most: int = _MOST) -> int:
    """Return an integer from 0 to ``most``."""
    if type(value) is not int or not 0 <= value <= most:
        raise sqlite3.DatabaseError(f"it is damaged: {what} is {excerpt(value)}")
    return value


def check_attempts(value: Any) -> int:
    """Return the number of an attempt at a shard."""
    return check_count("the number of attempts", value, _MOST_ATTEMPTS)


def check_ranges(ranges: Iterable[tuple[Any, Any]], rows: int) -> Iterator[tuple[int, int]]:
    """Yield row ranges of a partition of ``rows`` rows, which neither touch nor overlap and are in order."""
    least = 0
    for start, stop in ranges:
        if type(start) is not int or type(stop) is not int or not least <= start < stop <= rows:
            raise sqlite3.DatabaseError(f"it is damaged: rows {excerpt(start)} to {excerpt(stop)} of {rows}")
        yield start, stop
        least = stop + 1


def check_bits(bits: Any, size: int) -> bytes:
    """Return the bits of some rows, ``size`` bytes."""
    if type(bits) is not bytes or len(bits) != size:
        raise sqlite3.DatabaseError(f"it is damaged: the bits of {8 * size} rows are {excerpt(bits)}")
    return bits


def check_shards(shards: Iterable[tuple[Any, Any, Any]]) -> dict[int, int]:
    """Return the rows of acknowledged shards by their start; ``shards`` are starts, rows and numbers of attempts."""
    found = {}
    for start, rows, attempts in shards:
        if type(start) is not int:
            raise sqlite3.DatabaseError(f"it is damaged: a shard starts at {excerpt(start)}")
        check_attempts(attempts)
        if rows is not None:
            found[start] = check_count("the rows of a shard", rows)
    return found


@dataclass(frozen=True)
class LastLoad:
    """The load that began last, and how far it came. ``started`` and ``finished`` are ISO 8601, UTC.

    The load is done with ``rows``: these are ``acknowledged``, ``rejected`` and ``skipped``.
    """

    url: str
    org: str
    bucket: str
    fingerprint: str
    rows: int
    acknowledged: int
    rejected: int
    skipped: int
    started: str
    finished: str


def check_last_load(*row: Any) -> LastLoad:
    """Return the values of a LastLoad, in its order but without ``acknowledged``, as one."""
    url, org, bucket, fingerprint, rows, rejected, skipped, started, finished = row
    check_count("the number of acknowledged rows", rows)
    check_count("the number of rejected rows", rejected, rows)
    return LastLoad(
        _check_address(url, _ADDRESS if org or bucket else _FOLDER),
        _check_text("an organization", org),
        _check_text("a bucket", bucket),
        _check_text("a fingerprint", fingerprint),
        rows,
        check_count("the number of rows that the server has", rows - rejected - skipped),
        rejected,
        skipped,
        _check_instant(started),
        _check_instant(finished),
    )


def _check_address(value: Any, form: re.Pattern[str]) -> str:
    """Return the address of a server; or of a folder, which has neither organization nor bucket."""
    if not isinstance(value, str) or not form.fullmatch(value):
        raise sqlite3.DatabaseError(f"it is damaged: the address {excerpt(value)}")
    return value


def _check_text(what: str, value: Any) -> str:
    """Return text that can be shown."""
    if not is_line(value):
        raise sqlite3.DatabaseError(f"it is damaged: {what} is {excerpt(value)}")
    return str(value)


def _check_instant(value: Any) -> str:
    """Return an instant in ISO 8601, or ""."""
    text = _check_text("a time", value)
    try:
        if text:
            datetime.fromisoformat(text)
    except ValueError:
        raise sqlite3.DatabaseError(f"it is damaged: the time {excerpt(text)}") from None
    return text


def place_of(target: Target) -> tuple[str, str, str]:
    """Return address, organization and bucket of ``target``, by which loads are known."""
    return target.url.rstrip("/"), target.org, target.bucket
