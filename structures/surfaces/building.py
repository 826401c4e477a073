"""A slab built from some planes of a stack."""

from collections.abc import Iterator

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce

from .halves import Halves
from .stacks import Integers, Stack, right_handed


def build(stack: Stack, first: int, layers: int, vacuum_A: float, halves: Halves | None = None) -> Atoms:
    """
    Build some planes of a stack, from the lowest up, as a slab that is centred along z.

    Parameters
    ----------
    stack
        The crystal's planes.
    first, layers
        The lowest plane and how many.
    vacuum_A
        Empty gap over the slab.
    halves
        What stays of the outermost planes, all of them by default.

    Returns
    -------
    Atoms
        a along x, z along the normal; tags count the planes from 1 at the top; the array ``"formal"``, shape
        ``(n_atoms,)``, holds the formal charges.
    """
    index, plane, repeats, cells = (np.array(column) for column in zip(*_rows(stack, first, layers, halves), strict=True))
    lattice = stack.atoms.cell.array
    atoms: Atoms = stack.atoms[index]
    atoms.positions += cells @ lattice[:2] + repeats[:, None] * lattice[2]
    atoms.set_tags(layers - plane)
    atoms.set_array("formal", stack.charges[index])
    z = atoms.positions[:, 2]
    flat = [*lattice[:2], (0, 0, np.ptp(z) + vacuum_A)]
    atoms.positions[:, 2] += vacuum_A / 2 - z.min()
    atoms.set_cell(flat if halves is None else _doubled(np.array(flat), halves.matrix))
    turn_a_along_x(atoms)
    atoms.wrap(pbc=(True, True, False), eps=1e-6)
    return atoms


def turn_a_along_x(atoms: Atoms) -> None:
    """Turn a slab in place about its normal, so that a is along x."""
    atoms.rotate(-np.degrees(np.arctan2(atoms.cell[0, 1], atoms.cell[0, 0])), "z", rotate_cell=True)
    atoms.cell.array[np.abs(atoms.cell.array) < 1e-12] = 0


def _rows(stack: Stack, first: int, layers: int, halves: Halves | None) -> Iterator[tuple[int, int, int, tuple[int, int]]]:
    """Give every atom: index in the stack, number of the plane, repeat along c, and in-plane cell."""
    period = len(stack.units)
    offsets = [(0, 0)] if halves is None else [(int(i), int(j)) for i, j in halves.offsets]
    for number in range(layers):
        repeat, plane = divmod(first + number, period)
        every = [(unit, cell) for cell in range(len(offsets)) for unit in range(len(stack.units[plane]))]
        if halves is not None:
            every = {0: halves.lower, layers - 1: halves.upper}.get(number, every)
        for unit, cell in every:
            for atom in stack.units[plane][unit]:
                yield int(atom), number, repeat, offsets[cell]


def _doubled(flat: np.ndarray, matrix: Integers) -> np.ndarray:
    """Give the shortest in-plane vectors of a multiple of the cell."""
    wide = np.vstack([matrix @ flat[:2], flat[2]])
    a, b, c = minkowski_reduce(wide, pbc=(True, True, False))[0]
    return np.array([*right_handed(a, b, np.array([0, 0, 1.0])), c])
