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
from loader.servers.base import Target
from loader.servers.load_method import LoadMethod


@dataclass(frozen=True)
class WriteSettings:
    """How to send line protocol: at most ``batch_lines`` lines and ``batch_bytes`` bytes in a request.

    ``compress`` is "auto" (none on loopback, gzip:1 elsewhere), "none", "gzip" or "gzip:LEVEL"; ``rate`` is
    points a second, 0 for no limit.
    """

    batch_lines: int = 20_000
    batch_bytes: int = 4_000_000
    compress: str = "auto"
    rate: float = 0.0


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
    ``via`` is "write" (line protocol, into any bucket, as ``write`` says) or "restore" (storage files, into a bucket
    of its own on InfluxDB 2.x). On the restore path, ``connections`` is how many shards are made and sent at a time.
    ``retry_seconds`` bounds the time that one payload is retried.
    ``shard_duration`` is nanoseconds for a bucket made by this load, 0 for the server's default.
    """

    dataset: Path
    target: Target
    via: str = LoadMethod.WRITE
    write: WriteSettings = WriteSettings()
    connections: int = 3
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

    @cached_property
    def place(self) -> Place:
        """Where files and state of the dataset are."""
        return find_place(self.dataset, self.state)


@dataclass(frozen=True)
class LoadReport:
    """What a load did; sizes are bytes.

    Over all runs of this load, ``rows`` are those whose points the server has taken (``rows_acknowledged``), those that
    cannot be points or were refused for good (``rows_rejected``), those that are not sent because later rows of the
    same identity set all their values (``rows_skipped``), and ``rows_left``, which a rerun goes on with. Earlier runs
    had done with ``rows_resumed`` of them, this run with ``rows_done``. Of the whole dataset, which ``fingerprint``
    identifies, ``measurements`` tells the rows of each, ``rows_moved`` are moved by nanoseconds, and
    ``values_not_finite`` are left out, where its mapping says so.

    ``payload_size`` is line protocol or storage files before compression, ``body_size`` what went over the wire.
    ``waits`` is seconds by cause: "retry" summed over connections, "rate" and "server busy" of the one coordinator.
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
