"""Loads finished storage files into a bucket, acknowledged shard by shard."""
