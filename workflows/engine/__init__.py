"""Flows, keys and the one engine: what is run, in which order, once."""
