"""The form in which texts are compared."""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from loader.verification.texts import LONGEST, compact, short, short_texts


def test_long_texts_become_short() -> None:
    """However many texts there are, each long one is replaced, and nulls and short ones stay."""
    texts = [None, b"a" * LONGEST, *(b"%d" % row * LONGEST for row in range(3_000))]
    found = short_texts(pl.Series(texts, dtype=pl.Binary))
    assert found.to_list() == [None if text is None else short(text) for text in texts]
    assert max(found.bin.size().drop_nulls()) <= LONGEST


def test_a_selection_does_not_hold_all_texts() -> None:
    """What is selected keeps its values, and none of the bytes of other rows."""
    rows = pl.DataFrame({"n": range(5_000), "s": pl.Series(pa.array([f"{row:0200}" for row in range(5_000)]))})
    rows = rows.with_columns(b=pl.col("s").cast(pl.Binary))
    some = rows.filter(pl.col("n") % 100 == 0)
    found = compact(some)
    assert found.equals(some)
    for name in ("s", "b"):
        views = found[name].to_arrow(compat_level=pl.CompatLevel.newest())
        assert sum(buffer.size for buffer in views.buffers() if buffer) < 50 * (200 + 16) + 1_000
