"""Atoms held still far from where something happens."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms
from ase.geometry import get_distances

from .bands import fixed_atoms


def freeze_beyond(atoms: Atoms, around: Sequence[int], radius_A: float) -> Atoms:
    """
    Fix every atom that is farther than a radius from all of some atoms; what is fixed already stays so.

    Parameters
    ----------
    atoms
        Left as they are.
    around
        Indices of the atoms in the middle.
    radius_A
        By minimum image.

    Raises
    ------
    ValueError
        When an index does not exist or no atom is left free.

    Examples
    --------
    >>> from ase.build import bulk
    >>> frozen = freeze_beyond(bulk("Cu", cubic=True) * (3, 3, 3), [0], 2.6)
    >>> len(frozen) - len(frozen.constraints[0].get_indices())
    13
    """
    unknown = [index for index in around if not 0 <= index < len(atoms)]
    if unknown or not around:
        raise ValueError(f"`around` is {list(around)} but must be indices from 0 to {len(atoms) - 1}")
    middles = atoms.positions[list(around)]
    _, distance_A = get_distances(atoms.positions, middles, cell=atoms.cell, pbc=atoms.pbc)
    fixed = (distance_A.min(axis=1) > radius_A) | fixed_atoms(atoms)
    if fixed.all():
        raise ValueError(f"`radius_A` is {radius_A} but then every atom is fixed: raise it or free some atoms")
    frozen: Atoms = atoms.copy()
    frozen.set_constraint(FixAtoms(np.flatnonzero(fixed)))
    return frozen
