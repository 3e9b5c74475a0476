"""Decodes storage files to points."""
