"""``loader tune``: measures a server with a dataset, and finds the settings that load it fastest."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated

import typer

from loader.cli.interrupts import INTERRUPTED
from loader.cli.live import LiveOptions, LogFileOption, LogFormatOption, MetricsPortOption
from loader.cli.options import (
    DATASET,
    FLOW,
    AmbiguousOption,
    CaFileOption,
    ClientCertOption,
    ClientKeyOption,
    DatasetArgument,
    DebugOption,
    FieldOption,
    HostOption,
    InsecureOption,
    JsonOption,
    MeasurementColumnOption,
    MeasurementOption,
    NonexistentOption,
    NonFiniteOption,
    OrgOption,
    QuietOption,
    SchemaOption,
    StateOption,
    TagOption,
    TimeOption,
    TimeUnitOption,
    TimezoneOption,
    TokenFileOption,
    TokenOption,
    UnsignedOption,
)
from loader.cli.outcome import DONE, Output, guarded
from loader.importing import importing


def tune(
    context: typer.Context,
    dataset: DatasetArgument = Path("data"),
    host: HostOption = "",
    token: TokenOption = "",
    token_file: TokenFileOption = None,
    org: OrgOption = "",
    ca_file: CaFileOption = "",
    client_cert: ClientCertOption = "",
    client_key: ClientKeyOption = "",
    insecure_skip_verify: InsecureOption = False,
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
    state: StateOption = None,
    seconds: Annotated[
        float, typer.Option(help="How long to measure.", metavar="SECONDS", rich_help_panel=FLOW)
    ] = 60.0,
    sample_rows: Annotated[
        int, typer.Option(help="Rows that a trial sends, at most.", metavar="N", rich_help_panel=DATASET)
    ] = 1_000_000,
    timeout: Annotated[
        float, typer.Option(help="How long to wait for one reply.", metavar="SECONDS", rich_help_panel=FLOW)
    ] = 60.0,
    metrics_port: MetricsPortOption = "",
    log_format: LogFormatOption = None,
    log_file: LogFileOption = None,
    quiet: QuietOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Measure a server with a part of the dataset, and say which flags of load are best.

    It writes to a scratch bucket of its own, which it removes; the bucket of a load is not touched. loader load --tuned
    takes what was found.
    """
    with importing():
        from loader import tuning
        from loader.cli.option_values import mapping_flags, read_mapping_options, read_target, read_tls
        from loader.cli.running import run
        from loader.reporting.tuning_text import tuning_text
        from loader.tuning import TuneSettings
    output = Output(quiet, json, debug, LiveOptions(metrics_port, log_format, log_file))
    settings = guarded(
        output,
        lambda: TuneSettings(
            dataset=dataset,
            target=read_target(
                host, token, token_file, org, "", read_tls(ca_file, client_cert, client_key, insecure_skip_verify)
            ),
            seconds=seconds,
            sample_rows=sample_rows,
            timeout_seconds=timeout,
            state=state,
            mapping=read_mapping_options(schema, mapping_flags(context.params), dataset),
        ),
    )
    stop = threading.Event()
    run(
        "tune",
        settings,
        settings.place.state,
        output,
        lambda observe: tuning.tune(settings, observe, stop),
        tuning_text,
        lambda report: INTERRUPTED if report.interrupted else DONE,
        stop,
    )
