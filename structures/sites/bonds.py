"""A sheet's bonds, and the rings they enclose."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from ase import Atoms
from ase.neighborlist import natural_cutoffs, neighbor_list
from numpy.typing import NDArray

Anchor = tuple[int, int, int]
"""An atom's index and the cell it is taken from, in steps along a and b."""

Edge = tuple[int, int, int, int]
"""A bond in one direction: from atom, to atom, and the latter's cell, in steps along a and b."""

Vector = NDArray[np.float64]

_BOND_SCALE = 1.18  # a bond is at most this many times the sum of covalent radii
_BROKEN = 1.3  # a bond this many times longer than it was is broken
_SHADOW = 1.15  # a bond this many times longer than both legs of a detour over a third atom is none
_ON_EDGE_A2 = 0.1  # a triangle of less, as seen along z, stands on edge


def find_bonds(host: Atoms) -> dict[Edge, Vector]:
    """
    Map every bond, in both directions, to its vector in A.

    Atoms are bonded within 1.18 times the sum of ASE's covalent radii. A metal's radius reaches past its own
    ligands, so a bond clearly longer than both legs of a detour over a third atom is dropped: the rule of
    the relative neighbourhood graph, which is planar (Toussaint, Pattern Recognition 12, 261, 1980), with a
    margin that keeps real three-rings. Bonds are in the order of their edges, whatever the last digits of the positions.
    """
    ends = zip(*neighbor_list("ijdDS", host, natural_cutoffs(host, mult=_BOND_SCALE)), strict=True)
    near: dict[int, dict[Edge, tuple[float, Vector]]] = defaultdict(dict)
    for i, j, length, vector, (a, b, _) in sorted(ends, key=lambda end: (end[0], end[1], *end[4])):
        near[int(i)][int(i), int(j), int(a), int(b)] = (float(length), vector)
    return {
        edge: vector
        for edges in near.values()
        for edge, (length, vector) in edges.items()
        if not any(longest_leg * _SHADOW < length for longest_leg in _detours(near, edge))
    }


def bonds_changed(before: Atoms, after: Atoms) -> bool:
    """
    Return whether a bond broke or formed: one that became longer, or had been longer, by more than 30 %.

    A bond that is merely stretched across the limit of `find_bonds` did neither.

    Parameters
    ----------
    before, after
        The same atoms in the same order.
    """
    first, second = _bond_lengths_A(before), _bond_lengths_A(after)
    broken = any(after.get_distance(*pair, mic=True) > _BROKEN * length for pair, length in first.items())
    formed = any(before.get_distance(*pair, mic=True) > _BROKEN * length for pair, length in second.items())
    return broken or formed


def _bond_lengths_A(host: Atoms) -> dict[tuple[int, int], float]:
    return {(i, j): float(np.linalg.norm(vector)) for (i, j, _, _), vector in find_bonds(host).items() if i < j}


def _detours(near: dict[int, dict[Edge, tuple[float, Vector]]], edge: Edge) -> Iterator[float]:
    """Give the longer leg of each two-bond path between a bond's ends."""
    i, j, a, b = edge
    for (_, k, a1, b1), (first, _) in near[i].items():
        if second := near[k].get((k, j, a - a1, b - b1)):
            yield max(first, second[0])


def find_rings(bonds: dict[Edge, Vector]) -> list[tuple[Anchor, ...]]:
    """
    Trace the faces of the bond graph: at the end of each bond, take the sharpest turn to the left.

    Each ring is its atoms in counter-clockwise order, each atom once. A walk that ends in another cell than
    it began encloses nothing and is left out; the rim round a loose piece comes clockwise. An atom that stands
    over a bond, as the oxygen of an epoxide, is on neither side of it: its legs to the bond's ends are not drawn.
    """
    around = defaultdict(list)
    legs = _legs_over_bonds(bonds)
    for edge in sorted(
        (edge for edge in bonds if edge not in legs), key=lambda edge: np.arctan2(bonds[edge][1], bonds[edge][0])
    ):
        around[edge[0]].append(edge)
    following = {}
    for edges in around.values():
        for left, (i, j, a, b) in pairwise([edges[-1], *edges]):
            following[j, i, -a, -b] = left
    rings = []
    while following:
        corners, shift = _walk(following)
        if shift == (0, 0):
            rings.append(tuple(dict.fromkeys(corners)))
    return rings


def _legs_over_bonds(bonds: dict[Edge, Vector]) -> set[Edge]:
    """Find the two bonds, in both directions, of each atom to the ends of a bond that it stands over, as seen along z."""
    around = defaultdict(list)
    for edge in bonds:
        around[edge[0]].append(edge)
    legs = set()
    for i, k, a1, b1 in bonds:
        for _, j, a2, b2 in around[k]:
            if (i, j, a1 + a2, b1 + b2) not in bonds:
                continue
            one, other = bonds[i, k, a1, b1], bonds[k, j, a2, b2]
            if one[:2] @ other[:2] > 0 and abs(one[0] * other[1] - one[1] * other[0]) < 2 * _ON_EDGE_A2:
                legs |= {(i, k, a1, b1), (k, i, -a1, -b1)}
    return legs


def _walk(following: dict[Edge, Edge]) -> tuple[list[Anchor], tuple[int, int]]:
    """Take one face out of the graph: its corners, and the cell shift a walk round it ends with."""
    edge = min(following)
    corners, a, b = [], 0, 0
    while edge in following:
        corners.append((edge[0], a, b))
        a, b = a + edge[2], b + edge[3]
        edge = following.pop(edge)
    return corners, (a, b)
