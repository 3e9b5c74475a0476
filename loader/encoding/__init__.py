"""Encodes record batches for InfluxDB, and decodes its formats; pure, with no input or output."""
