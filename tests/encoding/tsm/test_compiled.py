"""Kernels do the same compiled to machine code and interpreted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from loader.encoding.tsm.encode.bits import leading_zeros, trailing_zeros

ROOT = Path(__file__).parents[3]


def run(cache: Path, arguments: Sequence[str], *, interpreted: bool = False) -> bytes:
    """Return what Python writes to stdout with ``arguments``; what is compiled is kept in ``cache``."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "NUMBA_DISABLE_JIT": str(int(interpreted))}
    command = [sys.executable, "-W", "error", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_the_same_bytes_compiled_and_interpreted(tmp_path: Path) -> None:
    """Files, lines and what is read of lines are the same in both ways; nothing is compiled but what was ahead."""
    # What the caller of the tests compiles for them, if it does, need not be compiled once more.
    cache = Path(os.environ.get("NUMBA_CACHE_DIR", tmp_path / "kernels"))
    halves = ("warm.compile_encoders(); warm.compile_line_encoder()", "warm.compile_line_decoder()")
    with ThreadPoolExecutor(len(halves)) as pool:
        list(pool.map(lambda half: run(cache, ["-c", f"from loader.encoding import warm; {half}"]), halves))
    kept = sorted(cache.rglob("*.nbc"))
    assert kept
    for sample in ("tests.encode_sample", "tests.decode_sample"):
        compiled = run(cache, ["-m", sample])
        assert sorted(cache.rglob("*.nbc")) == kept
        assert compiled == run(tmp_path / "none", ["-m", sample], interpreted=True)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("number", [1, 2, 3, 2**31, 2**63, 2**64 - 1])
def test_zeros_are_counted(number: int) -> None:
    """Zeros before the highest and behind the lowest one of a word."""
    digits = f"{number:064b}"
    assert leading_zeros(number) == digits.index("1")
    assert trailing_zeros(number) == 63 - digits.rindex("1")
    assert leading_zeros(0) == 64
