"""From a staged dataset to a bucket."""

from loader.loading.settings import LoadReport, LoadSettings
from loader.loading.write_path import load

__all__ = ["LoadReport", "LoadSettings", "load"]
