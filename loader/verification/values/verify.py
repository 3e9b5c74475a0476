"""Proof that the server holds every value: its files or points against the dataset, and that queries see them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from loader.dataset.manifest import Manifest
from loader.events import Noted, Observer
from loader.servers.backup import Shard
from loader.verification.compare import cell_differences, compare_cells
from loader.verification.expected import counts
from loader.verification.found import Asker, joined
from loader.verification.plan import plan_windows
from loader.verification.settings import VerifySettings
from loader.verification.values.by_file import compare_values
from loader.verification.values.by_query import query_values
from loader.verification.values.outcome import Outcome


def verify_values(
    settings: VerifySettings, manifest: Manifest, shards: Sequence[Shard] | None, asker: Asker, observe: Observer
) -> tuple[int, Outcome]:
    """Return how many (series, UTC day) there are, and what a comparison of all values found.

    Values come from the files of ``shards``, or by queries where the server gives no files. The server also counts
    the values of every (series, day): an index that does not know all files is found, and, where files are not
    read, points of series that the dataset does not have. Memory and errors are those of ``compare_values``.
    """
    schema = manifest.schema
    windows = plan_windows([partition for partition in manifest.partitions if partition.rows])
    answers = [asker.aggregates(schema, window.start, window.stop, counts(schema)) for window in windows]
    if shards is not None:
        compared = compare_values(settings, manifest, shards, observe)
    else:
        observe(Noted("this server gives no files: all values are read by queries, which takes far longer"))
        compared = query_values(settings, manifest, asker, observe)
    if compared.duplicates:
        observe(Noted(duplicates_text(compared.duplicates)))
    found = [joined(schema, [future.result() for future in answer]) for answer in answers]
    if not found:
        return 0, compared
    keys = [*schema.tags, "day"]
    expected = pl.concat(compared.cells).group_by(keys).agg(pl.exclude(keys).sum())
    number, cells = compare_cells(schema, expected, pl.concat(found), settings.tolerance)
    # The name of a series from files goes on where it has tags that the schema has not.
    explained = {
        (day, series[: comma.start()]) for day, series in compared.places for comma in re.finditer(",|$", series)
    }
    differences = [difference for cell in cells for difference in cell_differences(schema, cell)]
    compared.add(difference for difference in differences if (difference.day, difference.series) not in explained)
    return number, compared


def duplicates_text(number: int) -> str:
    """Return what is to be said of ``number`` rows whose identity a later row has."""
    return (
        f"{number:,} rows of the dataset have the identity (series and timestamp) of a later row"
        " of their file: a server keeps one of them, and the last one is expected"
    )
