from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from philic.workflows.dynamics.runs import mobile_ions
from philic.workflows.dynamics.trajectory import Frames, Trajectory
from philic.workflows.transport.arrhenius import agreement, fit_arrhenius
from philic.workflows.transport.diffusivity import interval
from philic.workflows.transport.transport import (
    convergence,
    displacements,
    nernst_einstein_mS_per_cm,
    placed,
    transport,
)

BOX_A = 12.0
CUBE = [[BOX_A, 0, 0], [0, BOX_A, 0], [0, 0, BOX_A]]
TRICLINIC = [[12.0, 0, 0], [4.0, 11.0, 0], [3.0, 2.0, 10.0]]


def walk(n_frames=400, seed=0, drift=0.0, wrapped=False, cell=CUBE, length_A=1.0):
    """Eight K that walk with D = 0.5e-4 cm²/s among eight S that rattle; all drift."""
    rng = np.random.default_rng(seed)
    steps = length_A * rng.normal(size=(n_frames, 8, 3))
    steps[0] = 0
    ions = np.cumsum(steps, axis=0)
    rest = rng.normal(size=(n_frames, 8, 3)) * 0.05
    positions = np.concatenate([ions, rest], axis=1) + drift * np.arange(n_frames)[:, None, None]
    start = Atoms("K8S8", positions=positions[0], cell=cell, pbc=True)
    if wrapped:
        positions = (positions @ np.linalg.inv(start.cell.array) % 1.0) @ start.cell.array
    nothing = np.zeros(n_frames)
    cells = np.repeat(start.cell.array[None], n_frames, axis=0)
    frames = Frames(np.arange(n_frames), positions, cells, nothing, nothing, nothing, nothing)
    return Trajectory(start, {"timestep_fs": 1000.0}, frames)


@pytest.mark.parametrize("cell", [CUBE, TRICLINIC])
def test_wrapped_positions_give_the_same_displacements(cell):
    framework = np.array([False] * 8 + [True] * 8)
    as_is, wrapped = (displacements(walk(100, cell=cell, wrapped=w), framework) for w in (False, True))
    np.testing.assert_allclose(wrapped, as_is, atol=1e-9)


def test_the_drift_of_the_framework_is_no_diffusion():
    still, drifting = (transport(walk(drift=drift), "K", 600.0) for drift in (0.0, 0.3))
    assert drifting.tracer.samples_cm2_per_s == pytest.approx(still.tracer.samples_cm2_per_s)


@pytest.mark.parametrize("wrapped", [False, True])
def test_positions_are_seen_from_the_framework_of_the_start(wrapped):
    """The drift before the first frame that is looked at counts too, so that ions stay in their sites."""
    framework = np.array([False] * 8 + [True] * 8)
    whole = walk(200, drift=0.02, wrapped=wrapped)
    later = replace(whole, frames=whole.frames.since(100))
    off = placed(later, framework) - placed(walk(200), framework)[100:]
    np.testing.assert_allclose(off - np.rint(off), 0.0, atol=1e-9)


def test_a_walk_in_a_cell_that_breathes_is_the_walk():
    still = walk(200)
    breath = (1 + 0.03 * np.sin(np.arange(200)))[:, None, None]
    frames = replace(still.frames, positions_A=still.frames.positions_A * breath, cells_A=still.frames.cells_A * breath)
    framework = np.array([False] * 8 + [True] * 8)
    moved = displacements(replace(still, frames=frames), framework)
    np.testing.assert_allclose(moved, displacements(still, framework) * breath.mean(), atol=1e-9)


def test_a_metal_without_a_framework_keeps_its_centre_of_mass():
    moved = displacements(walk(50, drift=0.2), np.zeros(16, dtype=bool))
    masses = walk(2).start.get_masses()
    np.testing.assert_allclose(np.einsum("tai,a->ti", moved, masses), 0.0, atol=1e-9)


def test_a_metal_without_a_host_has_a_diffusivity_but_no_conductivity():
    trajectory = walk(1000)
    frames = trajectory.frames
    ions = Frames(frames.steps, frames.positions_A[:, :8], frames.cells_A, *[np.zeros(1000)] * 4)
    result = transport(Trajectory(trajectory.start[:8], trajectory.about, ions), "K", 600.0)
    assert result.tracer.known
    assert result.charge is None
    assert result.messages[1] == "a metal without a host has no ionic conductivity"


def test_a_changing_cell_alone_moves_nothing():
    trajectory = walk(10)
    breathing = trajectory.frames.cells_A * (1 + 0.1 * np.sin(np.arange(10)))[:, None, None]
    inside = np.linspace(0, 1, 48, endpoint=False).reshape(16, 3)
    frames = Frames(trajectory.frames.steps, inside @ breathing, breathing, *[np.zeros(10)] * 4)
    still = Trajectory(trajectory.start, trajectory.about, frames)
    np.testing.assert_allclose(displacements(still, np.zeros(16, dtype=bool)), 0.0, atol=1e-12)


def test_ions_that_walk_alone_have_a_haven_ratio_of_one_and_the_nernst_einstein_conductivity():
    result = transport(walk(1000), "K", 600.0)
    low, _, high = interval(result.tracer.samples_cm2_per_s, 0.99)
    assert low < 0.5e-4 < high
    low, _, high = interval(result.haven_ratio, 0.95)
    assert low < 1.0 < high
    expected = nernst_einstein_mS_per_cm(0.5e-4, 8, BOX_A**3, 600.0)
    low, _, high = interval(result.nernst_einstein_mS_per_cm, 0.99)
    assert low < expected < high
    assert [message.split()[0:2] for message in result.messages] == [
        ["D", "of"],
        ["D", "of"],
        ["the", "Haven"],
        ["the", "conductivity"],
    ]


