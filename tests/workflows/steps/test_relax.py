import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from ase.constraints import FixAtoms
from ase.optimize import BFGS, FIRE

from philic.potentials import load
from philic.workflows.steps import relax as module
from philic.workflows.steps import together
from philic.workflows.steps.relax import relax
from philic.workflows.stores.result import Status


@pytest.fixture
def emt():
    return load("emt")


def slab(seed):
    atoms = fcc111("Cu", (2, 2, 3), vacuum=6.0)
    atoms.pbc = True
    atoms.rattle(0.08, seed=seed)
    return atoms


def outcomes(structures, potential, **parameters):
    return dict(relax(structures, potential, **parameters))


def test_a_relaxation_ends_where_ase_s_own_does_and_sooner(emt):
    (ours,) = outcomes([slab(1)], emt, fmax_eV_per_A=1e-4).values()
    theirs = slab(1)
    theirs.calc = emt.calculator()
    optimiser = BFGS(theirs, logfile=None)
    assert optimiser.run(fmax=1e-4)
    assert ours.scalars["energy_eV"] == pytest.approx(theirs.get_potential_energy(), abs=1e-7)
    ours_A, theirs_A = (atoms.get_all_distances(mic=True) for atoms in (ours.structures["final"], theirs))
    np.testing.assert_allclose(ours_A, theirs_A, atol=1e-4)
    assert 2 * ours.force_calls < optimiser.nsteps + 1


def test_company_does_not_change_a_relaxation(emt, monkeypatch):
    monkeypatch.setattr(together, "WINDOW", 3)
    structures = [slab(seed) for seed in range(7)]
    accompanied = outcomes(structures, emt)
    assert accompanied.keys() == set(range(7))
    for index, atoms in enumerate(structures):
        (alone,) = outcomes([atoms], emt).values()
        np.testing.assert_array_equal(accompanied[index].structures["final"].positions, alone.structures["final"].positions)
        assert accompanied[index].force_calls == alone.force_calls


def test_the_input_is_left_as_it_is(emt):
    atoms = slab(2)
    before = atoms.copy()
    (outcome,) = outcomes([atoms], emt).values()
    assert atoms == before
    assert atoms.calc is None
    assert outcome.structures["initial"] == before
    assert outcome.structures["final"].calc is None


def test_the_relaxed_geometry_has_the_force_it_says(emt):
    (outcome,) = outcomes([slab(3)], emt, fmax_eV_per_A=0.005).values()
    assert outcome.status is Status.CONVERGED
    (prediction,) = emt.evaluate([outcome.structures["final"]])
    np.testing.assert_array_equal(prediction.forces_eV_per_A, outcome.arrays["forces_eV_per_A"])
    assert np.linalg.norm(prediction.forces_eV_per_A, axis=1).max() == outcome.scalars["fmax_eV_per_A"] < 0.005
    assert prediction.energy_eV == outcome.scalars["energy_eV"]


def test_fixed_atoms_stay(emt):
    atoms = slab(4)
    atoms.set_constraint(FixAtoms([0, 1, 2, 3]))
    (outcome,) = outcomes([atoms], emt).values()
    assert outcome.status is Status.CONVERGED
    moved = np.linalg.norm(outcome.structures["final"].positions - atoms.positions, axis=1)
    assert (moved[:4] == 0).all()
    assert (moved[4:] > 0).all()


def test_a_cell_relaxes_to_no_pressure(emt):
    strained = bulk("Cu", a=3.8, cubic=True)
    (outcome,) = outcomes([strained], emt, relax_cell=True, fmax_eV_per_A=1e-4).values()
    (prediction,) = emt.evaluate([outcome.structures["final"]], stress=True)
    assert np.abs(prediction.stress_eV_per_A3).max() < 1e-5
    # ASE's EMT copper, https://wiki.fysik.dtu.dk/ase/ase/calculators/emt.html and its equation-of-state tutorial
    assert outcome.structures["final"].cell[0, 0] == pytest.approx(3.590, abs=0.005)


def test_it_takes_fewer_force_calls_than_fire(emt):
    (ours,) = outcomes([slab(5)], emt).values()
    theirs = slab(5)
    theirs.calc = emt.calculator()
    fire = FIRE(theirs, logfile=None)
    fire.run(fmax=0.02)
    assert ours.force_calls < fire.nsteps


def test_a_large_structure_relaxes_too(emt, monkeypatch):
    (with_bfgs,) = outcomes([slab(8)], emt, fmax_eV_per_A=1e-3).values()
    monkeypatch.setattr(module, "LARGE", 10)
    (with_lbfgs,) = outcomes([slab(8)], emt, fmax_eV_per_A=1e-3).values()
    assert with_lbfgs.status is Status.CONVERGED
    assert with_lbfgs.scalars["energy_eV"] == pytest.approx(with_bfgs.scalars["energy_eV"], abs=1e-4)


def test_too_few_steps_are_told_not_hidden(emt):
    (outcome,) = outcomes([slab(6)], emt, fmax_eV_per_A=1e-6, max_steps=2).values()
    assert outcome.status is Status.UNCONVERGED
    assert outcome.message.startswith("not converged: the largest force is 0.")
    assert outcome.message.endswith("eV/Å after 2 steps, above the limit of 1e-06")
    assert outcome.scalars["fmax_eV_per_A"] > 1e-6
    assert outcome.force_calls == 3


def test_overlapping_atoms_are_refused_before_a_force_call(emt):
    atoms = bulk("Cu", cubic=True)
    atoms.positions[1] = atoms.positions[0] + [0.3, 0, 0]
    (outcome,) = outcomes([atoms], emt).values()
    assert outcome.status is Status.FAILED
    assert outcome.message == "the start geometry is unusable: atoms 0 (Cu) and 1 (Cu) overlap at 0.30 Å"
    assert outcome.force_calls == 0


def test_an_atom_on_its_own_is_refused(emt):
    atoms = Atoms("Cu2", positions=[[0, 0, 0], [20, 0, 0]], cell=[40, 40, 40], pbc=True)
    (outcome,) = outcomes([atoms], emt).values()
    assert outcome.status is Status.FAILED
    assert "atom 0 (Cu) has no neighbour within the potential's cutoff of" in outcome.message


def test_an_explosion_is_a_failed_result():
    dimer = Atoms("H2", positions=[[0, 0, 0], [1.0, 0, 0]], cell=[30, 30, 30], pbc=True)  # argon's sigma is 3.4
    (outcome,) = outcomes([dimer], load("lj")).values()
    assert outcome.status is Status.FAILED
    assert outcome.message.startswith("it exploded: a force of ")
    assert outcome.force_calls == 1


def test_what_fails_leaves_the_others_alone(emt):
    broken = bulk("Cu", cubic=True)
    broken.positions[1] = broken.positions[0] + [0.3, 0, 0]
    ended = outcomes([broken, slab(7), broken], emt)
    assert [ended[i].status for i in range(3)] == [Status.FAILED, Status.CONVERGED, Status.FAILED]
