"""Proof that the server holds every value: its files or points against the dataset, and that queries see them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from loader.dataset.manifest import Manifest
from loader.errors import ConfigError
from loader.events import Notice, Observer
from loader.servers.backup import Shard
from loader.verification.aggregates.frames import join_answers, sum_parts
from loader.verification.differences import cell_differences, compare_cells
from loader.verification.outcome import Outcome
from loader.verification.query_pool import QueryPool
from loader.verification.settings import VerifySettings
from loader.verification.values.by_file import compare_values
from loader.verification.values.by_query import query_values
from loader.verification.windows import plan_windows


def verify_values(
    settings: VerifySettings, manifest: Manifest, shards: Sequence[Shard] | None, pool: QueryPool, observe: Observer
) -> tuple[int, Outcome]:
    """Return how many (series, UTC day) there are, and what a comparison of all values found.

    Values come from the files of ``shards``, or by queries where the server gives no files. The server also counts
    the values of every (series, day): an index that does not know all files is found, and, where files are not
    read, points of series that the dataset does not have. Memory and errors are those of ``compare_values``.
    """
    schema = manifest.schema
    windows = plan_windows([partition for partition in manifest.partitions if partition.rows])
    answers = [pool.aggregates(schema, window.start, window.stop, ["count"]) for window in windows]
    if shards is not None:
        compared = compare_values(settings, manifest, shards, observe)
    else:
        observe(Notice("this server gives no files: all values are read by queries, which takes far longer"))
        compared = query_values(settings, manifest, pool, observe)
    expected = sum_parts(schema, compared.cells)
    try:
        found = [join_answers(schema, [(name, future.result()) for name, future in answer]) for answer in answers]
    except ConfigError as error:
        if shards is None:
            raise
        observe(Notice(f"only the stored files are compared, queries are not: {error.message}"))
        return compare_cells(schema, expected, expected, settings.tolerance)[0], compared
    number, cells = compare_cells(schema, expected, sum_parts(schema, found), settings.tolerance)
    # The name of a series from files goes on where it has tags that the schema has not.
    explained = {
        (day, series[: comma.start()]) for day, series in compared.places for comma in re.finditer(",|$", series)
    }
    differences = [difference for cell in cells for difference in cell_differences(schema, cell)]
    compared.add(difference for difference in differences if (difference.day, difference.series) not in explained)
    return number, compared
