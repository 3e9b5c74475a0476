"""The file in which rejected rows are kept, with their addresses and reasons."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any

from loader.dataset.state import MOST_BYTES, append_text, clear_text, open_state, state_path, whole_state
from loader.errors import LoadError, StageError


class RejectedFile:
    """Appends rejected rows of the dataset at ``root`` as JSON Lines to a file, which the first of them makes."""

    def __init__(self, root: Path, name: str) -> None:
        self._root = root
        self._name = f"rejected/{name}.jsonl"
        self.path = state_path(root, self._name)

    def clear(self) -> None:
        """Empty the file, if it is there; raises LoadError."""
        self._write(lambda: clear_text(self._root, self._name))

    def keep_first(self, rows: int) -> None:
        """Cut off what is behind the first ``rows`` rows, if the file is there; raises LoadError.

        A person who edited the file may have left blank lines, or none at its end: these are mended, too.
        """
        if any(kept != there for kept, there in zip_longest(self._first(rows), self.lines())):
            with self.replaced() as write:
                for piece in self._first(rows):
                    write(piece)

    def _first(self, rows: int) -> Iterator[bytes]:
        """Yield the lines of the first ``rows`` rows, each with its end, in the pieces of ``lines``."""
        done, begins = 0, True
        for piece in self.lines():
            if begins and not piece.strip():
                continue
            if begins and done == rows:
                break
            yield piece
            begins = piece.endswith(b"\n")
            done += begins
        if not begins:
            yield b"\n"

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write ``rows`` and wait until they are on disk; raises LoadError."""
        text = "".join(json.dumps(rejected) + "\n" for rejected in rows)
        self._write(lambda: append_text(self._root, self._name, text))

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of the file, none where there is no file; raises LoadError.

        Lines are as they are, with their ends, in pieces of MOST_BYTES if they are longer.
        """
        try:
            with open_state(self._root, self._name) as file:
                while line := file.readline(MOST_BYTES):
                    yield line
        except FileNotFoundError:
            return
        except (OSError, StageError) as error:
            raise _explained(self.path, "read", error) from error

    @contextmanager
    def replaced(self) -> Iterator[Callable[[bytes], None]]:
        """Yield a function that writes lines of the file's successor, which takes its place when the block ends.

        Raises LoadError when it cannot be written, and StageError for what must not be replaced.
        """
        try:
            with whole_state(self._root, self._name) as path, path.open("wb") as file:

                def write(line: bytes) -> None:
                    file.write(line)

                yield write
        except OSError as error:
            raise _explained(self.path, "written", error) from error

    def drop(self, dropped: Callable[[str, int], bool]) -> None:
        """Take the rows out of the file for whose partition and number ``dropped`` is true; raises LoadError.

        Lines of another form stay: a run that was killed may have left one.
        """
        with ExitStack() as stack:
            write = None
            for line in self.lines():
                write = write or stack.enter_context(self.replaced())
                address = _address(line)
                if address is None or not dropped(*address):
                    write(line)

    def _write(self, write: Callable[[], None]) -> None:
        try:
            write()
        except (OSError, StageError) as error:
            raise _explained(self.path, "written", error) from error


def _address(line: bytes) -> tuple[str, int] | None:
    """Return partition and number of the row in ``line``, None where it is of another form."""
    try:
        said = json.loads(line)
        return str(said["partition"]), int(said["row"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _explained(path: Path, done: str, error: OSError | StageError) -> LoadError:
    why = error.message if isinstance(error, StageError) else error.strerror
    return LoadError(
        f"{path}: rejected rows cannot be {done}: {why}",
        hint="check space and permissions, then run the same command again",
    )
