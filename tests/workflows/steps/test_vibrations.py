import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc111
from ase.constraints import FixAtoms
from ase.units import _amu, _e
from ase.vibrations import Vibrations

from philic.potentials import load
from philic.structures.defects.freezing import atoms_near, freeze_except
from philic.workflows.steps.relax import relax
from philic.workflows.steps.vibrations import vibrations, vineyard_THz
from philic.workflows.stores.result import Status


def outcome(atoms, potential):
    ((_, found),) = vibrations([atoms], load(potential))
    return found


def test_a_dimer_has_the_frequency_of_its_spring():
    """Lennard-Jones: k = 72 eps / (2^(1/3) sigma^2) at the minimum, reduced mass of two argon atoms."""
    sigma, epsilon = 3.4, 0.010341
    dimer = Atoms("Ar2", [[0, 0, 0], [0, 0, 2 ** (1 / 6) * sigma]])
    found = outcome(dimer, "lj")
    stiffness = 72 * epsilon / (2 ** (1 / 3) * sigma**2)
    expected = np.sqrt(2 * stiffness / dimer.get_masses()[0] * _e / _amu * 1e20) / (2e12 * np.pi)
    assert found.arrays["frequencies_THz"][-1] == pytest.approx(
        expected, rel=5e-3
    )  # finite steps feel the fourth derivative
    assert found.scalars["n_imaginary"] == 0
    assert found.force_calls == 13
    assert np.abs(found.arrays["frequencies_THz"][:5]).max() < 0.1


def test_frequencies_of_an_adatom_are_ase_s(tmp_path):
    slab = fcc111("Cu", (2, 2, 3))
    add_adsorbate(slab, "Cu", 2.1, "fcc")
    slab.center(axis=2, vacuum=5.0)
    slab.set_constraint(FixAtoms([atom.index for atom in slab if atom.tag > 0]))
    ((_, relaxed),) = relax([slab], load("emt"), fmax_eV_per_A=0.001)
    ours = outcome(relaxed.structures["final"], "emt")
    atoms = relaxed.structures["final"].copy()
    atoms.calc = load("emt").calculator()
    theirs = Vibrations(atoms, indices=[12], name=tmp_path / "vib", delta=0.04)
    theirs.run()
    in_THz = theirs.get_frequencies().real * 0.0299792458
    np.testing.assert_allclose(ours.arrays["frequencies_THz"], in_THz, rtol=1e-3)
    assert ours.arrays["modes"].shape == (3, 1, 3)
    assert ours.scalars == {"n_imaginary": 0, "n_free": 1, "largest_force_eV_per_A": pytest.approx(0, abs=1e-3)}


def test_an_atom_on_a_bridge_has_one_imaginary_frequency():
    slab = fcc111("Cu", (2, 2, 3))
    add_adsorbate(slab, "Cu", 2.0, "bridge")
    slab.center(axis=2, vacuum=5.0)
    slab.set_constraint(FixAtoms([atom.index for atom in slab if atom.tag > 0]))
    heights = []
    for height in (1.9, 2.0, 2.1):
        atoms = slab.copy()
        atoms.positions[-1, 2] += height - 2.0
        heights.append((abs(load("emt").evaluate([atoms])[0].forces_eV_per_A[-1, 2]), atoms))
    found = outcome(min(heights, key=lambda pair: pair[0])[1], "emt")
    assert found.scalars["n_imaginary"] == 1
    assert found.arrays["frequencies_THz"][0] < -0.5


def test_nothing_free_is_a_failure():
    atoms = bulk("Cu")
    atoms.set_constraint(FixAtoms([0]))
    found = outcome(atoms, "emt")
    assert found.status is Status.FAILED
    assert found.message == "every atom is fixed but at least one must be free"


@pytest.mark.parametrize(
    ("minimum", "saddle", "sentence"),
    [
        ([-1.0, 2.0], [-1.0, 2.0], "`minimum_THz` has 1 imaginary frequencies but must have 0"),
        ([1.0, 2.0], [1.0, 2.0], "`saddle_THz` has 0 imaginary frequencies but must have 1"),
        ([1.0, 2.0, 3.0], [-1.0, 2.0], "there are 3 and 1 real frequencies but the saddle must have one fewer"),
    ],
)
def test_what_is_no_minimum_or_saddle_is_refused(minimum, saddle, sentence):
    with pytest.raises(ValueError, match=sentence):
        vineyard_THz(np.array(minimum), np.array(saddle))


def test_atoms_far_away_are_frozen():
    copper = bulk("Cu", cubic=True) * (3, 3, 3)
    copper.set_constraint(FixAtoms([0]))
    near = atoms_near(copper, [1, 2], 2.6)
    assert near == [i for i in range(108) if min(copper.get_distances(i, [1, 2], mic=True)) < 2.6]
    frozen = freeze_except(copper, near)
    assert set(frozen.constraints[0].get_indices()) == set(range(108)) - set(near) | {0}
    assert len(copper.constraints[0].get_indices()) == 1
    with pytest.raises(ValueError, match=r"`around` is \[200\] but must be indices from 0 to 107"):
        atoms_near(copper, [200], 3.0)
    with pytest.raises(ValueError, match=r"`free` is \[\] but must be indices from 0 to 107"):
        freeze_except(copper, [])
    with pytest.raises(ValueError, match=r"`free` is \[0\] but these are fixed already: name one that is not"):
        freeze_except(copper, [0])
