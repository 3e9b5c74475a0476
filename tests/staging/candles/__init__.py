"""Tests of candles."""
