"""Every minimum of a map of an adatom's energy, and every pass between two minima, has a site: none of the maps is ours."""

from itertools import product

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, mx2
from ase.data import covalent_radii
from ase.spacegroup import crystal
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from philic.structures.carbons.carbon import carbon_host
from philic.structures.carbons.mxenes import mxene
from philic.structures.sites.sites import all_anchors, lateral_distances_A, lateral_position
from philic.structures.surfaces.slabs import slab

Floats = NDArray[np.float64]

STEP_A = 0.2
NEAR_A = 0.5
CUTOFF_A = 9.0
LEVELS_A = np.arange(-1.5, 3.6, 0.15)  # over the highest atom of the host
STEPS = list(product((-1, 0, 1), repeat=2))
WELL = 0.02  # of the depth of a pair's well: shallower minima are ripples of the grid
SAME = 0.01  # between ions: passes that symmetry makes equal differ by so much on the grid
IONS = {"O": 1.40, "F": 1.33, "S": 1.84, "K": 1.38, "Ti": 0.61, "Mo": 0.65, "C": 0.6}  # Shannon's radii


def contact_A(host: Atoms, metal: str, *, ionic: bool) -> Floats:
    """Where the pair potential of each atom has its minimum."""
    if ionic:
        return np.array([IONS[symbol] for symbol in host.symbols]) + IONS["K"]
    return covalent_radii[host.numbers] + covalent_radii[Atoms(metal).numbers[0]]


def energy_map(host: Atoms, metal: str = "K", *, ionic: bool = False) -> tuple[Floats, Floats]:
    """Lay an adatom down all over a cell: grid points, shape (n, m, 2), and the lowest energy over each, (n, m)."""
    plane = host.cell.array[:2, :2]
    counts = np.ceil(np.linalg.norm(plane, axis=1) / STEP_A).astype(int)
    spots = np.stack(np.meshgrid(*(np.arange(n) / n for n in counts), indexing="ij"), axis=-1) @ plane
    reach = np.ceil(CUTOFF_A * np.linalg.norm(np.linalg.inv(plane), axis=0)).astype(int) + 1
    shifts = np.array(list(product(*(range(-n, n + 1) for n in reach)))) @ plane
    contacts = contact_A(host, metal, ionic=ionic)
    top = host.positions[:, 2].max()
    near = host.positions[:, 2] > top - CUTOFF_A
    atoms = (host.positions[near] + np.pad(shifts, ((0, 0), (0, 1)))[:, None]).reshape(-1, 3)
    radii = np.tile(contacts[near], len(shifts))
    energies = np.full(spots.shape[:2], np.inf)
    tree = cKDTree(atoms[:, :2])
    for at in np.ndindex(energies.shape):
        close = tree.query_ball_point(spots[at], CUTOFF_A)
        lateral2 = ((atoms[close, :2] - spots[at]) ** 2).sum(axis=1)
        heights = top + LEVELS_A[:, None] - atoms[close, 2]
        ratio6 = (radii[close] ** 2 / (lateral2 + heights**2 + 1e-3)) ** 3
        profile = (ratio6**2 - 2 * ratio6).sum(axis=1)
        outside = len(profile) - 1 - np.argmax(profile[::-1] > 0) if (profile > 0).any() else 0
        energies[at] = profile[outside:].min()
    return spots, energies


def basins(energies: Floats) -> NDArray[np.intp]:
    """Follow each point downhill on a periodic map: the flat index of where it ends."""
    around = np.stack([np.roll(energies, (a, b), axis=(0, 1)) for a, b in STEPS])
    index = np.arange(energies.size).reshape(energies.shape)
    indices = np.stack([np.roll(index, (a, b), axis=(0, 1)) for a, b in STEPS])
    downhill = np.take_along_axis(indices, around.argmin(axis=0)[None], axis=0).ravel()
    while (downhill[downhill] != downhill).any():
        downhill = downhill[downhill]
    return downhill


