"""``loader report`` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from loader.cli import build_app
from tests.datasets import small_dataset


def test_a_page_and_its_data(tmp_path: Path) -> None:
    """Both are written, and both forms of the result say so."""
    small_dataset(tmp_path / "data")
    page = tmp_path / "page.html"
    arguments = ["report", str(tmp_path / "data"), "--out", str(page), "--compare", str(tmp_path / "data")]
    result = CliRunner().invoke(build_app(), arguments)
    assert (result.exit_code, result.stdout) == (0, f"report   {page}\n")
    again = CliRunner().invoke(build_app(), arguments)
    assert (again.exit_code, again.stdout) == (0, f"replaced {page}\n")
    assert page.read_text().startswith("<!doctype html>")
    shown = json.loads(CliRunner().invoke(build_app(), [*arguments, "--json"]).stdout)
    assert (shown.pop("page"), shown.pop("replaced")) == (str(page), True)
    assert {**shown, "made": ""} == {**json.loads(Path(f"{page}.json").read_text()), "made": ""}
    assert [dataset["rows"] for dataset in shown["datasets"]] == [600, 600]


def test_a_folder_that_is_no_dataset(tmp_path: Path) -> None:
    """The error says what to do, and no page is written."""
    result = CliRunner().invoke(build_app(), ["report", str(tmp_path), "--out", str(tmp_path / "page.html")])
    assert result.exit_code == 2
    assert "hint:" in result.stderr
    assert not (tmp_path / "page.html").exists()
