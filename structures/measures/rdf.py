"""How atoms lie around each other: the radial distribution of every pair of elements, and the first shell of neighbours.

ASE's own (`ase.geometry.rdf`) is right since 3.27, but stops at half the height of the cell, 4 Å for 60 atoms of Li2O, and
counts no neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

Array = NDArray[np.float64]
Pair = tuple[str, str]

_REAL_PEAK = 0.5  # of the highest value: a first peak is at least so high
_SHELL_END = 1.6  # times the peak's distance: the minimum behind a first peak is nearer (diamond has its next shell there)
_SMOOTH_A = 0.15


@dataclass(frozen=True)
class RadialDistribution:
    """Distances between two elements.

    Attributes
    ----------
    distances_A
        Middles of the bins, shape ``(n_bins,)``.
    g
        Density of the second element at that distance from an atom of the first, over its mean density.
    neighbours
        Mean number of atoms of the second around one of the first, up to the end of each bin.
    """

    distances_A: Array
    g: Array
    neighbours: Array

    def within(self, distance_A: float) -> float:
        """Give the mean number of neighbours up to a distance, counted to the end of its bin."""
        return float(self.neighbours[np.abs(self.distances_A - distance_A).argmin()])


class Shell(NamedTuple):
    """A first shell: where its peak is, where it ends (the minimum behind), and how many atoms are in it."""

    peak_A: float
    end_A: float
    neighbours: float


def radial_distribution(
    frames: Sequence[Atoms], *, reach_A: float = 6.0, bin_A: float = 0.05
) -> Mapping[Pair, RadialDistribution]:
    """Count the distances of every pair of elements, averaged over frames.

    Every image within the reach counts, so it may be longer than half the cell; what is seen there are copies of the cell.

    Parameters
    ----------
    frames
        The same atoms at different times, periodic in three directions.
    reach_A, bin_A
        Longest distance, and width of a bin.

    Returns
    -------
        By ``(first, second)``, both ways round: g is the same, the neighbours are not.

    Raises
    ------
    ValueError
        If there is no frame, one is not periodic, or the reach is shorter than a bin.

    Examples
    --------
    >>> from ase.build import bulk
    >>> copper = radial_distribution([bulk("Cu", a=3.6)], reach_A=3.0)["Cu", "Cu"]
    >>> float(copper.neighbours[-1])
    12.0
    """
    _check_frames(frames, reach_A, bin_A)
    edges = np.arange(0, reach_A + bin_A / 2, bin_A)
    symbols = np.array(frames[0].get_chemical_symbols())
    elements = sorted(set(symbols))
    counts = {pair: np.zeros(len(edges) - 1) for pair in product(elements, elements)}
    for atoms in frames:
        i, j, distances = neighbor_list("ijd", atoms, float(edges[-1]))
        for pair in counts:
            chosen = (symbols[i] == pair[0]) & (symbols[j] == pair[1])
            counts[pair] += np.histogram(distances[chosen], edges)[0]
    volume_A3 = float(np.mean([atoms.get_volume() for atoms in frames]))
    shells_A3 = 4 / 3 * np.pi * np.diff(edges**3)
    found = {}
    for (first, second), count in counts.items():
        per_atom = count / len(frames) / (symbols == first).sum()
        g = per_atom / shells_A3 * volume_A3 / (symbols == second).sum()
        found[first, second] = RadialDistribution((edges[1:] + edges[:-1]) / 2, g, np.cumsum(per_atom))
    return found


def first_shell(distribution: RadialDistribution) -> Shell | None:
    """Find the first peak and the minimum behind it; None where there is no peak, or the reach ends before the minimum may.

    Values are averaged over 0.15 Å first, so that a bin that chance has filled is no peak.
    """
    distances, step_A = distribution.distances_A, float(np.diff(distribution.distances_A[:2])[0])
    width = max(1, round(_SMOOTH_A / step_A))
    smooth = np.convolve(distribution.g, np.ones(width) / width, mode="same")
    high = np.flatnonzero(smooth > max(1.0, _REAL_PEAK * smooth.max()))
    if not len(high):
        return None
    ends = np.flatnonzero(np.diff(high) > 1)
    hill = high[: ends[0] + 1] if len(ends) else high
    peak = int(hill[smooth[hill].argmax()])
    behind = np.flatnonzero((distances > distances[peak]) & (distances <= _SHELL_END * distances[peak]))
    if distances[-1] < _SHELL_END * distances[peak]:
        return None
    end = int(behind[smooth[behind].argmin()])
    return Shell(float(distances[peak]), float(distances[end]), float(distribution.neighbours[end]))


def _check_frames(frames: Sequence[Atoms], reach_A: float, bin_A: float) -> None:
    if not frames:
        raise ValueError("`frames` is empty but must hold at least one structure")
    if not all(atoms.pbc.all() for atoms in frames):
        raise ValueError("`frames` holds a structure that is not periodic in three directions, but it needs a mean density")
    if not 0 < bin_A < reach_A:
        raise ValueError(f"`reach_A` is {reach_A:g} but must be above `bin_A`, {bin_A:g}, and that above 0")
