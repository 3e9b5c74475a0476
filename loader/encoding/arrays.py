"""Types of the arrays that kernels take."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Bytes: TypeAlias = npt.NDArray[np.uint8]
Integers: TypeAlias = npt.NDArray[np.int64]
Words: TypeAlias = npt.NDArray[np.uint64]
Mask: TypeAlias = npt.NDArray[np.bool_]
Places: TypeAlias = npt.NDArray[np.int32]
"""Numbers of rows or series; there are never 2**31."""


def last_in_groups(present: Mask, starts: Integers) -> Integers:
    """Return the last position at which ``present`` is true in each group, -1 where it never is.

    Group ``i`` is the positions from ``starts[i]`` up to the start of the next group, or the end.
    """
    last: Integers = np.maximum.reduceat(np.where(present, np.arange(len(present)), -1), starts)
    return last
