"""Slabs stand at the potential's lattice constants, known for EMT from ASE's own equation of state and by hand."""

import re

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write

from philic.recipes.adsorption.adsorption import Adsorption, plan
from philic.recipes.parts.hosts import surface
from philic.recipes.parts.lattices import bulk_steps, host_notes
from philic.structures.carbons.carbon import graphene
from philic.structures.surfaces.caveats import slab_caveats
from philic.workflows.engine.execute import execute
from philic.workflows.engine.flow import Flow
from philic.workflows.engine.registry import BUILDERS
from philic.workflows.stores.opening import open_store
from philic.workflows.stores.result import Result, Status

RELAXED = {"fmax_eV_per_A": 0.05, "max_steps": 50}
SMALL = {"thickness_A": 5.0, "vacuum_A": 10.0, "min_image_A": 5.0}


def emt_lattice_constant_A(symbol, start_A):
    """Lowest energy per atom by a parabola through energies of ASE's EMT, none of our code."""
    lengths = start_A * np.linspace(0.985, 1.005, 9)
    energies = []
    for a in lengths:
        crystal = bulk(symbol, a=float(a))
        crystal.calc = EMT()
        energies.append(crystal.get_potential_energy())
    curve = np.polyfit(lengths, energies, 3)
    return float(min(np.roots(np.polyder(curve)), key=lambda a: abs(a - start_A)).real)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return open_store(tmp_path_factory.mktemp("lattices") / "philic.db")


def relaxed(store, name, lattice="relaxed", potential="emt"):
    """Run the bulk and the clean slab; give the substrate, its two steps and their results."""
    substrate = surface(name, **SMALL, lattice=lattice)
    steps = [*bulk_steps([substrate], potential), substrate.clean(potential, RELAXED)]
    flow = Flow(steps)
    store.add_definitions({step.key: step.definition() for step in flow})
    for step in flow:
        execute(store, [step.key])
    return substrate, steps, store.get(flow.steps)


@pytest.mark.parametrize(
    ("name", "symbol", "listed_A", "emt_A", "b_in_a"),
    [("Cu(100)", "Cu", 3.615, 3.59, 2**-0.5), ("Au(110)", "Au", 4.078, 4.06, 1.0), ("Cu(111)", "Cu", 3.615, 3.59, 2**-0.5)],
)
def test_a_slab_has_the_lattice_constant_of_the_potential(store, name, symbol, listed_A, emt_A, b_in_a):
    substrate, (_, clean), results = relaxed(store, name)
    a_A = emt_lattice_constant_A(symbol, listed_A)
    assert a_A == pytest.approx(emt_A, abs=0.01)
    slab = results[clean.key].structures["initial"]
    size = slab.info["philic"]["size"]
    assert slab.cell.lengths()[0] / size[0] == pytest.approx(a_A * b_in_a, rel=5e-4)
    assert slab.info["philic"]["strain"] == pytest.approx([a_A / listed_A - 1] * 2, abs=5e-4)
    assert substrate.given.cell.lengths()[0] / size[0] == pytest.approx(listed_A * b_in_a, rel=5e-4)
    nearest = np.sort(slab.get_distances(0, range(1, len(slab)), mic=True))[0]
    assert nearest == pytest.approx(a_A / 2**0.5, rel=5e-4)
    final = results[clean.key].structures["final"]
    assert np.array_equal(final.cell.array, slab.cell.array)
    assert final.positions[final.constraints[0].index] == pytest.approx(slab.positions[final.constraints[0].index])


def test_on_its_own_lattice_a_slab_is_lower_in_energy_than_as_listed(store):
    energies = []
    for lattice in ("relaxed", "given"):
        _, (*_, clean), results = relaxed(store, "Cu(100)", lattice)
        energies.append(results[clean.key].scalars["energy_eV"])
    assert energies[0] < energies[1] - 0.01


def test_what_is_given_stays_and_its_strain_is_reported(store):
    substrate, (bulk_step, clean), results = relaxed(store, "Cu(100)", "given")
    assert clean.structure is substrate.given
    assert substrate.built("emt", store.get) is substrate.given
    assert host_notes([substrate, substrate], "emt", results) == [
        "Cu keeps a = 3.615 Å as given, where emt relaxes it to a = 3.590 Å: a strain of +0.7%."
    ]
    assert bulk_step.key in results


def test_the_change_of_the_lattice_is_reported(store):
    substrate, _, results = relaxed(store, "Cu(100)")
    assert host_notes([substrate], "emt", results) == [
        "Cu has a = 3.590 Å, relaxed with emt, where a = 3.615 Å was given: -0.7%."
    ]
    assert host_notes([substrate], "emt", {}) == ["Cu has no lattice constants with emt: not computed."]


