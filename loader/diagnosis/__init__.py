"""Looks for what would keep a dataset from being staged, loaded or verified, before that is tried."""

from loader.diagnosis.diagnose import DiagnosisSettings, diagnose
from loader.diagnosis.findings import Diagnosis, Finding, Level

__all__ = ["Diagnosis", "DiagnosisSettings", "Finding", "Level", "diagnose"]
