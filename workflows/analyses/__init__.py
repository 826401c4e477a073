"""Results of several steps made into one: adsorption energies, the gate, barriers, random walks, glasses, wetting."""
