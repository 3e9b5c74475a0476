"""Opens a dataset to be read: no stage may run meanwhile, and its files must be the same at the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from loader.dataset.contents import Identity, differing, identities
from loader.dataset.manifest import Manifest, read_manifest
from loader.dataset.moves import read_moves
from loader.dataset.reader import check_dataset
from loader.dataset.state import reading
from loader.errors import StageError
from loader.events import Observer, ignore
from loader.printable import listed


class FilesChanged(StageError):
    """Partitions ``paths`` of the dataset ``fingerprint`` changed while they were read."""

    def __init__(self, root: Path, fingerprint: str, paths: tuple[str, ...]) -> None:
        super().__init__(
            f"{root / listed(paths)}: changed while the dataset was read, which may have been something else",
            hint="let nothing write there and run the same command again; after a load, verify the bucket",
        )
        self.fingerprint = fingerprint
        self.paths = paths


@contextmanager
def opened_dataset(
    root: Path,
    observe: Observer = ignore,
    stop: threading.Event | None = None,
    state: Path | None = None,
    manifest: Manifest | None = None,
) -> Iterator[Manifest]:
    """Check the dataset at ``root``, yield its manifest, and keep stages out during the block.

    ``state`` is where the loader's own files are, if not in ``root``; ``manifest`` is that of an adopted dataset.

    At the end, also after an error, each file must be the one that was opened: raises FilesChanged. Raises
    ConfigError while the dataset is being staged, and what ``read_manifest`` and ``check_dataset`` raise.
    """
    with reading(state or root):
        manifest = manifest or read_manifest(state or root, root)
        before = identities(root, manifest.partitions)
        check_dataset(root, manifest, observe, stop)
        manifest = read_moves(state or root, manifest)
        try:
            yield manifest
        finally:
            _require_same(root, manifest, before)


def _require_same(root: Path, manifest: Manifest, before: Mapping[str, Identity | None]) -> None:
    try:
        after = identities(root, manifest.partitions)
        other = [partition for partition in manifest.partitions if after[partition.path] != before.get(partition.path)]
        # A chmod, or a file system that renumbers its inodes, changes no content.
        same = [part for part in other if _size_and_time(after[part.path]) == _size_and_time(before.get(part.path))]
        wrong = differing(root, same, ignore)
    except (OSError, StageError) as error:  # for example, a folder was replaced by a link
        raise FilesChanged(root, manifest.fingerprint, tuple(before)) from error
    if changed := tuple(part.path for part in other if part not in same or part in wrong):
        raise FilesChanged(root, manifest.fingerprint, changed)


def _size_and_time(identity: Identity | None) -> tuple[int, ...]:
    return identity[:2] if identity else ()
