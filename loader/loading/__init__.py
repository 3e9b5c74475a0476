"""From a staged dataset to a bucket."""

from loader.loading.load import load
from loader.loading.restore_path.export import ExportReport, ExportSettings, export
from loader.loading.settings import LoadReport, LoadSettings, WriteSettings

__all__ = ["ExportReport", "ExportSettings", "LoadReport", "LoadSettings", "WriteSettings", "export", "load"]
