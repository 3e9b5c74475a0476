"""Reads the texts of options: what they say becomes targets, mappings, durations and names."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from loader.dataset.mapping import ColumnMapping, parse_mapping, read_mapping
from loader.dataset.place import find_place
from loader.errors import ConfigError
from loader.loading.ledger import last_load
from loader.loading.settings import FolderTarget
from loader.servers.base import Target
from loader.servers.credentials import stripped
from loader.servers.target import (
    Place,
    TargetOptions,
    from_configuration,
    from_environment,
    resolve_target,
    with_last_load,
)
from loader.servers.tls import Tls

_LONGEST_TOKEN_FILE = 65_536
_MAPPING_FLAGS = (
    *("measurement", "measurement_column", "tags", "fields", "time", "time_unit", "timezone", "ambiguous"),
    *("nonexistent", "non_finite", "unsigned"),
)
_OF_SERVERS = frozenset(
    {
        *("host", "token", "token_file", "org", "bucket", "ca_file", "via", "on_existing", "shard_duration", "tuned"),
        *("batch_lines", "batch_bytes", "connections", "rate", "retry_seconds", "timeout"),
    }
)
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def read_target(
    host: str, token: str, token_file: Path | None, org: str, bucket: str, tls: Tls | None = None
) -> Target:
    """Return the target that the options, the environment or a profile name; raises ConfigError."""
    candidates = read_target_options(host, token, token_file, org, bucket)
    return resolve_target(*candidates, tls=tls, environ=os.environ)


def read_tls(ca_file: str, client_cert: str, client_key: str, insecure_skip_verify: bool) -> Tls:
    """Return whom to trust and what to show over https, once the files are seen to be usable; raises ConfigError."""
    tls = Tls(ca_file, client_cert, client_key, verify=not insecure_skip_verify)
    tls.context()
    return tls


def read_folder(folder: Path, given: Set[str]) -> FolderTarget:
    """Return ``folder`` as a target; raises ConfigError when options that are ``given`` speak of a server."""
    if others := sorted(given & _OF_SERVERS):
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in others)
        raise ConfigError(
            f"--to writes files, and needs no {flags}", hint="leave it out; loader verify compares a server later"
        )
    return FolderTarget.to(folder)


def read_target_options(host: str, token: str, token_file: Path | None, org: str, bucket: str) -> list[TargetOptions]:
    """Return the target options of flags, environment and the influx CLI's configuration; raises ConfigError."""
    names = {}
    if token_file is not None:
        if token:
            raise ConfigError("--token and --token-file are both given", hint="use one of them")
        names["token"] = f"--token-file {token_file}"
        token = _read_token(token_file)
    flags = TargetOptions(stripped(host), org, bucket, token, names=names)
    return [flags, *from_environment(os.environ), _configured()]


def read_target_of(
    dataset: Path,
    state: Path | None,
    host: str,
    token: str,
    token_file: Path | None,
    org: str,
    bucket: str,
    tls: Tls | None = None,
) -> Target:
    """Return the target of ``read_target``, with the bucket of the dataset's last load if that went to its server.

    Raises ConfigError when the last load went to another server, and StageError or LoadError for a damaged ledger.
    """
    last = last_load(find_place(dataset, state).state)
    # The ledger has no token, and no bucket where the last load went into a folder.
    loaded = TargetOptions(str(last.url), str(last.org), str(last.bucket)) if last and last.bucket else None
    candidates = with_last_load(read_target_options(host, token, token_file, org, bucket), loaded, str(dataset))
    return resolve_target(*candidates, tls=tls, environ=os.environ)


def _read_token(path: Path) -> str:
    """Return the first line of a file in UTF-8, or in UTF-16 as PowerShell writes it; it may be a pipe."""
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST_TOKEN_FILE)
        wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        token = stripped(stripped(content.decode("utf-16" if wide else "utf-8")).partition("\n")[0])
    except (OSError, ValueError):
        raise ConfigError(f"--token-file {path}: cannot be read", hint="--token-file names a text file") from None
    if not token:
        raise ConfigError(f"--token-file {path}: holds no token", hint="its first line is the token")
    return token


def _configured() -> TargetOptions:
    """Return the influx CLI's active profile; raises ConfigError for one that cannot be read, or is named and missing.

    If it were ignored, a load could go to another server than the user means, perhaps with a token for this one.
    """
    named = stripped(os.environ.get("INFLUX_CONFIGS_PATH", ""))
    path = Path(named or "~/.influxdbv2/configs")
    try:
        path = path if named else path.expanduser()
        return from_configuration(path.read_text(encoding="utf-8-sig"), str(path))
    except (OSError, ValueError, RuntimeError) as error:
        if not named and isinstance(error, FileNotFoundError | RuntimeError):  # no such file, no home folder
            return TargetOptions(place=Place.PROFILE)
        why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise ConfigError(
            f"{path}: the influx CLI's profiles cannot be read: {why}",
            hint="mend it, or have INFLUX_CONFIGS_PATH name another file, such as /dev/null for none",
        ) from None


def read_duration(text: str) -> int:
    """Return nanoseconds for a duration such as 7d, 36h or 1w; 0 for ""; raises ConfigError."""
    match = re.fullmatch(r"(\d+)([smhdw])", text)
    if text and not match:
        raise ConfigError(f"{text!r} is not a duration", hint="write it like 7d, 36h or 52w")
    return int(match[1]) * _UNITS[match[2]] * 1_000_000_000 if match else 0


def read_mapping_options(
    schema: Path | None, flags: Mapping[str, str | tuple[str, ...]], path: Path
) -> ColumnMapping | None:
    """Return the mapping that a file, or flags (as in ``parse_mapping``), describe, None when neither is given.

    Raises ConfigError; if no time is named, its hint has the columns at ``path``.
    """
    said = {name: list(value) if isinstance(value, tuple) else value for name, value in flags.items() if value}
    if schema:
        if said:
            raise ConfigError(f"--schema and flags say the columns ({', '.join(said)})", hint="say all in one of them")
        return read_mapping(schema)
    if said and not said.get("time"):
        from loader.staging.inspection import describe_columns  # only this error needs what it imports

        columns = describe_columns(path)
        raise ConfigError("no time column is named", hint="name it: --time COLUMN" + f"; {columns}" * bool(columns))
    return parse_mapping(said, "") if said else None


def mapping_flags(options: Mapping[str, Any]) -> dict[str, str | tuple[str, ...]]:
    """Return what those of a command's ``options`` that describe columns say, as ``read_mapping_options`` takes it."""
    named = {"tags": read_names(options["tag"]), "fields": read_names(options["field"])}
    return {name: named[name] if name in named else options[name] for name in _MAPPING_FLAGS}


def read_names(texts: list[str] | None) -> tuple[str, ...]:
    """Return the names in an option that may be repeated, and may hold several names with commas between."""
    return tuple(name.strip() for text in texts or [] for name in text.split(",") if name.strip())
