"""A path from one geometry to another: atoms matched, straight lines checked, and images between the two."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.geometry import find_mic
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from ..symmetry.fixed import fixed_atoms

Floats = NDArray[np.float64]

TOO_CLOSE = 0.65
"""Two atoms collide when they come nearer than this part of the sum of ASE's covalent radii."""
DETOUR = 0.85
"""How far, in the same measure, a path passes an atom that is in its way."""

_SAME_A = 0.3  # end points whose atoms all lie nearer are one
_SAME_CELL_A = 1e-3
_MOVES_A = 0.5
_SWAPPED = 4  # atoms at most that trade places
_SLICES = 41  # of the path, for the closest approach
SIDES = 12
_NEIGHBOURS_A = 5.0
_POINT_A = 0.1  # nearer than this, two atoms are no nearer
_SPRING = 1e-3  # of the interpolation: far below its stiffness, some d^-4


class Approach(NamedTuple):
    """How near two atoms come on a path: the distance, in covalent radii, where on the path, and which they are."""

    distance_A: float
    closeness: float
    part: float
    mover: int
    other: int

    @property
    def collides(self) -> bool:
        """Whether the atoms run into each other."""
        return self.closeness < TOO_CLOSE


def matched(start: Atoms, end: Atoms) -> tuple[Atoms, NDArray[np.intp]]:
    """
    Order and unwrap the end of a path so that a straight line leads each atom of the start to its own.

    Atoms of one element are assigned so that the squares of their moves by minimum image add up to the least. The order
    they come in is kept where it fits: only its order identifies an exchange or a knock-off. A drift of the whole
    is taken out where no atom is fixed.

    Parameters
    ----------
    start, end
        Geometries of the same atoms in the same cell; left as they are.

    Returns
    -------
    tuple of Atoms and numpy.ndarray
        The end, whose positions differ from the start's by each atom's displacement, and which atom of the end given
        each of its atoms was, (n_atoms,).

    Raises
    ------
    ValueError
        When composition, cell, boundary conditions or fixed atoms differ, or the end points are the same.
    """
    _check_comparable(start, end)
    fixed = fixed_atoms(start)
    drift = np.zeros(3)
    for _ in range(3):  # what drifted is seen once atoms are matched, and they match better without it
        order, displacements = _match(start, end, drift)
        if not fixed.any():
            drift = drift + np.median(displacements, axis=0)
    if not fixed.any():
        displacements = displacements - displacements.mean(axis=0)
    farthest = float(np.linalg.norm(displacements, axis=1).max())
    if farthest < _SAME_A:
        raise ValueError(f"the end points are the same: no atom is more than {farthest:.2f} A elsewhere")
    if fixed.any() and np.linalg.norm(displacements[fixed], axis=1).max() > _SAME_CELL_A:
        raise ValueError("the end points differ in a fixed atom's place but fixed atoms must stay")
    displacements[fixed] = 0.0
    result: Atoms = end[order]
    result.positions = start.positions + displacements
    result.set_constraint([constraint.copy() for constraint in start.constraints])
    return result, order


def closest_approach(start: Atoms, path_A: Floats) -> Approach:
    """
    Find where on a path an atom that moves comes nearest to another, for the size of both.

    Parameters
    ----------
    start
        Says what the atoms are, and their cell.
    path_A
        Positions of the images, joined by straight lines, (n_images, n_atoms, 3).
    """
    movers = _movers(path_A)
    parts = np.linspace(0, 1, _SLICES)
    dense = _along(path_A, parts)
    nearest = []
    for mover in movers:
        others = np.delete(np.arange(len(start)), mover)
        apart = dense[:, others] - dense[:, [mover]]
        distance_A = find_mic(apart.reshape(-1, 3), start.cell, start.pbc)[1].reshape(len(parts), -1)
        closeness = distance_A / (covalent_radii[start.numbers[mover]] + covalent_radii[start.numbers[others]])
        at, other = np.unravel_index(closeness.argmin(), closeness.shape)
        found = float(distance_A[at, other]), float(closeness[at, other]), float(parts[at])
        nearest.append(Approach(*found, int(mover), int(others[other])))
    return min(nearest, key=lambda approach: (round(approach.closeness, 6), approach.mover))


