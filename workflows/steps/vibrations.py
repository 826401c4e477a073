"""Harmonic frequencies of the atoms that are free, from finite differences of the forces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from ase import Atoms
from ase.units import _amu, _e
from numpy.typing import NDArray

from ...potentials.base import Potential, Prediction
from ...structures.symmetry.fixed import fixed_atoms
from ..stores.result import Memory, Outcome, Status
from .together import Asking, Watch, together

DISPLACEMENT_A = 0.04
"""This large because a learnt potential may have a kink at a symmetric saddle: with 0.015 Å the jump of sodium in Na2O has a
second imaginary frequency with CHGNet, although its energy rises on both sides from 0.03 Å on."""
IMAGINARY_THZ = 0.1
"""Smaller imaginary frequencies are numerical noise, or the drift of a system without fixed atoms, and do not count."""


def vibrations(
    structures: Sequence[Atoms],
    potential: Potential,
    *,
    watch: Watch = lambda _: None,
    memories: Sequence[Memory] | None = None,
) -> Iterator[tuple[int, Outcome]]:
    """Compute the harmonic frequencies of each structure's free atoms, by central differences of 0.04 Å.

    `ase.constraints.FixAtoms` holds the others (see `philic.structures.defects.freezing`).

    Parameters
    ----------
    structures
        Geometries at rest: minima or saddles.
    potential
        Forces.
    watch
        Called with a structure's index each time the forces of a displacement have been computed.
    memories
        What each calculation remembers; None remembers nothing.

    Yields
    ------
    index, outcome
        ``n_imaginary``, ``largest_force_eV_per_A`` (how far it is from rest) and ``n_free`` in the scalars,
        ``frequencies_THz`` (3 n_free,), rising, imaginary ones negative, ``modes`` (3 n_free, n_free, 3), of length
        one in mass-weighted coordinates, and ``hessian_eV_per_A2`` (3 n_free, 3 n_free).
    """
    return together((_vibrating(atoms) for atoms in structures), potential, watch=watch, memories=memories)


def vineyard_THz(minimum_THz: NDArray[np.float64], saddle_THz: NDArray[np.float64]) -> float:
    """Give the attempt frequency of a jump from the frequencies of the same atoms at its start and at its saddle.

    G. H. Vineyard, J. Phys. Chem. Solids 3, 121 (1957): the product of the first over that of the second without
    its imaginary one. Frequencies below `IMAGINARY_THZ` of a system that can drift as a whole are left out of both.

    Raises
    ------
    ValueError
        When the start has an imaginary frequency or the saddle not exactly one.

    Examples
    --------
    >>> round(vineyard_THz(np.array([2.0, 3.0, 4.0]), np.array([-1.0, 3.0, 4.0])), 6)
    2.0
    """
    for name, frequencies, wanted in (("minimum_THz", minimum_THz, 0), ("saddle_THz", saddle_THz, 1)):
        found = int((frequencies < -IMAGINARY_THZ).sum())
        if found != wanted:
            raise ValueError(f"`{name}` has {found} imaginary frequencies but must have {wanted}")
    real = [frequencies[frequencies > IMAGINARY_THZ] for frequencies in (minimum_THz, saddle_THz)]
    if len(real[0]) != len(real[1]) + 1:
        raise ValueError(f"there are {len(real[0])} and {len(real[1])} real frequencies but the saddle must have one fewer")
    return float(np.exp(np.log(real[0]).sum() - np.log(real[1]).sum()))


def _vibrating(structure: Atoms) -> Asking:
    free = np.flatnonzero(~fixed_atoms(structure))
    if not len(free):
        return Outcome(Status.FAILED, "every atom is fixed but at least one must be free", {}, {"initial": structure})
    predictions = yield [structure, *_displaced(structure, free)]
    if not all(np.isfinite(prediction.forces_eV_per_A).all() for prediction in predictions):
        why = next((f": {prediction.reason}" for prediction in predictions if prediction.reason), "")
        return Outcome(Status.FAILED, f"the potential gave a NaN or infinite force{why}", {}, {"initial": structure})
    return _outcome(structure, free, predictions)


def _displaced(structure: Atoms, free: NDArray[np.intp]) -> Iterator[Atoms]:
    """Move each free atom along x, y and z, forward and backward."""
    for index in free:
        for axis in range(3):
            for sign in (1, -1):
                atoms = structure.copy()
                atoms.positions[index, axis] += sign * DISPLACEMENT_A
                yield atoms


def _outcome(structure: Atoms, free: NDArray[np.intp], predictions: Sequence[Prediction]) -> Outcome:
    forces = np.array([prediction.forces_eV_per_A[free].ravel() for prediction in predictions])
    hessian = (forces[2::2] - forces[1::2]) / (2 * DISPLACEMENT_A)
    hessian = (hessian + hessian.T) / 2
    weights = np.repeat(structure.get_masses()[free], 3) ** -0.5
    curvatures, modes = np.linalg.eigh(weights[:, None] * hessian * weights)
    frequencies = np.sign(curvatures) * np.sqrt(np.abs(curvatures) * _e / _amu * 1e20) / (2e12 * np.pi)
    n_imaginary = int((frequencies < -IMAGINARY_THZ).sum())
    largest = float(np.linalg.norm(forces[0].reshape(-1, 3), axis=1).max())
    scalars = {"n_imaginary": n_imaginary, "n_free": len(free), "largest_force_eV_per_A": largest}
    arrays = {
        "frequencies_THz": frequencies,
        "modes": modes.T.reshape(-1, len(free), 3),
        "hessian_eV_per_A2": hessian,
    }
    message = f"{n_imaginary} imaginary of {len(frequencies)} frequencies"
    structures = {"initial": structure, "final": structure}
    return Outcome(Status.CONVERGED, message, scalars, structures, arrays)
