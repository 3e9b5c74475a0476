"""Loads a dataset into a bucket or a folder, sends what was rejected again, or exports storage files."""

from loader.loading.load import load
from loader.loading.replaying.replay import replay
from loader.loading.replaying.settings import ReplayReport, ReplaySettings
from loader.loading.restore_path.export import ExportReport, ExportSettings, export
from loader.loading.settings import FolderTarget, LoadReport, LoadSettings, WriteSettings

__all__ = [
    "ExportReport",
    "ExportSettings",
    "FolderTarget",
    "LoadReport",
    "LoadSettings",
    "ReplayReport",
    "ReplaySettings",
    "WriteSettings",
    "export",
    "load",
    "replay",
]
