"""Slabs of crystals: cuts, terminations, steps and kinks."""
