"""One contract, run on every potential that runs here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell

from philic import potentials
from philic.potentials import Potential


@dataclass(frozen=True)
class Case:
    """A potential, a structure, and what its dtype allows: rounding (eV per atom, eV/A) and a step (A)."""

    name: str
    make: Callable[[], Atoms]
    rounding: float
    step_A: float
    slope: float


def salt() -> Atoms:
    """A strained and rattled KF crystal, 2 atoms."""
    atoms = bulk("KF", "rocksalt", a=5.4)
    strain = np.array([[0.02, 0.01, 0], [0, -0.01, 0.02], [0, 0, 0.01]])
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    atoms.rattle(0.08, seed=1)
    return atoms


def metals() -> Atoms:
    """A rattled Cu3Al crystal, 4 atoms."""
    atoms = bulk("Cu", a=3.7, cubic=True)
    atoms.symbols[0] = "Al"
    atoms.rattle(0.1, seed=2)
    return atoms


ZOO = [
    Case("chgnet", salt, 2e-5, 0.02, 5e-3),
    Case("chgnet:r2scan", salt, 2e-5, 0.02, 5e-3),
    Case("mace:float64", salt, 1e-9, 1e-3, 1e-6),
    Case("mace:float32", salt, 2e-5, 0.02, 5e-3),
    Case("chgnet in batches", salt, 2e-5, 0.02, 5e-3),
    Case("mace:float64 in batches", salt, 1e-9, 1e-3, 1e-6),
    Case("committee", salt, 1e-9, 1e-3, 1e-6),
    Case("emt", metals, 1e-9, 1e-4, 1e-6),
    Case("ase:emt", metals, 1e-9, 1e-4, 1e-6),
    Case("lj", metals, 1e-9, 1e-4, 1e-5),
]


@pytest.fixture(scope="module", params=ZOO, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture(scope="module")
def potential(case: Case, tiny_mace: Callable[..., Path], request: pytest.FixtureRequest) -> Potential:
    name = case.name.removesuffix(" in batches")
    if name != case.name:
        loaded = potentials.load(f"mace:{tiny_mace('float64')}" if name.startswith("mace") else name)
        return request.getfixturevalue("in_batches")(loaded)
    prefix, _, dtype = name.partition(":")
    if prefix == "committee":
        return potentials.load("committee:" + ",".join(f"mace:{path}" for path in request.getfixturevalue("mace_pair")))
    if prefix == "ase":
        path = request.getfixturevalue("tmp_path_factory").mktemp("settings") / "emt.yaml"
        path.write_text("factory: ase.calculators.emt:EMT\nelements: [Al, Cu]\nfunctional: none\ncutoff_A: 5.7\n")
        return potentials.load(f"ase:{path}")
    return potentials.load(f"mace:{tiny_mace(dtype)}" if prefix == "mace" else case.name)


def test_input_is_untouched(case: Case, potential: Potential) -> None:
    atoms = case.make()
    atoms.info["philic"] = {"builder": "test"}
    atoms.positions[0] += atoms.cell[0]
    before = atoms.copy()
    potential.evaluate([atoms], stress=True)
    assert atoms == before
    assert atoms.info == before.info
    assert atoms.calc is None


def test_numbers_are_plain_float64(case: Case, potential: Potential) -> None:
    atoms = case.make()
    (with_stress,) = potential.evaluate([atoms], stress=True)
    (without,) = potential.evaluate([atoms])
    assert type(with_stress.energy_eV) is float
    assert with_stress.forces_eV_per_A.dtype == np.float64
    assert with_stress.forces_eV_per_A.shape == (len(atoms), 3)
    assert with_stress.stress_eV_per_A3 is not None
    assert with_stress.stress_eV_per_A3.dtype == np.float64
    assert with_stress.stress_eV_per_A3.shape == (6,)
    assert without.stress_eV_per_A3 is None
    assert without.reason == ""


def test_translation(case: Case, potential: Potential) -> None:
    atoms = case.make()
    moved = atoms.copy()
    moved.positions += [3.1, -0.7, 12.3]
    assert_same(potential, atoms, moved, case.rounding)


def test_rotation(case: Case, potential: Potential) -> None:
    atoms = case.make()
    turned = atoms.copy()
    turned.rotate(50, (1, 2, 3), rotate_cell=True)
    here, there = potential.evaluate([atoms, turned])
    rotation = np.linalg.solve(atoms.cell.array, turned.cell.array)
    assert there.energy_eV == pytest.approx(here.energy_eV, abs=case.rounding * len(atoms))
    np.testing.assert_allclose(there.forces_eV_per_A, here.forces_eV_per_A @ rotation, atol=10 * case.rounding)


def test_permutation(case: Case, potential: Potential) -> None:
    atoms = case.make()
    order = np.random.default_rng(3).permutation(len(atoms))
    here, there = potential.evaluate([atoms, atoms[order]])
    assert there.energy_eV == pytest.approx(here.energy_eV, abs=case.rounding * len(atoms))
    np.testing.assert_allclose(there.forces_eV_per_A, here.forces_eV_per_A[order], atol=10 * case.rounding)


def test_twice_the_cell_is_twice_the_energy(case: Case, potential: Potential) -> None:
    atoms = case.make()
    double = make_supercell(atoms, [[1, 0, 0], [0, 2, 0], [0, 0, 1]])
    here, there = potential.evaluate([atoms, double])
    assert there.energy_eV == pytest.approx(2 * here.energy_eV, abs=case.rounding * len(double))


def test_force_is_minus_the_slope(case: Case, potential: Potential) -> None:
    atoms = case.make()
    moved = [atoms.copy() for _ in range(4)]
    for trial, (axis, sign) in zip(moved, [(0, 1), (0, -1), (2, 1), (2, -1)], strict=True):
        trial.positions[0, axis] += sign * case.step_A
    energies = [prediction.energy_eV for prediction in potential.evaluate(moved)]
    slopes = [(energies[i] - energies[i + 1]) / (2 * case.step_A) for i in (0, 2)]
    (here,) = potential.evaluate([atoms])
    np.testing.assert_allclose(here.forces_eV_per_A[0, [0, 2]], [-slope for slope in slopes], atol=case.slope)


@pytest.mark.parametrize(("voigt", "row", "column"), [(0, 0, 0), (2, 2, 2), (3, 1, 2), (5, 0, 1)])
def test_stress_is_the_strain_derivative(case: Case, potential: Potential, voigt: int, row: int, column: int) -> None:
    atoms = case.make()
    strain = np.zeros((3, 3))
    strain[row, column] += 0.5
    strain[column, row] += 0.5
    step = case.step_A / 4
    energies = [potential.evaluate([strained(atoms, sign * step * strain)])[0].energy_eV for sign in (1, -1)]
    (here,) = potential.evaluate([atoms], stress=True)
    assert here.stress_eV_per_A3 is not None
    slope = (energies[0] - energies[1]) / (2 * step) / atoms.get_volume()
    assert here.stress_eV_per_A3[voigt] == pytest.approx(slope, abs=case.slope / 10)


def test_a_list_is_its_structures_one_by_one(case: Case, potential: Potential) -> None:
    atoms = case.make()
    structures = [atoms, strained(atoms, 0.01 * np.eye(3)), atoms * (2, 2, 1), atoms[::-1]]
    together = potential.evaluate(structures, stress=True)
    for structure, one in zip(structures, together, strict=True):
        (alone,) = potential.evaluate([structure], stress=True)
        assert one.energy_eV == pytest.approx(alone.energy_eV, abs=case.rounding * len(structure))
        np.testing.assert_allclose(one.forces_eV_per_A, alone.forces_eV_per_A, atol=10 * case.rounding)
        np.testing.assert_allclose(one.stress_eV_per_A3, alone.stress_eV_per_A3, atol=case.rounding)


def test_repetition_is_bit_identical(case: Case, potential: Potential) -> None:
    structures = [case.make() * repeats for repeats in [(1, 1, 1), (1, 1, 2), *[(3, 3, 2)] * 3]]
    first, *others = [potential.evaluate(structures, stress=True) for _ in range(4)]
    for other in others:
        for here, there in zip(first, other, strict=True):
            assert here.energy_eV == there.energy_eV
            np.testing.assert_array_equal(here.forces_eV_per_A, there.forces_eV_per_A)
            np.testing.assert_array_equal(here.stress_eV_per_A3, there.stress_eV_per_A3)


def test_the_empty_list_is_allowed(potential: Potential) -> None:
    assert potential.evaluate([]) == []


def test_an_exploded_structure_is_not_evaluated(case: Case, potential: Potential) -> None:
    exploded = case.make()
    exploded.positions[1, 2] = np.inf
    nothing, something = potential.evaluate([exploded, case.make()], stress=True)
    assert np.isnan(nothing.energy_eV)
    assert np.isnan(nothing.forces_eV_per_A).all()
    assert nothing.reason == "a position or cell vector is not finite: the geometry exploded"
    assert np.isfinite(something.energy_eV)


def test_calculator_gives_the_same_numbers(case: Case, potential: Potential) -> None:
    atoms = case.make()
    (expected,) = potential.evaluate([atoms], stress=True)
    atoms.calc = potential.calculator()
    assert atoms.get_potential_energy() == expected.energy_eV
    np.testing.assert_array_equal(atoms.get_forces(), expected.forces_eV_per_A)
    np.testing.assert_array_equal(atoms.get_stress(), expected.stress_eV_per_A3)
    assert potential.calculator() is atoms.calc


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan])
def test_a_cell_that_is_not_finite_is_not_evaluated(case: Case, potential: Potential, number: float) -> None:
    exploded = case.make()
    exploded.cell[2, 2] = number
    nothing, something = potential.evaluate([exploded, case.make()], stress=True)
    assert np.isnan(nothing.energy_eV)
    assert nothing.reason == "a position or cell vector is not finite: the geometry exploded"
    assert np.isfinite(something.energy_eV)


def test_without_a_cell_there_is_no_stress(case: Case, potential: Potential) -> None:
    bare = Atoms(case.make().symbols, case.make().positions)
    (prediction,) = potential.evaluate([bare], stress=True)
    assert prediction.stress_eV_per_A3 is None
    assert np.isfinite(prediction.energy_eV) != bool(prediction.reason)


def test_an_unknown_element_fails_alone(case: Case, potential: Potential) -> None:
    strange = case.make()
    strange.symbols[0] = "X"
    nothing, something = potential.evaluate([strange, case.make()], stress=True)
    (alone,) = potential.evaluate([case.make()], stress=True)
    assert np.isnan(nothing.energy_eV)
    assert nothing.reason.startswith(f"X is unknown to the potential {potential.name!r}; choose another or one of")
    assert something.energy_eV == alone.energy_eV
    with pytest.raises(ValueError, match=r"^X is unknown to the potential '.*'; choose another or one of"):
        potential.card.check_elements(strange.symbols)
    strange.calc = potential.calculator()
    with pytest.raises(ValueError, match=r"^X is unknown to the potential"):
        strange.get_potential_energy()


def test_a_left_handed_cell_is_the_same_crystal(case: Case, potential: Potential) -> None:
    atoms = case.make()
    swapped = atoms.copy()
    swapped.set_cell(atoms.cell.array[[1, 0, 2]])
    assert np.linalg.det(swapped.cell.array) * np.linalg.det(atoms.cell.array) < 0
    here, there = potential.evaluate([atoms, swapped], stress=True)
    assert there.energy_eV == pytest.approx(here.energy_eV, abs=case.rounding * len(atoms))
    np.testing.assert_allclose(there.forces_eV_per_A, here.forces_eV_per_A, atol=10 * case.rounding)
    np.testing.assert_allclose(there.stress_eV_per_A3, here.stress_eV_per_A3, atol=case.rounding)


def test_fingerprint_is_plain_json_and_needs_no_torch(potential: Potential) -> None:
    code = (
        "import json, sys; from philic import potentials; "
        f"print(json.dumps(potentials.fingerprint({potential.name!r}).asdict())); "
        "print(sorted({'torch', 'mace', 'chgnet', 'pymatgen'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    fingerprint, loaded = done.stdout.splitlines()
    assert json.loads(fingerprint) == potential.fingerprint.asdict()
    assert loaded == "[]"
    assert all(type(value) is str for value in potential.fingerprint.asdict().values())
    assert len(potential.fingerprint.weights_sha256) == 64


def strained(atoms: Atoms, strain: np.ndarray) -> Atoms:
    result = atoms.copy()
    result.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return result


def assert_same(potential: Potential, one: Atoms, other: Atoms, rounding: float) -> None:
    here, there = potential.evaluate([one, other])
    assert there.energy_eV == pytest.approx(here.energy_eV, abs=rounding * len(one))
    np.testing.assert_allclose(there.forces_eV_per_A, here.forces_eV_per_A, atol=10 * rounding)
