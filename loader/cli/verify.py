"""``loader verify``: compares the points on the server with the dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loader import verification
from loader.cli.live import LiveOptions, LogFileOption, LogFormatOption, MetricsPortOption
from loader.cli.options import (
    BucketOption,
    CaFileOption,
    DatasetArgument,
    HostOption,
    JsonOption,
    OrgOption,
    QuietOption,
    StateOption,
    TokenFileOption,
    TokenOption,
    read_target_options,
)
from loader.cli.running import DIFFERENT, DONE, DebugOption, Output, guarded, run
from loader.dataset.place import find_place
from loader.loading.ledger import last_load
from loader.reporting.text import verify_text
from loader.servers.base import Target
from loader.servers.target import TargetOptions, resolve_target, with_last_load
from loader.servers.transport import check_ca_file
from loader.verification import VerifySettings


def verify(
    dataset: DatasetArgument = Path("data"),
    host: HostOption = "",
    token: TokenOption = "",
    token_file: TokenFileOption = None,
    org: OrgOption = "",
    bucket: BucketOption = "",
    ca_file: CaFileOption = "",
    state: StateOption = None,
    samples: Annotated[int, typer.Option(help="Random points to compare bit for bit.")] = 1_000,
    seed: Annotated[int, typer.Option(help="Same seed, same random points.")] = 1,
    values: Annotated[
        bool, typer.Option("--values", help="Compare every stored value, not samples; InfluxDB 2.x: operator token.")
    ] = False,
    connections: Annotated[int, typer.Option(help="Queries at a time.")] = 2,
    retry_seconds: Annotated[float, typer.Option(help="How long one question or backup is tried again.")] = 300.0,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for one reply.")] = 120.0,
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
    output = Output(quiet, json, debug, LiveOptions(metrics_port, log_format, log_file))

    def target() -> Target:
        named = read_target_options(host, token, token_file, org, bucket)
        candidates = with_last_load(named, _loaded(find_place(dataset, state).state), str(dataset))
        return resolve_target(*candidates, ca_file=check_ca_file(ca_file, "--ca-file"))

    settings = guarded(
        output,
        lambda: VerifySettings(
            dataset=dataset,
            target=target(),
            samples=samples,
            seed=seed,
            values=values,
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
        lambda report: DIFFERENT if report.difference_count else DONE,
    )


def _loaded(dataset: Path) -> TargetOptions | None:
    """Return the target of the last load, without a token: the ledger has none."""
    last = last_load(dataset)
    return TargetOptions(str(last.url), str(last.org), str(last.bucket)) if last else None
