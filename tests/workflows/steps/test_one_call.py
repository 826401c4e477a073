"""Replicas and images reach the model in one call of a GPU's batches, and end as those computed one by one."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk

from philic.potentials import Potential, load
from philic.workflows.dynamics.md import md
from philic.workflows.neb.neb import band
from philic.workflows.neb.path import Course, End
from philic.workflows.steps.relax import relaxing
from philic.workflows.steps.together import WINDOW, WINDOW_GPU, together

CHGNET = load("chgnet")
TOLERANCE = 1e-5


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many structures each call of the model had."""
    model, found = CHGNET.predict.args[0], []
    forward: Callable = model.forward

    def counted(graphs, **options):
        found.append(len(graphs))
        return forward(graphs, **options)

    monkeypatch.setattr(model, "forward", counted)
    return found


@pytest.fixture
def together_potential(in_batches) -> Potential:
    return in_batches(CHGNET)


def test_replicas_of_molecular_dynamics(calls, together_potential, tmp_path):
    replicas = [bulk("KF", "rocksalt", a=5.4) * (1, 1, n) for n in (1, 2, 1)]
    found = [
        dict(md(replicas, potential, folders=[tmp_path / name / str(i) for i in range(3)], temperature_K=300, steps=10))
        for name, potential in (("one", CHGNET), ("batch", together_potential))
    ]
    assert calls == [1] * 33 + [3] * 11
    for index in range(3):
        one, batch = (outcomes[index].arrays["potentials_eV"] for outcomes in found)
        np.testing.assert_allclose(batch, one, atol=TOLERANCE * len(replicas[index]))


def test_images_of_bands(calls, together_potential):
    start = bulk("K", cubic=True) * (2, 2, 2)
    end = start.copy()
    end.positions[0] = start.positions[1]
    del end[1], start[1]
    first, last = (
        End(atoms, found.energy_eV, found.forces_eV_per_A)
        for atoms, found in zip([start, end], CHGNET.evaluate([start, end]), strict=True)
    )
    course = Course(CHGNET.card.cutoff_A, max_iterations=2, mirrored=False)
    one, batch = (
        dict(together([band(first, last, course), band(last, first, course)], potential))
        for potential in (CHGNET, together_potential)
    )
    n_images = one[0].scalars["n_images"]
    assert 2 * (n_images - 2) in calls
    assert calls[calls.index(2 * (n_images - 2)) :].count(1) == 0
    for index in one:
        np.testing.assert_allclose(batch[index].arrays["energies_eV"], one[index].arrays["energies_eV"], atol=15 * TOLERANCE)


def test_a_gpu_gets_more_calculations_at_a_time(calls, together_potential):
    on_gpu = replace(together_potential, device="cuda (a GPU)")
    for potential, window in ((together_potential, WINDOW), (on_gpu, WINDOW_GPU)):
        calls.clear()
        list(together((relaxing(bulk("K", a=5.2), 6.0, 0.05, 5) for _ in range(WINDOW_GPU + 6)), potential))
        assert max(calls) == window
