"""The counts, sums and extremes of the server against those of the dataset."""
