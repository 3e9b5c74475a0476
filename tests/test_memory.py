"""What a process is told of its memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
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


GIB = 1 << 30


@pytest.mark.parametrize(
    ("machine", "limit", "used", "available"),
    [
        (8 * GIB, None, None, 8 * GIB),
        (8 * GIB, "max", "5", 8 * GIB),
        (8 * GIB, str(3 * GIB), str(GIB), 2 * GIB),
        (8 * GIB, str(GIB), str(3 * GIB), 0),
        (GIB, str(9 * GIB), "0", GIB),
    ],
)
def test_memory_that_is_available(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, machine: int, limit: str | None, used: str | None, available: int
) -> None:
    """It is that of the machine, or what is left of the container's limit where that is less."""
    for name, content in (("memory.max", limit), ("memory.current", used)):
        if content is not None:
            (tmp_path / name).write_text(f"{content}\n")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=machine))
    monkeypatch.setattr(memory, "_CONTAINER", tmp_path)
    assert memory.measure_available_memory() == available


def test_freed_memory_goes_back_to_the_system() -> None:
    """What was freed between blocks that are still held is no longer resident."""
    program = """
import psutil
from loader.memory import release_free_memory
blocks = [bytearray(100_000) for _ in range(2_000)]
blocks[::2] = blocks[1::2] = [None] * 1_000
last = bytearray(50_000)
blocks = [bytearray(100_000) if number % 100 == 0 else None for number in range(2_000)]
release_free_memory()
print(psutil.Process().memory_info().rss)
"""
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(child.stdout) < 150 << 20


def test_another_c_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the C library cannot, nothing is done."""
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: SimpleNamespace())
    memory.release_free_memory()
