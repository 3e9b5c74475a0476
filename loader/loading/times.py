"""Checks the times of rows against the time range of their partition in the manifest: shards are planned by it."""

from __future__ import annotations

from pathlib import Path

from loader.dataset.manifest import Partition
from loader.encoding.arrays import Integers
from loader.encoding.selection import SelectedRows
from loader.errors import StageError


def check_times(times: Integers, selected: SelectedRows, root: Path, partition: Partition) -> None:
    """Raise StageError when one of ``times``, those of ``selected``, is outside the time range of ``partition``."""
    if not len(times) or partition.time_min <= times.min() <= times.max() <= partition.time_max:
        return
    place = int(((times < partition.time_min) | (times > partition.time_max)).argmax())
    raise StageError(
        f"{root / partition.path}, row {selected.rows[place]:,}: the time {times[place]} is not among those that the"
        f" manifest says, {partition.time_min} to {partition.time_max}",
        hint="the file is not the one that was staged: stage into another folder",
    )
