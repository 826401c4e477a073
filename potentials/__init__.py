"""A name -> energies, forces, fingerprint and what it is good for. The only place that imports torch."""

from .base import Card, Fingerprint, Potential, Prediction
from .devices import check_machine
from .references import MetalReference, adsorption_pbe, cohesive_energy_eV, forces_pbe, reference
from .registry import card, check_elements, fingerprint, known, load, resolve

__all__ = [
    "Card",
    "Fingerprint",
    "MetalReference",
    "Potential",
    "Prediction",
    "adsorption_pbe",
    "card",
    "check_elements",
    "check_machine",
    "cohesive_energy_eV",
    "fingerprint",
    "forces_pbe",
    "known",
    "load",
    "reference",
    "resolve",
]
