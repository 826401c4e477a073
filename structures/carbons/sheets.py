"""Where on a flat sheet a defect goes: the atom and the bond nearest to the middle of the cell."""

import numpy as np
from ase import Atoms


def central_atom(sheet: Atoms) -> int:
    """Give the atom nearest to the middle of the cell."""
    middle = sheet.cell.sum(axis=0) / 2
    return int(np.argmin(np.linalg.norm(sheet.positions - middle, axis=1).round(6)))


def neighbours(sheet: Atoms, atom: int) -> list[int]:
    """List the three nearest other atoms."""
    distances = sheet.get_distances(atom, range(len(sheet)), mic=True).round(6)
    return [int(i) for i in np.argsort(distances, kind="stable")[1:4]]


def central_bond(sheet: Atoms) -> tuple[list[int], list[int]]:
    """Give the two atoms of a bond near the cell's centre, and their four other neighbours."""
    e = central_atom(sheet)
    f = neighbours(sheet, e)[0]
    return [e, f], [i for end in (e, f) for i in neighbours(sheet, end) if i not in (e, f)]
