"""Molecular units of a crystal: the finite covalent clusters that no surface may cut."""

from collections import defaultdict
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from numpy.typing import NDArray

from .bond_valences import BOND_VALENCE, NONMETALS, Bonds, Floats, Integers, find_bonds
from .charges import formal_charges
from .metals import METALS

_ALKALI = [atomic_numbers[metal] for metal in METALS]


class Cluster(NamedTuple):
    """Bonded atoms with the lattice steps that bring them together, and along which cell vectors they have no end."""

    steps: dict[int, Integers]
    endless: NDArray[np.bool_]


_Neighbours = dict[int, list[tuple[int, Integers]]]


def molecular_units(atoms: Atoms) -> list[list[int]]:
    """
    Find the molecular units of a crystal: CO3, PO4, SbS4, O2, OH, PF6, B12H12, Sn4, TaO6 in a garnet.

    A unit is a finite cluster of bonds among elements other than alkali metals. The bonds of one pair of
    elements are added at a time, the strongest pair first; a pair that would join units to an endless network is
    left out: PO4 is a unit of NaZr2P3O12, which its Zr-O bonds make one framework.

    Returns
    -------
    list of list of int
        The atoms of each unit of two atoms or more.

    Examples
    --------
    >>> from philic.structures.crystals.crystals import crystal
    >>> cell = crystal("M2CO3", "K")
    >>> [str(cell[unit].symbols.formula.reduce()[0]) for unit in molecular_units(cell)]
    ['CO3', 'CO3', 'CO3', 'CO3']
    """
    charges = formal_charges(atoms)
    found = clusters(atoms, charges, find_bonds(atoms, charges), endless=(False, False, False))
    return [list(unit.steps) for unit in found if len(unit.steps) > 1]


def clusters(atoms: Atoms, charges: Floats, bonds: Bonds, *, endless: tuple[bool, bool, bool]) -> list[Cluster]:
    """
    Part the atoms into units as `molecular_units` does, which may be endless along some cell vectors.

    Parameters
    ----------
    atoms, charges, bonds
        A crystal, the formal charges of its atoms, and its bonds.
    endless
        Along which cell vectors a unit may have no end: with (True, True, False) chains and sheets in the plane of
        a and b are units too.

    Returns
    -------
    list of Cluster
        Every atom is in one; single atoms are clusters too.
    """
    may_not = ~np.array(endless)
    joined: _Neighbours = defaultdict(list)
    frozen = np.zeros(len(atoms), dtype=bool)
    for kind in _kinds(atoms, charges, bonds):
        tried = _with(joined, bonds, kind[~frozen[bonds.first[kind]] & ~frozen[bonds.second[kind]]])
        ends = np.zeros(len(atoms), dtype=bool)
        for cluster in _walks(len(atoms), tried):
            if cluster.endless[may_not].any():
                ends[list(cluster.steps)] = True
        joined = _merged(joined, tried, ends)
        frozen |= ends
    return _walks(len(atoms), joined)


def _kinds(atoms: Atoms, charges: Floats, bonds: Bonds) -> list[NDArray[np.int64]]:
    """List the bonds of each pair of elements, the pair with the strongest bond first."""
    ends = np.array([bonds.first, bonds.second])
    alkali, nonmetal = (np.isin(atoms.numbers, kinds)[ends] for kinds in (_ALKALI, NONMETALS))
    metallic = ~(charges[ends].any(axis=0) | nonmetal.all(axis=0))
    held = (bonds.valences >= BOND_VALENCE) & ~alkali.any(axis=0) & ~metallic
    pairs = np.sort(atoms.numbers[ends].T, axis=1)
    kinds = [np.flatnonzero(held & (pairs == pair).all(axis=1)) for pair in np.unique(pairs[held], axis=0)]
    return sorted(kinds, key=lambda kind: -float(bonds.valences[kind].max()))


def _with(joined: _Neighbours, bonds: Bonds, more: NDArray[np.int64]) -> _Neighbours:
    tried: _Neighbours = defaultdict(list, {i: list(found) for i, found in joined.items()})
    for i, j, steps in zip(bonds.first[more], bonds.second[more], bonds.steps[more], strict=True):
        tried[int(i)].append((int(j), steps))
    return tried


def _merged(joined: _Neighbours, tried: _Neighbours, ends: NDArray[np.bool_]) -> _Neighbours:
    """Take the new bonds but where they made an endless cluster."""
    kept: _Neighbours = defaultdict(list)
    for source, wanted in ((joined, ends), (tried, ~ends)):
        kept.update({i: found for i, found in source.items() if wanted[i]})
    return kept


def _walks(n_atoms: int, neighbours: _Neighbours) -> list[Cluster]:
    """Walk every cluster."""
    found, seen = [], set[int]()
    for seed in range(n_atoms):
        if seed in seen:
            continue
        steps, endless, waiting = {seed: np.zeros(3, dtype=np.int64)}, np.zeros(3, dtype=bool), [seed]
        while waiting:
            i = waiting.pop()
            for j, step in neighbours.get(i, ()):
                cell = steps[i] + step
                if j not in steps:
                    steps[j] = cell
                    waiting.append(j)
                endless |= steps[j] != cell
        seen.update(steps)
        found.append(Cluster(steps, endless))
    return found
