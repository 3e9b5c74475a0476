"""The folder of a stage: only files that the loader made are removed or replaced."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from loader.dataset.atomic import temporary_of
from loader.dataset.beneath import list_folder, look, remove_empty_folder, remove_file
from loader.dataset.claims import excerpt
from loader.dataset.contents import differing
from loader.dataset.manifest import Partition, has_manifest, read_manifest
from loader.dataset.state import list_leftovers
from loader.errors import ConfigError, LoaderError
from loader.events import ignore
from loader.printable import listed
from loader.staging.mark import FILE, POINTS, is_marked

_FOLDER = re.compile(r"date=\d{4}-\d\d-\d\d")
_MEASUREMENT = re.compile(r"measurement=.+")
# Measured with zstd: 6.6 at 300 million trades of 2024, 8.9 at 12 million, where times lie further apart.
BYTES_A_TRADE = 9
BYTES_A_PARTITION = 16_000


def clean(root: Path) -> None:
    """Remove temporary files of ours that a killed run left behind."""
    top = list_folder(root, "")
    folders = [name for name in top if _FOLDER.fullmatch(name)]
    for measurement in filter(_MEASUREMENT.fullmatch, top):
        folders += [f"{measurement}/{name}" for name in list_folder(root, measurement) if _FOLDER.fullmatch(name)]
    found = [
        f"{folder}/{name}"
        for folder in folders
        for name in list_folder(root, folder)
        if temporary_of(name) in {FILE, POINTS}
    ]
    for name in (*found, *list_leftovers(root)):
        look(root, name)  # raises for what is no regular file
        remove_file(root, name)


def keep_partitions(
    root: Path, settings: Mapping[str, Any], planned: frozenset[str], *, overwrite: bool
) -> tuple[tuple[Partition, ...], tuple[str, ...]]:
    """Return the partitions in ``root`` that need not be made again, and with ``overwrite`` the files that must go.

    Nothing is removed here, and files that this loader did not make are never to be removed. Raises ConfigError when
    ``root`` was staged with other settings, or holds Parquet that is not the loader's; StageError for links and for a
    damaged manifest.
    """
    staged = has_manifest(root)  # raises for what is no regular file
    if overwrite:
        found = [name for name in sorted({*list_parquet(root), *planned, *_listed(root)}) if look(root, name)]
        _refuse([name for name in found if not is_marked(root, name)], root)
        return (), tuple(found)
    if not staged:
        _refuse(list_parquet(root), root)
        return (), ()
    manifest = read_manifest(root)
    _refuse_changed_sources(root, manifest.settings, settings)
    differences = list(_compare(manifest.settings, settings))
    if differences:
        raise ConfigError(
            f"{root}: staged with other settings: {'; '.join(differences)}",
            hint="repeat those settings, stage into another folder, or replace it: --overwrite",
        )
    there = [partition for partition in manifest.partitions if _has_size(root, partition)]
    changed = differing(root, there, ignore)
    kept = tuple(partition for partition in there if partition not in changed)
    others = sorted({*list_parquet(root), *planned} - {partition.path for partition in kept})
    _refuse([name for name in others if name not in planned or (look(root, name) and not is_marked(root, name))], root)
    return kept, ()


def remove_partitions(root: Path, names: Iterable[str]) -> None:
    """Remove the files ``names``, and the folders that are empty then."""
    for name in names:
        remove_file(root, name)
        remove_empty_folders(root, name)


def remove_empty_folders(root: Path, name: str) -> None:
    """Remove the folders below ``root`` that lead to the file ``name``, as far as they are empty."""
    while "/" in name:
        remove_empty_folder(root, name)
        name = name.rpartition("/")[0]


@contextmanager
def temporary_folder(out: Path, beside: Path | None = None) -> Iterator[Path]:
    """Yield a folder for temporary files of a stage into ``out``, and remove it in the end.

    It is made in ``beside``, by default beside ``out``; one that a killed run left is removed first.
    """
    out = out.resolve()
    name = hashlib.sha256(str(out).encode()).hexdigest()[:16]
    folder = (beside or out.parent) / f".loader-stage-{name}"
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_space(root: Path, rows: int, partitions: int, going: Iterable[str] = ()) -> None:
    """Raise ConfigError when ``rows`` more trades in ``partitions`` files do not fit on the disk of ``root``.

    The space of the files ``going``, which will be removed, counts as free.
    """
    needed = rows * BYTES_A_TRADE + partitions * BYTES_A_PARTITION
    freed = [status.st_size for name in going if (status := look(root, name)) and status.st_nlink == 1]
    free = shutil.disk_usage(root).free + sum(freed)
    if needed > free:
        old = ", the old dataset's room included" if freed else ""
        raise ConfigError(
            f"{root}: {rows:,} trades need about {_size(needed)}, {_size(free)} are free{old}",
            hint="free some space, stage fewer trades, or choose another disk",
        )


def _size(number: int) -> str:
    return f"{number / 1e6:,.0f} MB" if number >= 10_000_000 else f"{number / 1e3:,.0f} kB"


def _listed(root: Path) -> tuple[str, ...]:
    try:
        return tuple(partition.path for partition in read_manifest(root).partitions)
    except LoaderError:  # no manifest, or an unreadable one: then only files with our mark are replaced
        return ()


def _has_size(root: Path, partition: Partition) -> bool:
    status = look(root, partition.path)
    return status is not None and status.st_size == partition.size


def list_parquet(root: Path) -> list[str]:
    """Return the paths of all Parquet files below ``root``."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*.parquet"))


def _refuse(foreign: Sequence[str], root: Path) -> None:
    """Raise ConfigError for files that are in the way and not known to be ours."""
    if foreign:
        raise ConfigError(
            f"{root}: holds Parquet that the loader did not stage, or that was changed since:"
            f" {listed([*map(excerpt, foreign)])}",
            hint="stage into another folder, or move it away; files of its earlier versions bear no mark",
        )


def _refuse_changed_sources(root: Path, staged: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Raise ConfigError when sources are of another kind, or other files, or have changed."""
    if staged.get("source") != asked.get("source"):
        kinds = [str(each.get("source", "trades")) for each in (staged, asked)]
        raise ConfigError(
            f"{root}: holds a dataset of {kinds[0]}, and {kinds[1]} are to be staged",
            hint="stage into another folder, or replace it: --overwrite",
        )
    before, now = staged.get("files"), asked.get("files")
    if before != now and isinstance(before, dict) and isinstance(now, dict):
        other = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
        words = "is new" if other[0] not in before else "is gone" if other[0] not in now else "has changed"
        more = f", and so on: {len(other)} files differ" if len(other) > 1 else ""
        raise ConfigError(
            f"{root}: staged from other files: {excerpt(other[0])} {words} since{more}",
            hint="stage all of them anew: --overwrite; or into another folder",
        )


def _compare(staged: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*staged, *asked}):
        before, now = staged.get(name), asked.get(name)
        if before == now:
            continue
        if isinstance(before, dict) and isinstance(now, dict):
            other = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
            yield (
                f"{_plain(name)}: staged {len(before)}, asked {len(now)}, differing in "
                + ", ".join(map(_plain, other[:5]))
                + (" and more" if len(other) > 5 else "")
            )
        else:
            yield f"{_plain(name)}: staged {_plain(before)}, asked {_plain(now)}"


def _plain(value: object) -> str:
    """Return a setting as a message shows it; a staged one may have any value."""
    return excerpt(value).strip("'")
