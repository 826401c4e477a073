"""CHGNet, whose weights ship inside its wheel."""
