"""What a load is told, and what it reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

from loader.dataset.mapping import ColumnMapping
from loader.dataset.place import Place, find_place
from loader.dataset.policy import OnDuplicate
from loader.servers.base import Target, WriteRules
from loader.servers.load_method import LoadMethod, OnExisting

_SHARDS_AT_A_TIME = 3


@dataclass(frozen=True)
class WriteSettings:
    """How to send line protocol: at most ``batch_lines`` lines and ``batch_bytes`` bytes in a request.

    None is what suits the server, see ``WriteRules``. ``compress`` is "auto" (none on loopback, gzip:1 elsewhere),
    "none", "gzip" or "gzip:LEVEL"; ``rate`` is points a second, 0 for no limit.
    """

    batch_lines: int | None = None
    batch_bytes: int | None = None
    compress: str = "auto"
    rate: float = 0.0


@dataclass(frozen=True)
class Sending:
    """How lines are sent: as the settings say and, where they leave it open, as suits the server."""

    connections: int
    batch_lines: int
    batch_bytes: int

    @classmethod
    def by(cls, write: WriteSettings, connections: int | None, rules: WriteRules) -> Self:
        """Return what ``write`` and ``connections`` say, to a server of ``rules``."""
        return cls(
            connections or rules.connections,
            write.batch_lines or rules.batch_lines,
            write.batch_bytes or rules.batch_bytes,
        )


@dataclass(frozen=True)
class FolderTarget(Target):
    """A folder for files of line protocol, instead of a server; make it with ``to``."""

    def __post_init__(self) -> None:
        """Check nothing: the address is made of a path."""

    @classmethod
    def to(cls, folder: Path) -> Self:
        """Return the target of parts in ``folder``, which need not exist."""
        return cls(folder.absolute().as_uri(), "")

    @property
    def folder(self) -> Path:
        """The folder."""
        return Path(unquote(urlsplit(self.url).path))


@dataclass(frozen=True)
class LoadSettings:
    """How to load ``dataset``: a staged dataset, or Parquet files that are adopted.

    ``state`` is the folder in whose ``.loader`` the loader keeps its own files of the dataset, by default beside it.
    For adopted datasets, ``mapping`` says which columns are tags, fields and time; it is needed for the first load.
    ``on_duplicate`` is for them, too: "fail", "last" (the last row of an identity counts) or "nudge" (later ones are
    moved by nanoseconds). With ``assume_distinct``, duplicates are not searched for. With ``restart``, what was
    acknowledged is forgotten; with ``dry_run``, nothing is sent. More rejected rows than ``max_rejected``, a
    number or text such as "0.5%" (of the dataset's rows), end the load.
    To a FolderTarget, line protocol is written in files, with the gzip of ``write``.
    ``via`` is "write" (line protocol, as ``write`` says), "restore" (storage files, into InfluxDB 2.x) or "auto"
    (the one that fits). ``connections`` bounds the requests at a time, of which there are as many as the server is fit
    for; None is what suits the server. On the restore path it is the number of shards at a time, usually 3, and
    ``on_existing`` is for points of the bucket that have the series and time of a row: "replace" or "fail".
    ``retry_seconds`` bounds the time that one payload is retried.
    ``shard_duration`` is nanoseconds for a bucket made by this load, 0 for the server's default.
    """

    dataset: Path
    target: Target
    via: str = LoadMethod.AUTO
    write: WriteSettings = WriteSettings()
    connections: int | None = None
    max_rejected: int | str = 1_000
    retry_seconds: float = 300.0
    timeout_seconds: float = 60.0
    shard_duration: int = 0
    restart: bool = False
    dry_run: bool = False
    state: Path | None = None
    mapping: ColumnMapping | None = None
    on_duplicate: str = OnDuplicate.FAIL
    assume_distinct: bool = False
    on_existing: str = OnExisting.REPLACE

    @property
    def shards_at_a_time(self) -> int:
        """How many shards are made and sent at a time on the restore path."""
        return self.connections or _SHARDS_AT_A_TIME

    @cached_property
    def place(self) -> Place:
        """Where files and state of the dataset are."""
        return find_place(self.dataset, self.state)

    def sending(self, rules: WriteRules) -> Sending:
        """Return how lines are sent to a server of ``rules``."""
        return Sending.by(self.write, self.connections, rules)


@dataclass(frozen=True)
class LoadReport:
    """What a load did; sizes are bytes.

    Over all runs of this load, ``rows`` are those whose points the server has taken (``rows_acknowledged``), those that
    cannot be points or were refused for good (``rows_rejected``), those that are not sent because later rows of the
    same identity set all their values (``rows_skipped``), and ``rows_left``, which a rerun goes on with. Earlier runs
    had done with ``rows_resumed`` of them, this run with ``rows_done``. On the restore path, the bucket had points of
    the series and times of ``rows_existing`` before, which were replaced. Of the whole dataset, which ``fingerprint``
    identifies, ``measurements`` tells the rows of each, ``rows_moved`` are moved by nanoseconds, and
    ``values_not_finite`` are left out, where its mapping says so.

    ``payload_size`` is line protocol or storage files before compression, ``body_size`` what went over the wire.
    ``waits`` is seconds by cause: "retry" summed over connections, "rate" and "server busy" of the one coordinator.
    ``connections`` is how many there were at most, ``batch_lines`` and ``batch_bytes`` are what was used where settings
    leave it open; 0 is unknown.
    """

    server: str
    via: str
    rows: int
    rows_resumed: int
    rows_done: int
    rows_acknowledged: int
    rows_rejected: int
    rows_skipped: int
    rows_left: int
    payload_size: int
    body_size: int
    seconds: float
    retries: int
    waits: Mapping[str, float]
    interrupted: bool
    rejected_path: str
    first_rejected: str
    measurements: Mapping[str, int] = field(default_factory=dict)
    values_not_finite: int = 0
    rows_moved: int = 0
    fingerprint: str = ""
    rows_existing: int = 0
    connections: int = 0
    batch_lines: int = 0
    batch_bytes: int = 0
