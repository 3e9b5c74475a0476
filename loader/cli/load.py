"""``loader load``: loads a dataset, staged or adopted, into a bucket."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated

import typer

from loader.cli.live import LiveOptions, LogFileOption, LogFormatOption, MetricsPortOption
from loader.cli.options import (
    DATASET,
    FLOW,
    TARGET,
    AmbiguousOption,
    BucketOption,
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
    given,
    values,
)
from loader.cli.outcome import Output, guarded, judge_rows
from loader.cli.streams import say
from loader.dataset.policy import OnDuplicate
from loader.importing import import_pyarrow, importing
from loader.servers.load_method import LoadMethod, OnExisting


def load(
    context: typer.Context,
    dataset: DatasetArgument = Path("data"),
    host: HostOption = "",
    token: TokenOption = "",
    token_file: TokenFileOption = None,
    org: OrgOption = "",
    bucket: BucketOption = "",
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
    on_duplicate: Annotated[
        OnDuplicate,
        typer.Option(
            help="Of Parquet that was not staged, rows of one series and time that set the same field: fail, last, or"
            " nudge by nanoseconds.",
            rich_help_panel=DATASET,
        ),
    ] = OnDuplicate.FAIL,
    assume_distinct: Annotated[
        bool,
        typer.Option(
            "--assume-distinct", help="Do not search for rows of one series and time.", rich_help_panel=DATASET
        ),
    ] = False,
    state: StateOption = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            help="Write files of line protocol into this folder, for a server that cannot be reached from here.",
            metavar="DIR",
            rich_help_panel=TARGET,
        ),
    ] = None,
    via: Annotated[
        LoadMethod,
        typer.Option(help="write: line protocol; restore: storage files, into InfluxDB 2.x; auto: the one that fits."),
    ] = LoadMethod.AUTO,
    on_existing: Annotated[
        OnExisting,
        typer.Option(
            help="Points of the bucket that have the series and time of a row: replace, or fail (restore path only).",
            rich_help_panel=TARGET,
        ),
    ] = OnExisting.REPLACE,
    batch_lines: Annotated[
        int | None,
        typer.Option(
            help="Lines a request, at most.",
            metavar="N",
            rich_help_panel=FLOW,
            show_default="20000; InfluxDB 3: 250000",
        ),
    ] = None,
    batch_bytes: Annotated[
        int | None,
        typer.Option(
            help="Bytes of line protocol a request, at most.",
            metavar="N",
            rich_help_panel=FLOW,
            show_default="4000000; InfluxDB 3: 10 MiB",
        ),
    ] = None,
    connections: Annotated[
        int | None,
        typer.Option(
            help="Requests at a time, at most; shards at a time on the restore path (3).",
            metavar="N",
            rich_help_panel=FLOW,
            show_default="32; InfluxDB 3: 6",
        ),
    ] = None,
    compress: Annotated[
        str,
        typer.Option(
            help="auto (not on loopback), none, gzip or gzip:LEVEL.",
            metavar="NAME",
            autocompletion=values(("auto", "none", "gzip")),
            rich_help_panel=FLOW,
        ),
    ] = "auto",
    rate: Annotated[
        float, typer.Option(help="Points a second, at most; 0 is no limit.", metavar="N", rich_help_panel=FLOW)
    ] = 0.0,
    tuned: Annotated[
        bool,
        typer.Option(
            "--tuned",
            help="Take what loader tune found for this server and dataset; other flags win.",
            rich_help_panel=FLOW,
        ),
    ] = False,
    max_rejected: Annotated[
        str,
        typer.Option(
            help="Rejected rows after which to stop: a number, or a percentage of all rows.",
            metavar="N|P%",
            rich_help_panel=DATASET,
        ),
    ] = "1000",
    shard_duration: Annotated[
        str,
        typer.Option(help="Time in a shard of a new bucket, such as 7d.", metavar="DURATION", rich_help_panel=TARGET),
    ] = "",
    retry_seconds: Annotated[
        float, typer.Option(help="How long one request is tried again.", metavar="SECONDS", rich_help_panel=FLOW)
    ] = 300.0,
    timeout: Annotated[
        float, typer.Option(help="How long to wait for one reply.", metavar="SECONDS", rich_help_panel=FLOW)
    ] = 60.0,
    restart: Annotated[
        bool,
        typer.Option(
            "--restart",
            help="Forget what was acknowledged and begin again; a bucket that a restore made is removed first.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Encode everything, send nothing.")] = False,
    metrics_port: MetricsPortOption = "",
    log_format: LogFormatOption = None,
    log_file: LogFileOption = None,
    quiet: QuietOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Load a dataset into a bucket; run it again to go on after a stop."""
    with importing():
        import_pyarrow()
        from loader import loading
        from loader.cli.option_values import (
            mapping_flags,
            read_duration,
            read_folder,
            read_mapping_options,
            read_target,
            read_tls,
        )
        from loader.cli.running import run
        from loader.loading import LoadSettings, WriteSettings
        from loader.reporting.text import load_text
    output = Output(quiet, json, debug, LiveOptions(metrics_port, log_format, log_file))
    settings = guarded(
        output,
        lambda: LoadSettings(
            dataset=dataset,
            target=read_folder(to, given(context))
            if to
            else read_target(
                host, token, token_file, org, bucket, read_tls(ca_file, client_cert, client_key, insecure_skip_verify)
            ),
            via=via.value,
            write=WriteSettings(batch_lines, batch_bytes, compress, rate),
            connections=connections,
            max_rejected=max_rejected,
            retry_seconds=retry_seconds,
            timeout_seconds=timeout,
            shard_duration=read_duration(shard_duration),
            restart=restart,
            dry_run=dry_run,
            state=state,
            on_duplicate=on_duplicate.value,
            assume_distinct=assume_distinct,
            on_existing=on_existing.value,
            mapping=read_mapping_options(schema, mapping_flags(context.params), dataset),
        ),
    )
    if tuned:
        with importing():
            from loader import tuning
        settings = guarded(output, lambda: tuning.tuned(settings, given(context)))
        if not (quiet or json):
            say(f"tuned: {tuning.flags_of(settings)}", error=True)
    stop = threading.Event()
    run(
        "load",
        settings,
        settings.place.state,
        output,
        lambda observe: loading.load(settings, observe, stop),
        load_text,
        judge_rows,
        stop,
    )
