"""Runs every measurement, prints the tables and writes the figures: python -m benchmarks.run [FILE.json]."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks import (
    candles,
    connections,
    encoding,
    increments,
    kills,
    loading,
    own_data,
    parsing,
    restoring,
    sorting,
    staging,
    ways,
)
from loader.reporting.metrics import machine
from loader.reporting.versions import versions


def main() -> None:
    """Measure staging, candles, encoding, parsing, sorting, both ways in, shapes, verification and resuming."""
    results: dict[str, object] = {"machine": machine(), "versions": versions()}
    for module in (
        staging,
        candles,
        encoding,
        own_data,
        parsing,
        sorting,
        loading,
        connections,
        restoring,
        increments,
        ways,
        kills,
    ):
        name = module.__name__.rpartition(".")[2]
        results[name] = module.run()
        print(module.table(results[name]), end="\n\n")
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "build/benchmarks.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1, default=str) + "\n")
    print(f"figures: {path}")


if __name__ == "__main__":
    main()
