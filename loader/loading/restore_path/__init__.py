"""Loads finished storage files into a new bucket, acknowledged shard by shard."""
