"""Same calculation, same key: however a number is written; another isotope, moment or charge: another key."""

import numpy as np
import pytest
from ase.build import bulk
from ase.io.jsonio import decode, encode

from philic.potentials import load
from philic.structures.jumps.hops import hops
from philic.structures.symmetry.equivalents import image_of
from philic.workflows.engine.flow import Derived, Flow, Step, structure_from
from philic.workflows.engine.identity import written
from philic.workflows.engine.registry import BUILDERS, STEPS
from philic.workflows.fireworks.here import run_here
from philic.workflows.steps.vibrations import vibrations
from philic.workflows.stores.opening import open_store

CU = bulk("Cu", cubic=True)
HALF = (np.nextafter(0.25, 0), 0.1 + 0.2, -0.0)
"""0.24999999999999997, 0.30000000000000004 and minus zero."""


@pytest.mark.parametrize(
    ("function", "one", "other"),
    [
        ("md", {"temperature_K": 600, "steps": 100}, {"temperature_K": 600.0, "steps": 100.0}),
        ("md", {"temperature_K": np.float32(600), "steps": np.int64(100)}, {"temperature_K": 600.0, "steps": 100}),
        ("md", {"temperature_K": 600, "steps": 100, "seed": 0, "mobile": None}, {"temperature_K": 600, "steps": 100}),
        ("relax", {"fmax_eV_per_A": 0.02, "max_steps": 300, "relax_cell": False}, {}),
        ("relax", {"fmax_eV_per_A": 0.1 + 0.2}, {"fmax_eV_per_A": 0.3}),
        ("bulk_modulus", {"strain": 0.03, "points": 7}, {}),
        ("transport", {"mobile": "K", "equilibration_ps": -0.0}, {"mobile": "K", "equilibration_ps": 0}),
        ("hopping", {"temperatures_K": np.array([300, 600])}, {"temperatures_K": (300.0, 600.0)}),
    ],
)
def test_one_calculation_has_one_key(function, one, other):
    keys = {Step(function, parameters, CU, potential="emt").key for parameters in (one, other)}
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("builder", "one", "other"),
    [
        ("slab_from_bulk", {"miller": (1, 1, 0), "layers": 7, "vacuum_A": 15}, {"miller": [1, 1, 0], "layers": 7}),
        (
            "place_adatoms",
            {"metal": "K", "anchors": [[[0, 0, 0]]], "face": 1, "aside_A": [-0.0, 0]},
            {"metal": "K", "anchors": [[(0, 0, 0)]]},
        ),
        ("imaged", {"shift": HALF}, {"shift": [0.25, 0.3, 0]}),
        ("fill_void", {"at_scaled": np.array([0, 0, 0]), "aside_A": (0, 0, 0)}, {"at_scaled": [0.0, 0.0, 0.0]}),
    ],
)
def test_one_structure_has_one_key(builder, one, other):
    parent = Step("relax", {}, CU, potential="emt")
    derived = [Derived(parent, 4, builder, parameters) for parameters in (one, other)]
    assert len({Step("relax", {}, structure).key for structure in derived}) == 1


def test_a_number_that_differs_still_counts():
    alike = ({"fmax_eV_per_A": 0.02}, {"fmax_eV_per_A": 0.02 * (1 + 1e-9)}, {"relax_cell": True}, {"max_steps": 301})
    assert len({Step("relax", parameters, CU).key for parameters in alike}) == 4


def test_what_is_written_is_what_runs():
    assert written(STEPS["relax"], {"fmax_eV_per_A": 1, "max_steps": 2.0}) == {"fmax_eV_per_A": 1.0, "max_steps": 2}
    assert Step("relax", {"relax_cell": False}).parameters == {"fmax_eV_per_A": 0.02, "max_steps": 300}
    assert written(BUILDERS["imaged"], {"shift": HALF})["shift"] == [0.25, 0.3, 0.0]


