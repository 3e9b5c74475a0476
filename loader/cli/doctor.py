"""``loader doctor``: looks for what would keep a load from working, before it is tried."""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loader.cli.messages import INSECURE, tell
from loader.cli.options import (
    BucketOfLastLoadOption,
    CaFileOption,
    ClientCertOption,
    ClientKeyOption,
    DebugOption,
    HostOption,
    InsecureOption,
    JsonOption,
    OrgOption,
    StateOption,
    TokenFileOption,
    TokenOption,
)
from loader.cli.outcome import DIFFERENT, DONE, Outcome, Output, guarded, show
from loader.errors import LoaderError
from loader.importing import importing

if TYPE_CHECKING:
    from loader.diagnosis import Diagnosis

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


def doctor(
    dataset: Annotated[
        Path | None,
        typer.Argument(help="A dataset to look at, too: a folder, a file, a quoted pattern.", metavar="PATH"),
    ] = None,
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
    timeout: Annotated[float, typer.Option(help="How long to wait for one reply.", metavar="SECONDS")] = 10.0,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Look at this machine, the server, the token's permissions and a dataset; nothing is written anywhere.

    Each finding is ok, a warning, or a problem, with what would go wrong and what to do. The exit code is 1 if there
    are problems.
    """
    with importing():
        from loader import diagnosis
        from loader.cli.option_values import read_target, read_target_of, read_tls
        from loader.reporting.diagnosis_text import WIDE, diagnosis_text
    output = Output(quiet=False, json=json, debug=debug)

    def work() -> Diagnosis:
        options = (
            host,
            token,
            token_file,
            org,
            bucket,
            read_tls(ca_file, client_cert, client_key, insecure_skip_verify),
        )
        try:
            target = read_target_of(dataset, state, *options) if dataset else read_target(*options)
        except LoaderError:
            # Wrong options are an error here, too; what is wrong with the dataset, or its last load, is a finding.
            target = read_target(*options)
        if not target.tls.verify:
            tell("warning", INSECURE, alarming=True)
        return diagnosis.diagnose(diagnosis.DiagnosisSettings(target, dataset, state, timeout))

    found: Diagnosis = guarded(output, work)
    code = DIFFERENT if found.problems else DONE
    content = {"problems": found.problems, "warnings": found.warnings, **asdict(found)}
    width = shutil.get_terminal_size((WIDE, 24)).columns
    raise typer.Exit(show(Outcome(found, code), output, content, lambda said: _coloured(diagnosis_text(said, width))))


def _coloured(text: str) -> str:
    """Return ``text`` with the levels at the beginnings of its lines in colour, if standard output takes colours."""
    from rich.console import Console

    console = Console(file=sys.stdout)
    if console.color_system is None or console.no_color:
        return text
    return re.sub(rf"(?m)^({'|'.join(_COLOURS)})\b", lambda found: typer.style(found[0], _COLOURS[found[0]]), text)
