"""Loads a dataset into a bucket, or exports it as storage files."""

from loader.loading.load import load
from loader.loading.restore_path.export import ExportReport, ExportSettings, export
from loader.loading.settings import LoadReport, LoadSettings, WriteSettings

__all__ = ["ExportReport", "ExportSettings", "LoadReport", "LoadSettings", "WriteSettings", "export", "load"]
