"""Candles on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from loader.cli import build_app
from loader.staging import CandleReport
from tests.datasets import small_dataset


def run(*arguments: str | Path) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(build_app(), [str(argument) for argument in arguments])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a dataset of trades."""
    small_dataset(tmp_path / "data")
    return tmp_path / "data"


def test_candles(data: Path, tmp_path: Path) -> None:
    """The result says what was staged; metrics are kept with the candles, and status knows them."""
    out = tmp_path / "out"
    result = run("candles", data, "--out", out, "--every", "1d", "--by", "symbol,side", "--amount", "")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("staged   12 candles of 600 rows in 3 partitions: candles_1d\n")
    again = run("candles", data, "--out", out, "--every", "1d", "--by", "symbol,side", "--amount", "", "--json")
    assert json.loads(again.stdout)["report"]["partitions_kept"] == 3
    assert len(list((out / ".loader" / "metrics").glob("candles-*.json"))) == 2
    assert "staged   12 rows in 3 partitions" in run("status", out).stdout
    whole = run("candles", data, "--out", tmp_path / "whole", "--every", "1d", "--by", "", "--name", "n")
    assert "staged   3 candles of 600 rows in 3 partitions: n\n" in whole.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--every", "7m"), "windows of 420 s"),
        (("--every", "x"), "'x' is not a duration"),
        (("--every", ""), "the length of a window is not said"),
        (("--price", "x"), "'x' is no field of numbers of 'trades', and cannot be the price"),
        (("--by", "x"), "its tags are: symbol, side"),
        (("--measurement", "x"), "there are: trades"),
    ],
)
def test_wrong_options(data: Path, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    """Wrong options are exit code 2 and say what to do, and nothing is made."""
    result = run("candles", data, "--out", tmp_path / "out", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert not (tmp_path / "out").exists()


def test_options_of_candles_in_a_verification(data: Path) -> None:
    """They need a window."""
    for option in (("--price", "p"), ("--amount", ""), ("--by", "x"), ("--measurement", "x")):
        result = run("verify", data, "--host", "http://127.0.0.1:9", *option)
        assert (result.exit_code, "options of candles without a window" in result.stderr) == (2, True)


def test_rows_left_out() -> None:
    """Rows that are no trades are told."""
    from loader.reporting.text import candles_text

    text = candles_text(CandleReport("m", 10, 0, 2, 4, 2, 1, 4_096, "f", 2.0, 1 << 20))
    assert text == (
        "staged   4 candles of 10 rows in 2 partitions, 1 of them kept from an earlier run: m\n"
        "         4.0 KiB, 1024.0 bytes a candle\n"
        "         2.0 s, 5/s, peak memory 1.0 MiB\n"
        "         2 rows left out: no price, no amount, or no time"
    )
