"""A crystal seen along a surface normal: the stack of its planes of ions and whole molecular units."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray

from ..crystals.bond_valences import Bonds, find_bonds
from ..crystals.charges import formal_charges
from ..crystals.molecular_units import Cluster, clusters
from ..symmetry.species import kept
from ..symmetry.symmetry import symmetry_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_SAME_PLANE_A = 0.1
_SAME_LENGTH = 1e-3
_SQUARE = 1e-5  # the cosine of an angle that is called right
_SYMMETRY_TOLERANCE_A = 0.01


@dataclass(frozen=True)
class Stack:
    """
    One repeat of a crystal's planes along a surface normal.

    Attributes
    ----------
    atoms
        The primitive cell: a and b span the plane (a along x), c leads to the next repeat. Molecular units
        are whole.
    units
        For each plane, from the lowest up, the atoms of each of its units.
    levels
        Mean height of each plane's units in A.
    repeat_A
        Height of the repeat.
    charges
        Formal charges, shape ``(n_atoms,)``; zeros for a metal.
    up_class
        For each plane, the first plane whose upper face is the same.
    flips
        For each plane, the planes whose lower face is its upper face's image.
    broken
        For each plane, the bond valence of the in-plane cell that a cut above it breaks.
    valence
        For each plane, the valence of all bonds of its atoms.
    endless
        Planes that hold a chain or a sheet without end.
    frame
        Rotation that the primitive cell was turned by: its positions times this.
    """

    atoms: Atoms
    units: list[list[Integers]]
    levels: Floats
    repeat_A: float
    charges: Floats
    up_class: list[int]
    flips: list[set[int]]
    broken: list[float]
    valence: list[float]
    endless: set[int]
    frame: Floats

    @cached_property
    def planes(self) -> list[Integers]:
        """The atoms of each plane."""
        return [np.concatenate(units) for units in self.units]

    @cached_property
    def formula_unit(self) -> Integers:
        """How many atoms of each element, by atomic number, one formula unit holds."""
        counts = np.unique(self.atoms.numbers, return_counts=True)[1]
        return np.asarray(counts // np.gcd.reduce(counts))

    @cached_property
    def species(self) -> list[list[str]]:
        """The formula of each unit of each plane."""
        symbols = self.atoms.symbols
        return [["".join(sorted(symbols[unit])) for unit in units] for units in self.units]


def stack_planes(crystal: Atoms, miller: tuple[int, int, int]) -> Stack:
    """
    Find the planes of a crystal along the normal of a lattice plane.

    Finite molecular units are kept whole, and so are chains and sheets that run in the plane.

    Parameters
    ----------
    crystal
        Bulk cell.
    miller
        Miller indices in that cell, not all zero.
    """
    primitive = primitive_cell(crystal)
    atoms, repeat_A, frame = _oriented(primitive, _primitive_indices(crystal, primitive, miller))
    charges = formal_charges(atoms)
    bonds = find_bonds(atoms, charges)
    found = clusters(atoms, charges, bonds, endless=(True, True, False))
    levels = _gather(atoms, found, repeat_A, lifts := np.zeros(len(atoms), dtype=int))
    groups = _grouped(levels)
    units = [[np.array(list(found[unit].steps)) for unit in group] for group in groups]
    heights = np.array([levels[group].mean() for group in groups])
    upward, downward = _images(atoms, heights, repeat_A)
    return Stack(
        atoms,
        units,
        heights,
        repeat_A,
        charges,
        [min(images) for images in upward],
        downward,
        _broken_valence(units, bonds, lifts),
        [float(bonds.valences[np.isin(bonds.first, np.concatenate(held))].sum()) for held in units],
        {number for number, group in enumerate(groups) if any(found[unit].endless.any() for unit in group)},
        frame,
    )


def primitive_cell(crystal: Atoms) -> Atoms:
    """Give the primitive cell, neither turned nor made ideal; masses, moments and initial charges are the crystal's."""
    dataset = symmetry_of(crystal, _SYMMETRY_TOLERANCE_A)
    first = np.unique(dataset.mapping_to_primitive, return_index=True)[1]
    return Atoms(
        crystal.numbers[first],
        positions=crystal.positions[first],
        cell=dataset.primitive_lattice,
        pbc=True,
        info=crystal.info,
        **kept(crystal, first),
    )


def turns_over(slab: Atoms) -> bool:
    """Tell whether an operation of symmetry takes a slab's upper face to its lower one."""
    return bool((symmetry_of(slab, _SYMMETRY_TOLERANCE_A).rotations[:, 2, 2] == -1).any())


