"""``loader export-tsm``: writes the storage files of a dataset to disk."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated

import typer

from loader.cli.live import LiveOptions, LogFileOption, LogFormatOption, MetricsPortOption
from loader.cli.options import DatasetArgument, DebugOption, JsonOption, QuietOption, StateOption
from loader.cli.outcome import Output, guarded, judge_rows
from loader.importing import importing


def export(
    dataset: DatasetArgument = Path("data"),
    out: Annotated[
        Path, typer.Option("--out", help="A new folder, laid out like a server's engine path.", metavar="DIR")
    ] = Path("export"),
    shard_duration: Annotated[
        str, typer.Option(help="Time in a shard, such as 7d, the default.", metavar="DURATION")
    ] = "",
    state: StateOption = None,
    metrics_port: MetricsPortOption = "",
    log_format: LogFormatOption = None,
    log_file: LogFileOption = None,
    quiet: QuietOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Write the storage files that a restore would send, for influxd inspect and for study."""
    with importing():
        from loader import loading
        from loader.cli.option_values import read_duration
        from loader.cli.running import run
        from loader.loading import ExportSettings
        from loader.reporting.text import export_text
    output = Output(quiet, json, debug, LiveOptions(metrics_port, log_format, log_file))
    settings = guarded(
        output,
        lambda: ExportSettings(dataset=dataset, out=out, shard_duration=read_duration(shard_duration), state=state),
    )
    stop = threading.Event()
    run(
        "export",
        settings,
        settings.place.state,
        output,
        lambda observe: loading.export(settings, observe, stop),
        export_text,
        judge_rows,
        stop,
    )
