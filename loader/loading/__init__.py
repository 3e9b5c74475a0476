"""From a staged dataset to a bucket."""

from loader.loading.load import load
from loader.loading.settings import LoadReport, LoadSettings

__all__ = ["LoadReport", "LoadSettings", "load"]
