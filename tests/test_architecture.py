"""The shape of the package: imports go one way, and what is pure stays pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "loader"
LAYERS = (
    {"errors", "events", "importing", "memory", "printable", "quantities", "unexpected", "waiting"},
    {"dataset", "market"},
    {"encoding"},
    {"servers"},
    {"staging", "loading"},
    {"verification"},
    {"diagnosis", "tuning"},
    {"reporting"},
    {"cli"},
)
LEVELS = {name: level for level, names in enumerate(LAYERS) for name in names}
OUTSIDE = {
    *("socket", "ssl", "urllib", "urllib3", "http", "requests", "influxdb_client"),
    *("pathlib", "os", "io", "shutil", "tempfile", "sqlite3", "subprocess"),
}
LONGEST = 300
STORED = ("arrays", "compiled", "series_text", "tsm.decode", "warm")
"""What verification takes of encoding: how what a server stores is read, nothing of how points are made."""


def imports(path: Path, where: Path) -> Iterator[str]:
    """Yield the full names of all modules that ``path``, at ``where`` in the package, imports anywhere in its text."""
    package = ("loader", *where.parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            yield from (".".join((*base, *filter(None, [node.module]), alias.name)) for alias in node.names)


def deaf(path: Path) -> Iterator[int]:
    """Yield the lines of waits that have no limit, or sleep: a thread in one of them does not hear Ctrl-C."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            endless = node.func.attr in {"get", "join", "wait", "acquire"} and not node.args and not node.keywords
            if ast.unparse(node.func) == "self._flow.wait":  # looks up by itself
                continue
            if endless or ast.unparse(node.func) == "time.sleep":
                yield node.lineno


def faults(package: Path) -> list[str]:
    """Return every breach of the rules below ``package``."""
    found = []
    for path in sorted(package.rglob("*.py")):
        where = path.relative_to(package)
        part = where.parts[0].removesuffix(".py")
        if len(path.read_text().splitlines()) > LONGEST:
            found.append(f"{where} is longer than {LONGEST} lines")
        if {"utils", "helpers", "common"} & {*where.with_suffix("").parts}:
            found.append(f"{where} is not a name")
        for name in imports(path, where):
            top, _, rest = name.partition(".")
            target = rest.partition(".")[0]
            if top == "loader" and part in LEVELS and LEVELS.get(target, -1) > LEVELS[part]:
                found.append(f"{where} imports {name} from above")
            if top in {"typer", "rich"} and part != "cli":
                found.append(f"{where} imports {name}, which belongs to the command line")
            if top in OUTSIDE and part == "encoding":
                found.append(f"{where} imports {name}, and encoding is pure")
            if part != "waiting" and name.rpartition(".")[2] in {"sleep", "ThreadPoolExecutor"}:
                found.append(f"{where} imports {name}, for which Ctrl-C waits: see loader/waiting.py")
            if part == "verification" and _is_shared(name):
                found.append(f"{where} imports {name}, and what is expected shares nothing with a load")
        if part != "waiting":
            found += [f"{where}, line {line}, waits without an end: see loader/waiting.py" for line in deaf(path)]
    return found


def _is_shared(name: str) -> bool:
    """Tell whether ``name`` belongs to the load's way from Parquet to a payload."""
    encoding = name.removeprefix("loader.encoding.")
    if encoding != name:
        return not any(encoding == stored or encoding.startswith(f"{stored}.") for stored in STORED)
    return name.startswith(("loader.dataset.reader.read", "loader.dataset.reader.join"))


def test_the_package_keeps_its_rules() -> None:
    """No breach anywhere."""
    assert faults(PACKAGE) == []
    assert {path.stem for path in PACKAGE.iterdir() if path.is_dir() and path.stem != "__pycache__"} <= LEVELS.keys()


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("dataset/planted.py", "from loader.loading import load", "from above"),
        ("servers/planted.py", "from loader import verification", "from above"),
        ("dataset/planted.py", "from ..loading import load", "from above"),
        ("dataset/planted.py", "from .. import cli", "from above"),
        ("errors.py", "from .servers import base", "from above"),
        ("errors.py", "def f() -> None:\n    import loader.cli", "from above"),
        ("loading/planted.py", "import rich.progress", "command line"),
        ("encoding/planted.py", "from pathlib import Path", "pure"),
        ("encoding/planted.py", "import sqlite3", "pure"),
        ("loading/planted.py", "from concurrent.futures import ThreadPoolExecutor", "Ctrl-C"),
        ("loading/planted.py", "def f(results):\n    return results.get()", "line 2, waits without an end"),
        ("loading/planted.py", "import time\ntime.sleep(1)", "line 2, waits without an end"),
        ("verification/planted.py", "from loader.dataset.reader import read_batches", "shares nothing"),
        ("verification/planted.py", "from loader.encoding.columns import read_columns", "shares nothing"),
        ("verification/values/planted.py", "from loader.encoding.series import find_series", "shares nothing"),
        ("verification/planted.py", "import loader.encoding.escaping", "shares nothing"),
        ("cli/utils.py", "", "not a name"),
        ("cli/common/__init__.py", "", "not a name"),
        ("cli/planted.py", "\n" * 301, "longer"),
    ],
)
def test_a_planted_breach_is_found(tmp_path: Path, path: str, text: str, words: str) -> None:
    """Each rule can fail."""
    planted = tmp_path / "loader" / path
    planted.parent.mkdir(parents=True)
    planted.write_text(text)
    (fault,) = faults(tmp_path / "loader")
    assert words in fault
