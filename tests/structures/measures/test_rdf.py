import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.geometry.rdf import get_rdf

from philic.structures.measures.rdf import RadialDistribution, first_shell, radial_distribution


@pytest.mark.parametrize("crystal", [bulk("Cu", a=3.605), bulk("Cu", a=3.605, cubic=True), bulk("Cu", a=3.605) * (1, 2, 3)])
def test_fcc_has_shells_of_12_6_and_24_in_any_cell_even_far_beyond_half_of_it(crystal):
    found = radial_distribution([crystal], reach_A=5.0, bin_A=0.01)["Cu", "Cu"]
    rises = np.flatnonzero(np.diff(found.neighbours, prepend=0) > 1e-9)
    np.testing.assert_allclose(found.distances_A[rises], 3.605 * np.sqrt([0.5, 1, 1.5]), atol=0.006)
    np.testing.assert_allclose(np.diff(found.neighbours[rises], prepend=0), [12, 6, 24])


def gas(n_frames=40):
    rng = np.random.default_rng(0)
    cell = [[12, 0, 0], [3, 13, 0], [-2, 1, 14]]
    return [Atoms("K40Na20", scaled_positions=rng.random((60, 3)), cell=cell, pbc=True) for _ in range(n_frames)]


def test_an_ideal_gas_is_flat_and_pairs_are_the_same_both_ways_round():
    found = radial_distribution(gas(), reach_A=9.0, bin_A=0.5)
    assert set(found) == {("K", "K"), ("K", "Na"), ("Na", "K"), ("Na", "Na")}
    for (first, second), pair in found.items():
        others = {"K": 40, "Na": 20}[second] - (first == second)  # an atom is no neighbour of its own
        np.testing.assert_allclose(pair.g[6:], others / {"K": 40, "Na": 20}[second], atol=0.15)
        assert pair.g[6:].mean() == pytest.approx(others / {"K": 40, "Na": 20}[second], abs=0.025)
    np.testing.assert_allclose(found["K", "Na"].g, found["Na", "K"].g)
    np.testing.assert_allclose(2 * found["K", "Na"].neighbours, found["Na", "K"].neighbours)
    volume = gas(1)[0].get_volume()
    assert found["K", "Na"].neighbours[-1] == pytest.approx(4 / 3 * np.pi * 9**3 * 20 / volume, rel=0.01)


def test_up_to_half_the_cell_it_agrees_with_ase():
    frames = gas(3)
    theirs, distances = get_rdf(frames, 5.0, 25, elements=("K", "Na"))
    ours = radial_distribution(frames, reach_A=5.0, bin_A=0.2)["K", "Na"]
    np.testing.assert_allclose(ours.distances_A, distances)
    np.testing.assert_allclose(ours.g, theirs)


@pytest.mark.parametrize(
    ("crystal", "pair", "peak_A", "neighbours"),
    [
        (bulk("NaCl", "rocksalt", a=5.64, cubic=True), ("Na", "Cl"), 2.82, 6),
        (bulk("NaCl", "rocksalt", a=5.64, cubic=True), ("Na", "Na"), 3.99, 12),
        (bulk("Si", cubic=True), ("Si", "Si"), 2.35, 4),
        (bulk("Cu", cubic=True), ("Cu", "Cu"), 2.55, 12),
    ],
)
def test_the_first_shell_of_a_shaken_crystal_is_that_of_the_crystal(crystal, pair, peak_A, neighbours):
    large, frames = crystal * (3, 3, 3), []
    for seed in range(5):
        frames.append(large.copy())
        frames[-1].rattle(0.06, seed=seed)
    peak, end, count = first_shell(radial_distribution(frames, reach_A=7.0)[pair])
    assert peak == pytest.approx(peak_A, abs=0.08)
    assert peak < end < 1.6 * peak
    assert count == pytest.approx(neighbours, abs=0.1)


def test_there_is_no_shell_without_a_peak_or_beyond_the_reach():
    r = np.arange(0.05, 5, 0.1)
    assert first_shell(RadialDistribution(r, np.zeros_like(r), r)) is None
    assert first_shell(radial_distribution([bulk("Cu", a=3.6)], reach_A=3.0)["Cu", "Cu"]) is None


@pytest.mark.parametrize(
    ("frames", "parameters", "sentence"),
    [
        ([], {}, "`frames` is empty but must hold at least one structure"),
        ([Atoms("K2")], {}, "`frames` holds a structure that is not periodic in three directions"),
        (gas(1), {"reach_A": 0.01}, "`reach_A` is 0.01 but must be above `bin_A`, 0.05"),
    ],
)
def test_what_has_no_density_is_refused(frames, parameters, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        radial_distribution(frames, **parameters)
