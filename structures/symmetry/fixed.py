"""Which atoms are held."""

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms
from numpy.typing import NDArray


def fixed_atoms(atoms: Atoms) -> NDArray[np.bool_]:
    """Return which atoms `ase.constraints.FixAtoms` holds, shape (n_atoms,)."""
    fixed = np.zeros(len(atoms), dtype=bool)
    for constraint in atoms.constraints:
        if isinstance(constraint, FixAtoms):
            fixed[constraint.get_indices()] = True
    return fixed
