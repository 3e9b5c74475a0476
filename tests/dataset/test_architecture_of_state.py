"""One place opens the loader's own files: that nobody follows a link elsewhere is a rule of the package."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "loader"
HOME = "dataset/state.py"
KNOWN = {HOME, "dataset/claims.py", "dataset/manifest.py"}
"""Modules that may know what the folder is called: to open it, to refuse partitions in it, to say its name."""
OPENING = {
    *("open", "read_bytes", "read_text", "write_bytes", "write_text", "touch", "mkdir", "unlink", "rename", "replace"),
    *("exists", "is_file", "is_dir", "stat", "iterdir", "glob", "rglob", "connect"),
}
PATHS = {"state_path", "ledger_path"}


def docstrings(tree: ast.AST) -> set[int]:
    """Return the identities of all nodes that are text for readers."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def faults(path: Path, where: str) -> Iterator[str]:
    """Yield what in the module at ``path`` could open a file of the loader's own by another way."""
    tree = ast.parse(path.read_text())
    prose = docstrings(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in prose and where != HOME:
                if text == ".loader" or text.startswith(".loader/"):
                    yield f"{where}:{node.lineno} spells out the folder"
            case ast.ImportFrom(names=names) if where not in KNOWN:
                if {"STATE", "NAME"} & {name.name for name in names} and "dataset" in (node.module or ""):
                    yield f"{where}:{node.lineno} imports the folder's name"
            case ast.Call(func=ast.Attribute(attr="connect", value=ast.Name(id="sqlite3"))):
                if where != "dataset/database.py":
                    yield f"{where}:{node.lineno} opens a database"
            case ast.Call(func=ast.Attribute(attr=attribute, value=value)) if attribute in OPENING:
                called = {ast.unparse(inner.func) for inner in ast.walk(value) if isinstance(inner, ast.Call)}
                if PATHS & called:
                    yield f"{where}:{node.lineno} opens what is for messages"
            case _:
                pass


def test_nothing_else_opens_the_loader_s_own_files() -> None:
    """No module but the one spells the folder, builds a path of it to open, or opens a database."""
    found = [fault for path in PACKAGE.rglob("*.py") for fault in faults(path, str(path.relative_to(PACKAGE)))]
    assert found == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('(root / ".loader" / "x").open("w")', "spells out"),
        ('path = f".loader/{name}"', "spells out"),
        ("from loader.dataset.manifest import STATE", "imports"),
        ("from loader.dataset.state import read_json, STATE as S", "imports"),
        ("from loader.dataset.manifest import NAME", "imports"),
        ("sqlite3.connect(path)", "database"),
        ('state_path(root, "x").open()', "for messages"),
        ('(state_path(root, "x") / "y").read_bytes()', "for messages"),
        ("ledger_path(root).unlink()", "for messages"),
    ],
)
def test_a_planted_breach_is_found(tmp_path: Path, text: str, words: str) -> None:
    """Each rule can fail."""
    (tmp_path / "planted.py").write_text(text)
    assert any(words in fault for fault in faults(tmp_path / "planted.py", "loading/planted.py"))
