"""``loader candles``: stages open, high, low, close, volume, count and VWAP of a dataset as a dataset of their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loader.cli.live import LiveOptions, LogFileOption, LogFormatOption, MetricsPortOption
from loader.cli.options import DatasetArgument, DebugOption, JsonOption, QuietOption, StateOption
from loader.cli.outcome import DONE, Output, guarded
from loader.errors import ConfigError
from loader.importing import importing

if TYPE_CHECKING:
    from loader.staging import CandleRule, CandleSettings

CANDLES = "Candles"
PriceOption = Annotated[
    str, typer.Option(help="The field of prices; by default price.", metavar="FIELD", rich_help_panel=CANDLES)
]
AmountOption = Annotated[
    str | None,
    typer.Option(
        help="The field of amounts; by default amount if there is one, '' for none.",
        metavar="FIELD",
        rich_help_panel=CANDLES,
    ),
]
ByOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Tags that tell candles apart, with commas between; by default symbol, or else all. '' for none.",
        metavar="TAGS",
        rich_help_panel=CANDLES,
    ),
]
TradesOption = Annotated[
    str,
    typer.Option(
        "--measurement",
        help="The measurement of which candles are, if there are several.",
        metavar="NAME",
        rich_help_panel=CANDLES,
    ),
]


def candles(
    dataset: DatasetArgument = Path("data"),
    out: Annotated[Path, typer.Option("--out", help="Folder of the dataset of candles.", metavar="DIR")] = Path(
        "candles"
    ),
    every: Annotated[
        str, typer.Option(help="Length of a window, which divides a UTC day: 1m, 5m, 1h, 1d.", metavar="DURATION")
    ] = "1m",
    price: PriceOption = "",
    amount: AmountOption = None,
    by: ByOption = None,
    measurement: TradesOption = "",
    name: Annotated[
        str, typer.Option(help="Measurement of the candles; by default such as candles_1m.", metavar="NAME")
    ] = "",
    state: StateOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace candles of other settings.")] = False,
    metrics_port: MetricsPortOption = "",
    log_format: LogFormatOption = None,
    log_file: LogFileOption = None,
    quiet: QuietOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Stage candles (open, high, low, close, volume, count, VWAP) of a dataset; run it again to go on after a stop."""
    with importing():
        from loader import staging
        from loader.cli.running import run
        from loader.reporting.text import candles_text
        from loader.staging import CandleSettings
    output = Output(quiet, json, debug, LiveOptions(metrics_port, log_format, log_file))

    def settings() -> CandleSettings:
        rule = read_candle_rule(every, price, amount, by, measurement)
        if rule is None:
            raise ConfigError("the length of a window is not said", hint="say it: --every 1m")
        found = CandleSettings(dataset, out, rule, name, state, overwrite)
        _ = found.place  # which may be unreadable
        return found

    said = guarded(output, settings)
    run(
        "candles",
        said,
        out,
        output,
        lambda observe: staging.stage_candles(said, observe),
        candles_text,
        lambda report: DONE,
    )


def read_candle_rule(
    every: str, price: str, amount: str | None, by: list[str] | None, measurement: str
) -> CandleRule | None:
    """Return the rule that options describe; None without a window. Raises ConfigError."""
    with importing():
        from loader.cli.option_values import read_duration, read_names
        from loader.staging import CandleRule
    if every:
        return CandleRule(read_duration(every), price, amount, None if by is None else read_names(by), measurement)
    if price or amount is not None or by is not None or measurement:
        raise ConfigError("options of candles without a window", hint="say it, as in --candles 1d")
    return None
