"""From points to storage files."""
