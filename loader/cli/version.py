"""``loader version`` and ``loader --version``: the versions of the loader, its libraries, and a server."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import typer

from loader.cli.messages import INSECURE, tell
from loader.cli.options import (
    CaFileOption,
    ClientCertOption,
    ClientKeyOption,
    DebugOption,
    HostOption,
    InsecureOption,
    JsonOption,
    TokenFileOption,
    TokenOption,
)
from loader.cli.outcome import DONE, Output, attempt, guarded, show
from loader.cli.streams import say
from loader.importing import importing
from loader.reporting.versions import versions, versions_text


def version(
    host: HostOption = "",
    token: TokenOption = "",
    token_file: TokenFileOption = None,
    ca_file: CaFileOption = "",
    client_cert: ClientCertOption = "",
    client_key: ClientKeyOption = "",
    insecure_skip_verify: InsecureOption = False,
    timeout: Annotated[float, typer.Option(help="How long to wait for one reply.", metavar="SECONDS")] = 10.0,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Say the versions of the loader, of its libraries, and of the server that a load would use."""
    with importing():
        from loader.cli.option_values import read_target, read_tls
        from loader.servers.probe import probe
        from loader.servers.transport import Connection
    output = Output(quiet=False, json=json, debug=debug)

    def connect() -> Connection:
        tls = read_tls(ca_file, client_cert, client_key, insecure_skip_verify)
        return Connection(read_target(host, token, token_file, "", "", tls), timeout)

    connection = guarded(output, connect)
    if not connection.target.tls.verify:
        tell("warning", INSECURE, alarming=True)
    with connection:
        asked = attempt(lambda: probe(connection), secrets=[connection.target.token])
    found, server, url = versions(), asked.report, connection.target.url
    content: dict[str, Any] = {"versions": found, "server": {"url": url, "version": server.version if server else None}}
    if asked.code != DONE:
        content |= {"exit_code": asked.code, "error": asked.error}
    # What is installed is told without a server, too.
    text = versions_text(found) + (f"\n\n{server.name} at {url}" if server else "")
    raise typer.Exit(show(replace(asked, report=text), output, content, str))


def show_version(wanted: bool) -> None:
    """Print the versions that are here, without asking a server, and exit (a callback of an option)."""
    if wanted:
        say(versions_text(versions()))
        raise typer.Exit()


VersionOption = Annotated[
    bool,
    typer.Option(
        "--version",
        callback=show_version,
        is_eager=True,
        help="Say the versions of the loader and of its libraries; `loader version` also asks the server.",
    ),
]
