"""Compiles kernels before they are needed, so that the time for it does not look like a stall."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from loader.dataset.chunk import Chunk
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.encoding.series import SeriesRuns
from loader.events import Notice, Observer
from loader.waiting import Workers

if TYPE_CHECKING:
    from loader.encoding.tsm.decode.fields import Reading
    from loader.encoding.tsm.encode.file import StorageFile

_MOMENT = 1.0
"""Seconds."""
_COLUMNS = {
    FieldType.FLOAT: pa.array([1.0, 2.0, None]),
    FieldType.INTEGER: pa.array([1, 2, None]),
    FieldType.UNSIGNED: pa.array([1, 2, None], pa.uint64()),
    FieldType.BOOLEAN: pa.array([True, False, None]),
    FieldType.STRING: pa.array(["one", "two", None], pa.large_string()),
}


def compile_ahead(compile_kernels: Callable[[], None], what: str, observe: Observer) -> float:
    """Compile ``what`` and return the seconds that it took, which are no part of any rate.

    Sends a notice when it takes more than a moment, which happens once on a machine.
    """
    with compiling(compile_kernels, what, observe) as finish:
        return finish()


@contextmanager
def compiling(compile_kernels: Callable[[], None], what: str, observe: Observer) -> Iterator[Callable[[], float]]:
    """Compile ``what`` beside that which the block does.

    Yields a function that waits for it, in the way of ``compile_ahead``, and returns the seconds that it waited.
    """
    with Workers(1) as workers:
        answer = workers.submit(compile_kernels)

        def finish() -> float:
            began = time.monotonic()
            if wait([answer], _MOMENT).not_done:
                observe(Notice(f"compiling the {what} for this machine, once: some seconds"))
            answer.result()
            return time.monotonic() - began

        yield finish


def compile_line_encoder() -> None:
    """Encode a few rows of every type: compiles what this machine has not compiled yet, some seconds once."""
    # What each of these functions compiles is imported by those only who use it: that takes time, too.
    from loader.encoding.line_protocol.encode import LineEncoder  # noqa: PLC0415
    from loader.encoding.selection import select_points  # noqa: PLC0415

    fields = tuple(Field(kind.value, kind) for kind in _COLUMNS)
    batch = pa.record_batch({"t": pa.array([0, 1]), **{kind.value: column[:2] for kind, column in _COLUMNS.items()}})
    schema = PointSchema("m", (), fields, "t", "ns")
    for _ in LineEncoder(schema).encode(select_points(batch, schema, Chunk("", 0, 2)), 2, lambda: 1_000):
        pass


def compile_line_decoder() -> None:
    """Decode a few lines of every type, good and bad, to compile the line decoder."""
    from loader.encoding.line_protocol.decode import Decoder  # noqa: PLC0415
    from loader.encoding.line_protocol.line_ends import find_end  # noqa: PLC0415
    from loader.encoding.line_protocol.names import enlarge, new_names  # noqa: PLC0415

    find_end(b"m v=1 1\n")
    enlarge(new_names(2, 8))
    Decoder().decode(b'm,t=a,s=b f=1,i=1i,u=1u,b=t,s="one",l=1e99 1\nm f=1i 1\nm,t f=1 1\n')


def compile_encoders() -> None:
    """Encode a few points of every type: compiles what this machine has not compiled yet, some seconds once."""
    _encode_points()


def compile_decoders() -> None:
    """Encode a few points of every type and decode them, to compile the decoders."""
    from loader.encoding.tsm.decode.columns import ascending  # noqa: PLC0415
    from loader.encoding.tsm.decode.fields import Source  # noqa: PLC0415
    from loader.encoding.tsm.decode.gather import gather_field  # noqa: PLC0415
    from loader.encoding.tsm.decode.index import read_file  # noqa: PLC0415

    data = np.frombuffer(b"".join(_encode_points().pieces), np.uint8)
    former: Reading | None = None
    for kind in _COLUMNS:
        former = gather_field([Source(read_file("", data))], "m", Field(kind.value, kind)).read(0, 3, former)
    assert former is not None
    ascending(former.column.times, former.column.bounds)


def _encode_points() -> StorageFile:
    from loader.encoding.tsm.encode.buffer import Workspace  # noqa: PLC0415
    from loader.encoding.tsm.encode.file import encode_file  # noqa: PLC0415
    from loader.encoding.tsm.encode.rows import Rows  # noqa: PLC0415

    workspace = Workspace()
    rows = Rows([Field(kind.value, kind) for kind in _COLUMNS], workspace)
    runs = SeriesRuns(np.array([0, 3]), np.array([0]), pa.array(["m"], pa.large_string()))
    rows.add(np.arange(3), [pl.Series(values) for values in _COLUMNS.values()], runs)
    return encode_file([rows], workspace)
