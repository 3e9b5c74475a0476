"""The dialects of the versions of InfluxDB, and the one transport that reaches them."""
