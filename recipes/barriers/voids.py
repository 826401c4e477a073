"""Which voids of a crystal hold a metal atom: each is tried before jumps between them are planned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.geometry import find_mic

from ...structures.defects.defects import DefectSite, interstitial_sites
from ...structures.defects.voids import void_near
from ...structures.symmetry.orbits import Position
from ...workflows.engine.flow import Derived, Step
from ...workflows.stores.result import Result, Status

ASIDE_A = (0.25, 0.15, 0.1)
"""A metal atom starts so far from the middle of a void: there its forces vanish by symmetry, even on top of a barrier."""
OFF_A = 0.5
"""A metal atom that stays farther than this from the middle of its void gets a note."""
SAME_A = 0.1
"""Distances to the middles of voids that differ by less are equal."""


def void_trials(bulk: Step, metal: str, relaxation: Mapping[str, Any], supercell: Atoms) -> dict[str, Step]:
    """Make the relaxation of a metal atom in each distinct void of a crystal, by the void's label.

    Parameters
    ----------
    bulk
        The relaxation of the crystal.
    metal
        The alkali metal.
    relaxation
        Parameters of the `relax` steps.
    supercell
        Of the crystal, from `philic.structures.defects.defects.supercell_for`.
    """
    crystal = bulk.structure
    assert isinstance(crystal, Atoms)
    return {
        void.label: Step(
            "relax",
            relaxation,
            filled(bulk, crystal, supercell, metal, void.position_A),
            potential=bulk.potential,
            about={**bulk.about, "site": void.label},
        )
        for void in interstitial_sites(crystal, metal)
    }


def filled(
    bulk: Step, crystal: Atoms, supercell: Atoms, metal: str, at_A: Position, beside_A: Position | None = None
) -> Derived:
    """Describe how to put a metal atom into a void of the relaxed crystal, and another into a second one."""
    places_A = {"at_scaled": at_A} | ({} if beside_A is None else {"beside_scaled": beside_A})
    places = {name: np.linalg.solve(crystal.cell.array.T, place).round(9) + 0.0 for name, place in places_A.items()}
    parameters = {
        "metal": metal,
        "supercell": supercell.info["philic"]["supercell"],
        "aside_A": list(ASIDE_A),
        **{name: place.tolist() for name, place in places.items()},
    }
    return Derived(bulk, len(supercell) + len(places), "fill_void", parameters)


def voids_that_hold(crystal: Atoms, metal: str, tried: Mapping[str, Result]) -> tuple[list[DefectSite], list[str]]:
    """Give the voids in which a metal atom stays; and, in sentences, where it does not, or stays off the middle.

    Parameters
    ----------
    crystal
        The one that was tried, as built.
    metal
        The alkali metal.
    tried
        The results of `void_trials`, by the same labels.

    Raises
    ------
    ValueError
        If none does.
    """
    voids = interstitial_sites(crystal, metal)
    held, notes = [], []
    for void in voids:
        result = tried[void.label]
        if result.status is not Status.CONVERGED:
            notes.append(f"{void.label} could not be tried: {result.message}")
            continue
        off_A = _off_A(result)
        aside_A = float(np.linalg.norm(off_A))
        near, nearest_A = void_near(crystal, voids, void.position_A + off_A)
        if near != void.label:
            notes.append(f"{void.label} does not hold it: it goes to {near}")
        elif nearest_A < aside_A - SAME_A:
            notes.append(f"{void.label} does not hold it: it goes to another of its kind")
        else:
            held.append(void)
            notes += [f"it stays {aside_A:.1f} Å from the middle of {void.label}"] if aside_A > OFF_A else []
    if not held:
        raise ValueError("no void holds it: " + "; ".join(notes))
    return held, notes


def _off_A(trial: Result) -> np.ndarray:
    """How far from the middle of its void the last atom is, the host's drift taken off."""
    start, end = trial.structures["initial"], trial.structures["final"]
    went_A = find_mic(end.positions - start.positions, end.cell)[0]
    return np.asarray(went_A[-1] - went_A[:-1].mean(axis=0) + ASIDE_A)