def test_a_lattice_that_is_far_off_or_unconverged_is_flagged():
    substrate = surface("Zn(0001)", **SMALL)
    step = substrate.relaxed_bulk("chgnet")
    final = substrate.bulk.copy()
    final.set_cell(final.cell.array * np.array([[1.0], [1.0], [0.9]]), scale_atoms=True)
    ended = Result(Status.UNCONVERGED, "not converged: the largest force is 1 eV/Å", {}, {"final": final})
    (note,) = host_notes([substrate], "chgnet", {step.key: ended})
    assert note == (
        "Zn has a = 2.665, c = 4.452 Å, relaxed with chgnet, where a = 2.665, c = 4.947 Å was given: +0.0%, -10.0%. "
        "Its relaxation is not converged: the largest force is 1 eV/Å. "
        "That is more than 5%: check that chgnet has kept the structure."
    )


def test_a_slab_of_a_file_keeps_its_lattice_and_that_is_said(tmp_path):
    file = tmp_path / "mine.extxyz"
    write(file, surface("Cu(100)", **SMALL).given)
    substrate = surface(str(file), **SMALL)
    assert substrate.relaxed_bulk("emt") is None
    assert substrate.clean("emt", RELAXED).structure is substrate.given
    assert host_notes([substrate], "emt", {}) == [
        f"{file} keeps its lattice: no bulk crystal is known to which emt could relax it."
    ]


def test_a_crystal_of_a_file_is_relaxed_as_one_of_the_catalogue(store, tmp_path):
    file = tmp_path / "copper.cif"
    write(file, bulk("Cu", a=3.70, cubic=True))
    substrate, (_, clean), results = relaxed(store, f"{file}(100)")
    slab = results[clean.key].structures["initial"]
    assert slab.cell.lengths()[0] / slab.info["philic"]["size"][0] == pytest.approx(3.589 / 2**0.5, abs=2e-3)
    assert host_notes([substrate], "emt", results)[0].startswith("copper.cif has a = 3.59")


def test_faces_defects_and_dopants_share_the_bulk_and_metals_do_where_it_has_none():
    recipe = Adsorption(metal=["Li", "K"])
    keys = {
        (name, metal): recipe.substrate(name, metal).relaxed_bulk("chgnet").key
        for name in ("Cu(111)", "Cu(100)", "MF(100)", "Ti3C2O2", "Ti3C2O2:V-O", "N", "pristine", "bilayer-7A")
        for metal in recipe.metal
    }
    assert len({keys[name, metal] for name in ("Cu(111)", "Cu(100)") for metal in recipe.metal}) == 1
    assert len({keys[name, metal] for name in ("N", "pristine", "bilayer-7A") for metal in recipe.metal}) == 1
    assert len({keys[name, metal] for name in ("Ti3C2O2", "Ti3C2O2:V-O") for metal in recipe.metal}) == 1
    assert keys["MF(100)", "Li"] != keys["MF(100)", "K"]
    sizes = {name: recipe.substrate(name, "K").relaxed_bulk("chgnet").n_atoms for name in ("Cu(111)", "Ti3C2O2:V-O", "N")}
    assert sizes == {"Cu(111)": 4, "Ti3C2O2:V-O": 7, "N": 2}
    assert recipe.substrate("Ti3C2O2:V-O", "K").bulk.cell.lengths()[:2] == pytest.approx([3.0268] * 2)


@pytest.fixture(scope="module")
def fluoride():
    """Potassium on its fluoride, its lattice relaxed and as given."""
    asked = {"metal": "K", "hosts": "MF(100)", "near_A": "all", "sites": "top", "thickness_A": 4, "min_image_A": 5}
    return {lattice: plan(Adsorption(**asked, lattice=lattice)) for lattice in ("relaxed", "given")}


def test_the_metal_and_the_clean_host_are_in_one_cell(fluoride):
    """The host with the metal is derived from the clean host, and that from the relaxed bulk: no cell of its own."""
    for step in fluoride["relaxed"].answers["K", "MF(100)"]:
        clean, adsorbed = step.parents["host"], step.parents["adsorbed"]
        assert adsorbed.structure.parent.key == clean.key
        assert clean.structure.parent.parameters["relax_cell"]
        assert not clean.parameters.get("relax_cell")
        assert not adsorbed.parameters.get("relax_cell")


def test_every_key_of_a_host_depends_on_how_its_lattice_is_had(fluoride):
    relaxed, given = (set(made.flow.steps) for made in fluoride.values())
    shared = {
        step.about.get("host")
        for step in fluoride["relaxed"].flow
        if step.key in relaxed & given and step.function != "single_point"
    }
    assert shared == {"3x3 graphene", "bulk metal", "(110) slab", "cell of KF", None}


