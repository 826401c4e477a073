"""D3 dispersion on top of a potential."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, graphene
from ase.units import Bohr, Hartree

from philic import potentials
from philic.potentials.dispersion import dispersion


def test_two_argon_atoms_attract_as_their_c6_says():
    """Far apart -C6/r^6 is left; C6 of argon is 64.6 a.u. (Grimme et al. 2010; 64.3 from experiment)."""
    far_eV, _, _ = dispersion(Atoms("Ar2", [[0, 0, 0], [0, 0, 15.0]]), "pbe")
    assert far_eV / Hartree * (15.0 / Bohr) ** 6 == pytest.approx(-64.6, rel=0.06)  # C8/r^8 adds some
    energy_eV, forces, stress = dispersion(Atoms("Ar2", [[0, 0, 0], [0, 0, 3.8]]), "pbe")
    assert -0.0123 < energy_eV < -0.005  # the dimer's well is 12.3 meV deep, and PBE has a part of it
    assert forces[0, 2] == pytest.approx(-forces[1, 2])
    assert forces[0, 2] > 0  # they attract
    assert stress is None


def test_two_layers_of_graphene_attract_as_published():
    """PBE-D3(BJ), AB stacking at 3.35 Å: some 50 meV per atom in bilayers; the correction alone is larger than that."""
    layer = graphene(a=2.46, vacuum=10)
    two = layer + layer
    two.positions[2:] += (0, 1.42, 3.35)
    two.center(vacuum=10, axis=2)
    binding_eV = (dispersion(two, "pbe")[0] - 2 * dispersion(layer, "pbe")[0]) / 4
    assert -0.06 < binding_eV < -0.02


def test_forces_and_stress_are_derivatives():
    atoms = bulk("K", "bcc", a=5.2, cubic=True) * (1, 1, 2)
    atoms.rattle(0.2, seed=1)
    step = 1e-4
    _, forces, stress = dispersion(atoms, "pbe")
    for axis in range(3):
        ahead, behind = atoms.copy(), atoms.copy()
        ahead.positions[1, axis] += step
        behind.positions[1, axis] -= step
        slope = (dispersion(ahead, "pbe")[0] - dispersion(behind, "pbe")[0]) / (2 * step)
        assert forces[1, axis] == pytest.approx(-slope, abs=1e-6)
    for voigt, (i, j) in enumerate([(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]):
        energies = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[i, j] += sign * step / 2
            strain[j, i] += sign * step / 2
            strained = atoms.copy()
            strained.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            energies.append(dispersion(strained, "pbe")[0])
        slope = (energies[0] - energies[1]) / (2 * step) / atoms.get_volume()
        assert stress[voigt] == pytest.approx(slope, abs=1e-6)


def test_a_potential_with_dispersion_is_the_sum_and_says_so():
    atoms = bulk("KF", "rocksalt", a=5.4)
    atoms.rattle(0.05, seed=1)
    plain, corrected = (potentials.load(name).evaluate([atoms], stress=True)[0] for name in ("chgnet", "chgnet+d3"))
    energy_eV, forces, stress = dispersion(atoms, "pbe")
    assert corrected.energy_eV == pytest.approx(plain.energy_eV + energy_eV, abs=1e-12)
    np.testing.assert_allclose(corrected.forces_eV_per_A, plain.forces_eV_per_A + forces, atol=1e-12)
    np.testing.assert_allclose(corrected.stress_eV_per_A3, plain.stress_eV_per_A3 + stress, atol=1e-12)
    found = potentials.fingerprint("chgnet+d3")
    assert found.name == "chgnet+d3"
    assert found.dispersion.startswith("D3(BJ) pbe, dftd3 ")
    assert potentials.fingerprint("chgnet:r2scan+d3").dispersion.startswith("D3(BJ) r2scan")
    assert potentials.resolve("chgnet+d3") == "chgnet+d3"


def test_no_parameters_no_dispersion():
    sentence = r"the functional of emt is 'none .*' but D3 has parameters here for PBE and r2SCAN only: leave out \+d3"
    with pytest.raises(ValueError, match=sentence):
        potentials.resolve("emt+d3")
