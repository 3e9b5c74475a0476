"""``loader version`` and ``loader --version``: the versions of the loader, its libraries, and a server."""

from __future__ import annotations

from typing import Annotated

import typer

from loader.cli.options import (
    CaFileOption,
    DebugOption,
    HostOption,
    JsonOption,
    TokenFileOption,
    TokenOption,
)
from loader.cli.outcome import DONE, Outcome, Output, guarded, show
from loader.cli.streams import say
from loader.importing import importing
from loader.reporting.versions import versions, versions_text


def version(
    host: HostOption = "",
    token: TokenOption = "",
    token_file: TokenFileOption = None,
    ca_file: CaFileOption = "",
    timeout: Annotated[float, typer.Option(help="How long to wait for one reply.", metavar="SECONDS")] = 10.0,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Say the versions of the loader, of its libraries, and of the server that a load would use."""
    with importing():
        from loader.cli.option_values import read_target
        from loader.servers.probe import Server, probe
        from loader.servers.transport import Connection
    output = Output(quiet=False, json=json, debug=debug)

    def ask() -> tuple[str, Server]:
        with Connection(read_target(host, token, token_file, "", "", ca_file), timeout) as connection:
            return connection.target.url, probe(connection)

    url, server = guarded(output, ask)
    found = versions()
    content = {"versions": found, "server": {"url": url, "version": server.version}}
    text = f"{versions_text(found)}\n\n{server.name} at {url}"
    raise typer.Exit(show(Outcome(text, DONE), output, content, str))


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
