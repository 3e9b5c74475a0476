"""Reads values from the path of a file, as Hive writes them: ``symbol=AAPL/date=2024-01-02/part-0.parquet``."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

NULL = "__HIVE_DEFAULT_PARTITION__"


def path_keys(path: str) -> Mapping[str, str | None]:
    """Return the keys of the folders of ``path`` and their texts, None for Hive's null.

    Raises ValueError for an escaped key or value that is not UTF-8.
    """
    found = {}
    for folder in path.split("/")[:-1]:
        key, equals, value = folder.partition("=")
        if key and equals:
            text = None if value == NULL else unquote(value, errors="strict")
            found[unquote(key, errors="strict")] = text
    return found
