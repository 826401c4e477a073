"""
Half of the outermost ions moved to the other face: the cure of a dipole that no cut of whole planes avoids.

Tasker, J. Phys. C 12, 4977 (1979), type 3: the surface charge that cancels the field is half of a plane's where the
crystal can be turned over.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import combinations, product
from math import comb, prod
from typing import NamedTuple

import numpy as np
from ase import Atoms

from .stacks import Floats, Integers, Stack

_MOST_CHOICES = 20_000
_RANGE_A, _CUTOFF_A = 3.0, 8.0
_SAME_ENERGY = 1e-6
_CELLS = (((2, 0), (0, 1)), ((1, 0), (0, 2)), ((1, 1), (0, 2)))


class Halves(NamedTuple):
    """
    Which units stay on each face.

    Attributes
    ----------
    matrix
        Integer rows that take the in-plane cell to the slab's.
    offsets
        The in-plane cells the slab's cell holds, shape ``(n_cells, 2)``.
    lower, upper
        Units of the lowest and the highest plane: numbers in the plane and of the in-plane cell.
    """

    matrix: Integers
    offsets: Integers
    lower: list[tuple[int, int]]
    upper: list[tuple[int, int]]


def can_be_halved(stack: Stack, lowest: int, highest: int) -> bool:
    """Tell whether two planes hold the same charged units, none of them without end, and few enough to choose from."""
    counts = Counter(stack.species[lowest])
    if counts != Counter(stack.species[highest]) or stack.endless & {lowest, highest}:
        return False
    cells = _n_cells(stack.species[lowest])
    few = prod(comb(cells * n, cells * n // 2) for n in counts.values()) <= _MOST_CHOICES
    return few and abs(float(stack.charges[stack.planes[lowest]].sum())) > _SAME_ENERGY


def all_halves(stack: Stack, lowest: int, highest: int) -> Iterator[Halves]:
    """Give the ways to halve two planes that spread the ions of each face best."""
    ways = []
    for matrix, offsets in _cells(_n_cells(stack.species[lowest])):
        lower, upper = (_spread(stack, plane, matrix, offsets) for plane in (lowest, highest))
        ways.append((lower[0] + upper[0], matrix, offsets, lower[1], upper[1]))
    least = min(way[0] for way in ways)
    for energy, matrix, offsets, lowers, uppers in ways:
        if energy <= least + _SAME_ENERGY:
            for below, above in product(lowers, uppers):
                yield Halves(matrix, offsets, below, above)


def _n_cells(species: list[str]) -> int:
    return 2 if any(count % 2 for count in Counter(species).values()) else 1


def _cells(number: int) -> Iterator[tuple[Integers, Integers]]:
    """Give the in-plane cells of one or two primitive ones, and the cells in each."""
    if number == 1:
        yield np.eye(2, dtype=int), np.zeros((1, 2), dtype=int)
        return
    for matrix in _CELLS:
        yield np.array(matrix), np.array([(0, 0), (1, 0) if matrix[0][0] == 2 else (0, 1)])


def _spread(stack: Stack, plane: int, matrix: Integers, offsets: Integers) -> tuple[float, list[list[tuple[int, int]]]]:
    """Give the halves of a plane whose charges repel each other least, and their screened Coulomb energy."""
    spots = list(product(range(len(stack.units[plane])), range(len(offsets))))
    energies = _repulsion(stack, plane, spots, matrix, offsets)
    chosen = np.array(list(_halves_of([stack.species[plane][unit] for unit, _ in spots])))
    totals = np.einsum("ni,ij,nj->n", chosen, energies, chosen)
    best = np.flatnonzero(totals <= totals.min() + _SAME_ENERGY)
    return float(totals.min()), [[spots[i] for i in np.flatnonzero(chosen[way])] for way in best]


def _halves_of(species: list[str]) -> Iterator[Integers]:
    """Give every choice of half of each species, as ones and zeros."""
    members = [[i for i, one in enumerate(species) if one == kind] for kind in dict.fromkeys(species)]
    for choice in product(*(combinations(held, len(held) // 2) for held in members)):
        chosen = np.zeros(len(species), dtype=int)
        chosen[[i for part in choice for i in part]] = 1
        yield chosen


def _repulsion(stack: Stack, plane: int, spots: list[tuple[int, int]], matrix: Integers, offsets: Integers) -> Floats:
    """Give the screened Coulomb energies, in e2/A, of the units of a plane, images included, shape ``(n, n)``."""
    lattice = stack.atoms.cell.array[:2]
    centres = np.array([stack.atoms.positions[stack.units[plane][i]].mean(axis=0) + offsets[k] @ lattice for i, k in spots])
    charges = np.array([stack.charges[stack.units[plane][i]].sum() for i, _ in spots])
    return _energies(centres, charges, centres, charges, matrix @ lattice)


def outer_energy(slab: Atoms) -> float:
    """Give the screened Coulomb energy, in e2/A, of the charges in a slab's two outermost planes with all others."""
    charges, tags = slab.arrays["formal"], slab.get_tags()
    outer = (tags == 1) | (tags == tags.max())
    energies = _energies(slab.positions[outer], charges[outer], slab.positions, charges, slab.cell.array[:2])
    return float(energies.sum())


def _energies(ones: Floats, charges: Floats, others: Floats, their_charges: Floats, cell: Floats) -> Floats:
    """Give the screened Coulomb energy of each pair of charges and their in-plane images."""
    heights = abs(float(np.linalg.det(cell[:, :2]))) / np.linalg.norm(cell, axis=1)[::-1]
    reach = np.ceil(_CUTOFF_A / heights).astype(int) + 1
    images = np.array(list(product(*(range(-n, n + 1) for n in reach)))) @ cell
    apart = np.linalg.norm(ones[:, None, None] - others[:, None] - images, axis=-1)
    near = (apart > 1e-6) & (apart < _CUTOFF_A)
    apart[~near] = _CUTOFF_A
    waves = np.exp(-apart / _RANGE_A) / apart * (1 - apart / _CUTOFF_A) ** 2
    return np.asarray(waves.sum(axis=-1) * charges[:, None] * their_charges)
