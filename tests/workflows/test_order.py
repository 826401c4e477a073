import numpy as np
import pytest
from ase.build import bulk

from philic.workflows.order import lindemann
from philic.workflows.trajectory import Frames, Trajectory


def trajectory(start, positions):
    n = len(positions)
    cells = np.repeat(start.cell.array[None], n, axis=0)
    return Trajectory(start, {"timestep_fs": 1.0}, Frames(np.arange(n), np.array(positions), cells, *np.zeros((4, n))))


@pytest.mark.parametrize(("amplitude_A", "state"), [(0.1, "solid (Lindemann ratio 0.07"), (0.5, "not solid")])
def test_a_solid_is_told_from_a_melt(amplitude_A, state):
    start = bulk("Cu", a=3.6, cubic=True) * (2, 2, 2)
    rng = np.random.default_rng(0)
    moving = start.positions + amplitude_A * rng.normal(size=(200, 32, 3))
    ratio, sentence = lindemann(trajectory(start, moving), np.ones(32, dtype=bool))
    assert ratio == pytest.approx(amplitude_A * np.sqrt(3) / (3.6 / np.sqrt(2)), rel=0.05)
    assert sentence.startswith(f"the framework is {state}")
