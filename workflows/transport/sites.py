"""Where ions sit in a trajectory, how often they jump and how long they stay, and their density in the cell.

GEMDAT (https://gemdat.readthedocs.io) does this and more, but brings some thirty packages; the few lines here need none.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ...structures.jumps.network import Jump, Network, percolation
from .diffusivity import HOP_A, SAMPLES, interval

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

VOXEL_A = 0.5
"""Largest edge of a voxel of the density."""
CORE, CORE_A = 0.35, 1.0
"""An ion arrives at a site within this fraction of the distance between the two closest sites, and at most so many Å."""
SEEN = 0.05
"""A maximum of the density is a site when an ion is there at least this part of the time."""
PARTS = 10
"""Of a run, compared to see whether jumps come in bursts."""
ROUNDS = 3
"""A site is moved to the mean place of its ions so many times."""
FEW = 100_000
"""Positions, spread over the run, by which sites are found."""


@dataclass(frozen=True)
class Sites:
    """Sites, and the jumps between them.

    Attributes
    ----------
    fractional
        Where they are, those of the start first, shape ``(n_sites, 3)``.
    n_found
        How many are no sites of the start: maxima of the density at least `HOP_A` away from any.
    occupancy
        Ions at a site on average; they belong to it from their arrival until they arrive at another, shape ``(n_sites,)``.
    graph
        Site from, site to, lattice translations (three), and how often the jump was made, shape ``(n_distinct, 6)``.
    n_back
        How many jumps undid the ion's last one.
    length_A
        Mean length of the jumps; NaN without any.
    residence_ps
        Draws of the mean time between an ion's jumps, shape ``(SAMPLES,)``.
    dimensions
        In how many dimensions the observed jumps percolate through the crystal.
    """

    fractional: Array
    n_found: int
    occupancy: Array
    graph: Integers
    n_back: int
    length_A: float
    residence_ps: Array
    dimensions: int

    @property
    def n_jumps(self) -> int:
        """How many jumps were made."""
        return int(self.graph[:, 5].sum())

    @property
    def message(self) -> str:
        """The result as a sentence."""
        where = f"ions sit on {len(self.fractional)} sites"
        if self.n_found:
            where += f", {self.n_found} of them not in the start"
        if not self.n_jumps:
            return f"{where}, and made no jump between them"
        low, middle, high = interval(self.residence_ps)
        return (
            f"{where}, and made {self.n_jumps} jumps of {self.length_A:.1f} Å ({self.n_back / self.n_jumps:.0%} straight "
            f"back), one each {middle:.3g} ps (68 %: {low:.3g} to {high:.3g}); they percolate in "
            f"{self.dimensions} dimensions"
        )


def density_counts(fractional: Array, cell_A: Array) -> Integers:
    """Count how often an ion was in each voxel of the cell.

    Divided by the number of frames and the volume of a voxel it is the density of ions.

    Parameters
    ----------
    fractional
        Positions, shape ``(n_frames, n_ions, 3)``.
    cell_A
        Shape ``(3, 3)``.

    Returns
    -------
        Shape ``(n_a, n_b, n_c)``, voxels at most `VOXEL_A` long.
    """
    shape = np.ceil(np.linalg.norm(cell_A, axis=1) / VOXEL_A).astype(int)
    voxels = np.floor(fractional.reshape(-1, 3) % 1.0 * shape).astype(int) % shape
    flat = np.ravel_multi_index(tuple(voxels.T), tuple(shape))
    return np.bincount(flat, minlength=int(shape.prod())).reshape(shape)


def find_sites(fractional: Array, start: Array, cell_A: Array) -> Array:
    """Return the sites of ions: those of the start, and maxima of the density far from them, each at its ions' mean place.

    Parameters
    ----------
    fractional
        Positions, shape ``(n_frames, n_ions, 3)``.
    start
        Fractional positions of the sites that are known, shape ``(n_known, 3)``.
    cell_A
        Shape ``(3, 3)``.

    Returns
    -------
        Shape ``(n_sites, 3)``, the known ones first.
    """
    some = fractional.reshape(-1, 3)
    some = some[:: max(1, len(some) // FEW)]
    sites = _centred(some, start, cell_A)
    for maximum in _maxima(density_counts(some, cell_A), cell_A):
        if _nearest(maximum[None], sites, cell_A)[1][0] >= HOP_A:
            sites = np.vstack([sites, maximum])
    sites = _centred(some, sites, cell_A)
    share = np.bincount(_nearest(some, sites, cell_A)[0], minlength=len(sites)) * fractional.shape[1] / len(some)
    kept = (share >= SEEN) | (np.arange(len(sites)) < len(start))
    return _centred(some, sites[kept], cell_A)


def follow(fractional: Array, sites: Array, n_known: int, cell_A: Array, frame_ps: float) -> Sites:
    """Follow ions from site to site.

    Parameters
    ----------
    fractional
        Unwrapped positions, shape ``(n_frames, n_ions, 3)``.
    sites
        What `find_sites` gives.
    n_known
        How many of the sites are those of the start.
    cell_A
        Shape ``(3, 3)``.
    frame_ps
        Time between frames.
    """
    n_frames, n_ions, _ = fractional.shape
    at = np.array([_states(fractional[:, ion], sites, cell_A) for ion in range(n_ions)])
    moves = [np.flatnonzero(np.diff(row, axis=0).any(axis=1)) for row in at]
    before, after = (np.concatenate([row[m + later] for row, m in zip(at, moves, strict=True)]) for later in (0, 1))
    jumps = np.column_stack([before[:, 0], after[:, 0], after[:, 1:] - before[:, 1:]])
    distinct, times = np.unique(jumps, axis=0, return_counts=True)
    moved_A = (sites[jumps[:, 1]] - sites[jumps[:, 0]] + jumps[:, 2:]) @ cell_A
    return Sites(
        fractional=sites,
        n_found=len(sites) - n_known,
        occupancy=np.bincount(at[..., 0].ravel(), minlength=len(sites)) / n_frames,
        graph=np.column_stack([distinct, times]),
        n_back=sum(int((row[m][:-1] == row[m + 1][1:]).all(axis=1).sum()) for row, m in zip(at, moves, strict=True)),
        length_A=float(np.linalg.norm(moved_A, axis=1).mean()) if len(jumps) else np.nan,
        residence_ps=n_ions * (n_frames - 1) * frame_ps / _draws_of_jumps(np.concatenate(moves), n_frames),
        dimensions=_dimensions(distinct, sites, cell_A),
    )


def _draws_of_jumps(frames: Integers, n_frames: int) -> Array:
    """Draw the expected number of jumps in such a run, from the frames of those that were made.

    A Poisson count with Jeffreys prior, widened by what the parts of the run differ beyond it: jumps come in bursts.
    """
    parts = np.histogram(frames, PARTS, (0, n_frames))[0]
    bursts = max(1.0, parts.var(ddof=1) / max(parts.mean(), 1 / PARTS))
    draws: Array = bursts * np.random.default_rng(0).gamma((len(frames) + 0.5) / bursts, size=SAMPLES)
    return draws


def _states(fractional: Array, sites: Array, cell_A: Array) -> Integers:
    """Return the site, and the cell it is in, that one ion last arrived at; at first the one it will arrive at first."""
    apart = _nearest(sites, sites, cell_A, neighbour=2)[1].min()
    site, distance = _nearest(fractional, sites, cell_A)
    arrived = np.flatnonzero(distance < min(CORE * apart, CORE_A))
    if not len(arrived):
        arrived = np.array([distance.argmin()])
    last = arrived[np.searchsorted(arrived, np.arange(len(site)), side="right").clip(min=1) - 1]
    cells = np.rint(fractional[last] - sites[site[last]]).astype(int)
    return np.column_stack([site[last], cells])


def _nearest(points: Array, sites: Array, cell_A: Array, neighbour: int = 1) -> tuple[Integers, Array]:
    """Return the nearest site of each point (or the second nearest …) and its distance, among all images."""
    from scipy.spatial import cKDTree  # type: ignore[import-untyped]

    images = np.array(list(product((-1, 0, 1), repeat=3)))
    everywhere = (sites % 1.0 + images[:, None]).reshape(-1, 3) @ cell_A
    distance, index = cKDTree(everywhere).query(points % 1.0 @ cell_A, k=[neighbour])
    return index[:, 0] % len(sites), distance[:, 0]


def _centred(points: Array, sites: Array, cell_A: Array) -> Array:
    """Move each site to the mean place of the points nearest to it, those beyond `HOP_A` left out."""
    for _ in range(ROUNDS):
        nearest, distance = _nearest(points, sites, cell_A)
        near = distance < HOP_A
        nearest, off = nearest[near], points[near] - sites[nearest[near]]
        off -= np.rint(off)
        counts = np.bincount(nearest, minlength=len(sites)).clip(min=1)
        sites = sites + np.stack([np.bincount(nearest, axis, len(sites)) for axis in off.T], axis=1) / counts[:, None]
    return sites


def _maxima(counts: Integers, cell_A: Array) -> Array:
    """Return fractional positions of the maxima of a density, smoothed over a voxel, the highest first."""
    from scipy.ndimage import gaussian_filter, maximum_filter  # type: ignore[import-untyped]

    smooth = gaussian_filter(counts.astype(float), 1.0, mode="wrap")
    reach = 1 + 2 * (HOP_A / 2 * np.array(counts.shape) / np.linalg.norm(cell_A, axis=1)).astype(int)
    peaks = np.argwhere((smooth == maximum_filter(smooth, size=reach, mode="wrap")) & (smooth > 0))
    highest_first = np.argsort(-smooth[tuple(peaks.T)], kind="stable")
    return (peaks[highest_first] + 0.5) / counts.shape


def _dimensions(jumps: Integers, sites: Array, cell_A: Array) -> int:
    """Return in how many dimensions jumps, taken forward and back, percolate."""
    there = [Jump(start, end, tuple(steps), 0, False) for start, end, *steps in jumps.tolist()]
    back = [Jump(end, start, tuple(-step for step in steps), 0, False) for start, end, steps, *_ in there]
    places = tuple((x, y, z) for x, y, z in (sites @ cell_A).tolist())
    cell = tuple((x, y, z) for x, y, z in cell_A.tolist())
    network = Network("tracer", cell, places, tuple(range(len(sites))), ("seen",), (*there, *back))
    return percolation(network, {0})[0].dimension
