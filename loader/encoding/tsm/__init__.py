"""InfluxDB's storage files (TSM, version 1): blocks and files, encoded and decoded; pure, with no input or output."""
