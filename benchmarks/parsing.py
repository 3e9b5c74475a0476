"""Lines of line protocol decoded per CPU-second: this loader beside line-protocol-parser, same lines, same run.

``python -m benchmarks.parsing`` prints a table for each kind of lines: trades; what servers are monitored by, ten tags
and ten fields; and a series for each line, the worst there is. Each parser gets bytes in memory: the loader in blocks
of 4 MiB, cut at ends of lines, which is in its time, and it ends with Arrow columns and numbers of series; the other
one line after the other, and it ends with a dictionary for each. CPU time of all threads is counted, and the best of
some repeats is taken, for the machine may be busy.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

# Threads would blur CPU time; a value that is set already is kept.
os.environ.setdefault("POLARS_MAX_THREADS", "1")

import numpy as np

from benchmarks import encoding
from loader.encoding.line_protocol.decode import Decoder
from loader.encoding.line_protocol.line_ends import find_end

ROWS = 300_000
BLOCK = 4 << 20
_FIRST = 1_704_067_200_000_000_000
_HOSTS = 4_000
_FIELDS = ("user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")


def trades(rows: int) -> bytes:
    """Return trades of 70 symbols as they came, one symbol after the other at random."""
    generator = np.random.default_rng(1)
    symbols, sides = generator.integers(0, 70, rows).tolist(), generator.integers(0, 2, rows).tolist()
    cents, amounts = generator.integers(10**5, 10**7, rows).tolist(), generator.integers(1, 500, rows).tolist()
    return "".join(
        f"trades,symbol=SYM{symbol}-USD,side={('buy', 'sell')[side]} price={cent / 100},amount={amount}i {time}\n"
        for time, (symbol, side, cent, amount) in enumerate(zip(symbols, sides, cents, amounts, strict=True), _FIRST)
    ).encode()


def monitoring(rows: int) -> bytes:
    """Return lines of 4,000 hosts in turn, ten tags and ten integers each, as TSBS makes them (cpu-only)."""
    values = np.random.default_rng(1).integers(0, 100, (rows, len(_FIELDS))).tolist()
    tags = (
        f"hostname=host_{host},region=eu-west-{host % 5},datacenter=eu-west-{host % 5}a,rack={host % 97},"
        f"os=Ubuntu16.04LTS,arch=x{(64, 86)[host % 2]},team=NYC,service={host % 19},"
        f"service_version={host % 2},service_environment=test"
        for host in range(_HOSTS)
    )
    series = [f"cpu,{text} " for text in tags]
    return "".join(
        series[row % _HOSTS]
        + ",".join(f"usage_{field}={value}i" for field, value in zip(_FIELDS, items, strict=True))
        + f" {_FIRST + row // _HOSTS * 10**10}\n"
        for row, items in enumerate(values)
    ).encode()


def many_series(rows: int) -> bytes:
    """Return lines of which each has a series of its own."""
    return "".join(
        f"m,host=host{row},region=eu-{row % 7} v={row / 8},w={row}i {_FIRST + row}\n" for row in range(rows)
    ).encode()


def ours(text: bytes) -> int:
    """Decode to columns; return the number of bytes."""
    decoder, size, view = Decoder(), 0, memoryview(text)
    while size < len(text):
        block = bytes(view[size : size + BLOCK])
        end = find_end(block)
        points, bad = decoder.decode(block[:end])
        assert points
        assert not bad
        size += end
    return size


def line_protocol_parser(text: bytes) -> int:
    """Decode to a dictionary for each line; return the number of bytes."""
    parse = import_module("line_protocol_parser").parse_line
    for line in text.decode().splitlines():
        parse(line)
    return len(text)


LINES: tuple[tuple[str, Callable[[int], bytes], int], ...] = (
    ("trades", trades, 1),
    ("monitoring", monitoring, 2),
    ("a series for each line", many_series, 1),
)
"""Name, what makes the lines, and of how many of the rows it makes one."""
PARSERS = (("loader", ours, 1), ("line-protocol-parser", line_protocol_parser, 3))
"""Name, parser, and of how many of the lines it gets one."""


def run(rows: int = ROWS, repeats: int = 3) -> dict[str, Any]:
    """Return lines per CPU-second and bytes a line of each parser, for each kind of lines."""
    ours(trades(1_000))
    results: dict[str, Any] = {}
    for kind, make, share in LINES:
        results[kind] = {}
        for name, parse, fraction in PARSERS:
            count = rows // share // fraction
            text = make(count)
            try:
                results[kind][name] = encoding.measure(partial(parse, text), count, repeats)
            except ModuleNotFoundError as error:
                results[kind][name] = encoding.missing(error)
    return {"benchmark": "parsing", "rows": rows, "lines": results}


def table(result: dict[str, Any]) -> str:
    """Return the result as text."""
    return "\n".join(encoding.table({"encoders": parsers}, kind) for kind, parsers in result["lines"].items())


if __name__ == "__main__":
    print(table(run()))
