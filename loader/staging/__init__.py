"""Stage synthetic trades as a dataset of Parquet partitions."""

from loader.staging.settings import StageReport, StageSettings
from loader.staging.stage import stage

__all__ = ["StageReport", "StageSettings", "stage"]
