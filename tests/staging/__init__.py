"""Tests of staging."""
