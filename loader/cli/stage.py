"""``loader stage``: stages synthetic trades, or the points in source files, as partitioned Parquet."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from loader.cli.live import LiveOptions, LogFileOption, LogFormatOption, MetricsPortOption
from loader.cli.options import (
    AmbiguousOption,
    DebugOption,
    DecimalOption,
    FieldOption,
    JsonOption,
    MeasurementColumnOption,
    MeasurementOption,
    NonexistentOption,
    NonFiniteOption,
    NullOption,
    QuietOption,
    SchemaOption,
    SeparatorOption,
    TagOption,
    TimeFormatOption,
    TimeOption,
    TimeUnitOption,
    TimezoneOption,
    UnsignedOption,
    given,
    values,
)
from loader.cli.outcome import Output, guarded, judge_rows
from loader.dataset.policy import OnDuplicate
from loader.errors import ConfigError
from loader.importing import importing

_TRADES = "Synthetic trades"
_FILES = "Files (--from)"

_OF_TRADES = ("trades", "calendar", "symbols", "symbols_file", "start", "end", "seed")
_OF_FILES = (
    *("measurement", "measurement_column", "tag", "field", "time", "time_unit", "timezone", "ambiguous", "nonexistent"),
    *("non_finite", "unsigned", "schema", "on_duplicate", "on_bad_line", "max_rejected", "temp"),
    *("separator", "null", "decimal", "time_format"),
)


def stage(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", help="Folder of the dataset.", metavar="DIR")] = Path("data"),
    sources: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            help="Files, folder or quoted pattern to stage, instead of trades; may be repeated.",
            metavar="PATH",
            rich_help_panel=_FILES,
        ),
    ] = None,
    trades: Annotated[
        int, typer.Option(help="Number of trades, exactly.", metavar="N", rich_help_panel=_TRADES)
    ] = 300_000_000,
    calendar: Annotated[
        str,
        typer.Option(
            help="XNYS (the sessions of the exchange) or 24/7.",
            metavar="NAME",
            autocompletion=values(("XNYS", "24/7")),
            rich_help_panel=_TRADES,
        ),
    ] = "XNYS",
    symbols: Annotated[
        list[str] | None,
        typer.Option(help="Built-in symbols to use, with commas between.", metavar="NAMES", rich_help_panel=_TRADES),
    ] = None,
    symbols_file: Annotated[
        Path | None,
        typer.Option(
            help="CSV with columns symbol, weight, price, volatility.", metavar="FILE", rich_help_panel=_TRADES
        ),
    ] = None,
    start: Annotated[
        datetime,
        typer.Option(
            formats=["%Y-%m-%d"],
            help="First day; by default 2024-01-01.",
            show_default=False,
            metavar="DATE",
            rich_help_panel=_TRADES,
        ),
    ] = datetime(2024, 1, 1),
    end: Annotated[
        datetime,
        typer.Option(
            formats=["%Y-%m-%d"],
            help="Last day; by default 2024-12-31.",
            show_default=False,
            metavar="DATE",
            rich_help_panel=_TRADES,
        ),
    ] = datetime(2024, 12, 31),
    seed: Annotated[int, typer.Option(help="Same seed, same trades.", metavar="N", rich_help_panel=_TRADES)] = 1,
    measurement: MeasurementOption = "",
    measurement_column: MeasurementColumnOption = "",
    tag: TagOption = None,
    field: FieldOption = None,
    time: TimeOption = "",
    time_unit: TimeUnitOption = "",
    timezone: TimezoneOption = "",
    ambiguous: AmbiguousOption = "",
    nonexistent: NonexistentOption = "",
    non_finite: NonFiniteOption = "",
    unsigned: UnsignedOption = "",
    schema: SchemaOption = None,
    separator: SeparatorOption = ",",
    null: NullOption = None,
    decimal: DecimalOption = ".",
    time_format: TimeFormatOption = "",
    on_duplicate: Annotated[
        OnDuplicate,
        typer.Option(
            help="Rows of one series and time that set the same field: fail, last, or nudge by nanoseconds.",
            rich_help_panel=_FILES,
        ),
    ] = OnDuplicate.FAIL,
    on_bad_line: Annotated[
        str,
        typer.Option(
            help="A bad line of line protocol: fail, or skip it.",
            metavar="CHOICE",
            autocompletion=values(("fail", "skip")),
            rich_help_panel=_FILES,
        ),
    ] = "fail",
    max_rejected: Annotated[
        int, typer.Option(help="Rejected rows after which to stop.", metavar="N", rich_help_panel=_FILES)
    ] = 1_000,
    temp: Annotated[
        Path | None,
        typer.Option(
            help="Folder for temporary files; beside --out by default.", metavar="DIR", rich_help_panel=_FILES
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(help="Processes or threads; the content is the same for any.", metavar="N")
    ] = (os.cpu_count() or 1),
    compression: Annotated[
        str,
        typer.Option(
            help="zstd, zstd:LEVEL, lz4, snappy or none.",
            metavar="NAME",
            autocompletion=values(("zstd", "lz4", "snappy", "none")),
        ),
    ] = "zstd",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a dataset of other settings.")] = False,
    metrics_port: MetricsPortOption = "",
    log_format: LogFormatOption = None,
    log_file: LogFileOption = None,
    quiet: QuietOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Stage synthetic trades of 2024, or points of files (--from), as Parquet; run it again to go on after a stop."""
    with importing():
        from loader import staging
        from loader.cli.option_values import mapping_flags, read_mapping_options, read_names
        from loader.cli.running import run
        from loader.reporting.text import stage_text
        from loader.staging import CsvFormat, FilesSettings, StageSettings
    output = Output(quiet, json, debug, LiveOptions(metrics_port, log_format, log_file))
    guarded(output, lambda: _refuse_idle_flags(context, bool(sources)))
    if sources:
        mapped = mapping_flags(context.params)
        # Line protocol has a unit of times, too.
        tables = bool(schema or any(said for name, said in mapped.items() if name != "time_unit"))
        files = guarded(
            output,
            lambda: FilesSettings(
                out=out,
                sources=tuple(sources),
                mapping=read_mapping_options(schema, mapped if tables else {}, sources[0]),
                time_unit="ns" if tables else time_unit or "ns",
                on_duplicate=on_duplicate.value,
                on_bad_line=on_bad_line,
                max_rejected=max_rejected,
                temporary=temp,
                workers=workers,
                compression=compression,
                overwrite=overwrite,
                csv=CsvFormat(separator, tuple(null or ()), decimal, time_format),
            ),
        )
        run("stage", files, out, output, lambda observe: staging.stage_files(files, observe), stage_text, judge_rows)
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
        output,
        lambda observe: staging.stage(settings, observe),
        stage_text,
        judge_rows,
    )


def _refuse_idle_flags(context: typer.Context, files: bool) -> None:
    """Raise ConfigError for flags that have no effect: those of trades with --from, those of files without."""
    there = given(context)
    said = [f"--{name.replace('_', '-')}" for name in (_OF_TRADES if files else _OF_FILES) if name in there]
    if said:
        raise ConfigError(
            f"{', '.join(said)} {'beside' if files else 'without'} --from",
            hint="such flags are for trades: leave them out, or --from" if files else "name the files: --from PATH",
        )
