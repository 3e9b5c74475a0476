"""Forgets acknowledged rows when files of a dataset change."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from loader.loading.acknowledged_rows import forget_acknowledged
from loader.loading.ledger import has_ledger, opened_ledger


def forget_rows(root: Path, fingerprint: str, paths: Iterable[str]) -> None:
    """Forget what loads of the dataset ``fingerprint`` have acknowledged of the partitions ``paths``, and all shards.

    It is unknown what was sent of a file that changed while it was read. Raises as ``forget`` does.
    """
    if not has_ledger(root):
        return
    with opened_ledger(root) as database, database:
        loads = "SELECT id FROM loads WHERE fingerprint = ?"
        for path in paths:
            forget_acknowledged(database, f"load IN ({loads}) AND partition = ?", (fingerprint, path))
        database.execute(f"UPDATE restored SET rows = NULL WHERE load IN ({loads})", (fingerprint,))
        database.execute("UPDATE loads SET finished = '' WHERE fingerprint = ?", (fingerprint,))
