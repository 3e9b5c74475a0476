"""The result of a tuning in the dataset's state, and the settings of a load that it gives.

The file may come from anybody, as its dataset may, so everything that is used of it is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from loader.dataset.adopt import adopt
from loader.dataset.claims import check_integer, check_line, check_mapping
from loader.dataset.manifest import read_manifest
from loader.dataset.state import read_json, state_path, write_json
from loader.errors import ConfigError, StageError
from loader.events import Notice, Observer
from loader.loading.flow import gzip_level
from loader.loading.settings import LoadSettings
from loader.loading.write_path.connection_limit import START
from loader.servers.address import redacted, same_server
from loader.servers.base import WriteRules
from loader.servers.load_method import LoadMethod
from loader.tuning.settings import TunedSettings, TuneReport

FILE = "tuning.json"
Item = TypeVar("Item")
VERSION = 1
_MOST_LINES = 100_000_000
_MOST_BATCH_BYTES = 1 << 30
_MOST_CONNECTIONS = 1_000


@dataclass(frozen=True)
class Result:
    """What a load takes of a tuning: where and of what it was measured, when (ISO 8601), and the settings."""

    url: str
    fingerprint: str
    measured: str
    found: TunedSettings


def write_result(place: Path, report: TuneReport, observe: Observer) -> TuneReport:
    """Keep ``report`` in the state at ``place``, and return it with its path; says so where it cannot be written."""
    path = str(state_path(place, FILE))
    kept = replace(report, path=path)
    try:
        write_json(place, FILE, {"version": VERSION, "loader": version("loader"), **asdict(kept)})
    except (OSError, StageError) as error:
        why = error.strerror if isinstance(error, OSError) else error.message
        observe(Notice(f"{path}: cannot be written, so loader load --tuned will not find it: {why}"))
        return report
    return kept


def read_result(place: Path) -> Result | None:
    """Return the result of the last tuning in the state at ``place``, None when there is none.

    Raises StageError when it is damaged.
    """
    return read_tuning_file(place, _result, "leave out --tuned")


def read_tuning_file(place: Path, read: Callable[[dict[str, Any]], Item], otherwise: str) -> Item | None:
    """Return what ``read`` makes of the last tuning in the state at ``place``, None when there is none.

    Raises StageError when it is damaged: when ``read`` raises ValueError, KeyError or ConfigError. ``otherwise`` is
    what the user can do other than to measure again.
    """
    try:
        data = check_mapping("the tuning", read_json(place, FILE))
        if data["version"] != VERSION:
            raise ValueError(f"its version is not {VERSION}")
        return read(data)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, ConfigError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else error
        raise StageError(
            f"{state_path(place, FILE)}: damaged: {what}", hint=f"measure again: loader tune, or {otherwise}"
        ) from error


def _result(data: dict[str, Any]) -> Result:
    return Result(
        check_line("the address", data["url"]),
        check_line("the fingerprint", data["fingerprint"]),
        check_line("the date", data["measured"]),
        _settings(check_mapping("the settings", data["found"])),
    )


def tuned(settings: LoadSettings, explicit: Collection[str] = ()) -> LoadSettings:
    """Return ``settings`` with what a tuning has found, except for the names of TunedSettings in ``explicit``.

    The manifest of the dataset is read, of Parquet that was not staged all footers. Raises ConfigError without a tuning
    of this dataset for the target's server, and on the restore path; StageError when it is damaged.
    """
    place = settings.place
    again = f"measure it: loader tune {settings.dataset} --host {redacted(settings.target.url)}, or leave out --tuned"
    if settings.via == LoadMethod.RESTORE:
        raise ConfigError("what a tuning finds is for the write path", hint="leave out --tuned, or use --via write")
    result = read_result(place.state)
    if result is None:
        raise ConfigError(f"{settings.dataset}: no server was measured with this dataset", hint=again)
    if not same_server(result.url, settings.target.url):
        raise ConfigError(
            f"{settings.dataset}: its tuning is of {redacted(result.url)}, and the load goes to"
            f" {redacted(settings.target.url)}",
            hint=again,
        )
    manifest = adopt(place, settings.mapping, afresh=settings.restart, moving=True) or read_manifest(place.state)
    if manifest.fingerprint != result.fingerprint:
        raise ConfigError(
            f"{settings.dataset}: the dataset has changed since its tuning of {result.measured}", hint=again
        )
    found = {name: value for name, value in asdict(result.found).items() if name not in explicit}
    connections = found.pop("connections", settings.connections)
    write = replace(settings.write, **found)
    return replace(settings, via=LoadMethod.WRITE, write=write, connections=connections)


def flags_of(settings: LoadSettings) -> str:
    """Return the flags that say of ``settings`` what a tuning finds."""
    sending, connections = settings.sending(WriteRules()), settings.connections or START
    return TunedSettings(sending.batch_lines, sending.batch_bytes, connections, settings.write.compress).flags


def _settings(said: dict[str, Any]) -> TunedSettings:
    compress = check_line("the compression", said["compress"])
    gzip_level(compress, "http://localhost")
    return TunedSettings(
        batch_lines=_within("the lines of a batch", said["batch_lines"], _MOST_LINES),
        batch_bytes=_within("the bytes of a batch", said["batch_bytes"], _MOST_BATCH_BYTES),
        connections=_within("the number of connections", said["connections"], _MOST_CONNECTIONS),
        compress=compress,
    )


def _within(what: str, value: Any, most: int) -> int:
    number = check_integer(what, value, 1)
    if number > most:
        raise ValueError(f"{what} is {number:,}, more than {most:,}")
    return number
