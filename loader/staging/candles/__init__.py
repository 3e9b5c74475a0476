"""Candles: open, high, low, close, volume, count and VWAP of the trades in each window of time, as a dataset."""
