"""A metal on a host: clusters, how many of its atoms touch the host, layers, contact angle."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from ..sites.faces import heights_A
from ..sites.islands import area_A2, lattice_constant_A, layer_A, nearest_A

Array = NDArray[np.float64]

BONDED = 1.25
"""Times the bulk metal's nearest distance: between its second shell (1.15) and the first minimum of the liquid (1.4)."""
TOUCHING = 1.25
"""Times the sum of covalent radii: a metal atom closer to one of the host's touches it. A second layer is farther off."""
FEWEST = 30
"""Atoms of the smallest cluster with a contact angle: cut from a crystal at a known angle, those have it within 13°."""
_GRID = 50


@dataclass(frozen=True)
class Deposit:
    """The metal on a host in one structure.

    Attributes
    ----------
    sizes
        Atoms in each cluster, largest first.
    touching
        Which metal atoms touch the host, shape ``(n_metal,)``.
    away
        Which of them are in clusters that nowhere touch the host, shape ``(n_metal,)``. In the middle of the vacuum their
        heights mean nothing.
    coverage
        Part of the surface below those that touch, each as large as an atom of the metal's (110) layer; at most 1.
    heights_A
        Of the metal atoms over the mean of the host's layer that faces it, shape ``(n_metal,)``.
    centre_A
        Height of the largest cluster's centre over the plane that it stands on, half a layer below the atoms that touch; NaN
        where none of it touches.
    """

    sizes: tuple[int, ...]
    touching: NDArray[np.bool_]
    away: NDArray[np.bool_]
    coverage: float
    heights_A: Array
    centre_A: float


def deposit(atoms: Atoms, metal: str, n_metal: int) -> Deposit:
    """Measure the metal on a host: clusters, atoms that touch the host, coverage, heights.

    Parameters
    ----------
    atoms
        Host atoms first, metal atoms last; a slab or sheet in the xy plane.
    metal
        An alkali metal.
    n_metal
        How many metal atoms.

    Raises
    ------
    ValueError
        When n_metal leaves no host.
    """
    if not 1 <= n_metal < len(atoms):
        raise ValueError(f"`n_metal` is {n_metal} but must be from 1 to {len(atoms) - 1}")
    n_host = len(atoms) - n_metal
    levels = heights_A(atoms)
    if levels[n_host:].mean() < levels[:n_host].mean():  # it is on the lower face
        levels = -levels
    heights = levels[n_host:] - _top(levels[:n_host])
    labels = _clusters(atoms[n_host:], BONDED * nearest_A(metal))
    touching = _touching(atoms, n_host)
    sizes = np.bincount(labels)
    largest = labels == sizes.argmax()
    standing = heights[largest & touching]
    base_A = standing.mean() - layer_A(metal) / 2 if len(standing) else np.nan
    radius_A = float(np.sqrt(area_A2(metal) / np.pi))
    coverage = _covered(atoms, np.flatnonzero(touching) + n_host, radius_A)
    away = ~np.isin(labels, labels[touching])
    centre_A = float(heights[largest].mean() - base_A)
    return Deposit(tuple(sorted(map(int, sizes), reverse=True)), touching, away, coverage, heights, centre_A)


def contact_angle_deg(metal: str, n: int, centre_A: float, image_A: float = np.inf) -> float | None:
    """
    Give the contact angle of a cluster as that of a spherical cap with its volume and the height of its centre.

    Unlike a fit of the outline it takes every atom into account. The volume is that of the bulk metal.

    Parameters
    ----------
    metal
        An alkali metal.
    n
        Atoms of the cluster.
    centre_A
        Height of its centre over the plane it stands on.
    image_A
        Distance to its own image.

    Returns
    -------
        None for fewer than `FEWEST` atoms, a centre that is no cap's, and a cap so wide that it would touch its image.

    Examples
    --------
    >>> volume = 100 * 5.23**3 / 2  # of 100 K, as half a ball: its centre is at 3/8 of the radius
    >>> round(contact_angle_deg("K", 100, 3 / 8 * (volume * 3 / (2 * np.pi)) ** (1 / 3)))
    90
    """
    if n < FEWEST or not np.isfinite(centre_A):
        return None
    angles = np.radians(np.linspace(5, 180, 1000))
    cosine = np.cos(angles)
    centre = 3 * (1 + cosine) ** 2 / (4 * (2 + cosine)) - cosine  # of a cap of radius 1
    volume = np.pi / 3 * (2 + cosine) * (1 - cosine) ** 2
    side_A = (n * lattice_constant_A(metal) ** 3 / 2) ** (1 / 3)
    ratios = centre / volume ** (1 / 3)
    if not ratios[0] < centre_A / side_A < ratios[-1]:
        return None
    at = int(np.searchsorted(ratios, centre_A / side_A))
    radius_A = side_A / volume[at] ** (1 / 3)
    wide_A = 2 * radius_A * (np.sin(angles[at]) if cosine[at] > 0 else 1.0)
    return float(np.degrees(angles[at])) if wide_A < image_A else None


def layers(heights: Array, touching: NDArray[np.bool_], metal: str) -> Array:
    """Give the share of the metal's atoms in each layer, shape ``(n_layers,)``; what touches the host is in the first."""
    if not touching.any():
        return np.ones(1)
    above = (heights - heights[touching].mean()) / layer_A(metal)
    numbers = np.where(touching, 0, np.maximum(1, np.rint(above))).astype(int)
    return np.asarray(np.bincount(numbers) / len(numbers))


def surface_area_A2(atoms: Atoms) -> float:
    """Give the area of the cell's a and b."""
    return float(np.linalg.norm(np.cross(atoms.cell[0], atoms.cell[1])))


def _top(levels: Array) -> float:
    """Give the mean height of the host's outermost ångström."""
    return float(levels[levels > levels.max() - 1.0].mean())


def _clusters(metal_atoms: Atoms, bond_A: float) -> NDArray[np.int64]:
    from scipy.sparse import coo_matrix  # type: ignore[import-untyped]
    from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

    n = len(metal_atoms)
    i, j = neighbor_list("ij", metal_atoms, bond_A)
    labels: NDArray[np.int64] = connected_components(coo_matrix((np.ones(len(i)), (i, j)), shape=(n, n)), directed=False)[1]
    return labels


def _touching(atoms: Atoms, n_host: int) -> NDArray[np.bool_]:
    pairs = {(host, atoms.symbols[-1]): _touch_A(host, str(atoms.symbols[-1])) for host in set(atoms.symbols[:n_host])}
    i, j = neighbor_list("ij", atoms, pairs)
    touching = np.zeros(len(atoms) - n_host, dtype=bool)
    touching[i[(i >= n_host) & (j < n_host)] - n_host] = True
    return touching


def _touch_A(one: str, other: str) -> float:
    return TOUCHING * float(covalent_radii[atomic_numbers[one]] + covalent_radii[atomic_numbers[other]])


def _covered(atoms: Atoms, indices: NDArray[np.int64], radius_A: float) -> float:
    """Give the part of the surface below discs round some atoms, on a grid of points."""
    if not len(indices):
        return 0.0
    points = (np.stack(np.meshgrid(*[np.arange(_GRID)] * 2, indexing="ij"), axis=-1).reshape(-1, 2) + 0.5) / _GRID
    covered = np.zeros(len(points), dtype=bool)
    for middle, shift in product(atoms.get_scaled_positions()[indices, :2], product((-1, 0, 1), repeat=2)):
        covered |= np.linalg.norm((points - middle - shift) @ atoms.cell.array[:2], axis=1) < radius_A
    return float(covered.mean())
