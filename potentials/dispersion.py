"""Dispersion after Grimme, D3 with Becke-Johnson damping, added to any potential: ``chgnet+d3``.

Grimme et al., J. Chem. Phys. 132, 154104 (2010); Grimme, Ehrlich, Goerigk, J. Comput. Chem. 32, 1456 (2011). Energies and
parameters come from the authors' library, s-dftd3.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from .base import Card, Fingerprint, Predict, Prediction

if TYPE_CHECKING:
    from ase import Atoms

SUFFIX = "+d3"
METHODS = {"PBE": "pbe", "r2SCAN": "r2scan"}
"""Name of the parameters by the word that a card's functional begins with."""


def fingerprint(base: Fingerprint, card: Card) -> Fingerprint:
    """Return the fingerprint of a potential with dispersion.

    Raises
    ------
    ValueError
        If the potential has dispersion already, or its functional has no parameters.
    ModuleNotFoundError
        If the library is not installed.
    """
    if base.dispersion != "none":
        raise ValueError(f"{base.name} has dispersion already ({base.dispersion}): leave out {SUFFIX}")
    words = f"D3(BJ) {method(card)}, dftd3 {_version()}"
    return dataclasses.replace(base, name=base.name + SUFFIX, dispersion=words)


def method(card: Card) -> str:
    """Return the name of the damping parameters that belong to a potential's functional."""
    for functional, name in METHODS.items():
        if card.functional.split()[:1] == [functional]:
            return name
    raise ValueError(
        f"the functional of {card.name} is {card.functional!r} but D3 has parameters here for {' and '.join(METHODS)} only: "
        f"leave out {SUFFIX}"
    )


def _version() -> str:
    try:
        return version("dftd3")
    except PackageNotFoundError as error:
        raise ModuleNotFoundError(f"{SUFFIX} needs the package dftd3: pip install 'philic[d3]'") from error


def card(base: Card) -> Card:
    """Return the card of a potential with dispersion; its cohesive energies are those without."""
    return dataclasses.replace(base, name=base.name + SUFFIX, description=f"{base.description}, with D3(BJ) dispersion")


def predict(base: Predict, of: Card) -> Predict:
    """Add dispersion to what a potential predicts."""

    def both(structures: Sequence[Atoms], stress: bool) -> list[Prediction]:
        return [_added(p, atoms, method(of)) for p, atoms in zip(base(structures, stress), structures, strict=True)]

    return both


def _added(prediction: Prediction, atoms: Atoms, name: str) -> Prediction:
    if prediction.reason:
        return prediction
    energy_eV, forces, stress = dispersion(atoms, name)
    tensor = prediction.stress_eV_per_A3
    return dataclasses.replace(
        prediction,
        energy_eV=prediction.energy_eV + energy_eV,
        forces_eV_per_A=prediction.forces_eV_per_A + forces,
        stress_eV_per_A3=None if tensor is None or stress is None else tensor + stress,
    )


def dispersion(atoms: Atoms, name: str) -> tuple[float, Any, Any]:
    """Compute the dispersion energy (eV), forces (eV/Å) and stress (eV/Å³, Voigt order; None without a cell)."""
    from ase.units import Bohr, Hartree
    from dftd3.interface import DispersionModel, RationalDampingParam

    cell = {"lattice": atoms.cell.array / Bohr, "periodic": atoms.pbc} if atoms.pbc.any() else {}
    model = DispersionModel(atoms.numbers, atoms.positions / Bohr, **cell)
    damping = RationalDampingParam(method=name)  # type: ignore[no-untyped-call]
    found = model.get_dispersion(damping, grad=True)
    forces = -np.asarray(found["gradient"]) * Hartree / Bohr
    if atoms.cell.rank < 3:
        return float(found["energy"]) * Hartree, forces, None
    stress = np.asarray(found["virial"]) * Hartree / atoms.get_volume()
    return float(found["energy"]) * Hartree, forces, stress.ravel()[[0, 4, 8, 5, 2, 1]]
