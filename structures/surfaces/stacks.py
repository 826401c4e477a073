"""A crystal seen along a surface normal: the stack of its atomic planes."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.formula import Formula
from ase.geometry import minkowski_reduce
from ase.neighborlist import natural_cutoffs, neighbor_list
from numpy.typing import NDArray

from ..symmetry.species import kept
from ..symmetry.symmetry import symmetry_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_SAME_PLANE_A = 0.1
_BOND_SCALE = 1.18  # a bond is at most this many times the sum of covalent radii
_SYMMETRY_TOLERANCE_A = 0.01
_IONIC = 0.5  # least difference of Pauling electronegativities for formal charges
_MOLECULAR = frozenset(Formula("HBCNOFSiPSClGeAsSeBrSnSbTeIPbBi"))


@dataclass(frozen=True)
class Stack:
    """
    One repeat of a crystal's planes along a surface normal.

    Attributes
    ----------
    atoms
        The primitive cell: a and b span the plane (a along x), c leads to the next repeat. Molecular ions
        are whole.
    planes
        Atom indices of each plane, from the lowest up.
    repeat_A
        Height of the repeat.
    charges
        Formal charges, shape ``(n_atoms,)``; zeros for a metal.
    up_class
        For each plane, the first plane whose upper face is the same.
    flips
        For each plane, the planes whose lower face is its upper face's image.
    broken
        For each plane, how many bonds of the in-plane cell a cut above it breaks.
    """

    atoms: Atoms
    planes: list[Integers]
    repeat_A: float
    charges: Floats
    up_class: list[int]
    flips: list[set[int]]
    broken: list[int]


def stack_planes(crystal: Atoms, miller: tuple[int, int, int]) -> Stack:
    """
    Find the planes of a crystal along the normal of a lattice plane.

    Parameters
    ----------
    crystal
        Bulk cell.
    miller
        Miller indices in that cell, not all zero.
    """
    primitive = primitive_cell(crystal)
    atoms, repeat_A = _oriented(primitive, _primitive_indices(crystal, primitive, miller))
    units = _molecules(atoms)
    levels = np.array([positions[:, 2].mean() for _, positions in units])
    start = _start_of_repeat(levels, repeat_A)
    for (index, positions), level in zip(units, levels, strict=True):
        atoms.positions[index] = positions - np.floor((level - start) / repeat_A) * atoms.cell.array[2]
    heights = start + (levels - start) % repeat_A
    groups = _grouped(heights)
    planes = [np.concatenate([units[unit][0] for unit in group]) for group in groups]
    upward, downward = _images(atoms, np.array([heights[group].mean() for group in groups]), repeat_A)
    return Stack(
        atoms,
        planes,
        repeat_A,
        _charges(crystal, atoms),
        [min(images) for images in upward],
        downward,
        _broken_bonds(atoms, planes),
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
        **kept(crystal, first),
    )


def _primitive_indices(crystal: Atoms, primitive: Atoms, miller: tuple[int, int, int]) -> Integers:
    """Give the Miller indices in the primitive cell."""
    centring = round(len(crystal) / len(primitive))
    exact = primitive.cell.array @ np.linalg.solve(crystal.cell.array, np.array(miller, dtype=float))
    indices = np.rint(exact * centring).astype(int)
    return np.asarray(indices // np.gcd.reduce(indices))


def _oriented(primitive: Atoms, indices: Integers) -> tuple[Atoms, float]:
    """Give the cell with a and b in the plane, shortest and a along x, and the height of c."""
    lattice = _unimodular(indices) @ primitive.cell.array
    a, b, c = minkowski_reduce(lattice, pbc=(True, True, False))[0]
    normal = np.linalg.solve(primitive.cell.array, indices)
    normal /= np.linalg.norm(normal)
    if np.cross(a, b) @ normal < 0:
        b = -b
    along = a / np.linalg.norm(a)
    frame = np.array([along, np.cross(normal, along), normal]).T
    atoms = primitive.copy()
    atoms.set_cell(np.array([a, b, c]) @ frame)
    atoms.positions = primitive.positions @ frame
    atoms.cell.array[np.abs(atoms.cell.array) < 1e-12] = 0
    return atoms, float(c @ normal)


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


def _molecules(atoms: Atoms) -> list[tuple[Integers, Floats]]:
    """Part the atoms into whole finite molecules and single atoms: indices and positions of each."""
    neighbours = defaultdict(list)
    for i, j, shift in zip(*neighbor_list("ijS", atoms, natural_cutoffs(atoms, mult=_BOND_SCALE)), strict=True):
        if _MOLECULAR.issuperset(atoms.symbols[[i, j]]):
            neighbours[int(i)].append((int(j), shift))
    units, seen = [], set[int]()
    for seed in range(len(atoms)):
        if seed in seen:
            continue
        shifts = _walk(seed, neighbours)
        members = list(shifts) if shifts else [seed]
        seen.update(members)
        offsets = np.array([shifts[i] for i in members]) if shifts else np.zeros((1, 3))
        units.append((np.array(members), atoms.positions[members] + offsets @ atoms.cell.array))
    return units


def _walk(seed: int, neighbours: dict[int, list[tuple[int, Integers]]]) -> dict[int, Integers]:
    """Map a molecule's atoms to their cells; empty when it has no end."""
    shifts = {seed: np.zeros(3, dtype=int)}
    waiting = [seed]
    while waiting:
        i = waiting.pop()
        for j, shift in neighbours[i]:
            cell = shifts[i] + shift
            if j not in shifts:
                shifts[j] = cell
                waiting.append(j)
            elif (shifts[j] != cell).any():
                return {}
    return shifts


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


def _broken_bonds(atoms: Atoms, planes: list[Integers]) -> list[int]:
    level = np.empty(len(atoms), dtype=int)
    for number, members in enumerate(planes):
        level[members] = number
    first, second, cells = neighbor_list("ijS", atoms, natural_cutoffs(atoms, mult=_BOND_SCALE))
    broken = [0] * len(planes)
    for low, high in zip(level[first], level[second] + len(planes) * cells[:, 2], strict=True):
        for plane in range(low, high):
            broken[plane % len(planes)] += 1
    return broken


def _charges(crystal: Atoms, atoms: Atoms) -> Floats:
    """Give the crystal's own charges or guess the oxidation states; zeros for elements and alloys."""
    own = atoms.get_initial_charges()
    if crystal.get_initial_charges().any():
        return np.asarray(own)
    if len(set(atoms.symbols)) == 1:
        return np.zeros(len(atoms))
    from pymatgen.core.composition import Composition
    from pymatgen.core.periodic_table import Element

    negativities = [Element(symbol).X for symbol in set(atoms.symbols)]
    if max(negativities) - min(negativities) < _IONIC:
        return np.zeros(len(atoms))
    formula = Composition(atoms.get_chemical_formula()).reduced_composition
    guesses = formula.oxi_state_guesses() or formula.oxi_state_guesses(all_oxi_states=True)
    states = guesses[0] if guesses else {}
    return np.array([float(states.get(symbol, 0.0)) for symbol in atoms.symbols])
