"""Verifies that every point arrived."""

from loader.verification.settings import Difference, UnfitRows, VerifyReport, VerifySettings
from loader.verification.verify import verify

__all__ = ["Difference", "UnfitRows", "VerifyReport", "VerifySettings", "verify"]
