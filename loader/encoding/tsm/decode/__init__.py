"""From storage files to points."""
