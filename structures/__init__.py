"""Atoms in, new Atoms out: no potential, engine, file or setting."""
