"""Kernels do the same compiled to machine code and interpreted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from loader.encoding.tsm.bits import leading_zeros, trailing_zeros
from tests.encode_sample import sample

ROOT = Path(__file__).parents[1]


def test_the_same_bytes_compiled_and_interpreted(tmp_path: Path) -> None:
    """A file with every encoding has the same bytes in this process and in one that runs kernels the other way."""
    environment = {
        **os.environ,
        "NUMBA_CACHE_DIR": str(tmp_path),
        "NUMBA_DISABLE_JIT": "0" if numba.config.DISABLE_JIT else "1",
    }
    command = [sys.executable, "-W", "error", "-m", "tests.encode_sample"]
    other = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=120)
    assert other.returncode == 0, other.stderr.decode()
    assert other.stdout == sample()
    assert any(tmp_path.iterdir()) is bool(numba.config.DISABLE_JIT)


@pytest.mark.parametrize("number", [1, 2, 3, 2**31, 2**63, 2**64 - 1])
def test_zeros_are_counted(number: int) -> None:
    """Zeros before the highest and behind the lowest one of a word."""
    digits = f"{number:064b}"
    assert leading_zeros(number) == digits.index("1")
    assert trailing_zeros(number) == 63 - digits.rindex("1")
    assert leading_zeros(0) == 64
