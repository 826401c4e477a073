"""Relax structures to a force, several at a time through one potential."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import covalent_radii
from ase.filters import FrechetCellFilter
from ase.neighborlist import neighbor_list
from ase.optimize import LBFGS

from ...potentials.base import Potential, Prediction
from ...structures.symmetry.periodic import OVERLAP_SHARE
from ..stores.result import Memory, Outcome, Status
from .quasi_newton import QuasiNewton
from .together import Asking, Watch, together

LARGE = 500
"""Atoms above which BFGS, which solves equations with its Hessian, gives way to ASE's LBFGS."""
EXPLODED_eV_PER_A = 1.0e3


def relax(
    structures: Sequence[Atoms],
    potential: Potential,
    *,
    watch: Watch = lambda _: None,
    memories: Sequence[Memory] | None = None,
    fmax_eV_per_A: float = 0.02,
    max_steps: int = 300,
    relax_cell: bool = False,
) -> Iterator[tuple[int, Outcome]]:
    """Relax each structure until its largest force is below `fmax_eV_per_A`.

    The structures do not see each other: they share calls of the potential, never a step of the optimiser. Fixed atoms
    (`ase.constraints.FixAtoms`) stay where they are.

    Parameters
    ----------
    structures
        Start geometries; left as they are.
    potential
        Energies and forces.
    watch
        Called with a structure's index each time its forces have been computed.
    memories
        What each relaxation has computed already and where it keeps what comes (see `philic.workflows.steps.together`).
    fmax_eV_per_A
        Largest force on any atom at the end (and on the cell, in ASE's `FrechetCellFilter` units).
    max_steps
        Steps after which a relaxation ends as unconverged.
    relax_cell
        Whether the cell relaxes too.

    Yields
    ------
    index, outcome
        As each structure ends. ``energy_eV`` and ``fmax_eV_per_A`` in the scalars, of a committee also
        ``energy_spread_eV`` and ``forces_spread_max_eV_per_A``; ``initial`` and ``final`` structures,
        ``forces_eV_per_A`` (n_atoms, 3). A NaN, an explosion, an overlap or an atom that left is a failed outcome with a
        sentence.
    """
    cutoff_A = potential.card.cutoff_A
    relaxations = (relaxing(atoms, cutoff_A, fmax_eV_per_A, max_steps, relax_cell) for atoms in structures)
    return together(relaxations, potential, watch=watch, stress=relax_cell, memories=memories)


def relaxing(structure: Atoms, cutoff_A: float, fmax_eV_per_A: float, max_steps: int, relax_cell: bool = False) -> Asking:
    """Relax one structure, as a calculation for `philic.workflows.steps.together`.

    Parameters
    ----------
    structure
        Start geometry; left as it is.
    cutoff_A
        The potential's cutoff: an atom without a neighbour that near is lost.
    fmax_eV_per_A, max_steps, relax_cell
        As in `relax`.
    """
    problem = misplaced(structure, cutoff_A)
    if problem:
        return Outcome(Status.FAILED, f"the start geometry is unusable: {problem}", {}, {"initial": structure})
    atoms = structure.copy()
    target: Any = FrechetCellFilter(atoms) if relax_cell else atoms
    step = _optimiser(atoms, target)
    for n in count(1):
        (prediction,) = yield [atoms]
        ended = _judge(atoms, target, prediction, n, fmax_eV_per_A, max_steps, cutoff_A)
        if ended:
            return _outcome(structure, atoms, prediction, *ended)
        step()
    raise AssertionError("a relaxation ends")


def _optimiser(atoms: Atoms, target: Any) -> Callable[[], None]:
    """Return the function that takes one optimiser step."""
    if len(atoms) > LARGE:
        large: Callable[[], None] = LBFGS(target, logfile=os.devnull).step
        return large
    return QuasiNewton(target, atoms).step


def _judge(
    atoms: Atoms, target: Any, prediction: Prediction, n: int, fmax: float, max_steps: int, cutoff_A: float
) -> tuple[Status, str, float | None] | None:
    """Give the forces to the atoms, and say how the relaxation ended if it did."""
    atoms.calc = SinglePointCalculator(
        atoms,
        energy=prediction.energy_eV,
        forces=prediction.forces_eV_per_A,
        stress=prediction.stress_eV_per_A3,
    )
    if not (np.isfinite(prediction.energy_eV) and np.isfinite(prediction.forces_eV_per_A).all()):
        why = f": {prediction.reason}" if prediction.reason else ""
        return Status.FAILED, f"the potential gave a NaN or infinite energy or force at step {n}{why}", None
    largest = float(np.linalg.norm(target.get_forces(), axis=1).max())
    if largest > EXPLODED_eV_PER_A:
        return Status.FAILED, f"it exploded: a force of {largest:.3g} eV/Å at step {n}", largest
    if largest > fmax and n <= max_steps:
        return None
    problem = misplaced(atoms, cutoff_A)
    if problem:
        return Status.FAILED, f"the relaxed geometry is unusable: {problem}", largest
    if largest > fmax:
        sentence = (
            f"not converged: the largest force is {largest:.3f} eV/Å after {max_steps} steps, above the limit of {fmax:g}"
        )
        return Status.UNCONVERGED, sentence, largest
    return Status.CONVERGED, f"converged in {n} force calls", largest


def _outcome(
    initial: Atoms, atoms: Atoms, prediction: Prediction, status: Status, message: str, largest: float | None
) -> Outcome:
    results = atoms.calc.results
    scalars = {"energy_eV": float(results["energy"]), "fmax_eV_per_A": largest, "n_atoms": len(atoms), **spread(prediction)}
    structures = {"initial": initial, "final": atoms.copy()}
    return Outcome(status, message, scalars, structures, {"forces_eV_per_A": results["forces"]})


def spread(prediction: Prediction) -> dict[str, float]:
    """Return what the members of a committee differ by, as scalars; nothing for a single model."""
    if prediction.energy_spread_eV is None or prediction.forces_spread_eV_per_A is None:
        return {}
    largest = float(prediction.forces_spread_eV_per_A.max(initial=0.0))
    return {"energy_spread_eV": prediction.energy_spread_eV, "forces_spread_max_eV_per_A": largest}


def misplaced(atoms: Atoms, cutoff_A: float) -> str:
    """Say which atoms overlap or which atom is out of reach of all others; empty for a sound geometry."""
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        return "a position or cell vector is not finite"
    return isolated(atoms, cutoff_A) or overlapping(atoms)


def isolated(atoms: Atoms, cutoff_A: float) -> str:
    """Say which atom is out of reach of all others; empty where there is none."""
    if not np.isfinite(cutoff_A):
        return ""
    alone = set(range(len(atoms))) - set(neighbor_list("i", atoms, cutoff_A).tolist())
    if not alone:
        return ""
    i = min(alone)
    return f"atom {i} ({atoms.symbols[i]}) has no neighbour within the potential's cutoff of {cutoff_A:g} Å"


def overlapping(atoms: Atoms) -> str:
    """Say which atoms overlap; nothing where none do."""
    first, second, distance_A = neighbor_list("ijd", atoms, OVERLAP_SHARE * covalent_radii[atoms.numbers])
    if not len(first):
        return ""
    worst = int((distance_A / (covalent_radii[atoms.numbers[first]] + covalent_radii[atoms.numbers[second]])).argmin())
    i, j = int(first[worst]), int(second[worst])
    return f"atoms {i} ({atoms.symbols[i]}) and {j} ({atoms.symbols[j]}) overlap at {distance_A[worst]:.2f} Å"
