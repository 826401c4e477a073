"""Energy and forces of structures as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from ase import Atoms

from ...potentials.base import Potential
from ..stores.result import Outcome, Status
from .relax import misplaced, spread
from .together import Asking, Watch, together


def single_point(
    structures: Sequence[Atoms], potential: Potential, *, watch: Watch = lambda _: None
) -> Iterator[tuple[int, Outcome]]:
    """Compute energy and forces of each structure without moving an atom.

    Parameters
    ----------
    structures
        Geometries, often relaxed with another potential; left as they are.
    potential
        Energies and forces.
    watch
        Called with a structure's index when its forces have been computed.

    Yields
    ------
    index, outcome
        As each ends. ``energy_eV`` and ``fmax_eV_per_A`` in the scalars, of a committee also ``energy_spread_eV`` and
        ``forces_spread_max_eV_per_A``; the structure as ``initial`` and ``final``,
        ``forces_eV_per_A`` (n_atoms, 3). An overlap, a lost atom or a number that is not finite is a failed outcome with a
        sentence.
    """
    return together((_evaluating(atoms, potential.card.cutoff_A) for atoms in structures), potential, watch=watch)


def _evaluating(atoms: Atoms, cutoff_A: float) -> Asking:
    problem = misplaced(atoms, cutoff_A)
    if problem:
        return Outcome(Status.FAILED, f"the geometry is unusable: {problem}", {}, {"initial": atoms})
    (prediction,) = yield [atoms]
    forces = prediction.forces_eV_per_A
    if not (np.isfinite(prediction.energy_eV) and np.isfinite(forces).all()):
        why = f": {prediction.reason}" if prediction.reason else ""
        return Outcome(Status.FAILED, f"the potential gave a NaN or infinite energy or force{why}", {}, {"initial": atoms})
    fmax = float(np.linalg.norm(forces, axis=1).max(initial=0.0))
    scalars = {"energy_eV": prediction.energy_eV, "fmax_eV_per_A": fmax, "n_atoms": len(atoms), **spread(prediction)}
    return Outcome(
        Status.CONVERGED,
        f"largest force {fmax:.3f} eV/Å",
        scalars,
        {"initial": atoms, "final": atoms.copy()},
        {"forces_eV_per_A": forces},
    )
