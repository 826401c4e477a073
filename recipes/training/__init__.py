"""Training a potential on labelled structures, and what it came to."""
