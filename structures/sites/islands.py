"""Many metal atoms on a host before they move: scattered over its sites, or together in half a ball."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import bcc110

from ..crystals.metals import bulk_metal, check_metal
from .faces import free_faces
from .placing import place
from .sites import all_anchors, lateral_distances_A, lateral_position

_APART = 0.9  # of the bulk metal's nearest distance: scattered atoms keep it


def half_ball(metal: str, n: int) -> Atoms:
    """
    Cut half a ball out of the bulk metal, flat side down.

    Its flat side is a (110) face, the densest; it holds the atoms nearest to the middle of that side.

    Raises
    ------
    ValueError
        When the metal is unknown or n is below 1.

    Examples
    --------
    >>> ball = half_ball("K", 12)
    >>> int((ball.positions[:, 2] < 0.1).sum())
    8
    """
    check_metal(metal)
    if n < 1:
        raise ValueError(f"`n` is {n} but must be at least 1")
    across = 2 * int(np.ceil(n ** (1 / 3))) + 4
    block = bcc110(metal, (across, 2 * across, across), a=lattice_constant_A(metal), orthogonal=True)
    block.positions[:, 2] -= block.positions[:, 2].min()
    bottom = block.positions[block.positions[:, 2] < 0.1]
    middle = bottom[np.linalg.norm(bottom - bottom.mean(axis=0), axis=1).argmin()]
    centre = middle - (0, 0, layer_A(metal) / 2)
    nearest = np.argsort(np.linalg.norm(block.positions - centre, axis=1).round(6), kind="stable")[:n]
    return Atoms(f"{metal}{n}", positions=block.positions[nearest] - middle)


def place_island(host: Atoms, metal: str, n: int) -> Atoms:
    """
    Put a metal's half ball down on a host, over the first atom of its upper face, or the lower if the upper is held.

    Returns
    -------
    Atoms
        The host, its constraints and info kept, followed by the metal.

    Raises
    ------
    ValueError
        As for `half_ball`, and when the island would touch its own image or the slab above.

    Examples
    --------
    >>> from philic.structures.carbons.carbon import graphene
    >>> place_island(graphene((8, 8)), "Na", 9).symbols
    Symbols('C128Na9')
    """
    face = free_faces(host)[0]
    first = next(anchors for kind, anchors in all_anchors(host, face=face) if kind == "top")
    ball = half_ball(metal, n)
    ball.positions[:, 2] *= face
    atoms = place(host, ball, first, face=face)
    atoms.info["philic"] |= {"metal": metal, "n_metal": n}
    return atoms


def scattered_anchors(host: Atoms, metal: str, n: int, seed: int = 0) -> list[list[list[int]]]:
    """
    Choose sites at random for a metal's atoms, any kind of site, at least 0.9 of the bulk metal's distance apart.

    They are on the first of the host's `free_faces`.

    Returns
    -------
    list
        Anchors as `place_adatoms` takes them.

    Raises
    ------
    ValueError
        When the metal is unknown, n is below 1, or so many do not fit.

    Examples
    --------
    >>> from philic.structures.carbons.carbon import graphene
    >>> len(scattered_anchors(graphene((6, 6)), "K", 4))
    4
    """
    check_metal(metal)
    if n < 1:
        raise ValueError(f"`n` is {n} but must be at least 1")
    apart_A = _APART * nearest_A(metal)
    every = [anchors for _, anchors in all_anchors(host, face=free_faces(host)[0])]
    spots = np.array([lateral_position(host, anchors) for anchors in every])
    free, chosen = np.ones(len(spots), dtype=bool), []
    for index in np.random.default_rng(seed).permutation(len(spots)):
        if free[index]:
            chosen.append([list(anchor) for anchor in every[index]])
            free &= lateral_distances_A(host, spots - spots[index]) >= apart_A
    if n > len(chosen):
        raise ValueError(f"`n` is {n} but only {len(chosen)} {metal} atoms fit side by side on the host: enlarge it")
    return chosen[:n]


def lattice_constant_A(metal: str) -> float:
    """Give the cubic lattice constant of the bulk metal."""
    return float(bulk_metal(metal).cell[0, 0])


def nearest_A(metal: str) -> float:
    """Give the distance to the nearest neighbour in the bulk metal."""
    return lattice_constant_A(metal) * float(np.sqrt(3)) / 2


def layer_A(metal: str) -> float:
    """Give the distance of the bulk metal's (110) layers."""
    return lattice_constant_A(metal) / float(np.sqrt(2))


def area_A2(metal: str) -> float:
    """Give the area of an atom in a (110) layer of the bulk metal."""
    return lattice_constant_A(metal) ** 2 / float(np.sqrt(2))
