"""Does a saddle lie on a ridge? Its symmetry may hide from a band that the energy falls to both sides of it."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from ...potentials.base import Prediction
from ...structures.jumps.paths import SIDES, around
from ...structures.symmetry.fixed import fixed_atoms
from .descent import Descent

Floats = NDArray[np.float64]

PROBED_A = 0.1
PUSHED_A = 0.3
ASKEW = 0.2
"""How far the atom is moved to find its softest direction across the way, how far to let it go, and the part of the stiffer
direction in that."""
TRIES, MOVES = 10, 40
"""Moves after which the energy must have fallen below the saddle's; and the most there are."""
BESIDE_A = 1.0
"""Where an atom goes farther it is not beside this way any more: another valley, or a framework that gives way."""
AT_REST_eV_PER_A = 0.015
LOWER_eV = 0.002
"""Where the largest force across the way is smaller it has come to rest; an energy lower by more is that of another way."""


def beside(
    saddle: Atoms, energy_eV: float, along: Floats, mover: int
) -> Generator[Sequence[Atoms], Sequence[Prediction], Floats | None]:
    """Push an atom aside at a saddle and relax all atoms across the way: on a ridge they do not come back.

    They have come back when they are nearer than `PROBED_A`. The atom is pushed in the direction across its way in which it
    is softest, with a little of the other: a push within a symmetry plane would stay in it.

    Parameters
    ----------
    saddle
        The highest image.
    energy_eV
        Its energy.
    along
        The direction of the path there, of length one, (n_atoms, 3).
    mover
        The atom that is pushed.

    Returns
    -------
    moved_A
        How far the atoms went, (n_atoms, 3); None where they came back or left.
    """
    free = ~fixed_atoms(saddle)[:, None]
    direction = yield from _softest(saddle, around(along[mover])[:: SIDES // 4][:2], mover)
    moved_A = np.zeros_like(along)
    moved_A[mover] = PUSHED_A * direction
    descent, lower_eV = Descent([saddle], free[:, 0]), -np.inf
    for n in range(1, MOVES + 1):
        moved_A -= (moved_A * along).sum() * along
        (prediction,) = yield [_moved(saddle, moved_A)]
        lower_eV = energy_eV - prediction.energy_eV
        forces = prediction.forces_eV_per_A * free
        forces = forces - (forces * along).sum() * along
        near = PROBED_A < np.linalg.norm(moved_A, axis=1).max() < BESIDE_A
        if not near or (n > TRIES and lower_eV < 0) or not np.isfinite(forces).all():
            return None
        if np.linalg.norm(forces, axis=1).max() < AT_REST_eV_PER_A:
            break
        moved_A = descent.step(moved_A[None], forces[None])[0]
    return moved_A if lower_eV > LOWER_eV else None


def _softest(saddle: Atoms, sides: Floats, mover: int) -> Generator[Sequence[Atoms], Sequence[Prediction], Floats]:
    """Give the direction within two others, (2, 3), in which the energy of an atom bends down most, or up least."""
    aside = np.zeros((4, len(saddle), 3))
    aside[:, mover] = PROBED_A * np.array([sides[0], -sides[0], sides[1], -sides[1]])
    forces = np.array([one.forces_eV_per_A[mover] for one in (yield [_moved(saddle, moved_A) for moved_A in aside])])
    bends = -(forces[::2] - forces[1::2]) @ sides.T
    if not np.isfinite(bends).all():
        return np.asarray(sides[0])
    modes = np.linalg.eigh((bends + bends.T) / 2)[1].T
    direction = (modes[0] + ASKEW * modes[1]) @ sides
    return np.asarray(direction / np.linalg.norm(direction))


def _moved(atoms: Atoms, moved_A: Floats) -> Atoms:
    moved: Atoms = atoms.copy()
    moved.positions += moved_A
    return moved
