"""Looks at a dataset: its folder and its disk, how far it is staged, and its last load."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from loader.dataset.adopt import is_adopted
from loader.dataset.contents import identities
from loader.dataset.manifest import Manifest, has_manifest, read_manifest
from loader.dataset.nearby import name_datasets
from loader.dataset.place import Place
from loader.dataset.state import MOST_BYTES, may_keep_state, nearest_folder, reading
from loader.diagnosis.findings import Finding, Level, ok, problem, warning
from loader.loading.ledger import last_load
from loader.printable import listed
from loader.quantities import counted, size_text
from loader.servers.address import redacted
from loader.staging.folder import BYTES_A_PARTITION, BYTES_A_TRADE
from loader.staging.settings import StageSettings

_SCARCE_DISK = 128 << 20
_PARTITIONS_A_YEAR = 366
_MOVED_BYTES = 40
"""Bytes of a row in temporary files where rows are moved apart."""


def find_manifest(place: Place) -> Manifest | None:
    """Return the manifest of the dataset at ``place``, None when nothing was staged or loaded there yet.

    Raises ConfigError and StageError, as ``read_manifest`` does.
    """
    return read_manifest(place.state, place.root) if has_manifest(place.state) else None


def temporary_bytes(manifest: Manifest | None) -> int:
    """Return the bytes that a load of the dataset needs for temporary files: those of the search for identities."""
    if manifest is None or manifest.distinct:
        return 0
    bits = max((1 + len(schema.fields) for schema in manifest.schemas), default=0)
    moved = _MOVED_BYTES if manifest.moves else 0
    return manifest.rows * bits // 8 + manifest.rows * moved


def look_at_folder(place: Place) -> Iterator[Finding]:
    """Look whether the loader can keep its own files of the dataset."""
    if may_keep_state(place.state):
        yield ok("state", f"the loader can keep its files in {place.state}")
    else:
        effect = "a load or a stage cannot keep its manifest and ledger, and does not begin"
        hint = "name a folder that can be written: --state"
        yield problem("state", f"no file can be written in {place.state}", effect, hint)


def look_at_disk(place: Place, manifest: Manifest | None) -> Iterator[Finding]:
    """Compare the free space beside the dataset with what is still to be written there."""
    folder = nearest_folder(place.state)
    free = shutil.disk_usage(folder).free
    text = f"{size_text(free)} are free in {folder}"
    if missing := _missing_trades(manifest):
        text += f", and {counted(missing, 'trade')} are still to be staged"
        if free < missing * BYTES_A_TRADE:
            effect = f"they need about {size_text(missing * BYTES_A_TRADE)}: loader stage refuses to go on"
            yield problem("disk", text, effect, "free some space, or stage into a folder on another disk")
            return
    hint = "free some space, or name a folder on another disk: --state"
    if free < MOST_BYTES:
        yield problem("disk", text, "a load cannot keep its manifest and ledger", hint)
    elif free < _SCARCE_DISK:
        yield warning("disk", text, "rejected rows and the ledger of a long load may not fit", hint)
    else:
        yield ok("disk", text)


def look_at_room(folder: Path) -> Iterator[Finding]:
    """Compare the free space in ``folder``, where there is no dataset yet, with what loader stage needs by default."""
    trades = StageSettings(folder).trades
    needed = trades * BYTES_A_TRADE + _PARTITIONS_A_YEAR * BYTES_A_PARTITION
    free = shutil.disk_usage(folder).free
    text = f"{size_text(free)} are free in {folder}"
    if free < needed:
        effect = f"the {counted(trades, 'trade')} that loader stage makes by default need about {size_text(needed)}"
        yield warning("disk", text, effect, "stage fewer (--trades), or on another disk (--out)")
    else:
        yield ok("disk", text)


def look_at_staging(place: Place, manifest: Manifest | None) -> Iterator[Finding]:
    """Look whether the dataset can be loaded: staging has finished, and its files have their sizes."""
    if manifest is None:
        yield _not_known(place)
        return
    rows = f"{counted(manifest.rows, 'row')} in {counted(len(manifest.partitions), 'partition')}"
    if not manifest.complete:
        hint = f"run it again with the same settings, it goes on where it was: loader stage --out {place.root}"
        yield problem("dataset", f"{rows}, but staging did not finish", "loader load refuses it", hint)
    found = identities(place.root, manifest.partitions)
    wrong = [part.path for part in manifest.partitions if (found[part.path] or (-1,))[0] != part.size]
    if wrong:
        text = f"{counted(len(wrong), 'file')} missing, or of another size than before: {listed(wrong)}"
        hint = "put back what was there; or load into another bucket, with --restart where they were adopted"
        yield problem("dataset", text, "loader load refuses it", hint)
    with reading(place.state):  # raises ConfigError while a stage is at work
        pass
    if manifest.complete and not wrong:
        yield ok("dataset", f"{rows}, {'adopted' if is_adopted(manifest) else 'staged'}")


def look_at_last_load(place: Place, manifest: Manifest | None) -> Iterator[Finding]:
    """Look whether the last load of the dataset has finished, and was of these files."""
    last = last_load(place.state) if manifest else None
    if last is None or manifest is None:
        yield ok("last load", "none yet")
        return
    where = f"{last.bucket!r} at {redacted(last.url)}" if last.bucket else redacted(last.url)
    text = f"{counted(last.rows, 'row')} into {where}"
    if last.fingerprint != manifest.fingerprint:
        effect = "the bucket may hold points that the dataset no longer has"
        yield warning("last load", f"{text}, of an earlier dataset", effect, "load it again, into a new bucket")
    elif not last.finished:
        effect = f"{counted(manifest.rows - last.rows, 'row')} are not loaded"
        yield warning("last load", f"{text}, unfinished", effect, "run the same command again to go on")
    else:
        yield ok("last load", text)


def _not_known(place: Place) -> Finding:
    """Return the finding for a place without a manifest: Parquet that can be adopted, or nothing."""
    effect = "there is nothing to load"
    if not place.root.is_dir():
        hint = name_datasets(place.root, "name a dataset, or stage one")
        return problem("dataset", f"{place.path}: no such file or folder", effect, hint)
    if next(place.root.glob(place.pattern), None) is None:
        hint = "name Parquet, or stage other files: loader stage --from"
        return problem("dataset", f"{place.path}: no Parquet is there", effect, hint)
    return Finding("dataset", Level.OK, "Parquet that was not loaded yet", hint=f"loader inspect {place.path}")


def _missing_trades(manifest: Manifest | None) -> int:
    """Return how many synthetic trades are still to be staged, 0 for what was made of files."""
    if manifest is None or manifest.complete:
        return 0
    trades = manifest.settings.get("trades")
    return max(0, trades - manifest.rows) if type(trades) is int else 0
