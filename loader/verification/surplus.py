"""Leaves out of a comparison what the bucket holds besides the dataset, so that an increment can be proven.

Only points of the dataset are compared then. What remains unknown because of the others is a difference of the kind
"unproven": where a (series, day) has more values than the dataset, sums cannot tell whether all of the dataset are
among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from loader.dataset.manifest import Manifest
from loader.dataset.schema import PointSchema
from loader.encoding.tsm.decode.columns import Column, bounds_within, pick
from loader.loading.ledger import origin
from loader.servers.base import Bucket
from loader.servers.load_method import Surplus
from loader.verification.aggregates.frames import Aggregates, key_columns
from loader.verification.settings import Difference, VerifySettings

IGNORED = "only points of the dataset are compared, the bucket may have others (--surplus fail looks for them)"


def decide(settings: VerifySettings, manifest: Manifest, bucket: Bucket | None) -> VerifySettings:
    """Return ``settings`` with a decision on surplus: it is ignored where the load found its bucket.

    Raises LoadError and StageError when the ledger cannot be read.
    """
    if settings.surplus:
        return settings
    began = origin(settings.place.state, settings.target, manifest.fingerprint)
    found = began is not None and bucket is not None and began.made is False and began.bucket_id == bucket.id
    return replace(settings, surplus=Surplus.IGNORE if found else Surplus.FAIL)


def without_surplus(differences: Iterable[Difference]) -> Iterator[Difference]:
    """Yield ``differences`` but those of points and values that the dataset does not have."""
    return (difference for difference in differences if difference.kind != "surplus")


def unproven(differences: Iterable[Difference]) -> Iterator[Difference]:
    """Yield ``differences`` of sums: where there is a surplus, they cannot tell whether something is missing."""
    for difference in differences:
        if difference.kind == "surplus":
            words = f"{difference.detail}; sums cannot tell which, --values compares them"
            yield replace(difference, kind="unproven", detail=words)
        else:
            yield difference


def within_expected(schema: PointSchema, expected: Aggregates, found: Aggregates) -> Aggregates:
    """Return of the aggregates ``found`` only those of (series, day) and fields that are ``expected``."""
    keys = [*key_columns(schema), "field"]
    return {kind: frame.join(expected[kind], on=keys, how="semi") for kind, frame in found.items()}


def columns_within(expected: Sequence[Column], found: Sequence[Column]) -> list[Column]:
    """Return of the columns ``found`` only the points whose series and time are ``expected``, field by field.

    Memory is some 50 bytes for each point of both sides of a field.
    """
    return [_within(wanted, there) for wanted, there in zip(expected, found, strict=True)]


def _within(expected: Column, found: Column) -> Column:
    numbers = pl.DataFrame({"text": expected.series}).with_row_index("series")
    theirs = pl.DataFrame({"text": found.series}).join(numbers, on="text", how="left", maintain_order="left")["series"]
    wanted = pl.DataFrame({"series": _owners(expected, numbers["series"]), "time": expected.times})
    there = pl.DataFrame({"series": _owners(found, theirs), "time": found.times}).with_row_index("place")
    kept = np.zeros(len(found.times), np.bool_)
    kept[there.join(wanted, on=["series", "time"], how="semi")["place"].to_numpy()] = True
    return Column(found.series, bounds_within(found.bounds, kept), found.times[kept], pick(found.values, kept))


def _owners(column: Column, numbers: pl.Series) -> pl.Series:
    """Return for each point of ``column`` the number of its series."""
    return numbers.gather(np.repeat(np.arange(len(column.series)), np.diff(column.bounds)))
