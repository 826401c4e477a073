import numpy as np
import pytest
from ase.build import bulk, molecule

from philic.potentials import load
from philic.workflows.steps.single_point import single_point
from philic.workflows.stores.result import Status


def rattled():
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=1)
    return atoms


def test_it_gives_the_calculators_energy_and_forces_and_moves_nothing():
    atoms = rattled()
    before = atoms.positions.copy()
    ((index, outcome),) = single_point([atoms], load("emt"))
    atoms.calc = load("emt").calculator()
    assert index == 0
    assert outcome.status is Status.CONVERGED
    assert outcome.force_calls == 1
    assert outcome.scalars["energy_eV"] == pytest.approx(atoms.get_potential_energy(), abs=1e-12)
    np.testing.assert_allclose(outcome.arrays["forces_eV_per_A"], atoms.get_forces(), atol=1e-12)
    np.testing.assert_array_equal(outcome.structures["final"].positions, before)
    assert outcome.message == f"largest force {np.linalg.norm(atoms.get_forces(), axis=1).max():.3f} eV/Å"


def test_an_overlap_and_an_unknown_element_are_failures_that_stop_no_other():
    close = bulk("Cu", cubic=True)
    close.positions[1] = close.positions[0] + 0.3
    outcomes = dict(single_point([close, molecule("H2O", cell=[8] * 3), bulk("K", cubic=True), rattled()], load("emt")))
    assert [outcomes[i].status for i in range(4)] == [Status.FAILED, Status.CONVERGED, Status.FAILED, Status.CONVERGED]
    assert outcomes[0].message.startswith("the geometry is unusable: atoms 0 (Cu) and 1 (Cu) overlap at 0.52 Å")
    assert outcomes[2].message.startswith("the potential gave a NaN or infinite energy or force: K is unknown to")