def test_ions_that_move_as_one_carry_eight_times_the_current():
    trajectory = walk(1000)
    trajectory.frames.positions_A[:, 1:8] = trajectory.frames.positions_A[:, :1]
    result = transport(trajectory, "K", 600.0)
    assert np.median(result.haven_ratio) == pytest.approx(1 / 8, rel=0.15)
    currents = (result.conductivity_mS_per_cm, result.nernst_einstein_mS_per_cm)
    assert np.divide(*map(np.median, currents)) == pytest.approx(8, rel=0.15)


def test_an_absent_species_is_refused():
    with pytest.raises(ValueError, match="`mobile` is 'Na' but the structure holds K, S: choose one of these"):
        mobile_ions(["K", "S"], "Na")


def test_a_refused_diffusivity_refuses_the_conductivity():
    result = transport(walk(length_A=0.001), "K", 600.0)
    assert len(result.haven_ratio) == len(result.conductivity_mS_per_cm) == 0
    assert result.charge is None
    assert result.messages == (result.tracer.message,)
    assert result.tracer.message.startswith("no diffusivity: K made 0 hops")


def test_a_long_run_is_long_enough_and_a_short_one_is_not():
    moved = walk(4000).frames.positions_A[:, :8]
    long = convergence(moved, 1.0, "K")
    assert long.settled
    assert long.message.startswith("long enough: D of K after 4e+03 ps is ")
    assert long.message.endswith(f"; for {long.relative_error / 2:.0%} run about 4 times as long")
    widths = long.ends_cm2_per_s[:, 2] - long.ends_cm2_per_s[:, 0]
    assert widths[-1] < widths[0]
    short = convergence(moved[:60, :1], 1.0, "K")
    assert not short.settled
    assert short.message.startswith("too short: D of K after 59 ps is ")
    assert short.message.endswith("times as long")


def posterior(activation_eV, temperature_K, spread, rng):
    centre = 1e-3 * np.exp(-activation_eV / (8.617333e-5 * temperature_K)) * np.exp(spread * rng.normal())
    return centre * np.exp(spread * rng.normal(size=1000))


def test_arrhenius_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(0)
    temperatures, true_300 = (600.0, 800.0, 1000.0), 1e-3 * np.exp(-0.3 / (8.617333e-5 * 300))
    inside = np.zeros(2)
    for _ in range(200):
        line = fit_arrhenius(temperatures, [posterior(0.3, t, 0.15, rng) for t in temperatures])
        for i, (samples, truth) in enumerate([(line.activation_eV, 0.3), (line.at(300.0), true_300)]):
            low, _, high = interval(samples)
            inside[i] += low <= truth <= high
    assert (inside >= 0.60 * 200).all()
    assert (inside <= 0.76 * 200).all()


def test_a_bent_arrhenius_line_is_flagged():
    temperatures = (600.0, 800.0, 1000.0)
    samples = [np.exp(np.random.default_rng(i).normal(mean, 0.02, 1000)) for i, mean in enumerate((-12.0, -9.0, -8.5))]
    line = fit_arrhenius(temperatures, samples)
    assert not line.straight
    assert "the points do not lie on one line" in line.message


def test_two_temperatures_show_no_curvature():
    samples = [np.exp(np.random.default_rng(i).normal(mean, 0.02, 1000)) for i, mean in enumerate((-12.0, -9.0))]
    assert fit_arrhenius((600.0, 800.0), samples).message.endswith("two points cannot show whether the line is straight")


def test_an_arrhenius_line_needs_two_temperatures_and_all_of_their_diffusivities():
    with pytest.raises(ValueError, match=r"holds 1 temperature\(s\) but an Arrhenius line needs at least 2"):
        fit_arrhenius([600.0], [np.ones(10)])
    with pytest.raises(ValueError, match="there is no diffusivity at 800 K: leave that temperature out, or run it longer"):
        fit_arrhenius([600.0, 800.0], [np.ones(10), np.empty(0)])


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, -1.0])
def test_numbers_that_are_none_make_no_line(value):
    good, bad = np.linspace(1, 2, 10), np.linspace(1, 2, 10)
    bad[3] = value
    with pytest.raises(ValueError, match="a diffusivity at 800 K is not a positive number: leave that temperature out"):
        fit_arrhenius([600.0, 800.0], [good, bad])
    with pytest.raises(ValueError, match=r"`temperatures_K` holds .* but each must be above 0: leave it out"):
        fit_arrhenius([600.0, value], [good, good])


def test_runs_of_which_one_is_no_number_do_not_agree():
    good = np.linspace(1, 2, 100)
    assert agreement([good, good]).agree
    assert not agreement([good, np.full(100, np.nan)]).agree


def test_positions_that_are_no_numbers_have_no_diffusivity():
    moved = walk(400).frames.positions_A[:, :8]
    moved[300, 2, 1] = np.nan
    found = convergence(moved, 1.0, "K")
    assert not found.settled
    assert found.message == "no diffusivity: positions of K are not finite: copy the trajectory again"
