"""What becomes of acknowledged rows when files of a dataset change, or others join them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from loader.loading.ledger import has_ledger, opened_ledger


def forget_rows(root: Path, fingerprint: str, paths: Iterable[str]) -> None:
    """Forget what loads of the dataset ``fingerprint`` have acknowledged of the partitions ``paths``, and all shards.

    For what was sent of a file that changed meanwhile is not known. Raises as ``forget`` does.
    """
    if not has_ledger(root):
        return
    with opened_ledger(root) as database, database:
        loads = "SELECT id FROM loads WHERE fingerprint = ?"
        database.executemany(
            f"DELETE FROM acknowledged WHERE load IN ({loads}) AND partition = ?",
            [(fingerprint, path) for path in paths],
        )
        database.execute(f"UPDATE restored SET rows = NULL WHERE load IN ({loads})", (fingerprint,))
        database.execute("UPDATE loads SET finished = '' WHERE fingerprint = ?", (fingerprint,))


def carry_over(root: Path, former: str, latter: str, paths: Iterable[str]) -> None:
    """Let loads of the dataset ``latter`` go on where those of ``former`` stopped, as to the partitions ``paths``.

    These are the same in both, and so is the schema. Shards of the restore path, which hold rows of several files,
    begin again. Raises as ``forget`` does.
    """
    if not has_ledger(root):
        return
    with opened_ledger(root) as database, database:
        database.execute(
            "INSERT INTO loads (url, org, bucket, bucket_id, fingerprint, started, rejected) "
            "SELECT url, org, bucket, bucket_id, ?, started, rejected FROM loads WHERE fingerprint = ? "
            "ON CONFLICT DO NOTHING",
            (latter, former),
        )
        database.executemany(
            "INSERT OR IGNORE INTO acknowledged "
            "SELECT later.id, partition, start, stop FROM acknowledged JOIN loads AS former ON former.id = load "
            "JOIN loads AS later USING (url, org, bucket, bucket_id) "
            "WHERE former.fingerprint = ? AND later.fingerprint = ? AND partition = ?",
            [(former, latter, path) for path in paths],
        )
