"""Potentials with a formula instead of weights: EMT and Lennard-Jones, for tests, teaching and dry runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from .base import Card, Fingerprint, Kind, Prediction

if TYPE_CHECKING:
    from ase import Atoms

# Argon: sigma 3.4 angstrom, epsilon / k_B = 120 K (Rahman, Phys. Rev. 136, A405 (1964)), cut at 3 sigma.
LENNARD_JONES_PARAMETERS: dict[str, Any] = {"sigma": 3.4, "epsilon": 0.010341, "rc": 10.2, "smooth": True}
_DESCRIPTIONS = {
    "emt": "effective medium theory for Al, Cu, Ag, Au, Ni, Pd, Pt; milliseconds, for tests and dry runs",
    "lj": "Lennard-Jones argon for every element; for tests",
}


def _emt_parameters() -> dict[str, Any]:
    from ase.calculators.emt import parameters

    return dict(parameters)


def _emt_calculator() -> Any:
    from ase.calculators.emt import EMT as AseEmt  # noqa: N811

    return AseEmt()


def _lennard_jones_calculator() -> Any:
    from ase.calculators.lj import LennardJones

    return LennardJones(**LENNARD_JONES_PARAMETERS)


def _emt_card() -> Card:
    return Card(
        name="emt",
        description=_DESCRIPTIONS["emt"],
        functional="none (fitted to LDA and experiment, Jacobsen et al., Surf. Sci. 366, 394 (1996))",
        cohesive_reference=None,
        training_set="none",
        elements=frozenset(_emt_parameters()),
        cutoff_A=float(_emt_cutoff_A()),
        seconds_per_atom_call=2e-4,
    )


def _emt_cutoff_A() -> float:
    from ase import Atoms

    calculator = _emt_calculator()
    calculator.initialize(Atoms("Cu"))
    return float(calculator.rc_list)


def _lennard_jones_card() -> Card:
    from ase.data import chemical_symbols

    return Card(
        name="lj",
        description=_DESCRIPTIONS["lj"],
        functional="none",
        cohesive_reference=None,
        training_set="none (argon: Rahman, Phys. Rev. 136, A405 (1964))",
        elements=frozenset(chemical_symbols[1:]),
        cutoff_A=float(LENNARD_JONES_PARAMETERS["rc"]),
        seconds_per_atom_call=6e-4,
    )


def _fingerprint(name: str, parameters: dict[str, Any]) -> Fingerprint:
    table = json.dumps(parameters, sort_keys=True).encode()
    return Fingerprint(name, hashlib.sha256(table).hexdigest(), "float64", "none", "ase", version("ase"))


def _predict(make: Callable[[], Any], structures: Sequence[Atoms], stress: bool) -> list[Prediction]:
    return [_one(make(), atoms, stress and atoms.cell.rank == 3) for atoms in structures]


def _one(calculator: Any, atoms: Atoms, stress: bool) -> Prediction:
    calculator.calculate(atoms, ["energy", "forces", *(["stress"] if stress else [])])
    results = calculator.results
    voigt = np.array(results["stress"], dtype=float) if stress else None
    return Prediction(float(results["energy"]), np.array(results["forces"], dtype=float), voigt)


EMT = Kind(
    prefix="emt",
    variants=lambda: {"emt": _DESCRIPTIONS["emt"]},
    fingerprint=lambda name: _fingerprint(name, _emt_parameters()),
    card=lambda _: _emt_card(),
    predict=lambda _: partial(_predict, _emt_calculator),
)
LENNARD_JONES = Kind(
    prefix="lj",
    variants=lambda: {"lj": _DESCRIPTIONS["lj"]},
    fingerprint=lambda name: _fingerprint(name, LENNARD_JONES_PARAMETERS),
    card=lambda _: _lennard_jones_card(),
    predict=lambda _: partial(_predict, _lennard_jones_calculator),
)
