"""One form for a series, whether it comes from the dataset or from the server: its tags, without the empty ones.

No escapes are compared: what the server stored is taken apart, what the dataset has was never put together.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from loader.dataset.schema import PointSchema
from loader.encoding.series_text import series_tags
from loader.verification.texts import named


def series_key(tags: Mapping[str, str]) -> bytes:
    """Return the form of a series; two are equal when all of their tags are."""
    return json.dumps(sorted(pair for pair in tags.items() if pair[1])).encode()


def dataset_key(schema: PointSchema, values: Sequence[str]) -> bytes:
    """Return the form of a series of the dataset."""
    return series_key(dict(zip(schema.tags, values, strict=True)))


def stored_keys(texts: Sequence[bytes]) -> dict[bytes, bytes]:
    """Return the form of each series that a server stores, by its text.

    What cannot be taken apart, and two texts of the same tags, which no server should have, stay apart.
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
    """Return the values of the schema's tags and the name of a series, which has all tags that it has."""
    tags = {tag: value.encode(errors="backslashreplace").decode() for tag, value in json.loads(key)}
    pairs = {**dict.fromkeys(schema.tags, ""), **tags}
    return tuple(pairs[tag] for tag in schema.tags), named(list(pairs.items()))
