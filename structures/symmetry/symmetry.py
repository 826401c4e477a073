"""Space-group operations by spglib."""

import warnings

import spglib
from ase import Atoms

from .species import species


def symmetry_of(atoms: Atoms, tolerance_A: float, name: str = "host") -> spglib.SpglibDataset:
    """
    Find the symmetry of atoms in a periodic cell; `name` is what the error calls them.

    Isotopes, magnetic moments and charges of one element are told apart.

    Raises
    ------
    ValueError
        When spglib finds none because atoms overlap.
    """
    cell = (atoms.cell.array, atoms.get_scaled_positions(), species(atoms).tolist())
    with warnings.catch_warnings():  # spglib 2.7 and 2.8 announce their new error handling at every call
        warnings.simplefilter("ignore", DeprecationWarning)
        dataset = spglib.get_symmetry_dataset(cell, symprec=tolerance_A)
    if dataset is None:
        raise ValueError(f"`{name}` is {atoms.symbols} with overlapping atoms but they must lie apart")
    return dataset
