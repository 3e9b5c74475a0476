"""The environment of the command line."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the environment of whoever runs the tests out of them."""
    for name in [name for name in os.environ if name.startswith("INFLUX")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("INFLUX_CONFIGS_PATH", "/dev/null")
