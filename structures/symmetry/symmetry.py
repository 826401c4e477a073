"""Space-group operations by spglib."""

import warnings

import spglib
from ase import Atoms


def symmetry_of(atoms: Atoms, tolerance_A: float, name: str = "host") -> spglib.SpglibDataset:
    """
    Find the symmetry of atoms in a periodic cell; `name` is what the error calls them.

    Raises
    ------
    ValueError
        When spglib finds none because atoms overlap.
    """
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    with warnings.catch_warnings():  # spglib 2.7 and 2.8 announce their new error handling at every call
        warnings.simplefilter("ignore", DeprecationWarning)
        dataset = spglib.get_symmetry_dataset(cell, symprec=tolerance_A)
    if dataset is None:
        raise ValueError(f"`{name}` is {atoms.symbols} with overlapping atoms but they must lie apart")
    return dataset
