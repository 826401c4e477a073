"""Steps of a relaxation towards where the forces vanish: BFGS from a model of the bonds, in a trusted radius."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.filters import Filter
from ase.neighborlist import neighbor_list
from ase.units import Bohr, GPa, Hartree
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve  # type: ignore[import-untyped]

from ...structures.symmetry.fixed import fixed_atoms

Floats = NDArray[np.float64]

STRETCH_eV_PER_A2 = 0.45 * Hartree / Bohr**2
DECAY_PER_BOHR2 = np.array([[1.0, 0.3949, 0.3949], [0.3949, 0.28, 0.28], [0.3949, 0.28, 0.28]])
BOND_BOHR = np.array([[1.35, 2.10, 2.53], [2.10, 2.87, 3.40], [2.53, 3.40, 3.40]])
"""Force constants of bonds, k = 0.45 exp(decay (bond² - distance²)) in atomic units, by the rows of both elements: H and He,
Li to Ne, all others. R. Lindh, A. Bernhardsson, G. Karlström and P.-Å. Malmqvist, Chem. Phys. Lett. 241, 423 (1995)."""
REACH_A = 5.0
SIDEWAYS = 0.03
EVERYWHERE_eV_PER_A2 = 0.5
"""What stiffens an atom in all directions: a share of its bonds' constants, for their angles, and a little for every atom.
With less, an atom is thrown from its basin into the next."""
CELL_GPa = 50.0
"""Elastic modulus that the model gives to a cell."""
FIRST_A, LONGEST_A, SHORTEST_A = 0.2, 0.4, 0.001
"""Radius of the first step, and its limits, for the atom that goes farthest."""
POOR, BAD, GOOD = 0.3, 0.1, 0.6
"""The change of energy by the one foretold, where the radius becomes the last step by 1.5, by 2.5, and where it grows by
1.5. It is taken from the forces at both ends: the difference of two energies in single precision is noise near the minimum
of a large cell."""
SOFTEST_eV_PER_A2 = 0.01
"""No curvature that is learnt is lower."""
TRIES, NEAR = 20, 0.9
"""To find a step that is as long as the radius, or nearly."""


class QuasiNewton:
    """Steps of one structure.

    What the choices are worth in force calls: ``benchmarks/relax.py``.

    Parameters
    ----------
    target
        The atoms, or a filter of ASE over atoms and cell, which `step` moves by the energy and forces that they have then.
    atoms
        The atoms themselves.
    """

    def __init__(self, target: Atoms | Filter, atoms: Atoms) -> None:
        self._target: Any = target
        self._atoms = atoms
        free = np.ones(len(target), bool)
        free[: len(atoms)] = ~fixed_atoms(atoms)
        self._free = np.flatnonzero(np.repeat(free, 3))
        self._hessian = self._from_bonds()
        self._radius_A = FIRST_A
        self._last: tuple[Floats, Floats, float] | None = None

    def step(self) -> None:
        """Move the target: from where it is, or, where the last step went uphill, from where that began."""
        positions = self._target.get_positions()
        slope = -self._target.get_forces().ravel()[self._free]
        if not slope.any():
            return
        if self._last:
            slope_before, move, _ = self._last
            if self._learn(slope) < 0:  # uphill: go back and take another step from there
                positions.reshape(-1)[self._free] -= move
                slope = slope_before
        try:
            move = self._within_radius(slope)
        except np.linalg.LinAlgError:  # by rounding, where curvatures differ by many orders
            self._hessian = self._from_bonds()
            move = self._within_radius(slope)
        foretold_eV = float(slope @ move + move @ self._hessian @ move / 2)
        self._last = slope, move, foretold_eV
        positions.reshape(-1)[self._free] += move
        self._target.set_positions(positions)

    def _from_bonds(self) -> Floats:
        return _model(self._atoms, len(self._target))[np.ix_(self._free, self._free)]

    def _learn(self, slope: Floats) -> float:
        """Set the radius by the change of energy by the one foretold, which is returned, and update the Hessian.

        M. J. D. Powell's damped update (Lecture Notes in Mathematics 630, 144, 1978): the Hessian stays positive.
        """
        assert self._last
        slope_before, move, foretold_eV = self._last
        share = float((slope_before + slope) @ move) / 2 / foretold_eV
        if share < POOR:
            self._radius_A = max(_longest(move) / (2.5 if share < BAD else 1.5), SHORTEST_A)
        elif share > GOOD and _longest(move) >= NEAR * self._radius_A:
            self._radius_A = min(1.5 * self._radius_A, LONGEST_A)
        changed, expected = slope - slope_before, self._hessian @ move
        curvature, model = float(move @ changed), float(move @ expected)
        least = max(0.1 * model, SOFTEST_eV_PER_A2 * float(move @ move))
        if curvature < least:
            if model <= least:
                return share
            mix = (model - least) / (model - curvature)
            changed = mix * changed + (1 - mix) * expected
            curvature = float(move @ changed)
        self._hessian += np.outer(changed, changed) / curvature - np.outer(expected, expected) / model
        return share

    def _within_radius(self, slope: Floats) -> Floats:
        """Step to the minimum of the model, or, by a shift of its levels, as far as it is trusted."""
        move = self._to_minimum(slope, 0.0)
        if _longest(move) <= self._radius_A:
            return move
        low, high = 0.0, np.inf
        shift = float(slope @ -move / (move @ move)) * (_longest(move) / self._radius_A - 1)
        for _ in range(TRIES):
            move = self._to_minimum(slope, shift)
            low, high = (shift, high) if _longest(move) > self._radius_A else (low, shift)
            if NEAR * self._radius_A <= _longest(move) <= self._radius_A:
                break
            shift = 4 * low if np.isinf(high) else (low + high) / 2
        return move * min(1.0, self._radius_A / _longest(move))

    def _to_minimum(self, slope: Floats, shift: float) -> Floats:
        return -np.asarray(cho_solve(cho_factor(self._hessian + shift * np.eye(len(slope))), slope))


def _longest(move: Floats) -> float:
    return float(np.linalg.norm(move.reshape(-1, 3), axis=1).max(initial=0.0))


def _model(atoms: Atoms, rows: int) -> Floats:
    """Give the model's Hessian, (3 rows, 3 rows): of the atoms, and of a cell in the units of ASE's `FrechetCellFilter`."""
    n = len(atoms)
    kind = np.digitize(atoms.numbers, (3, 11))
    i, j, vectors, distance_A = neighbor_list("ijDd", atoms, REACH_A)
    bond, decay = BOND_BOHR[kind[i], kind[j]], DECAY_PER_BOHR2[kind[i], kind[j]]
    stiffness = STRETCH_eV_PER_A2 * np.exp(decay * (bond**2 - (distance_A / Bohr) ** 2))
    units = vectors / distance_A[:, None]
    blocks = stiffness[:, None, None] * units[:, :, None] * units[:, None, :]
    hessian = np.zeros((rows, rows, 3, 3))
    np.add.at(hessian, (i, i), blocks + SIDEWAYS * stiffness[:, None, None] * np.eye(3))
    np.add.at(hessian, (i, j), -blocks)
    hessian[np.arange(n), np.arange(n)] += EVERYWHERE_eV_PER_A2 * np.eye(3)
    if rows > n:
        hessian[np.arange(n, rows), np.arange(n, rows)] = CELL_GPa * GPa * atoms.get_volume() / n**2 * np.eye(3)
    return hessian.transpose(0, 2, 1, 3).reshape(3 * rows, 3 * rows)
