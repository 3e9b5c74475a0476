"""``loader verify``: compares the points on the server with the dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loader.cli.candles import AmountOption, ByOption, PriceOption, TradesOption, read_candle_rule
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
    StateOption,
    TokenFileOption,
    TokenOption,
)
from loader.cli.outcome import DIFFERENT, DONE, Output, guarded
from loader.importing import importing
from loader.servers.load_method import Surplus


def verify(
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
    state: StateOption = None,
    samples: Annotated[int, typer.Option(help="Random points to compare bit for bit.", metavar="N")] = 1_000,
    seed: Annotated[int, typer.Option(help="Same seed, same random points.", metavar="N")] = 1,
    values: Annotated[
        bool | None,
        typer.Option(
            "--values/--no-values",
            help="Compare every stored value, or sums and samples; values need an operator token of InfluxDB 2.x."
            " Default: values where sums and samples take longer.",
            show_default=False,
        ),
    ] = None,
    surplus: Annotated[
        Surplus | None,
        typer.Option(
            help="Points that the dataset does not have: fail, or ignore. Default: ignore in a bucket that the load did"
            " not make.",
            show_default=False,
        ),
    ] = None,
    candles: Annotated[
        str,
        typer.Option(
            "--candles",
            help="Let the server compute candles of this window (1d, 1h), and compare them.",
            metavar="DURATION",
        ),
    ] = "",
    price: PriceOption = "",
    amount: AmountOption = None,
    by: ByOption = None,
    measurement: TradesOption = "",
    connections: Annotated[int, typer.Option(help="Queries at a time.", metavar="N", rich_help_panel=FLOW)] = 2,
    retry_seconds: Annotated[
        float,
        typer.Option(help="How long one question or backup is tried again.", metavar="SECONDS", rich_help_panel=FLOW),
    ] = 300.0,
    timeout: Annotated[
        float, typer.Option(help="How long to wait for one reply.", metavar="SECONDS", rich_help_panel=FLOW)
    ] = 120.0,
    metrics_port: MetricsPortOption = "",
    log_format: LogFormatOption = None,
    log_file: LogFileOption = None,
    quiet: QuietOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Verify the last load of a dataset, or the bucket that the options name.

    The server is named by flags, environment or profile as for a load. Where the last load went to another one,
    --host is asked for.
    """
    with importing():
        from loader import verification
        from loader.cli.option_values import read_target_of, read_tls
        from loader.cli.running import run
        from loader.reporting.text import verify_text
        from loader.verification import VerifySettings
    output = Output(quiet, json, debug, LiveOptions(metrics_port, log_format, log_file))
    settings = guarded(
        output,
        lambda: VerifySettings(
            dataset=dataset,
            target=read_target_of(
                dataset,
                state,
                host,
                token,
                token_file,
                org,
                bucket,
                read_tls(ca_file, client_cert, client_key, insecure_skip_verify),
            ),
            samples=samples,
            seed=seed,
            values=values,
            surplus=surplus.value if surplus else "",
            candles=read_candle_rule(candles, price, amount, by, measurement),
            connections=connections,
            retry_seconds=retry_seconds,
            timeout_seconds=timeout,
            state=state,
        ),
    )
    run(
        "verify",
        settings,
        settings.place.state,
        output,
        lambda observe: verification.verify(settings, observe),
        verify_text,
        lambda report: DIFFERENT if report.difference_count or report.unfit else DONE,
    )
