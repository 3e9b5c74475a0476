"""The form in which series of the dataset and of the server are compared: the tags, without empty ones.

No escapes are compared: a stored series is split into its tags, and the tags of the dataset were never joined.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from loader.dataset.schema import PointSchema
from loader.encoding.series_text import series_tags
from loader.verification.texts import named


def series_key(tags: Mapping[str, str]) -> bytes:
    """Return the form of a series: equal for two series whose tags are all equal."""
    return json.dumps(sorted(pair for pair in tags.items() if pair[1])).encode()


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
        whole = series_key({"": text.decode(errors="backslashreplace")})
        try:
            key = series_key(series_tags(text.decode(errors="surrogateescape")))
        except ValueError:
            key = whole
        if key in seen:
            key = whole
        seen.add(key)
        keys[text] = key
    return keys


def tags_of(schema: PointSchema, key: bytes) -> tuple[tuple[str, ...], str]:
    """Return the values of the schema's tags in the series ``key``, and its name, with all its tags."""
    tags = {tag: value.encode(errors="backslashreplace").decode() for tag, value in json.loads(key)}
    pairs = {**dict.fromkeys(schema.tags, ""), **tags}
    return tuple(pairs[tag] for tag in schema.tags), named(list(pairs.items()))
