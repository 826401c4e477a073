import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.filters import FrechetCellFilter
from ase.units import Bohr, Hartree
from scipy.spatial.transform import Rotation

from philic.potentials import load
from philic.workflows.steps.quasi_newton import (
    FIRST_A,
    LONGEST_A,
    SIDEWAYS,
    EVERYWHERE_eV_PER_A2,
    QuasiNewton,
    _model,
)


def rattled(seed=0):
    atoms = bulk("Cu", cubic=True) * (2, 1, 1)
    atoms.rattle(0.1, seed=seed)
    return atoms


def path(atoms, n, potential=None):
    """Positions on the way, and energies."""
    atoms = atoms.copy()
    atoms.calc = (potential or load("emt")).calculator()
    optimiser = QuasiNewton(atoms, atoms)
    positions, energies = [atoms.positions.copy()], [atoms.get_potential_energy()]
    for _ in range(n):
        optimiser.step()
        positions.append(atoms.positions.copy())
        energies.append(atoms.get_potential_energy())
    return np.array(positions), np.array(energies)


def forced(atoms, energy_eV, forces):
    atoms.calc = SinglePointCalculator(atoms, energy=energy_eV, forces=forces)


def test_the_model_of_a_bond_is_lindh_s():
    """CO of 1.128 Å has 1.27 atomic units by the formula (1.22 measured: 1902 N/m, K. P. Huber and G. Herzberg, 1979)."""
    bond_A = 1.128
    hessian = _model(Atoms("CO", positions=[[0, 0, 0], [0, 0, bond_A]]), 2)
    expected = 0.45 * np.exp(0.28 * (2.87**2 - (bond_A / Bohr) ** 2)) * Hartree / Bohr**2
    assert hessian[2, 5] == pytest.approx(-expected)
    assert hessian[2, 2] == pytest.approx((1 + SIDEWAYS) * expected + EVERYWHERE_eV_PER_A2)
    assert hessian[0, 0] == pytest.approx(SIDEWAYS * expected + EVERYWHERE_eV_PER_A2)


def test_the_model_is_symmetric_positive_and_moves_with_the_crystal():
    atoms = rattled()
    hessian = _model(atoms, len(atoms) + 3)
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-12)
    assert np.linalg.eigvalsh(hessian)[0] > 0
    turn = Rotation.from_euler("xyz", [0.3, -1.0, 2.0]).as_matrix()
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ turn.T, scale_atoms=True)
    all_turned = np.kron(np.eye(len(hessian) // 3), turn)
    np.testing.assert_allclose(_model(turned, len(atoms) + 3), all_turned @ hessian @ all_turned.T, atol=1e-9)


def test_a_turned_crystal_takes_the_same_way():
    atoms = rattled()
    turn = Rotation.from_euler("xyz", [0.3, -1.0, 2.0]).as_matrix()
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ turn.T, scale_atoms=True)
    (ours, energies), (theirs, turned_energies) = path(atoms, 5), path(turned, 5)
    np.testing.assert_allclose(turned_energies, energies, atol=1e-8)
    np.testing.assert_allclose(theirs, ours @ turn.T, atol=1e-6)


def test_a_larger_cell_takes_the_same_way():
    atoms = rattled()
    (_, energies), (_, doubled) = path(atoms, 5), path(atoms * (1, 2, 1), 5)
    np.testing.assert_allclose(doubled, 2 * energies, atol=1e-8)


def test_no_step_is_longer_than_the_radius():
    atoms = Atoms("K")
    optimiser = QuasiNewton(atoms, atoms)
    forced(atoms, 0.0, [[9.0, 0, 0]])
    optimiser.step()
    assert 0.9 * FIRST_A <= np.linalg.norm(atoms.positions) <= 1.0001 * FIRST_A


def test_a_step_that_went_uphill_is_taken_back_and_a_shorter_one_is_taken():
    """In a valley far narrower than the model says."""
    atoms = Atoms("K", positions=[[0.05, 0, 0]])
    optimiser, energies_eV, steps_A = QuasiNewton(atoms, atoms), [], []
    for _ in range(12):
        x = atoms.positions[0, 0]
        energies_eV.append(500 * x**2)
        forced(atoms, energies_eV[-1], [[-1000 * x, 0, 0]])
        optimiser.step()
        steps_A.append(atoms.positions[0, 0] - x)
    assert energies_eV[1] > energies_eV[0]
    assert abs(steps_A[1] + steps_A[0]) < abs(steps_A[0]) / 2  # back, and a little beyond the start
    assert energies_eV[-1] < 1e-6


def test_a_model_that_foretells_well_earns_longer_steps():
    """Down a plane: each step gives the energy that was foretold."""
    atoms = Atoms("K", pbc=False)
    optimiser, lengths_A = QuasiNewton(atoms, atoms), []
    for _ in range(6):
        before = atoms.positions.copy()
        forced(atoms, -2.0 * atoms.positions[0, 0], [[2.0, 0, 0]])
        optimiser.step()
        lengths_A.append(np.linalg.norm(atoms.positions - before))
    assert 0.9 * LONGEST_A <= lengths_A[-1] <= 1.0001 * LONGEST_A


def test_from_the_top_of_a_saddle_it_finds_the_valley():
    """Where the curvature along the way is below zero, the Hessian stays positive."""
    atoms = Atoms("K", positions=[[0.05, 0.5, 0.0]])
    optimiser = QuasiNewton(atoms, atoms)
    for _ in range(40):
        x, y, z = atoms.positions[0]
        forced(atoms, np.cos(x) + y**2 + z**2, [[np.sin(x), -2 * y, -2 * z]])
        optimiser.step()
        assert np.linalg.eigvalsh(optimiser._hessian)[0] > 0
    np.testing.assert_allclose(atoms.positions, [[np.pi, 0, 0]], atol=1e-3)


def test_what_is_fixed_stays_and_the_rest_moves():
    atoms = rattled()
    atoms.set_constraint(FixAtoms([0, 3]))
    positions, energies = path(atoms, 6)
    np.testing.assert_array_equal(positions[-1][[0, 3]], positions[0][[0, 3]])
    assert (np.linalg.norm(positions[-1] - positions[0], axis=1)[[1, 2, 4, 5, 6, 7]] > 0).all()
    assert energies[-1] < energies[0]


def test_a_cell_of_twice_as_many_atoms_is_as_stiff_by_its_strain():
    """ASE's filter moves a cell by n_atoms times its strain: the model's energy of a strain is that of the volume."""
    strained = []
    for repeats in (1, 2):
        atoms = bulk("Cu", cubic=True) * (repeats, 1, 1)
        hessian = _model(atoms, len(FrechetCellFilter(atoms)))
        move = len(atoms) * 0.01
        strained.append(move * hessian[-1, -1] * move / len(atoms))
    assert strained[1] == pytest.approx(strained[0])


def test_a_hessian_that_rounding_made_singular_is_made_anew():
    atoms = rattled()
    atoms.calc = load("emt").calculator()
    optimiser = QuasiNewton(atoms, atoms)
    optimiser.step()
    optimiser._hessian[:] = 1.0
    before = atoms.get_potential_energy()
    optimiser.step()
    assert atoms.get_potential_energy() < before
    assert np.linalg.eigvalsh(optimiser._hessian)[0] > 0
