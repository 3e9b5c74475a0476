"""Loads line protocol into any bucket, acknowledged body by body."""
