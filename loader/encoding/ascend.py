"""Numbers that ascend strictly; pure, with no input or output."""

from __future__ import annotations

import numpy as np
import polars as pl

from loader.encoding.arrays import Integers, Mask


def ascend(numbers: Integers, begins: Mask) -> Integers:
    """Return ``numbers``, each raised as little as it takes to be above the one before it; runs start at ``begins``.

    Differences of numbers in a run must fit into 64 bits.
    """
    rows = np.arange(len(numbers))
    frame = pl.DataFrame({"lead": numbers - rows, "run": np.cumsum(begins)})
    ahead: Integers = frame.select(pl.col("lead").cum_max().over("run")).to_series().to_numpy()
    return ahead + rows
