"""Datasets of other shapes than trades, made from a seed: a few series or many, narrow rows or wide ones, texts.

``python -m benchmarks.shapes NAME FOLDER [ROWS]`` writes one of them. Except for trades, which are staged, a shape is a
Parquet file of somebody's own in time order, that is loaded in place. Memory is bounded by a block of BLOCK_ROWS rows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.loading import TRADES
from benchmarks.restoring import stage_trades

SEED = 7
BLOCK_ROWS = 100_000
_FIRST = 1_704_153_600_000_000_000
"""2024-01-02, in nanoseconds since 1970."""
_SECOND = 1_000_000_000
_CHARACTERS = np.frombuffer(b'abcdefghijklmnopqrstuvwxyz0123456789 ,="\\', np.uint8)

Make = Callable[[np.random.Generator, npt.NDArray[np.int64]], dict[str, pa.Array]]
"""Returns tags and fields of rows of the series with these numbers."""


@dataclass(frozen=True)
class Shape:
    """``series`` series with a row each every ``seconds`` seconds, and what makes tags and fields of them.

    ``rows`` is the usual number of rows; ``fields`` is that of the fields of a row, nulls included. ``by_lines`` tells
    whether it is loaded by the write path, too: to make a million series takes a server many minutes so.
    """

    name: str
    rows: int
    series: int
    fields: int
    tags: tuple[str, ...] = ()
    seconds: int = 10
    make: Make | None = None
    by_lines: bool = True

    @property
    def flags(self) -> tuple[str, ...]:
        """What the loader has to be told of the file."""
        if not self.make:
            return ()
        return ("--measurement", self.name, "--tag", ",".join(self.tags), "--time", "time", "--time-unit", "ns")

    @property
    def frame_options(self) -> Mapping[str, Any]:
        """What sluicebox has to be told of the columns."""
        if not self.make:
            return TRADES
        return {"measurement": self.name, "tag_columns": [*self.tags], "time_column": "time"}

    def write(self, folder: Path, rows: int = 0) -> Path:
        """Write a dataset of ``rows`` rows into a new folder; return its path."""
        rows = rows or self.rows
        if not self.make:
            return stage_trades(folder, rows)
        folder.mkdir(parents=True)
        writer = None
        for block in self._blocks(rows):
            writer = writer or pq.ParquetWriter(folder / f"{self.name}.parquet", block.schema)
            writer.write_table(block)
        assert writer is not None
        writer.close()
        return folder

    def _blocks(self, rows: int) -> Iterator[pa.Table]:
        assert self.make is not None
        generator = np.random.default_rng(SEED)
        for start in range(0, rows, BLOCK_ROWS):
            numbers = np.arange(start, min(start + BLOCK_ROWS, rows))
            times = _FIRST + numbers // self.series * self.seconds * _SECOND
            yield pa.table({**self.make(generator, numbers % self.series), "time": times})


def _texts(names: list[str], numbers: npt.NDArray[np.int64]) -> pa.Array:
    """Return name ``i`` for each number ``i``, modulo the number of names."""
    return pa.DictionaryArray.from_arrays(pa.array((numbers % len(names)).astype(np.int32)), pa.array(names))


def _monitoring(generator: np.random.Generator, series: npt.NDArray[np.int64]) -> dict[str, pa.Array]:
    tags = {
        "hostname": [f"host_{number}" for number in range(4_000)],
        "region": [f"region-{number}" for number in range(9)],
        "datacenter": [f"region-{number // 3}{'abc'[number % 3]}" for number in range(27)],
        "rack": [str(number) for number in range(100)],
        "os": ["Ubuntu16.04LTS", "Ubuntu15.10", "Ubuntu16.10"],
        "arch": ["x64", "x86"],
        "team": ["SF", "NYC", "LON", "CHI"],
        "service": [str(number) for number in range(20)],
        "service_version": ["0", "1"],
        "service_environment": ["production", "staging", "test"],
    }
    usage = ("user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")
    # Near the level of its host, as a random walk is for a while.
    level = 10 + 80 * ((series * 37) % 101) / 101
    fields = {
        f"usage_{name}": pa.array(np.clip(level + generator.normal(0, 3, len(series)), 0, 100).astype(np.int64))
        for name in usage
    }
    return {name: _texts(values, series) for name, values in tags.items()} | fields


def _many(generator: np.random.Generator, series: npt.NDArray[np.int64]) -> dict[str, pa.Array]:
    tags = {
        "device": pa.array([f"d{number:07}" for number in series.tolist()]),
        "site": _texts([f"site-{number}" for number in range(100)], series),
    }
    return tags | {f"f{number}": pa.array(generator.normal(20, 5, len(series))) for number in range(10)}


def _million(generator: np.random.Generator, series: npt.NDArray[np.int64]) -> dict[str, pa.Array]:
    fields = {name: pa.array(np.round(generator.normal(20, 5, len(series)), 1)) for name in ("temperature", "humidity")}
    return {"device": pa.array([f"d{number:07}" for number in series.tolist()])} | fields


def _wide(generator: np.random.Generator, series: npt.NDArray[np.int64]) -> dict[str, pa.Array]:
    rows = len(series)
    columns: dict[str, pa.Array] = {"machine": _texts([f"machine-{number}" for number in range(200)], series)}
    states = pa.array(["ok", "warm", "hot", "off", "in need of repair"])
    for number in range(200):
        match number % 4:
            case 0:
                values = pa.array(np.round(generator.normal(50, 10, rows), 2))
            case 1:
                values = pa.array(generator.integers(0, 1_000_000, rows))
            case 2:
                values = pa.array(generator.random(rows) < 0.5)
            case _:
                values = states.take(pa.array(generator.integers(0, len(states), rows)))
        columns[f"sensor_{number}"] = pa.compute.if_else(pa.array(generator.random(rows) < 0.3), None, values)
    return columns


def _logs(generator: np.random.Generator, series: npt.NDArray[np.int64]) -> dict[str, pa.Array]:
    columns: dict[str, pa.Array] = {"app": _texts([f"app-{number}" for number in range(1_000)], series)}
    for name in ("message", "request", "trace"):
        bounds = np.concatenate([[0], np.cumsum(generator.integers(20, 201, len(series)))]).astype(np.int32)
        data = _CHARACTERS[generator.integers(0, len(_CHARACTERS), bounds[-1])]
        buffers = [None, pa.py_buffer(bounds), pa.py_buffer(data)]
        columns[name] = pa.Array.from_buffers(pa.string(), len(series), buffers)
    return columns


_MONITORING_TAGS = (
    "hostname",
    "region",
    "datacenter",
    "rack",
    "os",
    "arch",
    "team",
    "service",
    "service_version",
    "service_environment",
)
SHAPES = (
    Shape("trades", 24_000_000, 160, 2),
    Shape("monitoring", 2_400_000, 4_000, 10, _MONITORING_TAGS, 10, _monitoring),
    Shape("many", 2_000_000, 200_000, 10, ("device", "site"), 60, _many),
    Shape("wide", 300_000, 200, 200, ("machine",), 10, _wide),
    Shape("texts", 2_000_000, 1_000, 3, ("app",), 10, _logs),
    Shape("million", 5_000_000, 1_000_000, 2, ("device",), 60, _million, by_lines=False),
)


def shape_of(name: str) -> Shape:
    """Return the shape with this name."""
    return next(shape for shape in SHAPES if shape.name == name)


def main() -> None:
    """Write one dataset."""
    name, folder, *rows = sys.argv[1:]
    print(shape_of(name).write(Path(folder), *map(int, rows)))


if __name__ == "__main__":
    main()
