"""From record batches to what InfluxDB takes; pure, with no input or output."""
