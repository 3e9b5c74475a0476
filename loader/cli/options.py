"""The options that commands share: their names, their panels in the help, and what completes their values.

A command declares an option with one of these types. They need no library beside Typer: the help and the completion
of a shell read the declarations of all commands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer

from loader.dataset.instant import NANOSECONDS
from loader.dataset.policy import Ambiguous, Nonexistent, NonFinite

TARGET = "Target"
COLUMNS = "Columns of your own files"
CSV = "CSV"
DATASET = "Dataset"
FLOW = "Flow"
OUTPUT = "Output"

UNSIGNED_TYPES = ("unsigned", "integer", "float", "string")


def values(known: Iterable[str]) -> Callable[[str], list[str]]:
    """Return what completes the value of an option: those of ``known`` that begin with what is typed."""
    return lambda incomplete: [value for value in known if value.startswith(incomplete)]


def given(context: typer.Context) -> set[str]:
    """Return the names of the options that are on the command line."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}


DatasetArgument = Annotated[
    Path,
    typer.Argument(
        help="A staged dataset; or Parquet: a file, a folder, a quoted pattern.", show_default=True, metavar="PATH"
    ),
]
StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state",
        help="Folder for what the loader keeps of the dataset, not beside it.",
        metavar="DIR",
        rich_help_panel=DATASET,
    ),
]

HostOption = Annotated[
    str, typer.Option("--host", help="Address of the server [INFLUX_HOST].", metavar="URL", rich_help_panel=TARGET)
]
TokenOption = Annotated[
    str,
    typer.Option(
        "--token",
        help="Token; better in INFLUX_TOKEN or a file: flags show in process lists.",
        metavar="TOKEN",
        rich_help_panel=TARGET,
    ),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option("--token-file", help="File whose first line is the token.", metavar="FILE", rich_help_panel=TARGET),
]
OrgOption = Annotated[
    str,
    typer.Option("--org", help="Organization, for 2.x [INFLUX_ORG].", metavar="NAME", rich_help_panel=TARGET),
]
BucketOption = Annotated[
    str,
    typer.Option(
        "--bucket",
        help="Bucket, or database for 1.x [INFLUX_BUCKET_NAME, or trades].",
        metavar="NAME",
        rich_help_panel=TARGET,
    ),
]
BucketOfLastLoadOption = Annotated[
    str,
    typer.Option(
        "--bucket",
        help="Bucket, or database for 1.x [of the last load, or INFLUX_BUCKET_NAME, or trades].",
        metavar="NAME",
        rich_help_panel=TARGET,
    ),
]
CaFileOption = Annotated[
    str,
    typer.Option(
        "--ca-file",
        help="CA certificates (PEM) to trust instead of the system's [SSL_CERT_FILE].",
        metavar="FILE",
        rich_help_panel=TARGET,
    ),
]
ClientCertOption = Annotated[
    str,
    typer.Option(
        "--client-cert",
        help="Own certificate (PEM) for servers that want one, with its key or with --client-key.",
        metavar="FILE",
        rich_help_panel=TARGET,
    ),
]
ClientKeyOption = Annotated[
    str,
    typer.Option("--client-key", help="Key of --client-cert (PEM).", metavar="FILE", rich_help_panel=TARGET),
]
InsecureOption = Annotated[
    bool,
    typer.Option(
        "--insecure-skip-verify", help="Trust any certificate; others may read the token.", rich_help_panel=TARGET
    ),
]

MeasurementOption = Annotated[
    str,
    typer.Option(help="The measurement.", metavar="NAME", rich_help_panel=COLUMNS),
]
MeasurementColumnOption = Annotated[
    str,
    typer.Option(
        help="What says the measurement instead: a key of paths (NAME=cpu/), for stage a column.",
        metavar="NAME",
        rich_help_panel=COLUMNS,
    ),
]
TagOption = Annotated[
    list[str] | None,
    typer.Option(help="A column that is a tag; several with commas.", metavar="NAMES", rich_help_panel=COLUMNS),
]
FieldOption = Annotated[
    list[str] | None,
    typer.Option(
        help="A column that is a field: NAME, NAME=key or NAME=key:type; all others by default.",
        metavar="NAMES",
        rich_help_panel=COLUMNS,
    ),
]
TimeOption = Annotated[str, typer.Option(help="The column of times.", metavar="NAME", rich_help_panel=COLUMNS)]
TimeUnitOption = Annotated[
    str,
    typer.Option(
        help="s, ms, us or ns, of times that are integers.",
        metavar="UNIT",
        autocompletion=values(NANOSECONDS),
        rich_help_panel=COLUMNS,
    ),
]
TimezoneOption = Annotated[
    str,
    typer.Option(
        help="Of timestamps without one: UTC, or such as Europe/Berlin.", metavar="ZONE", rich_help_panel=COLUMNS
    ),
]
AmbiguousOption = Annotated[
    str,
    typer.Option(
        help="Local times that occur twice: refuse, infer (stage only), earliest, latest.",
        metavar="CHOICE",
        autocompletion=values(Ambiguous),
        rich_help_panel=COLUMNS,
    ),
]
NonexistentOption = Annotated[
    str,
    typer.Option(
        help="Local times that do not exist: refuse, or skip the value.",
        metavar="CHOICE",
        autocompletion=values(Nonexistent),
        rich_help_panel=COLUMNS,
    ),
]
NonFiniteOption = Annotated[
    str,
    typer.Option(
        help="NaN and infinities: reject the row, or skip the field.",
        metavar="CHOICE",
        autocompletion=values(NonFinite),
        rich_help_panel=COLUMNS,
    ),
]
UnsignedOption = Annotated[
    str,
    typer.Option(
        help="uint64 as unsigned, integer, float or string.",
        metavar="TYPE",
        autocompletion=values(UNSIGNED_TYPES),
        rich_help_panel=COLUMNS,
    ),
]
SchemaOption = Annotated[
    Path | None,
    typer.Option(
        "--schema", help="File that says the same, such as points.toml.", metavar="FILE", rich_help_panel=COLUMNS
    ),
]

SeparatorOption = Annotated[
    str,
    typer.Option(help="What separates columns: , or ; or | or \\t.", metavar="TEXT", rich_help_panel=CSV),
]
NullOption = Annotated[
    list[str] | None,
    typer.Option(help="A cell that has no value, such as NA; may be repeated.", metavar="TEXT", rich_help_panel=CSV),
]
DecimalOption = Annotated[
    str, typer.Option(help="What begins the decimals of numbers: . or ,", metavar="TEXT", rich_help_panel=CSV)
]
TimeFormatOption = Annotated[
    str,
    typer.Option(
        help="How times are written, such as '%d.%m.%Y %H:%M:%S'; ISO 8601 by default.",
        metavar="FORMAT",
        rich_help_panel=CSV,
    ),
]

QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.", rich_help_panel=OUTPUT)]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print the result as JSON, and nothing else, to stdout.", rich_help_panel=OUTPUT),
]
DebugOption = Annotated[
    bool,
    typer.Option(
        "--debug",
        envvar="LOADER_DEBUG",
        help="Print the traceback of an error, for a report of it.",
        rich_help_panel=OUTPUT,
    ),
]
