"""What is measured on a geometry: distances of pairs, diffraction, wetting."""
