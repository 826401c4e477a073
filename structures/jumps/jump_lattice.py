"""The places a metal may take in a crystal's primitive cell, and the chains of places that a jump passes."""

from collections.abc import Iterable
from itertools import product
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from ..crystals.supercells import crystal_name
from ..defects.defects import interstitial_sites
from ..symmetry.orbits import Floats, Operations, all_images, into_cell, primitive

Spot = tuple[int, int, int, int]
"""A site of the primitive cell and the cell it is taken from, in steps along a, b and c."""

SAME_SPOT_A = 0.5
"""Spots nearer than this are one."""


class Lattice(NamedTuple):
    """The places a metal may be at: fractional spots ``(n, 3)`` of a cell, and which hold an atom."""

    cell: Floats
    spots: Floats
    filled: NDArray[np.bool_]
    operations: Operations


class SpotMap(NamedTuple):
    """What an operation does to the spots of a cell: spot ``i`` lands on ``to[i]``, ``cells[i]`` ``(3,)`` away."""

    turn: NDArray[np.int64]
    to: NDArray[np.int64]
    cells: NDArray[np.int64]


def lattice_of(crystal: Atoms, metal: str, mechanism: str) -> Lattice:
    """Collect the metal's lattice sites, its voids, or both, in the primitive cell."""
    cell, operations = primitive(crystal)
    spots: list[Floats] = []
    if mechanism != "interstitial":
        spots += list(into_cell(cell.cell.scaled_positions(cell.positions))[cell.symbols == metal])
    n_filled = len(spots)
    if mechanism in ("interstitial", "knock-off"):
        voids = interstitial_sites(crystal, metal)
        if not voids:
            raise ValueError(
                f"`mechanism` is {mechanism!r} but {crystal_name(crystal)} has no void for {metal}: take vacancy"
            )
        for void in voids:
            spots += list(all_images(cell, operations, np.linalg.solve(cell.cell.array.T, void.position_A)))
    filled = np.arange(len(spots)) < n_filled
    return Lattice(cell.cell.array, np.array(spots), filled, operations)


def _links(lattice: Lattice, cutoff_A: float) -> list[tuple[int, Spot]]:
    """List each pair of spots up to a distance: a spot of the cell, and another anywhere."""
    spots = Atoms(f"H{len(lattice.spots)}", scaled_positions=lattice.spots, cell=lattice.cell, pbc=True)
    i, j, shifts = neighbor_list("ijS", spots, cutoff_A + 1e-6)
    return [(int(one), (int(two), int(a), int(b), int(c))) for one, two, (a, b, c) in zip(i, j, shifts, strict=True)]


def chains(lattice: Lattice, mechanism: str, cutoff_A: float) -> set[tuple[Spot, ...]]:
    """List every chain of spots a mechanism may take, its first spot in the cell."""
    links = _links(lattice, cutoff_A)
    if mechanism != "knock-off":
        return {((i, 0, 0, 0), other) for i, other in links}
    around: dict[int, list[Spot]] = {}
    for i, other in links:
        if lattice.filled[i] and not lattice.filled[other[0]]:
            around.setdefault(i, []).append(other)
    return {
        homed((first, (site, 0, 0, 0), last))
        for site, voids in around.items()
        for first, last in product(voids, repeat=2)
        if first != last
    }


def positions_A(lattice: Lattice, path: tuple[Spot, ...]) -> Floats:
    """Give where the spots of a chain are, in A, shape ``(n, 3)``."""
    index, shifts = np.array(path)[:, 0], np.array(path)[:, 1:]
    return np.asarray((lattice.spots[index] + shifts) @ lattice.cell)


def homed(path: Iterable[Spot]) -> tuple[Spot, ...]:
    """Shift a chain so that its first spot is in the home cell."""
    spots = list(path)
    _, x, y, z = spots[0]
    return tuple((i, a - x, b - y, c - z) for i, a, b, c in spots)


def nearest(lattice: Lattice, fractional: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64], float]:
    """Give the spot nearest to each position, the cell it is in, and how far off the farthest is, in A."""
    cells = (fractional[:, None] - lattice.spots).round()
    off = np.linalg.norm((fractional[:, None] - lattice.spots - cells) @ lattice.cell, axis=2)
    to = off.argmin(axis=1)
    rows = np.arange(len(to))
    return to, cells[rows, to].astype(np.int64), float(off[rows, to].max())


def spot_maps(lattice: Lattice) -> list[SpotMap]:
    """Give what each operation of the space group does to the spots, an inversion first."""
    images = []
    for turn, shift in zip(*lattice.operations, strict=True):
        to, cells, off_A = nearest(lattice, lattice.spots @ turn.T + shift)
        if off_A < SAME_SPOT_A:
            images.append(SpotMap(turn, to, cells))
    return sorted(images, key=lambda image: not (image.turn == -np.eye(3)).all())


def moved(path: Iterable[Spot], image: SpotMap) -> tuple[Spot, ...]:
    """Give where an operation takes a chain."""
    spots = []
    for i, *shift in path:
        a, b, c = (image.turn @ shift + image.cells[i]).tolist()
        spots.append((int(image.to[i]), a, b, c))
    return tuple(spots)
