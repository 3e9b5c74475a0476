"""What a process is told of its memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from loader import memory


def test_a_child_does_not_count_its_parents_memory() -> None:
    """The peak is of this process alone, however large the one was that started it."""
    held = np.ones(100 << 20, np.uint8)
    program = "from loader.memory import measure_peak_memory; print(measure_peak_memory())"
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert 1 << 20 < int(child.stdout) < held.nbytes <= memory.measure_peak_memory()


def test_where_there_is_no_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Other systems tell by getrusage."""
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "none")
    assert memory.measure_peak_memory() > 1 << 20
