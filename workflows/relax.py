"""Relax structures to a force, several at a time through one potential."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import covalent_radii
from ase.filters import FrechetCellFilter
from ase.neighborlist import neighbor_list
from ase.optimize import BFGS, LBFGS

from ..potentials.base import Potential, Prediction
from .result import Outcome, Status

STIFF_eV_PER_A2 = 70.0
SOFT_eV_PER_A2 = 5.0
"""First guess of the curvature, for most atoms (ASE's) and for alkali metals on a host. With one guess for both a metal atom
slides to its site in steps too small by far: `benchmarks/relax.py`."""
ALKALI = {3, 11, 19, 37, 55}
LARGE = 150
"""Atoms above which BFGS, which diagonalises its Hessian, gives way to LBFGS."""
WINDOW = 8
"""How many structures relax at the same time; larger windows gain nothing on a few cores."""
EXPLODED_eV_PER_A = 1.0e3
OVERLAP = 0.5
"""Two atoms closer than this part of the sum of their covalent radii overlap."""

Watch = Callable[[int], None]


def relax(
    structures: Sequence[Atoms],
    potential: Potential,
    *,
    watch: Watch = lambda _: None,
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
    fmax_eV_per_A
        Largest force on any atom at the end (and on the cell, in ASE's `FrechetCellFilter` units).
    max_steps
        Steps after which a structure is given up as unconverged.
    relax_cell
        Whether the cell relaxes too.

    Yields
    ------
    index, outcome
        As each structure ends. ``energy_eV`` and ``fmax_eV_per_A`` in the scalars, ``initial`` and ``final``
        structures, ``forces_eV_per_A`` (n_atoms, 3). A NaN, an explosion, an overlap or an atom that left is a
        failed outcome with a sentence.
    """
    waiting = deque(enumerate(structures))
    active: dict[int, _Relaxation] = {}
    while waiting or active:
        while waiting and len(active) < WINDOW:
            index, atoms = waiting.popleft()
            problem = misplaced(atoms, potential.card.cutoff_A)
            if problem:
                yield (
                    index,
                    Outcome(Status.FAILED, f"the start geometry is no good: {problem}", {}, {"initial": atoms}),
                )
            else:
                active[index] = _start(atoms, relax_cell)
        if not active:
            continue
        wall, cpu = time.perf_counter(), time.process_time()
        predictions = potential.evaluate([r.atoms for r in active.values()], stress=relax_cell)
        share = (
            (time.perf_counter() - wall) / len(predictions),
            (time.process_time() - cpu) / len(predictions),
        )
        for (index, relaxation), prediction in zip(list(active.items()), predictions, strict=True):
            outcome = _advance(relaxation, prediction, share, fmax_eV_per_A, max_steps, potential.card.cutoff_A)
            watch(index)
            if outcome:
                del active[index]
                yield index, outcome


@dataclass
class _Relaxation:
    initial: Atoms
    atoms: Atoms
    target: Any  # the atoms, or ASE's filter of atoms and cell
    step: Callable[[], None]
    force_calls: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0


def _start(structure: Atoms, relax_cell: bool) -> _Relaxation:
    atoms = structure.copy()
    target: Any = FrechetCellFilter(atoms) if relax_cell else atoms
    if len(atoms) > LARGE:
        return _Relaxation(structure, atoms, target, LBFGS(target, logfile=os.devnull).step)
    optimiser = BFGS(target, logfile=None, alpha=STIFF_eV_PER_A2)
    curvature = np.full(len(target), STIFF_eV_PER_A2)
    curvature[: len(atoms)][np.isin(atoms.numbers, list(ALKALI))] = SOFT_eV_PER_A2
    optimiser.H0 = np.diag(np.repeat(curvature, 3))
    return _Relaxation(structure, atoms, target, optimiser.step)


def _advance(
    relaxation: _Relaxation,
    prediction: Prediction,
    share: tuple[float, float],
    fmax: float,
    max_steps: int,
    cutoff_A: float,
) -> Outcome | None:
    """Judge the forces at the present geometry; take a step, or say how it ended."""
    relaxation.force_calls += 1
    relaxation.wall_s += share[0]
    relaxation.cpu_s += share[1]
    n = relaxation.force_calls
    atoms = relaxation.atoms
    atoms.calc = SinglePointCalculator(
        atoms,
        energy=prediction.energy_eV,
        forces=prediction.forces_eV_per_A,
        stress=prediction.stress_eV_per_A3,
    )
    if not (np.isfinite(prediction.energy_eV) and np.isfinite(prediction.forces_eV_per_A).all()):
        why = f": {prediction.reason}" if prediction.reason else ""
        return _end(
            relaxation,
            Status.FAILED,
            f"the potential gave a NaN or infinite energy or force at step {n}{why}",
        )
    largest = float(np.linalg.norm(relaxation.target.get_forces(), axis=1).max())
    if largest > EXPLODED_eV_PER_A:
        return _end(relaxation, Status.FAILED, f"it exploded: a force of {largest:.3g} eV/Å at step {n}", largest)
    if largest > fmax and n <= max_steps:
        relaxation.step()
        return None
    problem = misplaced(atoms, cutoff_A)
    if problem:
        return _end(relaxation, Status.FAILED, f"the relaxed geometry is no good: {problem}", largest)
    if largest > fmax:
        sentence = f"not converged: the largest force is {largest:.3f} eV/Å after {max_steps} steps, asked was {fmax:g}"
        return _end(relaxation, Status.UNCONVERGED, sentence, largest)
    return _end(relaxation, Status.CONVERGED, f"converged in {n} force calls", largest)


def _end(relaxation: _Relaxation, status: Status, message: str, largest: float | None = None) -> Outcome:
    atoms = relaxation.atoms
    results = atoms.calc.results
    final = atoms.copy()
    scalars = {"energy_eV": float(results["energy"]), "fmax_eV_per_A": largest, "n_atoms": len(atoms)}
    structures = {"initial": relaxation.initial, "final": final}
    cost = {name: getattr(relaxation, name) for name in ("force_calls", "wall_s", "cpu_s")}
    return Outcome(status, message, scalars, structures, {"forces_eV_per_A": results["forces"]}, **cost)


def misplaced(atoms: Atoms, cutoff_A: float) -> str:
    """Say which atoms overlap or which atom no other can feel; nothing for a sound geometry."""
    alone = set(range(len(atoms))) - set(neighbor_list("i", atoms, cutoff_A).tolist())
    if alone:
        i = min(alone)
        return f"atom {i} ({atoms.symbols[i]}) has no neighbour within the potential's cutoff of {cutoff_A:g} Å"
    return overlapping(atoms)


def overlapping(atoms: Atoms) -> str:
    """Say which atoms overlap; nothing where none do."""
    first, second, distance_A = neighbor_list("ijd", atoms, OVERLAP * covalent_radii[atoms.numbers])
    if not len(first):
        return ""
    worst = int((distance_A / (covalent_radii[atoms.numbers[first]] + covalent_radii[atoms.numbers[second]])).argmin())
    i, j = int(first[worst]), int(second[worst])
    return f"atoms {i} ({atoms.symbols[i]}) and {j} ({atoms.symbols[j]}) overlap at {distance_A[worst]:.2f} Å"
