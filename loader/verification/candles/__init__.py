"""Compares candles that the server computes with those of the dataset."""
