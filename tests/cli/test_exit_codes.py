"""The exit code of a load says what its report says."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from loader import LoadReport, loading
from loader.cli import build_app


@pytest.mark.parametrize(
    ("rejected", "interrupted", "code"), [(0, False, 0), (2, False, 1), (0, True, 130), (2, True, 130)]
)
def test_a_report_of_a_load_decides(
    rejected: int, interrupted: bool, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """0 for all, 1 for rejected rows, 130 for a load that was told to stop, whatever else it found."""
    report = LoadReport(
        *("InfluxDB", "write", 9, 0, 9, 9 - rejected, rejected, 0, 0), *(1, 1, 1.0, 0, {}, interrupted, "", "")
    )
    monkeypatch.setattr(loading, "load", lambda *_: report)
    assert CliRunner().invoke(build_app(), ["load", str(tmp_path / "data")]).exit_code == code
