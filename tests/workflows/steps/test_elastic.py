"""Elastic constants: against energies, other routes to the same number, and what cannot be."""

import numpy as np
import pytest
from ase.build import bulk
from ase.units import GPa

from philic.potentials import load
from philic.workflows.steps.bulk import bulk_modulus
from philic.workflows.steps.elastic import elastic_constants
from philic.workflows.steps.relax import relax
from philic.workflows.stores.result import Status

EMT = load("emt")


def relaxed(atoms, potential=EMT):
    ((_, outcome),) = relax([atoms], potential, relax_cell=True, fmax_eV_per_A=1e-3)
    return outcome.structures["final"]


@pytest.fixture(scope="module")
def copper():
    return relaxed(bulk("Cu", cubic=True))


def elastic(atoms, potential=EMT, **options):
    ((_, outcome),) = elastic_constants([atoms], potential, **options)
    return outcome


def test_a_cubic_crystal_has_three_constants(copper):
    stiffness = elastic(copper).arrays["stiffness_GPa"]
    c11, c12, c44 = stiffness[0, 0], stiffness[0, 1], stiffness[3, 3]
    expected = np.diag([c11] * 3 + [c44] * 3)
    expected[:3, :3] += c12 * (1 - np.eye(3))
    np.testing.assert_allclose(stiffness, expected, atol=0.2)
    assert c11 > c12 > 0
    assert c44 > 0


def test_the_bulk_modulus_is_that_of_the_equation_of_state(copper):
    ((_, fitted),) = bulk_modulus([copper], EMT)
    assert elastic(copper).scalars["bulk_modulus_GPa"] == pytest.approx(fitted.scalars["bulk_modulus_GPa"], rel=0.02)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 1), (3, 3), (5, 5)])
def test_the_energy_has_the_same_curvature(copper, row, column):
    """E(strain) / V = 1/2 C strain^2, with engineering shear."""

    def energy(eta):
        e = np.array([[eta[0], eta[5] / 2, eta[4] / 2], [eta[5] / 2, eta[1], eta[3] / 2], [eta[4] / 2, eta[3] / 2, eta[2]]])
        atoms = copper.copy()
        atoms.set_cell(copper.cell.array @ (np.eye(3) + e), scale_atoms=True)
        return EMT.evaluate([atoms])[0].energy_eV

    h, one, other = 0.004, np.eye(6)[row], np.eye(6)[column]
    curvature = sum(s * t * energy(h * (s * one + t * other)) for s in (1, -1) for t in (1, -1)) / (4 * h**2)
    expected = curvature / copper.get_volume() / GPa
    assert elastic(copper).arrays["stiffness_GPa"][row, column] == pytest.approx(expected, rel=0.03)


def test_a_polycrystal_has_no_orientation_and_no_size(copper):
    turned = copper.copy()
    turned.rotate(37, (1, 2, 3), rotate_cell=True)
    found = [elastic(atoms).scalars["shear_modulus_GPa"] for atoms in (copper, turned, copper * (1, 1, 2))]
    assert found == pytest.approx([found[0]] * 3, rel=5e-3)


def test_atoms_between_others_relax_under_strain():
    """The two atoms of an hcp cell move against each other when it is sheared in the plane: softer than with them held."""
    hexagonal = relaxed(bulk("Cu", "hcp", a=2.55, c=4.16))
    free, held = (elastic(hexagonal, fmax_eV_per_A=force) for force in (0.001, 100.0))
    assert free.force_calls > held.force_calls
    ours, theirs = (np.linalg.eigvalsh(outcome.arrays["stiffness_GPa"]) for outcome in (free, held))
    assert (ours < theirs + 0.05).all()
    stiffness = free.arrays["stiffness_GPa"]
    assert stiffness[5, 5] < held.arrays["stiffness_GPa"][5, 5] - 1.0
    assert stiffness[5, 5] == pytest.approx((stiffness[0, 0] - stiffness[0, 1]) / 2, rel=0.02)  # isotropic in the plane


def test_a_crystal_that_is_not_stable_has_no_moduli():
    stretched = elastic(bulk("Cu", a=4.4, cubic=True))
    assert stretched.status is Status.FAILED
    assert stretched.message.startswith("not stable against strain: the softest one has a stiffness of -")


def test_atoms_that_do_not_relax_are_told():
    ((_, outcome),) = elastic_constants([bulk("Cu", a=1.2, cubic=True)], EMT)
    assert outcome.status is Status.FAILED
    assert outcome.message.startswith("a strained cell: ")
