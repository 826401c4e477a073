import numpy as np
import pytest

from philic.workflows.transport.diffusivity import interval
from philic.workflows.transport.sites import density_counts, find_sites, follow

CELL = np.array([[12.0, 0, 0], [3.0, 12.0, 0], [0, -2.0, 12.0]])
KNOWN = np.stack(np.meshgrid(*[np.arange(4) / 4] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
FRAME_ps = 0.1


def hopping(seed=0, rate_per_ps=0.05, n_frames=2000, n_ions=6, along=3, rattle_A=0.3):
    """Ions that jump by a quarter of a cell vector, at a known rate, and rattle; fractional positions from known sites."""
    rng = np.random.default_rng(seed)
    jumps = rng.random((n_frames, n_ions)) < rate_per_ps * FRAME_ps
    jumps[0] = False
    step = np.zeros((n_frames, n_ions, 3))
    axes = rng.integers(0, along, (n_frames, n_ions))
    np.put_along_axis(step, axes[..., None], (jumps * rng.choice([-0.25, 0.25], jumps.shape))[..., None], axis=2)
    rattle = rattle_A * rng.normal(size=step.shape) @ np.linalg.inv(CELL)
    return KNOWN[:n_ions] + np.cumsum(step, axis=0) + rattle, int(jumps.sum())


def followed(fractional, sites=KNOWN):
    return follow(fractional, sites, len(KNOWN), CELL, FRAME_ps)


def test_every_jump_of_a_known_walk_is_counted_and_none_besides():
    fractional, made = hopping()
    seen = followed(fractional)
    assert seen.n_jumps == pytest.approx(made, abs=2)  # the frame of a jump may be the last
    lengths = np.linalg.norm(CELL / 4, axis=1)
    assert lengths.min() < seen.length_A < lengths.max()
    assert seen.occupancy.sum() == pytest.approx(6)
    assert seen.dimensions == 3


@pytest.mark.parametrize("together", [1, 3])
def test_the_interval_of_the_residence_time_holds_the_truth_as_often_as_it_says(together):
    """Of ions that jump alone, and three at a time."""
    inside = np.zeros(2)
    for seed in range(100):
        alone, _ = hopping(seed, n_frames=400, n_ions=6 // together)
        seen = followed(np.repeat(alone, together, axis=1))
        for i, level in enumerate((0.68, 0.95)):
            low, _, high = interval(seen.residence_ps, level)
            inside[i] += low <= 1 / 0.05 <= high
    assert 58 <= inside[0] <= 80
    assert inside[1] >= 88


def test_one_jump_in_six_undoes_the_last():
    fractional, _ = hopping(n_frames=8000, rate_per_ps=0.2)
    seen = followed(fractional)
    assert seen.n_back / seen.n_jumps == pytest.approx(1 / 6, abs=0.03)


@pytest.mark.parametrize("along", [1, 2, 3])
def test_jumps_lead_through_the_crystal_where_ions_go(along):
    assert followed(hopping(along=along, n_frames=8000)[0]).dimensions == along


def test_ions_at_rest_make_no_jump():
    seen = followed(hopping(rate_per_ps=0.0)[0])
    assert seen.n_jumps == seen.dimensions == 0
    assert np.isnan(seen.length_A)
    assert seen.occupancy.tolist() == [1.0] * 6 + [0.0] * 58
    assert seen.message == "ions sit on 64 sites, and made no jump between them"
    assert interval(seen.residence_ps)[0] > 100  # ps, of 1200 that all were watched


def test_an_ion_between_two_sites_belongs_to_the_one_it_left():
    """Going to and fro over the middle is no jump: it never arrived."""
    fractional = np.zeros((1000, 1, 3))
    fractional[:, 0, 0] = 0.125 + 0.03 * np.sin(np.arange(1000))
    fractional[0] = 0
    assert followed(fractional).n_jumps == 0


def test_sites_that_are_not_in_the_start_are_found():
    fractional, _ = hopping(n_frames=4000, rate_per_ps=0.2, n_ions=16)
    sites = find_sites(fractional, KNOWN[:16], CELL)
    assert len(sites) == 64
    off = sites[:, None] - KNOWN
    off -= np.rint(off)
    assert np.linalg.norm(off @ CELL, axis=-1).min(axis=1).max() < 0.3
    seen = follow(fractional, sites, 16, CELL, FRAME_ps)
    assert seen.n_found == 48
    assert seen.message.startswith("ions sit on 64 sites, 48 of them not in the start, and made ")
    assert seen.message.endswith("; they percolate in 3 dimensions")


def test_a_site_is_where_its_ions_are_on_average():
    fractional, _ = hopping(rate_per_ps=0.0)
    sites = find_sites(fractional + np.array([0.03, 0, 0]), KNOWN[:6], CELL)
    np.testing.assert_allclose(sites - KNOWN[:6], np.tile([0.03, 0, 0], (6, 1)), atol=0.005)


def test_a_density_counts_every_ion_in_every_frame_where_it_was():
    fractional, _ = hopping(rate_per_ps=0.0, rattle_A=0.0, n_frames=10)
    counts = density_counts(fractional - 3.0 + 0.01, CELL)
    assert counts.shape == (24, 25, 25)
    assert counts.sum() == 60
    assert counts[0, 0, 0] == counts[0, 0, 6] == 10
