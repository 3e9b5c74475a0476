"""The notebooks run, their outputs are those of today's code, and nothing is in them that should not be shown."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import nbformat
import polars as pl
import pytest

from tools.influxd import RunningServer, free_port
from tools.notebooks import LARGEST, NOTEBOOKS, SAMPLE, find_faults, run, shown, text_of, tidy

WITH_SERVER = [path for path in NOTEBOOKS if "InfluxDBClient" in path.read_text()]
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@each
def test_it_runs_and_says_what_is_kept(path: Path, request: pytest.FixtureRequest) -> None:
    """A run on the sample dataset and a real server succeeds, and its texts and labels are those that are kept."""
    environment, secrets = dict(SAMPLE), [str(Path.cwd())]
    if path in WITH_SERVER:
        server: RunningServer = request.getfixturevalue("influx_v2")
        environment |= {"INFLUX_HOST": server.url, "INFLUX_ORG": server.org, "INFLUX_TOKEN": server.token}
        secrets += [server.token, server.url]
    notebook = run(path, environment)
    assert find_faults(notebook, secrets) == []
    assert shown(notebook) == shown(nbformat.read(path, as_version=4)), "make notebooks-run keeps the new outputs"


def test_jupyter_starts_for_root_too() -> None:
    """Jupyter Lab refuses root, which people are in a container, unless its command line says that it is meant."""
    said = subprocess.run(["make", "-n", "notebooks"], cwd=NOTEBOOKS[0].parents[1], capture_output=True, check=True)
    (command,) = [line for line in said.stdout.decode().splitlines() if "jupyter lab" in line]
    assert ("--allow-root" in command) == (os.geteuid() == 0)


@each
def test_what_is_kept_can_be_shown(path: Path) -> None:
    """The kept outputs are complete, small and free of what concerns only one machine or run."""
    notebook = nbformat.read(path, as_version=4)
    assert find_faults(notebook) == []
    assert path.read_text() == text_of(tidy(notebook))


@pytest.mark.parametrize("path", WITH_SERVER, ids=lambda path: path.stem)
def test_without_a_server_it_says_how_to_get_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If no server answers, the notebook ends at once with one sentence."""
    monkeypatch.chdir(path.parent)
    monkeypatch.syspath_prepend(path.parent)
    monkeypatch.setenv("INFLUX_HOST", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("INFLUX_TOKEN", "none")
    names: dict[str, Any] = {}
    with pl.Config(), pytest.raises(SystemExit, match=r"docker compose up.*INFLUX_HOST"):
        _execute(path, names)
    os.chdir(path.parent)
    names["work"].cleanup()


def _execute(path: Path, names: dict[str, Any]) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            exec(cell.source, names)


PLOT = """Trades of each session
X-axis titled 'symbol' for a discrete scale with 2 values: AAPL, F
Y-axis titled 'trades (count)' for a linear scale with values from 0 to 1,200
Symbol legend for fill color with 2 values: buy, sell"""


def _faults(form: str, content: str, words: str = "") -> list[str]:
    """Return the faults of a notebook with an output: its form, or the name of a stream, and the content."""
    if "/" in form:
        forms = {"text/plain": words, form: content}
        output = nbformat.v4.new_output("execute_result", forms, execution_count=1)
    else:
        output = nbformat.v4.new_output("stream", name=form, text=content)
    cell = nbformat.v4.new_code_cell("1", execution_count=1, outputs=[output])
    return find_faults(nbformat.v4.new_notebook(cells=[cell]), ["the-token"])


@pytest.mark.parametrize(
    ("part", "instead", "fault"),
    [
        ("Trades of each session", "", "a plot without a title"),
        (" titled 'trades (count)'", "", "a plot without a title of Y"),
        ("'trades (count)'", "'trades'", "a plot without a unit of Y: 'trades'"),
        ("X-axis", "", "a plot without an axis"),
    ],
)
def test_a_plot_that_does_not_say_what_it_shows_is_found(part: str, instead: str, fault: str) -> None:
    """A title, both axes, their titles and their units are missed, each where it is taken away."""
    assert _faults("image/png", "", PLOT) == []
    assert _faults("image/png", "", PLOT.replace(part, instead)) == [f"cell 1: {fault}"]


@pytest.mark.parametrize(
    ("form", "content", "fault"),
    [
        ("application/vnd.vegalite.v6+json", "{}", "cell 1: an output that not every page shows"),
        ("text/html", "<script>1</script>", "cell 1: a script"),
        ("text/plain", "x" * LARGEST, "300,"),
        ("stdout", "/home/me/data", "cell 1: an absolute path"),
        ("stdout", "see C:\\data", "cell 1: an absolute path"),
        ("stdout", "at http://example.org", "cell 1: an address"),
        ("stdout", "at 127.0.0.1:8086", "cell 1: an address"),
        ("stdout", "at localhost:8086", "cell 1: an address"),
        ("stdout", f"token {'a1-_' * 22}==", "cell 1: a token"),
        ("stdout", "the-token is secret", "cell 1: a secret"),
        ("stderr", "DeprecationWarning", "cell 1: a warning"),
    ],
    ids=["form", "script", "size", "path", "drive", "url", "number", "localhost", "token", "secret", "warning"],
)
def test_what_must_not_be_shown_is_found(form: str, content: str, fault: str) -> None:
    """Each fault is found where it is planted, and none beside it."""
    assert _faults("stdout", "InfluxDB 2.9.1, 3.000 of 10.5, 1/2") == []
    (found,) = _faults(form, content)
    assert found.startswith(fault)


def test_an_error_is_found() -> None:
    """A notebook with a cell that failed is not kept."""
    output = nbformat.v4.new_output("error", ename="ValueError", evalue="", traceback=[])
    cell = nbformat.v4.new_code_cell("1", execution_count=1, outputs=[output])
    assert find_faults(nbformat.v4.new_notebook(cells=[cell])) == ["cell 1: an error, ValueError"]


def test_outputs_that_are_missing_are_found() -> None:
    """A notebook whose outputs were cleared is not kept."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
    assert find_faults(notebook) == ["cell 1: its outputs are missing"]