def _primitive_indices(crystal: Atoms, primitive: Atoms, miller: tuple[int, int, int]) -> Integers:
    """Give the Miller indices in the primitive cell."""
    centring = round(len(crystal) / len(primitive))
    exact = primitive.cell.array @ np.linalg.solve(crystal.cell.array, np.array(miller, dtype=float))
    indices = np.rint(exact * centring).astype(int)
    return np.asarray(indices // np.gcd.reduce(indices))


def _oriented(primitive: Atoms, indices: Integers) -> tuple[Atoms, float, Floats]:
    """Give the cell with a and b in the plane, as short as can be, a along x; the height of c; and the rotation."""
    lattice = _unimodular(indices) @ primitive.cell.array
    normal = np.linalg.solve(primitive.cell.array, indices)
    normal /= np.linalg.norm(normal)
    a, b, c = minkowski_reduce(lattice, pbc=(True, True, False))[0]
    a, b = right_handed(a, b, normal)
    frame = axes_along(a, normal).T
    atoms = primitive.copy()
    atoms.set_cell(np.array([a, b, c]) @ frame)
    atoms.positions = primitive.positions @ frame
    atoms.cell.array[np.abs(atoms.cell.array) < 1e-12] = 0
    return atoms, float(c @ normal), frame


def axes_along(a: Floats, normal: Floats) -> Floats:
    """Give, as rows, the x axis along a vector of a plane, the y axis, and the z axis along the plane's unit normal."""
    x = a / np.linalg.norm(a)
    return np.array([x, np.cross(normal, x), normal])


def right_handed(a: Floats, b: Floats, normal: Floats) -> tuple[Floats, Floats]:
    """
    Choose among the shortest vectors of a plane a right-handed pair that does not depend on the description.

    The longer is first. Of two of one length the pair with the acute angle is taken, 120 degrees in a hexagonal plane;
    where a centred rectangle has two longer ones as short as each other, the obtuse angle.
    """
    if np.cross(a, b) @ normal < 0:
        b = -b
    if np.linalg.norm(a) < np.linalg.norm(b) * (1 - _SAME_LENGTH):
        a, b = b, -a
    overlap = a @ b / (b @ b)
    if overlap > 0.5 - _SAME_LENGTH:
        return (a, b - a) if np.linalg.norm(a) < np.linalg.norm(b) * (1 + _SAME_LENGTH) else (a - b, b)
    if np.linalg.norm(a) < np.linalg.norm(b) * (1 + _SAME_LENGTH) and -0.5 + _SAME_LENGTH < overlap < -_SQUARE:
        return b, -a
    return a, b


def _unimodular(indices: Integers) -> Integers:
    """Give two vectors in the plane and one that leads to the next, by Euclid's algorithm."""
    vectors = np.eye(3, dtype=int)
    while np.count_nonzero(steps := vectors @ indices) > 1:
        small = min(np.flatnonzero(steps), key=lambda at: abs(steps[at]))
        for at in np.flatnonzero(steps):
            if at != small:
                vectors[at] -= steps[at] // steps[small] * vectors[small]
    last = int(np.flatnonzero(steps)[0])
    in_plane = np.delete(vectors, last, axis=0)
    return np.vstack([in_plane, vectors[last] * steps[last]])


def _gather(atoms: Atoms, found: list[Cluster], repeat_A: float, lifts: Integers) -> Floats:
    """Make the units whole, all within one repeat; give their heights, and write by how many repeats atoms rose."""
    steps = np.zeros((len(atoms), 3), dtype=int)
    for cluster in found:
        steps[list(cluster.steps)] = list(cluster.steps.values())
    atoms.positions += steps @ atoms.cell.array
    levels = np.array([atoms.positions[list(cluster.steps), 2].mean() for cluster in found])
    down = np.floor((levels - _start_of_repeat(levels, repeat_A)) / repeat_A).astype(int)
    for cluster, repeats in zip(found, down, strict=True):
        atoms.positions[list(cluster.steps)] -= repeats * atoms.cell.array[2]
        lifts[list(cluster.steps)] = steps[list(cluster.steps), 2] - repeats
    return np.asarray(levels - down * repeat_A)


def _start_of_repeat(levels: Floats, repeat_A: float) -> float:
    """Give a height in the middle of the widest gap between planes."""
    heights = np.sort(levels % repeat_A)
    gaps = np.diff(heights, append=heights[0] + repeat_A)
    widest = int(gaps.round(6).argmax())
    return float(heights[widest] + gaps[widest] / 2)


def _grouped(heights: Floats) -> list[Integers]:
    """Group equal heights, lowest first."""
    order = np.argsort(heights, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(heights[order]) > _SAME_PLANE_A) + 1)


def _images(atoms: Atoms, levels: Floats, repeat_A: float) -> tuple[list[set[int]], list[set[int]]]:
    """For each plane, give those that operations which keep the normal, and which reverse it, take it to."""
    dataset = symmetry_of(atoms, _SYMMETRY_TOLERANCE_A)
    lattice = atoms.cell.array
    turns = lattice.T @ dataset.rotations @ np.linalg.inv(lattice.T)
    rises = (dataset.translations @ lattice)[:, 2]
    images: dict[int, list[set[int]]] = {1: [set() for _ in levels], -1: [set() for _ in levels]}
    for turn, rise in zip(turns, rises, strict=True):
        sign = round(turn[2, 2])
        if abs(abs(turn[2, 2]) - 1) > 1e-3:
            continue
        apart = (sign * levels + rise)[:, None] - levels
        for i, j in enumerate(np.abs(apart - repeat_A * np.rint(apart / repeat_A)).argmin(axis=1)):
            images[sign][i].add(int(j))
    return images[1], images[-1]


def _broken_valence(units: list[list[Integers]], bonds: Bonds, lifts: Integers) -> list[float]:
    """Sum the valences of the bonds that a cut above each plane breaks."""
    level, period = np.empty(len(lifts), dtype=int), len(units)
    for number, held in enumerate(units):
        level[np.concatenate(held)] = number
    rises = bonds.steps[:, 2] + lifts[bonds.first] - lifts[bonds.second]
    low, high = level[bonds.first], level[bonds.second] + period * rises
    broken = np.zeros(period)
    for above in range(int(max((high - low).max(initial=0), 0))):
        crossing = low + above < high
        np.add.at(broken, (low[crossing] + above) % period, bonds.valences[crossing])
    return [float(valence) for valence in broken]
