"""``loader stage``: synthetic trades as partitioned Parquet."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from loader import staging
from loader.cli.options import JsonOption, QuietOption, read_names
from loader.cli.running import DONE, DebugOption, Output, run
from loader.reporting.text import stage_text
from loader.staging import StageSettings


def stage(
    out: Annotated[Path, typer.Option("--out", help="Folder of the dataset.")] = Path("data"),
    trades: Annotated[int, typer.Option(help="Number of trades, exactly.")] = 300_000_000,
    calendar: Annotated[str, typer.Option(help="XNYS (the sessions of the exchange) or 24/7.")] = "XNYS",
    symbols: Annotated[list[str] | None, typer.Option(help="Built-in symbols to use, with commas between.")] = None,
    symbols_file: Annotated[
        Path | None, typer.Option(help="CSV with columns symbol, weight, price, volatility.")
    ] = None,
    start: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day.")] = datetime(2024, 1, 1),
    end: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Last day.")] = datetime(2024, 12, 31),
    seed: Annotated[int, typer.Option(help="Same seed, same trades.")] = 1,
    workers: Annotated[int, typer.Option(help="Processes; they do not change the trades.")] = os.cpu_count() or 1,
    compression: Annotated[str, typer.Option(help="zstd, zstd:LEVEL, lz4, snappy or none.")] = "zstd",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a dataset of other settings.")] = False,
    quiet: QuietOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Stage synthetic trades of 2024 as one Parquet file a session; run it again to go on after a stop."""
    settings = StageSettings(
        out=out,
        trades=trades,
        calendar=calendar,
        symbols=read_names(symbols),
        symbols_file=symbols_file,
        start=start.date(),
        end=end.date(),
        seed=seed,
        workers=workers,
        compression=compression,
        overwrite=overwrite,
    )
    run(
        "stage",
        settings,
        out,
        Output(quiet, json, debug),
        lambda observe: staging.stage(settings, observe),
        stage_text,
        lambda report: DONE,
    )
