"""How atoms are arranged in a trajectory: radial distribution, a solid framework or a melt, how a metal lies on a host."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from ..structures.defects import shortest_vector_A
from .trajectory import Trajectory
from .transport import displacements

Array = NDArray[np.float64]

FRAMES = 50
"""Frames, spread over the run, that averages are taken over."""
MELTED = 0.15
"""Lindemann ratio above which a framework is not solid: 0.1 to 0.15 at the melting point of most crystals."""
BOND = 1.3
"""Metal atoms are one cluster when they are closer than so many sums of their covalent radii."""


@dataclass(frozen=True)
class RadialDistribution:
    """Distances between two species.

    Attributes
    ----------
    distances_A
        Middles of the bins, shape ``(n_bins,)``.
    g
        Density at that distance over the mean density.
    neighbours
        Mean number of neighbours up to the end of each bin.
    """

    distances_A: Array
    g: Array
    neighbours: Array


@dataclass(frozen=True)
class Clusters:
    """How metal atoms lie on a host, per frame.

    Attributes
    ----------
    counts, largest
        Number of clusters, and atoms in the largest, shape ``(n_frames,)``.
    coverage
        Part of the surface's area below the metal's atoms, taken as discs of their covalent radius, at most 1.
    height_A
        Mean height of the metal above the highest atom of the host.
    """

    counts: NDArray[np.int64]
    largest: NDArray[np.int64]
    coverage: Array
    height_A: Array


def radial_distribution(
    trajectory: Trajectory, first: str, second: str, reach_A: float = 6.0, bin_A: float = 0.05
) -> RadialDistribution:
    """Return how many atoms of the second species lie around one of the first, against distance."""
    edges = np.arange(0, reach_A + bin_A / 2, bin_A)
    counts, volumes = np.zeros(len(edges) - 1), []
    frames = _spread(len(trajectory.frames))
    symbols = np.array(trajectory.start.get_chemical_symbols())
    for frame in frames:
        atoms = trajectory.atoms(frame)
        i, j, distances = neighbor_list("ijd", atoms, reach_A)
        chosen = (symbols[i] == first) & (symbols[j] == second)
        counts += np.histogram(distances[chosen], edges)[0]
        volumes.append(atoms.get_volume())
    per_atom = counts / len(frames) / (symbols == first).sum()
    density = (symbols == second).sum() / np.mean(volumes)
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    return RadialDistribution((edges[1:] + edges[:-1]) / 2, per_atom / shells / density, np.cumsum(per_atom))


def lindemann(trajectory: Trajectory, chosen: NDArray[np.bool_]) -> tuple[float, str]:
    """Tell whether some atoms form a solid.

    For each element, the root mean square displacement from the mean place over the distance to the nearest atom of the same
    element (F. A. Lindemann, Phys. Z. 11, 609 (1910)). They are a solid while one element stays in its places: in a crystal
    of groups, SbS4 or PS4, the middles do while the outer atoms turn.

    Parameters
    ----------
    trajectory
        Equilibrated.
    chosen
        Which atoms (a framework), shape ``(n_atoms,)``; at least two.

    Returns
    -------
        The least ratio, and a sentence.
    """
    moved = displacements(trajectory, chosen)
    squared = ((moved - moved.mean(axis=0)) ** 2).sum(axis=-1).mean(axis=0)
    symbols = np.where(chosen, trajectory.start.get_chemical_symbols(), "")
    ratios = {}
    for symbol in sorted({*symbols[chosen]}):
        distances = trajectory.start[symbols == symbol].get_all_distances(mic=True)
        np.fill_diagonal(distances, shortest_vector_A(trajectory.start))
        ratios[symbol] = float(np.sqrt(squared[symbols == symbol].mean()) / distances.min(axis=1).mean())
    least = min(ratios.values())
    loose = [symbol for symbol, ratio in ratios.items() if ratio >= MELTED]
    state = "not solid" if least >= MELTED else f"solid, but {', '.join(loose)} turn or move" if loose else "solid"
    told = ", ".join(f"{symbol} {ratio:.2f}" for symbol, ratio in ratios.items())
    return least, f"the framework is {state} (Lindemann ratio {told}; melting is near {MELTED:g})"


def metal_clusters(trajectory: Trajectory, metal: str) -> Clusters:
    """Return how a metal lies on a slab whose surface is normal to the third cell vector."""
    from scipy.sparse import coo_matrix  # type: ignore[import-untyped]
    from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

    is_metal = np.array(trajectory.start.get_chemical_symbols()) == metal
    radius_A = float(covalent_radii[trajectory.start.numbers[is_metal][0]])
    rows = []
    for frame in range(len(trajectory.frames)):
        atoms = trajectory.atoms(frame)
        normal = np.cross(atoms.cell[0], atoms.cell[1])
        heights = atoms.positions @ normal / np.linalg.norm(normal)
        top = heights[~is_metal].max()
        i, j = neighbor_list("ij", atoms[is_metal], 2 * BOND * radius_A)
        n = int(is_metal.sum())
        n_clusters, labels = connected_components(coo_matrix((np.ones(len(i)), (i, j)), shape=(n, n)), directed=False)
        covered = _covered(atoms[is_metal].get_scaled_positions()[:, :2], atoms.cell.array[:2], radius_A)
        rows.append((n_clusters, np.bincount(labels).max(), covered, heights[is_metal].mean() - top))
    counts, largest, coverage, height = (np.array(column) for column in zip(*rows, strict=True))
    return Clusters(counts, largest, coverage, height)


def _covered(fractional: Array, plane: Array, radius_A: float) -> float:
    """Return the part of a plane's cell below discs, on a grid of points."""
    grid = np.stack(np.meshgrid(*[(np.arange(40) + 0.5) / 40] * 2, indexing="ij"), axis=-1).reshape(-1, 1, 2)
    apart = grid - fractional
    apart -= np.rint(apart)
    images = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1], indexing="ij"), axis=-1).reshape(9, 1, 1, 2)
    distances = np.linalg.norm((apart + images) @ plane, axis=-1)
    return float((distances.min(axis=(0, 2)) < radius_A).mean())


def _spread(n_frames: int) -> list[int]:
    return [int(frame) for frame in np.unique(np.linspace(0, n_frames - 1, FRAMES).astype(int))]
