"""A report of a dataset: how it was staged, loaded and verified, what that shows, and what to do next."""
