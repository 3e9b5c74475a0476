"""The options that commands share, and the functions that read their texts."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from loader.dataset.mapping import ColumnMapping, parse_mapping, read_mapping
from loader.errors import ConfigError
from loader.servers.base import Target
from loader.servers.credentials import stripped
from loader.servers.target import Place, TargetOptions, from_configuration, from_environment, resolve_target
from loader.servers.transport import check_ca_file

_LONGEST_TOKEN_FILE = 65_536
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}

DatasetArgument = Annotated[
    Path,
    typer.Argument(help="A staged dataset; or Parquet: a file, a folder, a quoted pattern.", show_default=True),
]
StateOption = Annotated[
    Path | None, typer.Option("--state", help="Folder for what the loader keeps of the dataset, not beside it.")
]
HostOption = Annotated[str, typer.Option("--host", help="Address of the server [INFLUX_HOST].")]
TokenOption = Annotated[
    str, typer.Option("--token", help="Token; better in INFLUX_TOKEN or a file: flags show in process lists.")
]
TokenFileOption = Annotated[Path | None, typer.Option("--token-file", help="File whose first line is the token.")]
CaFileOption = Annotated[
    str, typer.Option("--ca-file", help="CA certificates (PEM) to trust instead of the system's [SSL_CERT_FILE].")
]
OrgOption = Annotated[str, typer.Option("--org", help="Organization, for 2.x [INFLUX_ORG].")]
BucketOption = Annotated[
    str, typer.Option("--bucket", help="Bucket, or database for 1.x [INFLUX_BUCKET_NAME, or trades].")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else, to stdout.")]


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


MeasurementOption = Annotated[str, typer.Option(help="Of files that were not staged: the measurement.")]
MeasurementColumnOption = Annotated[
    str, typer.Option(help="What says the measurement instead: a key of paths (NAME=cpu/), for stage a column.")
]
TagOption = Annotated[list[str] | None, typer.Option(help="A column that is a tag; several with commas.")]
FieldOption = Annotated[
    list[str] | None,
    typer.Option(help="A column that is a field: NAME, NAME=key or NAME=key:type; all others by default."),
]
TimeOption = Annotated[str, typer.Option(help="The column of times.")]
TimeUnitOption = Annotated[str, typer.Option(help="s, ms, us or ns, of times that are integers.")]
TimezoneOption = Annotated[str, typer.Option(help="Of timestamps without one: UTC, or such as Europe/Berlin.")]
AmbiguousOption = Annotated[str, typer.Option(help="Local times that occur twice: refuse, earliest, latest.")]
NonexistentOption = Annotated[str, typer.Option(help="Local times that do not exist: refuse, or skip the value.")]
NonFiniteOption = Annotated[str, typer.Option(help="NaN and infinities: reject the row, or skip the field.")]
UnsignedOption = Annotated[str, typer.Option(help="uint64 as unsigned, integer, float or string.")]
SchemaOption = Annotated[Path | None, typer.Option("--schema", help="File that says the same, such as points.toml.")]


def read_target(host: str, token: str, token_file: Path | None, org: str, bucket: str, ca_file: str = "") -> Target:
    """Return the target that the options, the environment or a profile name; raises ConfigError."""
    candidates = read_target_options(host, token, token_file, org, bucket)
    return resolve_target(*candidates, ca_file=check_ca_file(ca_file, "--ca-file"))


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


def read_mapping_options(schema: Path | None, flags: Mapping[str, str | tuple[str, ...]]) -> ColumnMapping | None:
    """Return the mapping that a file, or flags (as in ``parse_mapping``), describe, None when neither is given.

    Raises ConfigError.
    """
    said = {name: list(value) if isinstance(value, tuple) else value for name, value in flags.items() if value}
    if schema:
        if said:
            raise ConfigError(f"--schema and flags say the columns ({', '.join(said)})", hint="say all in one of them")
        return read_mapping(schema)
    return parse_mapping(said, "") if said else None


def read_names(texts: list[str] | None) -> tuple[str, ...]:
    """Return the names in an option that may be repeated, and may hold several names with commas between."""
    return tuple(name.strip() for text in texts or [] for name in text.split(",") if name.strip())
