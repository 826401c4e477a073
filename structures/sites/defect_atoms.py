"""The atoms of a host's defect: those that its record names if the structure agrees, else those that stand out."""

from collections import Counter, defaultdict

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from .bonds import Edge, find_bonds, find_rings
from .slab_sites import is_sheet

_MOST_FOREIGN = 0.3  # a sheet with more foreign atoms than this is a compound, not a doped sheet


def defect_atoms(host: Atoms) -> list[int]:
    """
    List the atoms that distances from the defect are measured to.

    ``info["philic"]["defect"]`` stays in a file whose atoms may since have been sorted, cut or replaced. It is used if its
    indices exist and no atom it names has the same neighbours as another atom of its element. Otherwise, and in a
    carbon sheet without a record, the defect is what stands out: foreign atoms (except hydrogen) and carbon without
    three neighbours, or else carbon in two rings that are not hexagons; nothing, if half of the atoms stand out.

    Returns
    -------
    list of int
        Empty if there is no defect, or if the only sign of one is a stale record.

    Examples
    --------
    >>> from philic.structures.carbons.carbon import carbon_host
    >>> defect_atoms(carbon_host("N")), defect_atoms(carbon_host("N")[::-1])
    ([10], [21])
    """
    listed = host.info.get("philic", {}).get("defect", [])
    bonds = find_bonds(host)
    if listed and _borne_out(host, bonds, listed):
        return [int(i) for i in listed]
    carbon, hydrogen = host.numbers == 6, host.numbers == 1
    foreign = ~carbon & ~hydrogen
    if 2 * carbon.sum() <= len(host) or foreign.mean() > _MOST_FOREIGN:
        return []
    neighbours = np.bincount([edge[0] for edge in bonds], minlength=len(host))
    odd = foreign | (carbon & (neighbours != 3))
    if not odd.any() and is_sheet(host):
        odd = _in_odd_rings(host, bonds)
    return [int(i) for i in np.flatnonzero(odd)] if 2 * odd.sum() < len(host) else []


def _borne_out(host: Atoms, bonds: dict[Edge, NDArray[np.float64]], listed: list[int]) -> bool:
    """Check that the listed atoms exist, and that none has the neighbours of an unlisted atom of its element."""
    if not all(0 <= i < len(host) for i in listed):
        return False
    around = defaultdict(list)
    for i, j, _, _ in bonds:
        around[i].append(str(host.symbols[j]))
    kinds = [(str(symbol), *sorted(around[i])) for i, symbol in enumerate(host.symbols)]
    others = {kind for i, kind in enumerate(kinds) if i not in listed}
    return not any(kinds[i] in others for i in listed)


def _in_odd_rings(host: Atoms, bonds: dict[Edge, NDArray[np.float64]]) -> NDArray[np.bool_]:
    """Find atoms in two or more rings that are not hexagons: the rotated bond of Stone and Wales, and its neighbours."""
    shared = Counter(i for ring in find_rings(bonds) if len(ring) != 6 for i, _, _ in ring)
    return np.array([shared[i] > 1 for i in range(len(host))])