def test_a_lattice_constant_of_graphene_asked_for_needs_the_lattice_as_given():
    with pytest.raises(ValueError, match=re.escape("`lattice_constant_A` is 2.47 but `lattice` is 'relaxed'")):
        Adsorption(metal="K", lattice_constant_A=2.47)
    sheet = Adsorption(metal="K", lattice_constant_A=2.47, lattice="given").substrate("pristine", "K")
    assert sheet.given.cell.lengths()[0] == pytest.approx(4 * 2.47)


def test_a_carbon_is_scaled_with_the_pristine_sheet():
    substrate = Adsorption(metal="K").substrate("pyridinic-3N", "K")
    step = substrate.relaxed_bulk("chgnet")
    ended = Result(Status.CONVERGED, "", {}, {"final": graphene((1, 1), lattice_constant_A=2.48)})
    sheet = substrate.built("chgnet", lambda _: {step.key: ended})
    assert sheet.cell.lengths()[:2] == pytest.approx([4 * 2.48] * 2)
    assert sheet.numbers.tolist() == substrate.given.numbers.tolist()
    (note,) = host_notes([substrate], "chgnet", {step.key: ended})
    assert note == "graphene has a = 2.480 Å, relaxed with chgnet, where a = 2.460 Å was given: +0.8%."


@pytest.mark.parametrize(
    ("name", "top"), [("K2O(111):K", "K"), ("M2O(111):M", "K"), ("K2O(111):O", "O"), ("KF(111): F", "F")]
)
def test_a_termination_may_be_asked_for(name, top):
    slab = surface(name, **SMALL).given
    assert slab.info["philic"]["termination"].split(" over ")[0] == top
    assert slab.symbols[slab.positions[:, 2].argmax()] == top


def test_a_termination_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match=re.escape("`hosts` names 'K2O(111):Cl': `termination` is 'Cl' but K2O(111) has:")):
        Adsorption(metal="K", hosts="K2O(111):Cl")


def test_what_speaks_against_a_slab_is_in_the_plan_and_under_the_table(tmp_path):
    """Zinc blende (111) is polar whatever it ends in: the Zn and S planes of a repeat are 1:3 apart."""
    file = tmp_path / "ZnS.cif"
    crystal = bulk("ZnS", "zincblende", a=5.41, cubic=True)
    write(file, crystal)
    made = plan(Adsorption(metal="K", hosts=f"{file}(111):S", near_A="all", sites="top", thickness_A=4, min_image_A=3.5))
    (substrate,) = made.substrates.values()
    sentences = substrate.caveats
    assert sentences
    assert set(sentences) <= set(made.warnings)
    assert {f"{sentence}." for sentence in sentences} < set(host_notes([substrate], "chgnet", {}))


def test_a_neutral_face_has_no_caveat():
    assert surface("KF(100)", **SMALL).caveats == []


@pytest.mark.parametrize("name", ["K2S3(001)", "K2O(111):O", "KF(100)"])
def test_a_slab_on_relaxed_lattice_constants_says_of_itself_what_the_given_one_does(name):
    """Also read back from a file, in which a polar slab once had no dipole and a halved one was silent about it."""
    substrate = surface(name, **SMALL)
    again = BUILDERS[substrate.builder].function(substrate.bulk, **substrate.parameters)
    assert slab_caveats(again) == substrate.caveats
    assert again.info["philic"]["dipole_e_A"] == pytest.approx(substrate.given.info["philic"]["dipole_e_A"], abs=1e-5)


def test_a_slab_whose_atoms_have_been_cut_off_loses_its_record(tmp_path):
    given = surface("K2O(111):O", **SMALL).given
    for atoms, host in ((given, "K2O(111)"), (given[:-3], "cut.extxyz"), (given[::-1], "K2O(111)")):
        path = tmp_path / "cut.extxyz"
        write(path, atoms)
        assert surface(str(path), **SMALL).given.info["philic"]["host"] == host


def test_another_name_of_a_file_is_the_same_calculation(tmp_path):
    keys = set()
    for name in ("one.cif", "other.cif"):
        write(tmp_path / name, bulk("KF", "rocksalt", a=5.34, cubic=True))
        keys.add(surface(f"{tmp_path / name}(100)", **SMALL).clean("lj", RELAXED).key)
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("name", "symbols"), [("NaCl(100)", {"Na", "Cl"}), ("MCl(100)", {"K", "Cl"}), ("Li2CO3(001)", set("CO") | {"Li"})]
)
def test_a_host_named_with_its_own_metal_may_hold_another(name, symbols):
    assert set(surface(name, "K", **SMALL).given.symbols) == symbols
