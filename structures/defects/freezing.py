"""Atoms held still far from where something happens."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms
from ase.geometry import get_distances

from ..symmetry.fixed import fixed_atoms


def atoms_near(atoms: Atoms, around: Sequence[int], radius_A: float) -> list[int]:
    """
    List the atoms within a radius of any of some atoms, by minimum image; those among them.

    Raises
    ------
    ValueError
        When an index does not exist.

    Examples
    --------
    >>> from ase.build import bulk
    >>> len(atoms_near(bulk("Cu", cubic=True) * (3, 3, 3), [0], 2.6))
    13
    """
    _check_indices(atoms, "around", around)
    middles = atoms.positions[list(around)]
    _, distance_A = get_distances(atoms.positions, middles, cell=atoms.cell, pbc=atoms.pbc)
    return [int(index) for index in np.flatnonzero(distance_A.min(axis=1) <= radius_A)]


def freeze_except(atoms: Atoms, free: Sequence[int]) -> Atoms:
    """
    Fix every atom but some; what is fixed already stays so.

    Name the same atoms for the start and the saddle of a jump: their frequencies are compared.

    Parameters
    ----------
    atoms
        Left as they are.
    free
        Indices, such as those of `atoms_near` at the start and at the end of a jump.

    Raises
    ------
    ValueError
        When an index does not exist, or names no atom that is free.
    """
    _check_indices(atoms, "free", free)
    fixed = fixed_atoms(atoms)
    fixed[np.setdiff1d(np.arange(len(atoms)), free)] = True
    if fixed.all():
        raise ValueError(f"`free` is {list(free)} but these are fixed already: name one that is not")
    frozen: Atoms = atoms.copy()
    frozen.set_constraint(FixAtoms(np.flatnonzero(fixed)))
    return frozen


def _check_indices(atoms: Atoms, name: str, indices: Sequence[int]) -> None:
    if not indices or any(not 0 <= index < len(atoms) for index in indices):
        raise ValueError(f"`{name}` is {list(indices)} but must be indices from 0 to {len(atoms) - 1}")
