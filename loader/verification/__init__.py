"""Verifies that every point arrived."""

from loader.verification.settings import Difference, VerifyReport, VerifySettings
from loader.verification.verify import verify

__all__ = ["Difference", "VerifyReport", "VerifySettings", "verify"]
