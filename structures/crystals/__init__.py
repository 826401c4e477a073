"""Crystals and molecules by name, their charges, orderings, mixtures and supercells."""
