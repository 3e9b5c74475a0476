"""A partition of a dataset, and the summary of rows that are moved, as the manifest tells of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from loader.dataset.chunk import Chunk
from loader.dataset.claims import check_checksum, check_integer, check_mapping, check_path, check_text, excerpt
from loader.quantities import counted


@dataclass(frozen=True, order=True)
class Partition:
    """One Parquet file; times are inclusive nanoseconds, ``checksum`` is the file's SHA-256.

    For an adopted file, ``modified`` is the time of its last change (nanoseconds since 1970, 0 for a staged file), and
    ``checksum`` is the SHA-256 of its footer. ``measurement`` is "" in a dataset of one measurement.
    ``moves`` has the nanoseconds by which each row is moved, None where no row is; times are those after the moves.
    """

    path: str
    rows: int
    time_min: int
    time_max: int
    size: int
    checksum: str
    modified: int = 0
    measurement: str = ""
    moves: npt.NDArray[np.int64] | None = field(default=None, compare=False, repr=False)

    @property
    def whole(self) -> Chunk:
        """All of its rows."""
        return Chunk(self.path, 0, self.rows)

    def steps(self, start: int, stop: int) -> npt.NDArray[np.int64] | None:
        """Return the nanoseconds by which rows ``start`` to ``stop`` (exclusive) are moved, None where no row is."""
        return None if self.moves is None else self.moves[start:stop]

    def to_json(self) -> dict[str, Any]:
        """Return a form for ``json.dump``, without moves."""
        said = asdict(replace(self, moves=None))
        del said["moves"]
        for optional in ("modified", "measurement"):
            if not said[optional]:
                del said[optional]
        return said


@dataclass(frozen=True)
class Moves:
    """How many rows are moved by nanoseconds, the longest move, and a SHA-256 of all moves."""

    rows: int
    longest: int
    checksum: str

    def __str__(self) -> str:
        rows = counted(self.rows, "row is", "rows are")
        return f"{rows} moved behind others of the same series and time, by {self.longest:,} ns at most"


def read_partition(entry: Any) -> Partition:
    """Read what ``Partition.to_json`` returned; raises ValueError or KeyError for what has another form."""
    said = check_mapping("a partition", entry)
    path = check_path(said["path"])
    what = f"of partition {excerpt(path)}"
    partition = Partition(
        path=path,
        rows=check_integer(f"rows {what}", said["rows"], 0),
        time_min=check_integer(f"time_min {what}", said["time_min"]),
        time_max=check_integer(f"time_max {what}", said["time_max"]),
        size=check_integer(f"size {what}", said["size"], 0),
        checksum=check_checksum(f"checksum {what}", said["checksum"]),
        modified=check_integer(f"modified {what}", said.get("modified", 0), 0),
        measurement=check_text(f"the measurement {what}", said["measurement"]) if said.get("measurement") else "",
    )
    if partition.rows and partition.time_min > partition.time_max:
        raise ValueError(f"time_min {what} is after its time_max")
    return partition


def read_moves_summary(entry: Any) -> Moves:
    """Read the summary of moves in a manifest; raises ValueError or KeyError for what has another form."""
    said = check_mapping("the moves", entry)
    return Moves(
        rows=check_integer("rows of the moves", said["rows"], 0),
        longest=check_integer("longest of the moves", said["longest"], 0),
        checksum=check_checksum("checksum of the moves", said["checksum"]),
    )
