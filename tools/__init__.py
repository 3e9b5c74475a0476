"""Tools around the loader: servers to test with, and the demo."""
