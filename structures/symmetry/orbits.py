"""A crystal's primitive cell, its symmetry, and the voids between its atoms."""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import spglib
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray

from .periodic import OVERLAP_SHARE, check_periodic
from .species import kept, species
from .symmetry import rigid, symmetry_of

Floats = NDArray[np.float64]
Position = tuple[float, float, float]

SYMMETRY_TOLERANCE_A = 0.05
"""How far an atom may be from where its symmetric image is."""

_SAME_VOID_A = 1.0
_SAME_IMAGE_A = 0.3
_SAME_SPOT = 1e-6  # fractional
_TIE = 1e-7  # added before rounding: half-way between two rounded numbers is where round coordinates are
_NEARLY_AS_FAR_A = 0.1
_OFF_CENTRE = 0.05  # how far outside its nearest atoms a void may be, in units of its radius


class Operations(NamedTuple):
    """A space group in fractional coordinates of a cell: rotations ``(n, 3, 3)`` and shifts ``(n, 3)``."""

    rotations: NDArray[np.int64]
    shifts: Floats


def primitive(crystal: Atoms) -> tuple[Atoms, Operations]:
    """
    Give the primitive cell of a crystal, in its own frame and origin, and the space group in that cell.

    Atoms may be 0.05 A from their images; the lattice must keep its lengths within 0.1 %.

    Raises
    ------
    ValueError
        When the crystal is not periodic in three directions or atoms overlap.
    """
    whole = symmetry(crystal)
    first = np.unique(whole.mapping_to_primitive, return_index=True)[1]
    cell = Atoms(
        crystal.numbers[first],
        crystal.positions[first],
        cell=minkowski_reduce(whole.primitive_lattice)[0],
        pbc=True,
        **kept(crystal, first),
    )
    cell.wrap()
    found = symmetry(cell)
    rotations = np.asarray(found.rotations, dtype=np.int64)
    stiff = rigid(rotations, cell.cell.array)
    return cell, Operations(rotations[stiff], refined_shifts(cell, found)[stiff])


def refined_shifts(cell: Atoms, found: spglib.SpglibDataset) -> Floats:
    """Give the shifts that take the atoms onto each other best; spglib's may be off by its tolerance."""
    return np.array([_refined(cell, turn, shift) for turn, shift in zip(found.rotations, found.translations, strict=True)])


def _refined(cell: Atoms, rotation: NDArray[np.int64], shift: Floats) -> Floats:
    spots = cell.cell.scaled_positions(cell.positions)
    apart = spots - (spots @ rotation.T + shift)[:, None]
    apart -= apart.round()
    lengths = np.linalg.norm(apart @ cell.cell.array, axis=2)
    kinds = species(cell)
    lengths[kinds[:, None] != kinds] = np.inf
    return np.asarray(shift + apart[np.arange(len(cell)), lengths.argmin(axis=1)].mean(axis=0))


def symmetry(atoms: Atoms) -> spglib.SpglibDataset:
    """
    Find the space group of a crystal within 0.05 A.

    Raises
    ------
    ValueError
        When the crystal is not periodic in three directions or atoms overlap.
    """
    check_periodic(atoms)
    return symmetry_of(atoms, SYMMETRY_TOLERANCE_A, "crystal")


def conventional_rows(crystal: Atoms) -> Floats:
    """Give the matrix whose rows take the given cell's vectors to the conventional ones, shape ``(3, 3)``."""
    return np.asarray(np.linalg.inv(symmetry(crystal).transformation_matrix).T)


def into_cell(spots: Floats) -> Floats:
    """Bring fractional positions into the cell, one on its far side to 0 whatever the last bits say."""
    return np.asarray(spots - np.floor(spots + _SAME_SPOT))


def ranks(lengths: Sequence[float] | Floats) -> tuple[float, ...]:
    """Give numbers to sort by: those that differ by less than 1e-3 are equal, and the last bits have no say.

    Examples
    --------
    >>> ranks([0.0625, 0.0625 - 1e-15])
    (0.063, 0.063)
    """
    return tuple((np.asarray(lengths) + _TIE).round(3).tolist())


def all_images(cell: Atoms, operations: Operations, position: Floats) -> Floats:
    """Give every fractional position the space group takes one to, each once, shape ``(n, 3)``."""
    images = into_cell(operations.rotations @ position + operations.shifts)
    apart = images[:, None] - images
    same = np.linalg.norm((apart - apart.round()) @ cell.cell.array, axis=2) < _SAME_IMAGE_A
    return np.asarray(images[same.argmax(axis=1) == np.arange(len(images))])


