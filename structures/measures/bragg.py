"""Long-range order: how many atoms scatter in phase."""

from __future__ import annotations

from itertools import product

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

_FINEST = 0.75
"""Of the nearest distance: planes closer than that are not looked at. In fcc, bcc and diamond, all atoms lie on planes 0.82
of it apart."""
_CHUNK = 2000


def sharpest_peak(atoms: Atoms) -> float:
    """Return the height of the sharpest Bragg peak, ``|sum exp(ik.r)|² / N²``, over all k of the cell's reciprocal lattice.

    One where a set of planes holds every atom, as in a simple crystal; 0.1 to 0.25 in a liquid or glass of 60 to 100 atoms,
    and less the more there are. All atoms count alike.

    Parameters
    ----------
    atoms
        Periodic in three directions.

    Raises
    ------
    ValueError
        If it is not.

    Examples
    --------
    >>> from ase.build import bulk
    >>> round(sharpest_peak(bulk("Cu", cubic=True) * 2), 6)
    1.0
    """
    if not atoms.pbc.all():
        raise ValueError(f"`atoms` is {atoms.symbols} but must be periodic in three directions")
    longest = 2 * np.pi / (_FINEST * _nearest_A(atoms))
    most = np.floor(longest * atoms.cell.lengths() / (2 * np.pi)).astype(int)
    waves = np.array(list(product(*(range(-n, n + 1) for n in (*most[:2], 0)))), dtype=float)
    best = 0.0
    for l in range(most[2] + 1):  # noqa: E741 -- k and -k are one
        waves[:, 2] = l
        lengths = 2 * np.pi * np.linalg.norm(waves @ atoms.cell.reciprocal().array, axis=1)
        chosen = waves[(lengths > 1e-9) & (lengths <= longest)]
        for start in range(0, len(chosen), _CHUNK):
            phases = chosen[start : start + _CHUNK] @ atoms.get_scaled_positions(wrap=False).T
            best = max(best, float((np.abs(np.exp(2j * np.pi * phases).sum(axis=1)) ** 2).max()))
    return best / len(atoms) ** 2


def _nearest_A(atoms: Atoms) -> float:
    """Give the mean distance to the nearest neighbour."""
    reach_A = 2 * (atoms.get_volume() / len(atoms)) ** (1 / 3)
    i, distances = neighbor_list("id", atoms, reach_A)
    nearest = np.full(len(atoms), reach_A)
    np.minimum.at(nearest, i, distances)
    return float(nearest.mean())
