"""Measures the user's own server with the user's own data, and finds the settings that load it fastest."""

from loader.tuning.result import flags_of, tuned
from loader.tuning.settings import TunedSettings, TuneReport, TuneSettings
from loader.tuning.tune import tune

__all__ = ["TuneReport", "TuneSettings", "TunedSettings", "flags_of", "tune", "tuned"]
