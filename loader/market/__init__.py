"""Synthetic trades: symbols, sessions, prices and the trades themselves; pure, no files."""
