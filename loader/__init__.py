"""Bulk loader for InfluxDB: stages Parquet, loads it and proves that every point arrived."""
