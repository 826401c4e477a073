import numpy as np
import pytest
from ase.build import bulk
from ase.units import GPa

from philic.potentials import load
from philic.workflows.steps.bulk import bulk_modulus
from philic.workflows.steps.relax import relax
from philic.workflows.stores.result import Status


def test_the_bulk_modulus_is_the_stiffness_of_the_stress():
    """B = -V dP/dV, from EMT's own stress at two volumes."""
    emt = load("emt")
    ((_, relaxed),) = relax([bulk("Cu", cubic=True)], emt, relax_cell=True, fmax_eV_per_A=1e-4)
    crystal = relaxed.structures["final"]
    ((_, outcome),) = bulk_modulus([crystal], emt)
    pressures, volumes = [], []
    for stretch in (0.999, 1.001):
        strained = crystal.copy()
        strained.set_cell(crystal.cell * stretch, scale_atoms=True)
        (prediction,) = emt.evaluate([strained], stress=True)
        pressures.append(-prediction.stress_eV_per_A3[:3].mean())
        volumes.append(strained.get_volume())
    expected = -np.mean(volumes) * np.diff(pressures)[0] / np.diff(volumes)[0] / GPa
    assert outcome.scalars["bulk_modulus_GPa"] == pytest.approx(expected, rel=0.02)
    assert outcome.scalars["equilibrium_volume_A3"] == pytest.approx(crystal.get_volume(), rel=1e-3)
    assert outcome.force_calls == 7


def test_a_crystal_far_from_equilibrium_has_no_bulk_modulus():
    ((_, outcome),) = bulk_modulus([bulk("Cu", a=4.2, cubic=True)], load("emt"))
    assert outcome.status is Status.FAILED
    assert "Å^3: the crystal is not relaxed" in outcome.message
