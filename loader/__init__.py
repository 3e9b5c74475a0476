"""Bulk loader for InfluxDB: stages Parquet, loads it and proves that every point arrived."""

from loader.errors import LoaderError
from loader.loading import ExportReport, ExportSettings, LoadReport, LoadSettings, export, load
from loader.servers.base import Target
from loader.staging import StageReport, StageSettings, stage
from loader.verification import VerifyReport, VerifySettings, verify

__all__ = [
    "ExportReport",
    "ExportSettings",
    "LoadReport",
    "LoadSettings",
    "LoaderError",
    "StageReport",
    "StageSettings",
    "Target",
    "VerifyReport",
    "VerifySettings",
    "export",
    "load",
    "stage",
    "verify",
]
