import numpy as np
import pytest

from philic.workflows.transport.diffusivity import (
    Diffusivity,
    Noise,
    charge_diffusivity,
    count_hops,
    diffusivity,
    fit_line,
    interval,
    mean_squared,
    noise_of,
    overlaps,
)

WALKS = 200
TRUE_A2_PER_ps = 0.5  # of a walk with unit normal steps each ps: <x²> = 2 D t along each direction


def start_at_zero(steps):
    return np.concatenate([np.zeros((1, *steps.shape[1:])), np.cumsum(steps, axis=0)])


def gaussian(rng, n_steps, n_ions):
    return start_at_zero(rng.normal(size=(n_steps, n_ions, 3)))


def rare_hops(rng, n_steps, n_ions, rate=0.02):
    return start_at_zero(rng.choice([-1, 0, 1], p=[rate / 2, 1 - rate, rate / 2], size=(n_steps, n_ions, 3)) / np.sqrt(rate))


def in_a_cage(rng, n_steps, n_ions):
    walk = gaussian(rng, n_steps, n_ions)
    return walk + rng.normal(size=walk.shape)


def along_a_line(rng, n_steps, n_ions):
    steps = np.zeros((n_steps, n_ions, 3))
    steps[..., 2] = np.sqrt(3) * rng.normal(size=(n_steps, n_ions))
    return start_at_zero(steps)