def lowest_passes(energies: Floats, end: NDArray[np.intp]) -> dict[frozenset[int], tuple[float, int]]:
    """Give the lowest pass between each two basins that touch: its energy and flat index."""
    flat, index = energies.ravel(), np.arange(energies.size).reshape(energies.shape)
    passes: dict[frozenset[int], tuple[float, int]] = {}
    for step in ((0, -1), (-1, 0), (-1, -1), (-1, 1)):
        other = np.roll(index, step, axis=(0, 1)).ravel()
        for i in np.flatnonzero(end != end[other]):
            pair = frozenset((int(end[i]), int(end[other[i]])))
            height = max((float(flat[i]), int(i)), (float(flat[other[i]]), int(other[i])))
            passes[pair] = min(passes.get(pair, (np.inf, -1)), height)
    return passes


def stationary(energies: Floats, same: float) -> tuple[list[int], list[int]]:
    """
    Give the indices of the minima of a periodic map, and of the passes that no detour over a third undercuts by `same`.

    Ripples are left out: a minimum is a well deeper than `WELL`.
    """
    flat, end = energies.ravel(), basins(energies)
    passes = lowest_passes(energies, end)
    minima = [
        one for one in set(end.tolist()) if min(h for pair, (h, _) in passes.items() if one in pair) - flat[one] > WELL
    ]

    def height(one: int, other: int) -> float:
        return passes.get(frozenset((one, other)), (np.inf, -1))[0]

    saddles = [
        at
        for pair, (energy, at) in passes.items()
        if pair <= set(minima)
        and not any(max(height(one, via) for one in pair) < energy - same for via in minima if via not in pair)
    ]
    return minima, saddles


def farthest_A(host: Atoms, points: Floats) -> float:
    """How far the worst of some points, xy, is from the site nearest to it."""
    sites = np.array([lateral_position(host, anchors) for _, anchors in all_anchors(host)])
    return float(lateral_distances_A(host, points[:, None] - sites).min(axis=1).max())


COPPER, POTASSIUM = bulk("Cu", cubic=True), bulk("K", cubic=True)
FLUORIDE = bulk("KF", "rocksalt", a=5.34, cubic=True)
OXIDE = crystal(["O", "K"], [(0, 0, 0), (0.25,) * 3], spacegroup=225, cellpar=[6.436] * 3 + [90] * 3)
RUTILE = crystal(["Ti", "O"], [(0, 0, 0), (0.305, 0.305, 0)], spacegroup=136, cellpar=[4.594, 4.594, 2.959, 90, 90, 90])
HOSTS = {  # how to build it, whether its atoms are ions, and minima and passes of a cell
    "graphene": (lambda: carbon_host("pristine", (1, 1)), False, 1, 3),
    "N": (lambda: carbon_host("N", (3, 3)), False, 9, 13),
    "pyridinic-3N": (lambda: carbon_host("pyridinic-3N", (3, 3)), False, 10, 13),
    "Cu(111)": (lambda: fcc111("Cu", (1, 1, 4), vacuum=8, periodic=True), False, 2, 3),
    "Cu(100)": (lambda: slab(COPPER, (1, 0, 0), layers=4), False, 1, 2),
    "Cu(110)": (lambda: slab(COPPER, (1, 1, 0), layers=5), False, 1, 2),
    "K(110)": (lambda: slab(POTASSIUM, (1, 1, 0), layers=4), False, 2, 3),
    "KF(100)": (lambda: slab(FLUORIDE, (1, 0, 0), layers=3), True, 2, 4),
    "Ti3C2O2": (lambda: mxene("Ti3C2", "O", size=(1, 1)), True, 2, 3),
    "K2O(111)": (lambda: slab(OXIDE, (1, 1, 1), layers=9), False, 2, 3),
    "MoS2": (lambda: mx2("MoS2", vacuum=8), True, 2, 3),
    "TiO2(110)": (lambda: slab(RUTILE, (1, 1, 0), layers=9), True, 3, 6),
}


@pytest.mark.parametrize("name", HOSTS)
def test_every_minimum_and_every_pass_of_an_energy_map_has_a_site(name: str) -> None:
    build, ionic, n_minima, n_passes = HOSTS[name]
    host = build()
    host.pbc = True
    spots, energies = energy_map(host, ionic=ionic)
    n, m = energies.shape
    minima, saddles = stationary(np.tile(energies, (3, 3)), SAME if ionic else 0.0)  # a basin may touch its own image
    assert (len(minima), len(saddles)) == (9 * n_minima, 9 * n_passes)
    for points in (minima, saddles):
        rows, columns = np.divmod(points, 3 * m)
        assert farthest_A(host, spots[rows % n, columns % m]) < NEAR_A
