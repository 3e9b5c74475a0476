"""The ways in which a server takes points."""

from __future__ import annotations

from enum import StrEnum


class LoadMethod(StrEnum):
    """The load methods: line protocol, storage files, or the one of them that fits."""

    AUTO = "auto"
    WRITE = "write"
    RESTORE = "restore"


class OnExisting(StrEnum):
    """What happens to points of the bucket that have the series and time of a row, on the restore path."""

    REPLACE = "replace"
    FAIL = "fail"