def in_pairs(rng, n_steps, n_ions):
    return np.repeat(gaussian(rng, n_steps, n_ions // 2), 2, axis=1)


def partly_together(rng, n_steps, n_ions, share=0.3):
    """The charge diffusivity is ``1 + share (n_ions - 1)`` times the tracer's."""
    alone, common = rng.normal(size=(n_steps, n_ions, 3)), rng.normal(size=(n_steps, 1, 3))
    return start_at_zero(np.sqrt(1 - share) * alone + np.sqrt(share) * common)


def coverage(walk, estimate, n_steps, n_ions, frame_ps):
    rng = np.random.default_rng(7)
    together = 1 + 0.3 * (n_ions - 1) if walk is partly_together and estimate is charge_diffusivity else 1
    true = TRUE_A2_PER_ps * together
    inside = np.zeros(2)
    for _ in range(WALKS):
        samples = estimate(walk(rng, n_steps, n_ions), frame_ps).samples_cm2_per_s * frame_ps / 1e-4
        for i, level in enumerate((0.68, 0.95)):
            low, _, high = interval(samples, level)
            inside[i] += low <= true <= high
    return inside / WALKS


@pytest.mark.parametrize(
    ("walk", "estimate", "n_steps", "n_ions", "frame_ps"),
    [
        (gaussian, diffusivity, 200, 32, 1.0),
        (gaussian, diffusivity, 400, 2, 1.0),
        (gaussian, diffusivity, 1000, 8, 0.1),
        (rare_hops, diffusivity, 400, 8, 1.0),
        (in_a_cage, diffusivity, 1000, 8, 0.1),
        (along_a_line, diffusivity, 400, 8, 1.0),
        (in_pairs, diffusivity, 400, 16, 1.0),
        (partly_together, diffusivity, 400, 8, 1.0),
        (gaussian, charge_diffusivity, 400, 8, 1.0),
        (partly_together, charge_diffusivity, 400, 8, 1.0),
    ],
)
def test_intervals_hold_the_truth_as_often_as_they_say(walk, estimate, n_steps, n_ions, frame_ps):
    in_68, in_95 = coverage(walk, estimate, n_steps, n_ions, frame_ps)
    assert 0.60 <= in_68 <= 0.76
    assert 0.91 <= in_95 <= 0.99


def hops_back(rng, n_steps, n_ions, rate=0.03, back=0.5, length=3.0):
    """A hop undoes the last one with a probability of `back`, else takes a random direction; the ion rattles in between."""
    last = np.zeros((n_ions, 3))
    steps = np.zeros((n_steps, n_ions, 3))
    for step in steps:
        hop = rng.random(n_ions) < rate
        new = np.zeros((n_ions, 3))
        new[np.arange(n_ions), rng.integers(0, 3, n_ions)] = length * rng.choice([-1, 1], n_ions)
        undo = rng.random(n_ions) < back
        new[undo] = -last[undo]
        last[hop] = new[hop]
        step[hop] = new[hop]
    walk = start_at_zero(steps)
    return walk + rng.normal(size=walk.shape) * 0.4


def test_hops_to_and_fro_are_not_diffusion():
    """The correlation factor is (1 - back)/(1 + back): J. R. Manning, Diffusion Kinetics for Atoms in Crystals (1968)."""
    frame_ps, rate, length = 0.1, 0.03, 3.0
    true = rate * length**2 / 6 / frame_ps * 1e-4 * (1 - 0.5) / (1 + 0.5)
    rng = np.random.default_rng(1)
    samples = [diffusivity(hops_back(rng, 2000, 16), frame_ps).samples_cm2_per_s for _ in range(20)]
    ends = np.array([interval(s, 0.95) for s in samples])
    assert (ends[:, 0] < true).sum() >= 18
    assert (ends[:, 2] > true).sum() >= 18
    assert np.median(ends[:, 1]) == pytest.approx(true, rel=0.1)


def test_the_error_of_the_mean_squared_displacement_is_that_of_many_walks():
    rng = np.random.default_rng(3)
    lags = (1, 5, 20)
    squared, _ = overlaps(61, lags)
    curves = [[mean_squared(walk, lag) for lag in lags] for walk in (gaussian(rng, 60, 1) for _ in range(4000))]
    expected = 2 / 3 * np.outer(3 * np.array(lags), 3 * np.array(lags)) * squared
    spread = np.sqrt(np.outer(np.diag(expected), np.diag(expected)) / len(curves))
    assert (np.abs(np.cov(np.array(curves).T) - expected) < 4 * spread).all()


@pytest.mark.parametrize(
    ("walk", "gaussian_part", "walkers"), [(gaussian, 2 / 3, 8), (along_a_line, 2.0, 8), (in_pairs, 2 / 3, 4)]
)
def test_noise_knows_of_directions_and_of_ions_that_move_together(walk, gaussian_part, walkers):
    moved = np.diff(walk(np.random.default_rng(4), 4000, 8), axis=0)
    noise = noise_of(moved, 4000)
    assert noise.gaussian == pytest.approx(gaussian_part, rel=0.02)
    assert noise.n_walkers == pytest.approx(walkers, rel=0.1)
    assert noise.rare_A4 < 0.05 * (moved**2).sum(axis=-1).mean() ** 2


def test_a_charge_diffusivity_of_ions_that_move_alone_is_the_tracer_s():
    walk = gaussian(np.random.default_rng(5), 2000, 8)
    low, _, high = interval(charge_diffusivity(walk, 1.0).samples_cm2_per_s, 0.95)
    assert low < diffusivity(walk, 1.0).samples_cm2_per_s.mean() < high


def test_ions_that_move_as_one_have_n_times_the_charge_diffusivity():
    one = gaussian(np.random.default_rng(6), 1000, 1)
    walk = np.repeat(one, 4, axis=1)
    assert charge_diffusivity(walk, 1.0).msd_A2 == pytest.approx(4 * diffusivity(walk, 1.0).msd_A2)


def test_ions_that_only_rattle_are_refused():
    result = diffusivity(np.random.default_rng(2).normal(size=(1000, 10, 3)) * 0.3, 0.02, "K ions")
    assert isinstance(result, Diffusivity)
    assert not result.known
    assert result.message == "no diffusivity: K ions made 0 hops in 20 ps but at least 10 are needed: run longer or hotter"


def test_a_run_that_is_too_short_is_refused():
    result = diffusivity(gaussian(np.random.default_rng(2), 30, 50), 0.1)
    assert result.message.startswith("no diffusivity: the run of 3 ps is too short: lags from 1 ps to half of it are fitted")


def test_a_run_of_any_length_but_the_shortest_is_long_enough():
    walk = 0.3 * gaussian(np.random.default_rng(2), 120, 20)
    found = [diffusivity(walk[:n], 0.2) for n in range(40, 121)]
    assert all(one.known for one in found)


def test_no_draw_of_a_diffusivity_is_negative():
    """A lone ion for some frames, whose D is uncertain by about itself."""
    found = [diffusivity(gaussian(np.random.default_rng(seed), 30, 1), 1.0).samples_cm2_per_s for seed in range(6)]
    assert max(draws.std() / draws.mean() for draws in found) > 0.4
    assert all((draws > 0).all() for draws in found)


def test_a_line_through_a_bent_curve_is_as_uncertain_as_its_residuals():
    lags = tuple(range(4, 44, 4))
    lags_ps, noise, windows = np.array(lags, float), Noise(2 / 3, 0.0, 1000.0), overlaps(100, lags)
    straight, bent = (fit_line(lags_ps, 6 * lags_ps + 0.1 * bend * lags_ps**2, noise, windows) for bend in (0, 1))
    assert (straight.straight, bent.straight) == (True, False)
    assert bent.covariance[0, 0] > 5 * straight.covariance[0, 0]


def test_hops_are_counted():
    positions = np.zeros((100, 2, 3))
    positions[30:, 0] = [2.0, 0, 0]
    positions[60:, 0] = [2.0, 2.0, 0]
    positions[:, 1] = np.random.default_rng(0).normal(size=(100, 3)) * 0.2
    assert count_hops(positions, 0.1) == 2


def test_the_sentence_gives_value_interval_and_start():
    message = diffusivity(gaussian(np.random.default_rng(2), 400, 8), 1.0, "Li").message
    assert message.startswith("D of Li is 5.")
    assert "e-05 cm²/s (68 %: " in message
    assert message.endswith(" ps")
