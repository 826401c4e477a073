"""Masses, initial magnetic moments and charges: what distinguishes atoms of one element."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_masses
from numpy.typing import ArrayLike, NDArray

MASSES, MOMENTS, CHARGES = "masses", "initial_magmoms", "initial_charges"
"""Names of the arrays of `ase.Atoms`."""

_ARGUMENTS = {MASSES: "masses", MOMENTS: "magmoms", CHARGES: "charges"}
_ALIKE = 1e-6  # unified mass units, Bohr magnetons, elementary charges


def own_arrays(atoms: Atoms) -> dict[str, NDArray[np.float64]]:
    """
    Give the masses in u, moments and charges of a structure, each only where some atom's is not the standard one.

    Standard are ASE's mass of the element, no moment and no charge.

    Examples
    --------
    >>> own_arrays(Atoms("HH", masses=[1.008, 2.014]))
    {'masses': array([1.008, 2.014])}
    """
    standard = {MASSES: atomic_masses[atoms.numbers], MOMENTS: 0.0, CHARGES: 0.0}
    own = {name: np.asarray(atoms.arrays[name], dtype=float) for name in standard if name in atoms.arrays}
    return {name: values for name, values in own.items() if np.abs(values - standard[name]).max(initial=0.0) > _ALIKE}


def kept(atoms: Atoms, index: ArrayLike | slice = slice(None)) -> dict[str, Any]:
    """
    Give the arguments with which a builder that makes new `ase.Atoms` keeps these properties of chosen atoms.

    Examples
    --------
    >>> heavy = Atoms("LiH", masses=[6.94, 2.014])
    >>> Atoms("H", **kept(heavy, [1])).get_masses()
    array([2.014])
    """
    chosen = index if isinstance(index, slice) else np.asarray(index)
    return {_ARGUMENTS[name]: values[chosen] for name, values in own_arrays(atoms).items()}


def renamed(atoms: Atoms, symbols: Sequence[str]) -> Atoms:
    """
    Give a copy with other elements; an atom whose element changes gets the standard mass, no moment and no charge.

    Examples
    --------
    >>> renamed(Atoms("LiH", masses=[6.0, 2.014]), ["Li", "F"]).get_masses()
    array([ 6.        , 18.99840316])
    """
    copy: Atoms = atoms.copy()
    copy.symbols = symbols
    changed = copy.numbers != atoms.numbers
    for name in own_arrays(atoms):
        copy.arrays[name][changed] = atomic_masses[copy.numbers[changed]] if name == MASSES else 0.0
    return copy


def species(atoms: Atoms) -> NDArray[np.int64]:
    """
    Number the kinds of atoms, shape ``(n_atoms,)``: those of one number have one element, mass, moment and charge.

    Examples
    --------
    >>> species(Atoms("LiHH", masses=[6.94, 1.008, 2.014])).tolist()
    [2, 0, 1]
    """
    own = own_arrays(atoms)
    if not own:
        return np.asarray(atoms.numbers, dtype=np.int64)
    columns = [np.reshape(values, (len(atoms), -1)) for values in (atoms.numbers, *own.values())]
    rows = (np.hstack(columns) / _ALIKE).round()
    return np.asarray(np.unique(rows, axis=0, return_inverse=True)[1].ravel(), dtype=np.int64)
