"""Space-group operations by spglib."""

import warnings

import numpy as np
import spglib
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from .species import species

_SAME_METRIC = 1e-3  # relative


def symmetry_of(atoms: Atoms, tolerance_A: float, name: str = "host") -> spglib.SpglibDataset:
    """
    Find the symmetry of atoms in a periodic cell; `name` is what the error calls them.

    Isotopes, magnetic moments and charges of one element are distinguished.

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


def rigid(rotations: ArrayLike, cell: ArrayLike) -> NDArray[np.bool_]:
    """
    Select the operations that keep the lengths and angles of a cell's vectors within 0.1 %, shape ``(n,)``.

    spglib allows the lattice as much as the atoms: within 0.05 A it takes a cell strained by 1 % for a cubic one.

    Parameters
    ----------
    rotations
        In scaled coordinates, shape ``(n, 3, 3)``.
    cell
        Vectors as rows, in A.
    """
    turns, vectors = np.asarray(rotations, dtype=float), np.asarray(cell, dtype=float)
    metric, lengths = vectors @ vectors.T, np.linalg.norm(vectors, axis=1)
    strain = np.abs(np.swapaxes(turns, 1, 2) @ metric @ turns - metric) / np.outer(lengths, lengths)
    return np.asarray(strain.max(axis=(1, 2)) < _SAME_METRIC)
