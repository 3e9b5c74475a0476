"""Bulk loader for InfluxDB: stages or adopts Parquet, loads it and verifies that every point arrived."""

from typing import TYPE_CHECKING

from loader.importing import lazy_names

if TYPE_CHECKING:
    from loader.dataset.inspection import Inspection, inspect
    from loader.dataset.mapping import ColumnMapping, FieldMapping
    from loader.dataset.policy import Policy
    from loader.diagnosis import Diagnosis, DiagnosisSettings, Finding, Level, diagnose
    from loader.errors import LoaderError
    from loader.loading import (
        ExportReport,
        ExportSettings,
        FolderTarget,
        LoadReport,
        LoadSettings,
        ReplayReport,
        ReplaySettings,
        WriteSettings,
        export,
        load,
        replay,
    )
    from loader.servers.base import Target
    from loader.servers.proxy import Proxy
    from loader.servers.tls import Tls
    from loader.staging import (
        CandleReport,
        CandleRule,
        CandleSettings,
        CsvFormat,
        FilesSettings,
        StageReport,
        StageSettings,
        stage,
        stage_candles,
        stage_files,
    )
    from loader.tuning import TunedSettings, TuneReport, TuneSettings, tune
    from loader.verification import VerifyReport, VerifySettings, verify

__all__ = [
    "CandleReport",
    "CandleRule",
    "CandleSettings",
    "ColumnMapping",
    "CsvFormat",
    "Diagnosis",
    "DiagnosisSettings",
    "ExportReport",
    "ExportSettings",
    "FieldMapping",
    "FilesSettings",
    "Finding",
    "FolderTarget",
    "Inspection",
    "Level",
    "LoadReport",
    "LoadSettings",
    "LoaderError",
    "Policy",
    "Proxy",
    "ReplayReport",
    "ReplaySettings",
    "StageReport",
    "StageSettings",
    "Target",
    "Tls",
    "TuneReport",
    "TuneSettings",
    "TunedSettings",
    "VerifyReport",
    "VerifySettings",
    "WriteSettings",
    "diagnose",
    "export",
    "inspect",
    "load",
    "replay",
    "stage",
    "stage_candles",
    "stage_files",
    "tune",
    "verify",
]

_HOMES = {
    "CandleReport": "staging",
    "CandleRule": "staging",
    "CandleSettings": "staging",
    "ColumnMapping": "dataset.mapping",
    "CsvFormat": "staging",
    "Diagnosis": "diagnosis",
    "DiagnosisSettings": "diagnosis",
    "ExportReport": "loading",
    "ExportSettings": "loading",
    "FieldMapping": "dataset.mapping",
    "FilesSettings": "staging",
    "Finding": "diagnosis",
    "FolderTarget": "loading",
    "Inspection": "dataset.inspection",
    "Level": "diagnosis",
    "LoadReport": "loading",
    "LoadSettings": "loading",
    "LoaderError": "errors",
    "Policy": "dataset.policy",
    "Proxy": "servers.proxy",
    "ReplayReport": "loading",
    "ReplaySettings": "loading",
    "StageReport": "staging",
    "StageSettings": "staging",
    "Target": "servers.base",
    "Tls": "servers.tls",
    "TuneReport": "tuning",
    "TuneSettings": "tuning",
    "TunedSettings": "tuning",
    "VerifyReport": "verification",
    "VerifySettings": "verification",
    "WriteSettings": "loading",
    "diagnose": "diagnosis",
    "export": "loading",
    "inspect": "dataset.inspection",
    "load": "loading",
    "replay": "loading",
    "stage": "staging",
    "stage_candles": "staging",
    "stage_files": "staging",
    "tune": "tuning",
    "verify": "verification",
}

# The libraries that they need take a second or two to import.
__getattr__ = lazy_names(__name__, _HOMES)
