"""The ways into real servers, as the parameters of fixtures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loader.loading import LoadSettings
from loader.servers.base import Target

WAYS = [("v1", "write"), ("v2", "write"), ("v2", "restore")]
NAMES = ["-".join(way) for way in WAYS]


def way_into(request: pytest.FixtureRequest, dataset: Path, name: str, **changes: Any) -> tuple[Any, LoadSettings]:
    """Return the server that the fixture's parameter names, and settings to load ``dataset`` by its way in.

    The bucket is one of its own, called ``name`` and a number where the load has to make it. ``changes`` are settings,
    of which the restore path does not know ``write``.
    """
    kind, via = request.param
    server = request.getfixturevalue(f"influx_{kind}")
    if via == "restore":
        changes.pop("write", None)
    bucket = f"{name}{next(server.numbers)}" if via == "restore" else server.new_bucket()
    target = Target(server.url, bucket, server.org, server.token)
    return server, LoadSettings(dataset, target, via=via, retry_seconds=20.0, **changes)
