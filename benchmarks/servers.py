"""Real servers for measurements: a new one has nothing yet, and does not still compact what came before."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.influxd import VERSIONS, RunningServer, find_binary, start


def require_binary(kind: str) -> Path:
    """Return the influxd of ``kind``, a key of VERSIONS; ends the program where there is none."""
    binary = find_binary(kind)
    if binary is None:
        version = VERSIONS[kind]
        raise SystemExit(f"no influxd {version} here; build it: tools/build-influxd {version}")
    return binary


@contextmanager
def new_server(kind: str) -> Iterator[RunningServer]:
    """Run a new server of ``kind``, once what was written before is on disk."""
    binary = require_binary(kind)
    os.sync()
    with tempfile.TemporaryDirectory() as folder:
        server = start(binary, Path(folder))
        try:
            yield server
        finally:
            server.stop()
