"""Compares every value that a server holds with every value of the dataset, bit for bit."""

from loader.verification.values.verify_values import verify_values

__all__ = ["verify_values"]
