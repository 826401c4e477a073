import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc100
from ase.data import covalent_radii

from philic.workflows.order import lindemann, metal_clusters, radial_distribution
from philic.workflows.trajectory import Frames, Trajectory


def trajectory(start, positions):
    n = len(positions)
    cells = np.repeat(start.cell.array[None], n, axis=0)
    return Trajectory(start, {"timestep_fs": 1.0}, Frames(np.arange(n), np.array(positions), cells, *np.zeros((4, n))))


def test_copper_has_twelve_neighbours_then_six_then_twenty_four():
    start = bulk("Cu", a=3.6, cubic=True)
    result = radial_distribution(trajectory(start, [start.positions] * 3), "Cu", "Cu", 5.0)
    for distance_A, expected in ((2.0, 0), (3.0, 12), (4.0, 18), (4.7, 42)):
        assert result.neighbours[np.searchsorted(result.distances_A, distance_A)] == pytest.approx(expected)


def test_an_ideal_gas_has_no_structure():
    rng = np.random.default_rng(0)
    start = Atoms("K20Na20", positions=rng.random((40, 3)) * 15, cell=[15, 15, 15], pbc=True)
    result = radial_distribution(trajectory(start, rng.random((50, 40, 3)) * 15), "K", "Na", 6.0, 0.5)
    assert result.g[-4:].mean() == pytest.approx(1.0, abs=0.03)
    assert len(result.g) == 12


@pytest.mark.parametrize(("amplitude_A", "state"), [(0.1, "solid (Lindemann ratio Cu 0.07"), (0.5, "not solid")])
def test_a_solid_is_told_from_a_melt(amplitude_A, state):
    start = bulk("Cu", a=3.6, cubic=True) * (2, 2, 2)
    rng = np.random.default_rng(0)
    moving = start.positions + amplitude_A * rng.normal(size=(200, 32, 3))
    ratio, sentence = lindemann(trajectory(start, moving), np.ones(32, dtype=bool))
    assert ratio == pytest.approx(amplitude_A * np.sqrt(3) / (3.6 / np.sqrt(2)), rel=0.05)
    assert sentence.startswith(f"the framework is {state}")


def test_groups_that_turn_are_no_melt():
    """Sb at rest, its S anywhere on a sphere around it."""
    start = Atoms("SbS", scaled_positions=[[0, 0, 0], [0.25] * 3], cell=[5.5] * 3, pbc=True) * (2, 2, 2)
    rng = np.random.default_rng(0)
    turned = rng.normal(size=(200, 8, 3))
    turned *= 2.4 / np.linalg.norm(turned, axis=-1, keepdims=True)
    positions = np.repeat(start.positions[None], 200, axis=0) + 0.2 * rng.normal(size=(200, 16, 3))
    positions[:, start.symbols == "S"] = start.positions[start.symbols == "Sb"] + turned
    chosen = np.ones(16, dtype=bool)
    ratio, sentence = lindemann(trajectory(start, positions), chosen)
    assert ratio < 0.15
    assert sentence.startswith("the framework is solid, but S turn or move (Lindemann ratio S 0.4")
    one = np.arange(16) == 0
    assert lindemann(trajectory(start, positions), one)[1].startswith("the framework is solid (Lindemann ratio Sb 0.0")


def test_a_film_covers_and_a_cluster_does_not():
    slab = fcc100("Au", (4, 4, 2), vacuum=8.0)
    slab.pbc = True
    side_A, top = slab.cell[0, 0], slab.positions[:, 2].max()
    apart = Atoms("K4", positions=[(x * side_A / 2, y * side_A / 2, top + 3.0) for x in (0, 1) for y in (0, 1)])
    stacked = Atoms(
        "K4", positions=[(2.0, 2.0, top + 3.0 + 4.4 * k) for k in range(2)] + [(2.0, 6.4, top + 3), (6.4, 2.0, top + 3)]
    )
    together, single = (
        metal_clusters(trajectory(slab + metal, [(slab + metal).positions]), "K") for metal in (stacked, apart)
    )
    assert (single.counts[0], single.largest[0]) == (4, 1)
    assert (together.counts[0], together.largest[0]) == (1, 4)
    disc = np.pi * covalent_radii[19] ** 2 / side_A**2
    assert single.coverage[0] == pytest.approx(4 * disc, abs=0.03)
    assert together.coverage[0] == pytest.approx(3 * disc, abs=0.03)
    assert single.height_A[0] == pytest.approx(3.0)
