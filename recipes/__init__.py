"""One scientific question per file, the recipe files and the command line."""
