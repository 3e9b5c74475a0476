"""``loader replay``: sends the rejected rows of a load again."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated

import typer

from loader.cli.live import LiveOptions, LogFileOption, LogFormatOption, MetricsPortOption
from loader.cli.options import (
    FLOW,
    BucketOfLastLoadOption,
    CaFileOption,
    ClientCertOption,
    ClientKeyOption,
    DatasetArgument,
    DebugOption,
    HostOption,
    InsecureOption,
    JsonOption,
    OrgOption,
    QuietOption,
    SchemaOption,
    StateOption,
    TokenFileOption,
    TokenOption,
)
from loader.cli.outcome import Output, guarded, judge_rows
from loader.importing import import_pyarrow, importing


def replay(
    dataset: DatasetArgument = Path("data"),
    host: HostOption = "",
    token: TokenOption = "",
    token_file: TokenFileOption = None,
    org: OrgOption = "",
    bucket: BucketOfLastLoadOption = "",
    ca_file: CaFileOption = "",
    client_cert: ClientCertOption = "",
    client_key: ClientKeyOption = "",
    insecure_skip_verify: InsecureOption = False,
    schema: SchemaOption = None,
    state: StateOption = None,
    connections: Annotated[
        int | None, typer.Option(help="Requests at a time, at most.", metavar="N", rich_help_panel=FLOW)
    ] = None,
    retry_seconds: Annotated[
        float, typer.Option(help="How long one request is tried again.", metavar="SECONDS", rich_help_panel=FLOW)
    ] = 300.0,
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
    """Send the rejected rows of the last load again, after a fix; run it again to go on after a stop.

    Lines that were changed in the rejected file are sent as they are there, all other rows as the dataset has them.
    """
    with importing():
        import_pyarrow()
        from loader import loading
        from loader.cli.option_values import read_target_of, read_tls
        from loader.cli.running import run
        from loader.dataset.mapping import read_mapping
        from loader.loading import ReplaySettings
        from loader.reporting.text import replay_text
    output = Output(quiet, json, debug, LiveOptions(metrics_port, log_format, log_file))
    tls = guarded(output, lambda: read_tls(ca_file, client_cert, client_key, insecure_skip_verify))
    settings = guarded(
        output,
        lambda: ReplaySettings(
            dataset=dataset,
            target=read_target_of(dataset, state, host, token, token_file, org, bucket, tls),
            mapping=read_mapping(schema) if schema else None,
            connections=connections,
            retry_seconds=retry_seconds,
            timeout_seconds=timeout,
            state=state,
        ),
    )
    stop = threading.Event()
    run(
        "replay",
        settings,
        settings.place.state,
        output,
        lambda observe: loading.replay(settings, observe, stop),
        replay_text,
        judge_rows,
        stop,
    )
