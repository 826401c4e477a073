"""Whether a path is its own mirror image: an operation that turns start into end and end into start."""

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.geometry import complete_cell, find_mic
from numpy.typing import NDArray

from .fixed import fixed_atoms
from .symmetry import symmetry_of

Floats = NDArray[np.float64]

_WITHIN_A = 0.1
_RIGID = 1e-4


@dataclass(frozen=True)
class Mirror:
    """
    An operation that is its own inverse: atom i, turned and shifted, lands where atom ``partner[i]`` is.

    Attributes
    ----------
    rotation
        In cartesian space, (3, 3).
    partner
        Index of each atom's partner, (n_atoms,).
    shift_A
        Shift of each atom, (n_atoms, 3): the operation's and whole cells.
    """

    rotation: Floats
    partner: NDArray[np.intp]
    shift_A: Floats

    def image(self, positions_A: Floats) -> Floats:
        """Turn positions (n_atoms, 3) over."""
        turned = np.empty_like(positions_A)
        turned[self.partner] = positions_A @ self.rotation.T + self.shift_A
        return turned

    def turned(self, vectors: Floats) -> Floats:
        """Turn vectors over, such as forces (n_atoms, 3)."""
        turned = np.empty_like(vectors)
        turned[self.partner] = vectors @ self.rotation.T
        return turned


def mirror_of(start: Atoms, end: Atoms, middle_A: Floats) -> Mirror | None:
    """
    Find an operation that maps a path onto its reverse.

    Such an operation leaves the middle of the path as it is, so it is one of the middle's space group. Fixed atoms go to
    fixed atoms, and a direction without periodic images is never crossed. Of several, a mirror plane is taken before a
    two-fold axis and that before an inversion: the middle is to keep as much freedom as it can.

    Parameters
    ----------
    start, end
        Matched end points.
    middle_A
        Positions half-way, (n_atoms, 3).

    Returns
    -------
    Mirror or None
        None when there is none that maps the end points onto each other within 0.1 A.
    """
    middle = Atoms(start.numbers, middle_A, cell=complete_cell(start.cell), pbc=True)
    try:
        dataset = symmetry_of(middle, _WITHIN_A, "middle")
    except ValueError:  # atoms overlap there
        return None
    freest = np.argsort(-np.trace(dataset.rotations, axis1=1, axis2=2), kind="stable")
    for turn, shift in zip(dataset.rotations[freest], dataset.translations[freest], strict=True):
        if (turn @ turn == np.eye(3)).all() and (found := _mirror(start, end, middle, turn, shift)):
            return found
    return None


def _mirror(start: Atoms, end: Atoms, middle: Atoms, turn: NDArray[np.intc], shift: Floats) -> Mirror | None:
    cell = middle.cell.array
    rotation = cell.T @ turn @ np.linalg.inv(cell.T)
    if np.abs(rotation @ rotation.T - np.eye(3)).max() > _RIGID:
        return None
    partner = _partners(middle, rotation, shift @ cell)
    if partner is None:
        return None
    exact = middle.positions[partner] - middle.positions @ rotation.T
    cells = np.rint((exact - shift @ cell) @ np.linalg.inv(cell))
    shift_A = (exact - cells @ cell).mean(axis=0) + cells @ cell
    mirror = Mirror(rotation, partner, (shift_A - shift_A[partner] @ rotation.T) / 2)
    crossed = (cells != cells[0])[:, ~start.pbc].any()
    fixed = fixed_atoms(start)
    lands = max(
        np.linalg.norm(mirror.image(one.positions) - other.positions, axis=1).max()
        for one, other in ((start, end), (end, start))
    )
    same = (fixed[partner] == fixed).all() and (start.numbers[partner] == start.numbers).all()
    return mirror if lands < _WITHIN_A and same and not crossed else None


def _partners(middle: Atoms, rotation: Floats, shift_A: Floats) -> NDArray[np.intp] | None:
    """Return which atom each one lands on; None unless the operation is its own inverse."""
    landed = middle.positions @ rotation.T + shift_A
    n = len(middle)
    apart = middle.positions[None] - landed[:, None]
    distance_A = find_mic(apart.reshape(-1, 3), middle.cell, True)[1].reshape(n, n)
    partner = distance_A.argmin(axis=1)
    return partner if (partner[partner] == np.arange(n)).all() else None
