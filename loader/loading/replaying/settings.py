"""What a replay is told, and what it reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from loader.dataset.mapping import ColumnMapping
from loader.dataset.place import Place, find_place
from loader.loading.settings import WriteSettings
from loader.servers.base import Target


@dataclass(frozen=True)
class ReplaySettings:
    """How to send the rejected rows of the load of ``dataset`` into ``target`` again.

    A row with a line in the rejected file is sent as this line; others are encoded again, by ``mapping`` if there is
    one. All else is as in ``LoadSettings``.
    """

    dataset: Path
    target: Target
    mapping: ColumnMapping | None = None
    write: WriteSettings = field(default_factory=WriteSettings)
    connections: int | None = None
    retry_seconds: float = 300.0
    timeout_seconds: float = 60.0
    state: Path | None = None

    @cached_property
    def place(self) -> Place:
        """Where files and state of the dataset are."""
        return find_place(self.dataset, self.state)


@dataclass(frozen=True)
class ReplayReport:
    """What a replay did; sizes are bytes.

    The server has taken ``rows_replayed`` by this run, of which ``rows_edited`` have other points than the dataset's
    rows. ``rows_rejected`` are still rejected, of which ``rows_absent`` are not in the rejected file any more. Together
    with ``rows_acknowledged``, ``rows_skipped`` and ``rows_left`` these are all ``rows`` of the dataset, as in
    LoadReport.
    """

    server: str
    rows: int
    rows_replayed: int
    rows_edited: int
    rows_acknowledged: int
    rows_rejected: int
    rows_absent: int
    rows_skipped: int
    rows_left: int
    payload_size: int
    body_size: int
    seconds: float
    retries: int
    interrupted: bool
    rejected_path: str
    first_rejected: str
    fingerprint: str = ""
