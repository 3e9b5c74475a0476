"""Tests of synthetic trades."""
