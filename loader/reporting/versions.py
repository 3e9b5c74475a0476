"""The versions that figures and behaviour depend on."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.metadata import version

_PACKAGES = ("loader", "polars", "pyarrow", "numpy", "numba", "duckdb", "influxdb-client", "urllib3")


def versions() -> dict[str, str]:
    """Return the versions of Python, of the loader and of the libraries that figures depend on."""
    return {"python": sys.version.split()[0], **{package: version(package) for package in _PACKAGES}}


def versions_text(found: Mapping[str, str]) -> str:
    """Return one line for each of ``found``, the loader first."""
    names = sorted(found, key=lambda name: name != "loader")
    return "\n".join(f"{name:<16} {found[name]}" for name in names)
