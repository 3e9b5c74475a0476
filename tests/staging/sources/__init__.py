"""Tests of the sources of staging."""