def straight(start: Atoms, end: Atoms, n_images: int) -> Floats:
    """Place images on straight lines between matched end points, (n_images, n_atoms, 3), collisions avoided."""
    parts = np.linspace(0, 1, n_images)
    path_A = _along(np.array([start.positions, end.positions]), parts)
    tried = path_A
    for _ in range(4):  # an atom that gives way may run into the next
        approach = closest_approach(start, tried)
        if not approach.collides:
            break
        tried = _detour(start, tried, approach)
    return tried


def interpolated(start: Atoms, path_A: Floats) -> Floats:
    """
    Relax a path so that distances between neighbours change evenly from its start to its end (IDPP).

    S. Smidstrup, A. Pedersen, K. Stokbro and H. Jonsson, J. Chem. Phys. 140, 214106 (2014). Weak springs hold the
    images apart, and in the end they are spaced evenly. Fixed atoms stay.

    Parameters
    ----------
    start
        Says what the atoms are, and their cell.
    path_A
        From matched end point to end point, (n_images, n_atoms, 3); see `straight`.
    """
    from scipy.optimize import minimize  # type: ignore[import-untyped]

    free = ~fixed_atoms(start)
    i, j, shift_A = _neighbours(start, path_A)
    ends_A = [np.linalg.norm(image[j] - image[i] + shift_A, axis=1) for image in path_A[[0, -1]]]
    parts = np.linspace(0, 1, len(path_A))[1:-1, None]
    target_A = (1 - parts) * ends_A[0] + parts * ends_A[1]
    current = path_A.copy()
    shape = current[1:-1, free].shape

    def objective(moving: Floats) -> tuple[float, Floats]:
        current[1:-1, free] = moving.reshape(shape)
        apart = current[1:-1, j] - current[1:-1, i] + shift_A
        distance_A = np.maximum(np.linalg.norm(apart, axis=2), _POINT_A)
        off = distance_A - target_A
        weight = distance_A**-4.0
        pull = ((2 * off * weight - 4 * off**2 * weight / distance_A) / distance_A)[..., None] * apart
        slope = np.zeros_like(current)
        for image, pulls in zip(slope[1:-1], pull, strict=True):
            np.add.at(image, j, pulls)
            np.add.at(image, i, -pulls)
        stretch = np.diff(current, axis=0)
        slope[1:-1] += _SPRING * (stretch[:-1] - stretch[1:])
        value = float((weight * off**2).sum() + 0.5 * _SPRING * (stretch**2).sum())
        return value, slope[1:-1, free].ravel()

    found = minimize(objective, current[1:-1, free].ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    current[1:-1, free] = found.x.reshape(shape)
    return respaced(current, len(current))


def respaced(path_A: Floats, n_images: int) -> Floats:
    """Place images evenly on the straight lines that join those of a path, (n_images, n_atoms, 3)."""
    return _along(path_A, np.linspace(0, 1, n_images))


def path_lengths_A(path_A: Floats) -> Floats:
    """How far along the path each image is, summed over all atoms, (n_images,)."""
    steps = [float(np.linalg.norm(there - here)) for here, there in pairwise(path_A)]
    return np.concatenate([[0.0], np.cumsum(steps)])


def farthest_A(start: Atoms, end: Atoms) -> float:
    """How far the atom goes that goes farthest, between matched end points."""
    return float(np.linalg.norm(end.positions - start.positions, axis=1).max())


def _check_comparable(start: Atoms, end: Atoms) -> None:
    formulas = [atoms.symbols.formula.format("hill") for atoms in (start, end)]
    if formulas[0] != formulas[1]:
        raise ValueError(f"the end points are {formulas[0]} and {formulas[1]} but must be the same atoms")
    if (start.pbc != end.pbc).any() or np.abs(start.cell.array - end.cell.array).max() > _SAME_CELL_A:
        raise ValueError("the end points have different cells but must have one: relax both at a fixed cell")
    if (fixed_atoms(start) != fixed_atoms(end)).any():
        raise ValueError("the end points have different fixed atoms but must have the same")


def _match(start: Atoms, end: Atoms, drift: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Give which atom of the end each of the start becomes, and its displacement by minimum image, without the drift."""
    from scipy.optimize import linear_sum_assignment

    order = np.arange(len(start))
    for number in np.unique(start.numbers):
        here, there = np.flatnonzero(start.numbers == number), np.flatnonzero(end.numbers == number)
        apart = (end.positions[there] - drift)[None] - start.positions[here][:, None]
        distance_A = find_mic(apart.reshape(-1, 3), start.cell, start.pbc)[1].reshape(len(here), -1)
        _, columns = linear_sum_assignment(distance_A**2)
        order[here] = there[columns]
    displacements = _displacements(start, end.positions[order] - drift)
    if (start.numbers != end.numbers).any():
        return order, displacements
    in_order = _displacements(start, end.positions - drift)
    by_order, least = float(np.linalg.norm(in_order)), float(np.linalg.norm(displacements))
    swapped = (np.linalg.norm(in_order, axis=1) > _MOVES_A).sum() <= _SWAPPED and np.linalg.norm(
        displacements, axis=1
    ).max() < _SAME_A
    if swapped or by_order <= 2 * least:
        return np.arange(len(start)), in_order
    return order, displacements


def _displacements(start: Atoms, positions: Floats) -> Floats:
    displacements: Floats = find_mic(positions - start.positions, start.cell, start.pbc)[0]
    return displacements


def _movers(path_A: Floats) -> NDArray[np.intp]:
    """List the atoms that go anywhere; the one that goes farthest at least."""
    went_A = np.linalg.norm(path_A[-1] - path_A[0], axis=1)
    return np.flatnonzero(went_A >= min(_MOVES_A, went_A.max()))


def _along(path_A: Floats, parts: Floats) -> Floats:
    """Give positions at parts (0 to 1) of the length of a path of straight lines."""
    lengths = path_lengths_A(path_A)
    where = np.clip(np.searchsorted(lengths, parts * lengths[-1], side="right") - 1, 0, len(path_A) - 2)
    rest = ((parts * lengths[-1] - lengths[where]) / (lengths[where + 1] - lengths[where]))[:, None, None]
    return np.asarray((1 - rest) * path_A[where] + rest * path_A[where + 1])


def _detour(start: Atoms, path_A: Floats, approach: Approach) -> Floats:
    """Bend the way of an atom around the one it would run into; both give way where both move."""
    mover, other = approach.mover, approach.other
    radii_A = covalent_radii[start.numbers[[mover, other]]].sum()
    yields = [(mover, 1.0)] if other not in _movers(path_A) else [(mover, 0.5), (other, -0.5)]
    along = path_A[-1, mover] - path_A[0, mover]
    bump = np.exp(-(((np.linspace(0, 1, len(path_A)) - approach.part) / 0.35) ** 2))
    bump[[0, -1]] = 0.0
    best, widest = path_A, approach.closeness
    for direction in around(along):
        for height in (0.5, 0.75, 1.0):
            tried = path_A.copy()
            for atom, share in yields:
                tried[:, atom] += share * height * DETOUR * radii_A * bump[:, None] * direction
            closeness = closest_approach(start, tried).closeness
            if closeness > widest + 1e-6:
                best, widest = tried, closeness
    return best


def around(along: Floats) -> Floats:
    """Directions at right angles to one, evenly around it, always in the same order."""
    along = along / np.linalg.norm(along)
    first = np.cross(along, np.eye(3)[np.abs(along).argmin()])
    first /= np.linalg.norm(first)
    angles = np.linspace(0, 2 * np.pi, SIDES, endpoint=False)[:, None]
    return np.asarray(np.cos(angles) * first + np.sin(angles) * np.cross(along, first))


def _neighbours(start: Atoms, path_A: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """List pairs that are near anywhere on the path, once each, and what the cell adds to their distance."""
    pairs: set[tuple[int, int, int, int, int]] = set()
    for positions in path_A:
        atoms = Atoms(start.numbers, positions, cell=start.cell, pbc=start.pbc)
        i, j, shifts = neighbor_list("ijS", atoms, _NEIGHBOURS_A)
        once = (i < j) | ((i == j) & (shifts @ [1e6, 1e3, 1] > 0))
        pairs.update(map(tuple, np.column_stack([i, j, shifts])[once].tolist()))
    listed = np.array(sorted(pairs), dtype=int).reshape(-1, 5)
    return listed[:, 0], listed[:, 1], listed[:, 2:] @ start.cell.array
