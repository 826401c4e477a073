"""CHGNet's graph of a structure, made with arrays: the numbers of chgnet's converter in a tenth of its time.

chgnet makes a Python object of every bond, which took 14 % of a force call on 64 to 384 atoms. The order of bonds and
angles is kept, because sums in float32 depend on it. Imported only when a CHGNet model is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from chgnet.graph.crystalgraph import CrystalGraph
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ase import Atoms

Indices = NDArray[np.int64]

TOLERANCE_A = 1e-8  # chgnet's: atoms this near are one, and bonds this much above the cutoff count


def crystal_graph(atoms: Atoms, atom_cutoff_A: float, bond_cutoff_A: float) -> Any:
    """Return the graph of a structure, positions wrapped: float32 coordinates far outside the cell lose digits."""
    fractional = atoms.get_scaled_positions(wrap=True)
    center, neighbour, image, distance_A = _bonds(atoms, fractional, atom_cutoff_A)
    undirected, first = _undirected(center, neighbour, image)
    angles = _angles(center, neighbour, distance_A, undirected, first, bond_cutoff_A)
    return CrystalGraph(
        atomic_number=torch.tensor(atoms.numbers, dtype=torch.int32),
        atom_frac_coord=torch.tensor(fractional, dtype=torch.float32, requires_grad=True),
        atom_graph=_int32(np.stack([center, neighbour], axis=1)),
        atom_graph_cutoff=atom_cutoff_A,
        neighbor_image=torch.tensor(image, dtype=torch.float32),
        directed2undirected=_int32(undirected),
        undirected2directed=_int32(first),
        bond_graph=_int32(angles),
        bond_graph_cutoff=bond_cutoff_A,
        lattice=torch.tensor(atoms.cell.array, dtype=torch.float32, requires_grad=True),
    )


def _bonds(atoms: Atoms, fractional: NDArray[np.float64], cutoff_A: float) -> tuple[Indices, Indices, Any, Any]:
    """Return centre, neighbour, image and length of every directed bond, centre by centre."""
    from pymatgen.optimization.neighbors import find_points_in_spheres

    cell = np.ascontiguousarray(atoms.cell.array, dtype=float)
    positions = fractional @ cell
    center, neighbour, image, distance_A = find_points_in_spheres(
        positions, positions, r=float(cutoff_A), pbc=atoms.pbc.astype(np.int64), lattice=cell, tol=TOLERANCE_A
    )
    bonds = (center != neighbour) | (distance_A > TOLERANCE_A)
    return center[bonds], neighbour[bonds], image[bonds], distance_A[bonds]


def _undirected(center: Indices, neighbour: Indices, image: Any) -> tuple[Indices, Indices]:
    """Return the undirected bond of each directed one, counted as they come, and the first directed bond of each."""
    there = _codes(center, neighbour, image)
    back = _codes(neighbour, center, -image)
    _, first, bond = np.unique(np.minimum(there, back), return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[bond], first[order]


def _codes(center: Indices, neighbour: Indices, image: Any) -> Indices:
    """Name a directed bond by one number."""
    widest = int(np.abs(image).max(initial=0))
    shape = (int(center.max(initial=0)) + 1,) * 2 + (2 * widest + 1,) * 3
    codes: Indices = np.ravel_multi_index((center, neighbour, *(image.astype(np.int64) + widest).T), shape)
    return codes


def _angles(
    center: Indices, neighbour: Indices, distance_A: Any, undirected: Indices, first: Indices, cutoff_A: float
) -> Indices:
    """Return atom, bond and directed bond, other bond and other directed bond of every angle, shape ``(n_angles, 5)``."""
    last = np.empty_like(first)
    last[undirected] = np.arange(len(undirected))
    short = distance_A[first] <= cutoff_A
    arms = np.stack([first[short], last[short]], axis=1).ravel()
    others = _by_atom(center, neighbour, distance_A, cutoff_A)
    atoms = center[arms]
    starts, ends = (np.searchsorted(center[others], atoms, side) for side in ("left", "right"))
    counts = ends - starts
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    arm, other = np.repeat(arms, counts), others[np.repeat(starts, counts) + within]
    angles = np.stack([center[arm], undirected[arm], arm, undirected[other], other], axis=1)
    kept: Indices = angles[arm != other]
    return kept


def _by_atom(center: Indices, neighbour: Indices, distance_A: Any, cutoff_A: float) -> Indices:
    """Return the short directed bonds by centre, and the bonds to one neighbour's images next to each other."""
    _, first, pair = np.unique(_codes(center, neighbour, np.zeros((len(center), 3))), return_index=True, return_inverse=True)
    bonds = np.lexsort((first[pair], center))
    ordered: Indices = bonds[distance_A[bonds] < cutoff_A]
    return ordered


def _int32(numbers: Indices) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.int32)
