"""Runs the notebooks on the sample dataset and a real server, and keeps their outputs: ``make notebooks-run``.

The outputs can be read without a kernel, a network or JavaScript. Those of two runs are the same.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from loader.dataset.atomic import write_whole
from tools.influxd import VERSIONS, find_binary, start

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LARGEST = 300_000
"""Bytes of a notebook."""
SAMPLE = {"LOADER_DATA": "../tests/sample"}
_SECONDS = 300
_ALLOWED = frozenset({"text/plain", "text/html", "image/png"})
_LEAKS = {
    "an absolute path": re.compile(r"(?<![\w.])/(home|root|tmp|Users|work|var|opt|usr|private|mnt)/\w|\b[A-Z]:\\"),
    "an address": re.compile(r"https?://|\blocalhost:\d|\b\d{1,3}(\.\d{1,3}){3}\b"),
    "a token": re.compile(r"(?<![\w-])[\w-]{60,}=="),  # as InfluxDB makes them
    "a script": re.compile(r"<script"),
}
_AXIS = re.compile(r"^([XY])-axis(?: titled '(.*)')? for an? (\w+) ", re.MULTILINE)
_UNIT = re.compile(r"\(.+\)$")


def run(path: Path, environment: Mapping[str, str]) -> NotebookNode:
    """Return the notebook at ``path`` with new outputs, see ``tidy``.

    A kernel of its own runs it in its folder, with the loader of this checkout. Raises CellExecutionError for a cell
    that fails.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=_SECONDS,
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(path.parent)}},
    )
    with tempfile.TemporaryDirectory(prefix="loader-ipython-") as settings:
        paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        client.execute(env={**os.environ, "PYTHONPATH": paths, "IPYTHONDIR": settings, **environment})
    return tidy(notebook)


def tidy(notebook: NotebookNode) -> NotebookNode:
    """Return ``notebook`` without what changes from run to run, or from one Jupyter to another."""
    cells = [{**cell, "id": f"cell-{number}", "metadata": {}} for number, cell in enumerate(notebook.cells, 1)]
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    tidied: NotebookNode = nbformat.from_dict({**notebook, "cells": cells, "metadata": metadata})
    return tidied


def find_faults(notebook: NotebookNode, secrets: Iterable[str] = ()) -> list[str]:
    """Return, in words, what must not be in a notebook that people are shown; ``secrets`` are texts such as tokens."""
    faults = []
    size = len(text_of(notebook).encode())
    if size > LARGEST:
        faults.append(f"{size:,} bytes, more than {LARGEST:,}")
    for number, cell in enumerate(notebook.cells, 1):
        if cell.cell_type == "code":
            found = _cell_faults(cell, [secret for secret in secrets if secret])
            faults += [f"cell {number}: {fault}" for fault in found]
    return faults


def _cell_faults(cell: Any, secrets: Iterable[str]) -> Iterator[str]:
    if cell.execution_count is None:
        yield "its outputs are missing"
    for output in cell.outputs:
        if output.output_type == "error":
            yield f"an error, {output.ename}"
        if output.get("name") == "stderr":
            yield "a warning"
        forms = output.get("data", {})
        for form in forms.keys() - _ALLOWED:
            yield f"an output that not every page shows, {form}"
        texts = [forms[form] for form in forms if form.startswith("text/")]
        text = "\n".join([*texts, output.get("text", ""), *output.get("traceback", [])])
        yield from (name for name, pattern in _LEAKS.items() if pattern.search(text))
        if any(secret in text for secret in secrets):
            yield "a secret"
        if "image/png" in forms:
            yield from _plot_faults(forms.get("text/plain", ""))


def _plot_faults(words: str) -> Iterator[str]:
    """Yield what a plot lacks, by the words that ``plots.enable`` adds to it."""
    if not words.partition("\n")[0]:
        yield "a plot without a title"
    axes = [match.groups() for match in _AXIS.finditer(words)]
    if {name for name, _, _ in axes} != {"X", "Y"}:
        yield "a plot without an axis"
    for name, title, scale in axes:
        if not title:
            yield f"a plot without a title of {name}"
        elif scale != "discrete" and not _UNIT.search(title):
            yield f"a plot without a unit of {name}: {title!r}"


def text_of(notebook: NotebookNode) -> str:
    """Return the content of the file of ``notebook``."""
    return f"{nbformat.writes(notebook)}\n"


def shown(notebook: NotebookNode) -> list[list[str]]:
    """Return the texts in the outputs of each cell, of plots the words: pixels depend on fonts."""
    outputs = [cell.get("outputs", ()) for cell in notebook.cells]
    return [[text for output in of_cell for text in _texts(output)] for of_cell in outputs]


def _texts(output: Any) -> Iterator[str]:
    forms = output.get("data", {"text/plain": output.get("text", "")})
    yield from (forms[form] for form in sorted(forms) if form.startswith("text/"))


def _keep(path: Path, environment: Mapping[str, str], secrets: Iterable[str]) -> str:
    """Run a notebook and write it with its outputs, or return why it is left as it is."""
    try:
        notebook = run(path, environment)
    except CellExecutionError as error:
        return str(error)
    faults = find_faults(notebook, secrets)
    if not faults:
        write_whole(path, text_of(notebook).encode())
    return "; ".join(faults)


def main() -> int:
    """Run all notebooks, or those that are named, and keep the outputs of those without a fault; return the exit code.

    An InfluxDB 2 is started for them. Raises SystemExit when there is none.
    """
    named = [Path(name).resolve() for name in sys.argv[1:]] or NOTEBOOKS
    binary = find_binary("v2")
    if binary is None:
        raise SystemExit(f"no InfluxDB 2 here; tools/build-influxd {VERSIONS['v2']} builds it once")
    failed = 0
    with tempfile.TemporaryDirectory(prefix="loader-notebooks-") as folder:
        server = start(binary, Path(folder))
        environment = {
            **SAMPLE,
            "INFLUX_HOST": server.url,
            "INFLUX_ORG": server.org,
            "INFLUX_TOKEN": server.token,
        }
        try:
            for path in named:
                outcome = _keep(path, environment, [server.token, server.url, folder])
                failed += bool(outcome)
                print(f"{path.name}: {outcome or 'kept'}", flush=True)
        finally:
            server.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
