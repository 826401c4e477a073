"""Two crystals in contact: lattice matching, interfaces, grain boundaries."""
