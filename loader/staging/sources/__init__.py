"""Sources of points: read files and turn their content into the form that staging sorts."""
