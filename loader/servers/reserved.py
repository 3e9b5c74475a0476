"""Refuses tags with names that Flux uses for its own columns: InfluxDB 2.x cannot answer queries about them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from loader.errors import ConfigError

_RESERVED = ("_start", "_stop", "_time", "_value")
_CLASH = re.compile(r"keep: column \d+ and \d+ have the same name|interface conversion: array\.Array is \*array")
"""The error of a server for a point with such a tag: _time and _value are errors, _start and _stop a panic."""


def refuse_reserved(tags: Sequence[str]) -> None:
    """Raise ConfigError for a tag in ``tags`` that no query can use."""
    if found := sorted(set(_RESERVED).intersection(tags)):
        raise ConfigError(
            f"the tag {found[0]!r} cannot be compared: InfluxDB 2.x cannot answer queries about a tag of this name",
            hint="rename the tag, or compare the stored files: --values",
        )


def refuse_clash(words: str) -> None:
    """Raise ConfigError when ``words`` of the server show that other points of the measurement have such a tag."""
    if _CLASH.search(words):
        raise ConfigError(
            "the measurement cannot be compared: the bucket has points of it with a tag that is named"
            f" {', '.join(_RESERVED[:-1])} or {_RESERVED[-1]}, about which InfluxDB 2.x cannot answer queries",
            hint="compare the stored files, which tells these points: --values",
        )
