"""Steps of a band towards where its forces vanish: L-BFGS on all images, started from a model of the bonds' springs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BOND_eV_PER_A2 = 10.0
"""Spring between two atoms at the sum of their covalent radii; it falls off as exp(-3 (d / radii - 1)).

The shape follows the preconditioner of D. Packwood et al., J. Chem. Phys. 144, 164109 (2016); here the springs are stiff
along the bond. What it is worth: `benchmarks/neb.py`."""
ALKALI = {3, 11, 19, 37, 55}
ALKALI_SOFTER = 0.1
SIDEWAYS = 0.1
EVERYWHERE_eV_PER_A2 = 1.0
REACH = 2.0
LARGEST_STEP_A = 0.2
SMALLEST_STEP_A = 0.02
REMEMBERED = 20
WORSE, MUCH_WORSE = 1.5, 3.0
"""Where the largest force has grown by the first factor, steps are kept to half the length; by the second, what was learnt
of the curvature is forgotten."""


class Descent:
    """Steps of the images that move, all as one.

    Parameters
    ----------
    images
        The images that move, as they start.
    free
        Which atoms move, (n_atoms,).
    """

    def __init__(self, images: Sequence[Atoms], free: NDArray[np.bool_]) -> None:
        self._free = free
        self._solvers = [_solver(atoms, free) for atoms in images]
        self._pairs: list[tuple[Floats, Floats]] = []
        self._last: tuple[Floats, Floats] | None = None
        self._limit_A = LARGEST_STEP_A

    def step(self, positions_A: Floats, forces_eV_per_A: Floats) -> Floats:
        """Give the next positions of the images, (n_images, n_atoms, 3) as all of these."""
        at, slope = positions_A[:, self._free].ravel(), -forces_eV_per_A[:, self._free].ravel()
        if self._last:
            self._learn(at - self._last[0], slope - self._last[1])
            growth = np.abs(slope).max() / np.abs(self._last[1]).max()
            if growth > MUCH_WORSE:
                self._pairs.clear()
            limit_A = self._limit_A / 2 if growth > WORSE else 1.2 * self._limit_A
            self._limit_A = float(np.clip(limit_A, SMALLEST_STEP_A, LARGEST_STEP_A))
        self._last = at, slope
        move = -self._inverse(slope)
        if move @ slope >= 0:
            self._pairs.clear()
            move = -self._solve(slope)
        moves = np.zeros_like(positions_A)
        moves[:, self._free] = move.reshape(len(moves), -1, 3)
        longest = float(np.linalg.norm(moves, axis=2).max())
        return np.asarray(positions_A + moves * min(1.0, self._limit_A / max(longest, 1e-12)))

    def forget(self) -> None:
        """Forget what was learnt of the curvature, and take shorter steps."""
        self._pairs.clear()
        self._last = None
        self._limit_A = max(self._limit_A / 2, SMALLEST_STEP_A)

    def _learn(self, moved: Floats, changed: Floats) -> None:
        """Keep a pair with a curvature above zero."""
        if moved @ changed > 1e-6 * np.linalg.norm(moved) * np.linalg.norm(changed):
            self._pairs = [*self._pairs[1 - REMEMBERED :], (moved, changed)]

    def _inverse(self, slope: Floats) -> Floats:
        """Apply the inverse Hessian: the two loops of J. Nocedal, Math. Comp. 35, 773 (1980)."""
        parts = []
        for moved, changed in reversed(self._pairs):
            parts.append(moved @ slope / (moved @ changed))
            slope = slope - parts[-1] * changed
        found = self._solve(slope)
        if self._pairs:
            moved, changed = self._pairs[-1]
            found = found * float(np.clip(moved @ changed / (changed @ self._solve(changed)), 0.1, 10.0))
        for (moved, changed), part in zip(self._pairs, reversed(parts), strict=True):
            found = found + (part - changed @ found / (moved @ changed)) * moved
        return found

    def _solve(self, slope: Floats) -> Floats:
        """Apply the inverse of the model, image by image."""
        blocks = slope.reshape(len(self._solvers), -1)
        return np.concatenate([solver.solve(block) for solver, block in zip(self._solvers, blocks, strict=True)])


def _solver(image: Atoms, free: NDArray[np.bool_]) -> Any:
    """Factorise the model of an image's springs between free atoms."""
    from scipy.sparse import identity  # type: ignore[import-untyped]
    from scipy.sparse.linalg import splu  # type: ignore[import-untyped]

    n = len(image)
    i, j, blocks = _springs(image)
    diagonal = np.zeros((n, 3, 3))
    np.add.at(diagonal, i, blocks)
    model = _sparse(n, i, j, -blocks) + _sparse(n, np.arange(n), np.arange(n), diagonal)
    model = model + EVERYWHERE_eV_PER_A2 * identity(3 * n)
    moves = np.flatnonzero(np.repeat(free, 3))
    return splu(model.tocsc()[moves][:, moves].tocsc())


def _springs(image: Atoms) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """List each pair of near atoms both ways, and the stiffness of the spring between the two, (n_pairs, 3, 3)."""
    radii_A = covalent_radii[image.numbers]
    i, j, vectors, distance_A = neighbor_list("ijDd", image, REACH * radii_A)
    stiffness = BOND_eV_PER_A2 * np.exp(-3 * (distance_A / (radii_A[i] + radii_A[j]) - 1))
    soft = np.isin(image.numbers, list(ALKALI))
    stiffness[soft[i] | soft[j]] *= ALKALI_SOFTER
    units = vectors / distance_A[:, None]
    return i, j, stiffness[:, None, None] * (units[:, :, None] * units[:, None, :] + SIDEWAYS * np.eye(3))


def _sparse(n: int, i: NDArray[np.intp], j: NDArray[np.intp], blocks: Floats) -> Any:
    """Add blocks (n_blocks, 3, 3) up in a sparse matrix of 3 n rows."""
    from scipy.sparse import coo_array

    x, y = np.indices((3, 3))
    rows, columns = 3 * i[:, None, None] + x, 3 * j[:, None, None] + y
    return coo_array((blocks.ravel(), (rows.ravel(), columns.ravel())), shape=(3 * n, 3 * n))