def voids(cell: Atoms, metal: str, operations: Operations) -> Floats:
    """Give one fractional position of each orbit of voids, the largest first."""
    least = OVERLAP_SHARE * (covalent_radii[cell.numbers] + covalent_radii[atomic_numbers[metal]])
    found: list[tuple[float, Floats]] = []
    for vertex in _voronoi_vertices(cell):
        spot = _settled(cell, operations, vertex)
        away = distances_to_atoms(cell, spot @ cell.cell.array).reshape(-1, len(cell))
        if (away > least).all() and (_is_surrounded(cell, vertex) or _is_surrounded(cell, spot)):
            found.append((float(away.min()), spot))
    found.sort(key=lambda void: ranks([-void[0], *into_cell(void[1])]))
    kept: list[Floats] = []
    taken = np.zeros((0, 3))
    for _, spot in found:
        apart = taken - spot
        if (np.linalg.norm((apart - apart.round()) @ cell.cell.array, axis=1) > _SAME_VOID_A).all():
            kept.append(spot)
            taken = np.vstack([taken, all_images(cell, operations, spot)])
    return np.array(kept).reshape(-1, 3)


def shifts_within(cell: Atoms, reach_A: float) -> Floats:
    """Give the cells, in steps along a, b and c, that a sphere round any point of one may reach into."""
    heights = cell.get_volume() / np.array([cell.cell.areas()]).ravel()
    counts = np.ceil(reach_A / heights).astype(int)
    return np.array(list(product(*(range(-n, n + 1) for n in counts))), dtype=float)


def distances_to_atoms(cell: Atoms, position: Floats, reach: int = 2) -> Floats:
    """Give the distances from a position to the atoms of the cells around it, atoms last, flat."""
    shifts = np.array(list(product(range(-reach, reach + 1), repeat=3))) @ cell.cell.array
    return np.asarray(np.linalg.norm(cell.positions + shifts[:, None] - position, axis=2).ravel())


def _settled(cell: Atoms, operations: Operations, spot: Floats) -> Floats:
    """Move a fractional position to the middle of its own symmetric images within 1 A."""
    apart = operations.rotations @ spot + operations.shifts - spot
    apart -= apart.round()
    near = np.linalg.norm(apart @ cell.cell.array, axis=1) < _SAME_VOID_A
    return into_cell(spot + apart[near].mean(axis=0))


def _is_surrounded(cell: Atoms, spot: Floats) -> bool:
    """Return whether a position is in the hull of its nearest atoms: a local maximum of the distance to them."""
    from scipy.optimize import nnls  # type: ignore[import-untyped]

    shifts = np.array(list(product(range(-2, 3), repeat=3))) @ cell.cell.array
    steps = (cell.positions + shifts[:, None] - spot @ cell.cell.array).reshape(-1, 3)
    lengths = np.linalg.norm(steps, axis=1)
    nearest = steps[lengths < lengths.min() + _NEARLY_AS_FAR_A] / lengths.min()
    weights = np.vstack([nearest.T, np.ones(len(nearest))])
    return bool(nnls(weights, np.array([0.0, 0.0, 0.0, 1.0]))[1] < _OFF_CENTRE)


def _voronoi_vertices(cell: Atoms) -> Floats:
    """Give the vertices in the cell, fractional; no void is wider than the cell's diagonal."""
    from scipy.spatial import Voronoi  # type: ignore[import-untyped]

    diagonal = float(np.linalg.norm(cell.cell.array, axis=1).sum())
    shifts = shifts_within(cell, diagonal)
    points = (cell.positions + shifts[:, None] @ cell.cell.array).reshape(-1, 3)
    middle = cell.cell.array.sum(axis=0) / 2
    points = points[np.linalg.norm(points - middle, axis=1) < 1.5 * diagonal]
    spots = np.asarray(Voronoi(points).vertices) @ np.linalg.inv(cell.cell.array)
    inside = spots[((spots > -1e-6) & (spots < 1 - 1e-6)).all(axis=1)]
    return np.asarray(inside[np.unique(inside.round(4), axis=0, return_index=True)[1]])


def as_position(vector: Floats) -> Position:
    """Give a vector as three plain numbers."""
    x, y, z = (float(number) for number in vector)
    return x, y, z
