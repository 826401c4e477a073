"""The commands, recipe files, runs, progress and tables."""
