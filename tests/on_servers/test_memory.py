"""The memory of a restore and of a comparison of all values has a bound in bytes, whatever the texts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.tables import LONG_ROWS, write_long_texts
from tools.influxd import RunningServer


def test_long_texts(influx_v2: RunningServer, tmp_path: Path) -> None:
    """Hundreds of megabytes of texts in one shard are restored and compared without being held."""
    write_long_texts(tmp_path)
    environment = {
        **os.environ,
        "NUMBA_DISABLE_JIT": "0",
        "INFLUX_HOST": influx_v2.url,
        "INFLUX_TOKEN": influx_v2.token,
        "INFLUX_ORG": influx_v2.org,
    }

    def run(*words: str) -> Any:
        command = [sys.executable, "-m", "loader", *words, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True, env=environment)
        return json.loads(done.stdout)

    restored = run("load", str(tmp_path), "--via", "restore", "--bucket", "long-texts")
    assert restored["report"]["rows_acknowledged"] == LONG_ROWS
    assert restored["peak_memory"] < 600 << 20
    compared = run("verify", str(tmp_path), "--values")
    assert (compared["report"]["values"], compared["report"]["difference_count"]) == (LONG_ROWS, 0)
    assert compared["peak_memory"] < 700 << 20
