"""Molecular dynamics: conditions, integrators, runs, trajectories."""
