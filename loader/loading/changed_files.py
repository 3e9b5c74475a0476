"""Forgets acknowledged rows when files of a dataset change."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from loader.dataset.rejected_file import RejectedFile
from loader.loading.acknowledged_rows import forget_acknowledged
from loader.loading.ledger import Ledger, has_ledger, opened_ledger
from loader.loading.left_out import forget_left_out


def forget_rows(root: Path, fingerprint: str, paths: Iterable[str]) -> None:
    """Forget what loads of the dataset ``fingerprint`` have acknowledged of the partitions ``paths``, and all shards.

    It is unknown what was sent of a file that changed while it was read. Raises as ``forget`` does.
    """
    if not has_ledger(root):
        return
    changed = {*paths}
    with opened_ledger(root) as database, database:
        loads = "SELECT id FROM loads WHERE fingerprint = ?"
        for path in changed:
            forget_acknowledged(database, f"load IN ({loads}) AND partition = ?", (fingerprint, path))
            forget_left_out(database, f"load IN ({loads}) AND partition = ?", (fingerprint, path))
        forget_left_out(database, f"load IN ({loads}) AND partition = ''", (fingerprint,))
        database.execute(f"UPDATE restored SET rows = NULL WHERE load IN ({loads})", (fingerprint,))
        database.execute("UPDATE loads SET finished = '' WHERE fingerprint = ?", (fingerprint,))
        for (load,) in database.execute(loads, (fingerprint,)).fetchall():
            RejectedFile(root, Ledger(database, load).name).drop(lambda path, _: path in changed)
