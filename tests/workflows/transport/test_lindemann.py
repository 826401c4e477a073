import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from philic.workflows.dynamics.trajectory import Frames, Trajectory
from philic.workflows.transport.lindemann import lindemann


def trajectory(start, positions):
    n = len(positions)
    cells = np.repeat(start.cell.array[None], n, axis=0)
    return Trajectory(start, {"timestep_fs": 1.0}, Frames(np.arange(n), np.array(positions), cells, *np.zeros((4, n))))


@pytest.mark.parametrize(("amplitude_A", "state"), [(0.1, "solid (Lindemann ratio Cu 0.07"), (0.5, "not solid")])
def test_a_solid_is_no_melt(amplitude_A, state):
    start = bulk("Cu", a=3.6, cubic=True) * (2, 2, 2)
    rng = np.random.default_rng(0)
    moving = start.positions + amplitude_A * rng.normal(size=(200, 32, 3))
    ratio, sentence = lindemann(trajectory(start, moving), np.ones(32, dtype=bool))
    assert ratio == pytest.approx(amplitude_A * np.sqrt(3) / (3.6 / np.sqrt(2)), rel=0.05)
    assert sentence.startswith(f"the framework is {state}")


def test_positions_that_are_no_numbers_are_no_solid():
    start = bulk("Cu", a=3.6, cubic=True)
    moving = np.repeat(start.positions[None], 20, axis=0)
    moving[3, 1] = np.nan
    assert lindemann(trajectory(start, moving), np.ones(4, dtype=bool))[1].startswith("the framework is not solid")


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