def test_a_length_between_two_rounded_ones_has_one_key():
    """2.666666665 is half-way between two numbers of eight decimals, and may come with any last bits."""
    keys = set()
    for length in (2.666666665, np.nextafter(2.666666665, 3), np.nextafter(2.666666665, 2)):
        atoms = CU.copy()
        atoms.positions[1, 0] = length
        keys.add(Step("relax", {}, atoms).key)
    assert len(keys) == 1


OTHERS = {
    "mass": lambda atoms: atoms.set_masses([4 * 63.546, None, None, None]),
    "moment": lambda atoms: atoms.set_initial_magnetic_moments([1.0, 0, 0, -1.0]),
    "directed moment": lambda atoms: atoms.set_initial_magnetic_moments(np.eye(4, 3)),
    "charge": lambda atoms: atoms.set_initial_charges([1.0, 0, 0, -1.0]),
}
USUAL = {
    "mass": lambda atoms: atoms.set_masses(CU.get_masses() + 1e-9),
    "moment": lambda atoms: atoms.set_initial_magnetic_moments([0.0] * 4),
    "charge": lambda atoms: atoms.set_initial_charges([0.0] * 4),
}


def changed(change):
    atoms = CU.copy()
    change(atoms)
    return atoms


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS)
def test_masses_moments_and_charges_are_in_the_key_and_the_store(change, tmp_path):
    atoms = changed(change)
    step = Step("relax", {}, atoms, potential="emt")
    assert step.key != Step("relax", {}, CU, potential="emt").key
    back = structure_from(decode(encode(step.definition()))["structure"], {})
    assert Step("relax", {}, back, potential="emt").key == step.key
    store = open_store(tmp_path / "philic.db")
    run_here(Flow([step]), store, "isotopes")
    final = store.get([step.key])[step.key].structures["final"]
    for name in ("masses", "initial_magmoms", "initial_charges"):
        assert final.has(name) == atoms.has(name)
        np.testing.assert_array_equal(final.arrays.get(name), atoms.arrays.get(name))


@pytest.mark.parametrize("change", USUAL.values(), ids=USUAL)
def test_the_usual_ones_change_no_key(change):
    assert Step("relax", {}, changed(change)).key == Step("relax", {}, CU).key


def test_four_times_the_mass_is_half_the_frequency_in_the_same_store(tmp_path):
    heavy = CU.copy()
    heavy.set_masses(4 * CU.get_masses())
    steps = [Step("vibrations", {}, atoms, potential="emt") for atoms in (CU, heavy)]
    store = open_store(tmp_path / "philic.db")
    for step in steps:
        run_here(Flow([step]), store, "one after the other")
    light, slow = (store.get([step.key])[step.key].arrays["frequencies_THz"] for step in steps)
    np.testing.assert_allclose(slow, light / 2, atol=1e-9)
    ((_, alone),) = vibrations([heavy], load("emt"))
    np.testing.assert_array_equal(slow, alone.arrays["frequencies_THz"])


@pytest.mark.parametrize("by_A", [1e-15, -1e-15])
def test_the_last_bits_of_a_crystal_change_neither_hops_nor_keys(by_A):
    crystal = bulk("KF", "rocksalt", a=5.34, cubic=True)
    moved = crystal.copy()
    moved.positions += by_A
    found, other = hops(crystal, "K", 6.0), hops(moved, "K", 6.0)
    assert [hop.label for hop in found] == [hop.label for hop in other]
    np.testing.assert_allclose([hop.path_A for hop in found], [hop.path_A for hop in other], atol=1e-9)
    assert Step("relax", {}, crystal).key == Step("relax", {}, moved).key


def test_an_image_shifts_by_round_numbers():
    crystal = bulk("Na", cubic=True) * 2
    crystal.positions += 1e-15
    ends = [crystal[[i for i in range(16) if i != gone]] for gone in (0, 5)]
    image = image_of(crystal, *ends)
    assert image is not None
    assert all(number == round(number, 9) and 0 <= number < 1 for number in image.shift)
