"""Bulk loader for InfluxDB: stages or adopts Parquet, loads it and verifies that every point arrived."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loader.dataset.inspection import Inspection, inspect
    from loader.dataset.mapping import ColumnMapping, FieldMapping
    from loader.dataset.policy import Policy
    from loader.errors import LoaderError
    from loader.loading import ExportReport, ExportSettings, LoadReport, LoadSettings, WriteSettings, export, load
    from loader.servers.base import Target
    from loader.staging import FilesSettings, StageReport, StageSettings, stage, stage_files
    from loader.verification import VerifyReport, VerifySettings, verify

__all__ = [
    "ColumnMapping",
    "ExportReport",
    "ExportSettings",
    "FieldMapping",
    "FilesSettings",
    "Inspection",
    "LoadReport",
    "LoadSettings",
    "LoaderError",
    "Policy",
    "StageReport",
    "StageSettings",
    "Target",
    "VerifyReport",
    "VerifySettings",
    "WriteSettings",
    "export",
    "inspect",
    "load",
    "stage",
    "stage_files",
    "verify",
]

_HOMES = (
    "dataset.inspection",
    "dataset.mapping",
    "dataset.policy",
    "errors",
    "loading",
    "servers.base",
    "staging",
    "verification",
)


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562): the libraries that it needs take a second or two to import."""
    if name not in __all__:
        raise AttributeError(f"module 'loader' has no attribute {name!r}")
    modules = (import_module(f"loader.{home}") for home in _HOMES)
    return next(getattr(module, name) for module in modules if hasattr(module, name))
