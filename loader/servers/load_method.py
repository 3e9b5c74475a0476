"""The ways in which a server takes points."""

from __future__ import annotations

from enum import StrEnum


class LoadMethod(StrEnum):
    """The load methods: line protocol into any bucket, or storage files into a new one."""

    WRITE = "write"
    RESTORE = "restore"
