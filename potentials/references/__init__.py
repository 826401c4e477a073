"""What potentials are measured against: reference values of metals, and PBE energies of our own."""

from .adsorption import adsorption_pbe
from .metals import MetalReference, Source, cohesive_energy_eV, reference

__all__ = ["MetalReference", "Source", "adsorption_pbe", "cohesive_energy_eV", "reference"]
