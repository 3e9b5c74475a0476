"""Tests of the restore path."""
