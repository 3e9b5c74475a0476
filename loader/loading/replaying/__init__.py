"""Sends the rejected rows of a load again."""
