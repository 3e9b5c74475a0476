"""Tests of storage blocks and files."""
