"""Tests of loader.encoding.line_protocol."""
