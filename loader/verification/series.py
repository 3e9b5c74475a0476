"""The form in which series of the dataset and of the server are compared: the tags, without empty ones.

No escapes are compared: a stored series is split into its tags, and the tags of the dataset were never joined.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import chain

from loader.dataset.schema import PointSchema
from loader.encoding.series_text import series_tags
from loader.verification.texts import named

_NUL = "\0"


def series_key(tags: Mapping[str, str]) -> bytes:
    """Return the form of a series: equal for two series whose tags are all equal.

    Tags and values, sorted by tag, are parted by NUL; where one holds NUL, or a tag is empty, NUL and JSON.
    """
    pairs = sorted(pair for pair in tags.items() if pair[1])
    text = _NUL.join(chain.from_iterable(pairs))
    if pairs and (text.count(_NUL) >= 2 * len(pairs) or text[0] == _NUL):
        text = _NUL + json.dumps(pairs)
    return text.encode(errors="surrogateescape")


def dataset_key(schema: PointSchema, values: Sequence[str]) -> bytes:
    """Return the form of a series of the dataset."""
    return series_key(dict(zip(schema.tags, values, strict=True)))


def stored_keys(texts: Sequence[bytes]) -> dict[bytes, bytes]:
    """Return the form of each series that a server stores, by its text.

    A text that cannot be split keeps a form of its own, and so does a second text of the same tags, which no server
    should have.
    """
    keys: dict[bytes, bytes] = {}
    seen: set[bytes] = set()
    for text in sorted(texts):
        try:
            key = series_key(series_tags(text.decode(errors="surrogateescape")))
        except ValueError:
            key = _whole(text)
        if key in seen:
            key = _whole(text)
        seen.add(key)
        keys[text] = key
    return keys


def _whole(text: bytes) -> bytes:
    return series_key({"": text.decode(errors="backslashreplace")})


def tag_values(schema: PointSchema, key: bytes) -> tuple[str, ...]:
    """Return the values of the schema's tags in the series ``key``."""
    tags = _tags(key)
    return tuple(tags.get(tag, "") for tag in schema.tags)


def series_name(schema: PointSchema, key: bytes) -> str:
    """Return the name of the series ``key``, with all its tags, those of the schema first."""
    return named(list({**dict.fromkeys(schema.tags, ""), **_tags(key)}.items()))


def _tags(key: bytes) -> dict[str, str]:
    text = key.decode(errors="surrogateescape")
    if text.startswith(_NUL):
        pairs = json.loads(text[1:])
    else:
        parts = text.split(_NUL)
        pairs = zip(parts[::2], parts[1::2], strict=False)
    return {tag: value.encode(errors="backslashreplace").decode() for tag, value in pairs}
