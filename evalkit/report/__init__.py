"""A plain view of runs, and renderers of it."""
