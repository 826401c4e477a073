"""Symmetry of cells and paths: space groups, orbits, equivalent positions, periodic directions, held atoms."""
