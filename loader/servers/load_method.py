"""The ways in which a server takes points, and what becomes of points that are there."""

from __future__ import annotations

from enum import StrEnum


class LoadMethod(StrEnum):
    """The load methods: line protocol, storage files, or the one of them that fits."""

    AUTO = "auto"
    WRITE = "write"
    RESTORE = "restore"


class Surplus(StrEnum):
    """Whether points of the bucket that the dataset does not have are differences for a verification."""

    FAIL = "fail"
    IGNORE = "ignore"


class OnExisting(StrEnum):
    """What happens to points of the bucket that have the series and time of a row, on the restore path."""

    REPLACE = "replace"
    FAIL = "fail"
