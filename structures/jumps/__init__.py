"""From one place to the next: jumps of ions and adatoms, their end points, networks and paths."""
