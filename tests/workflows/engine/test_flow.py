import json

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.constraints import FixAtoms, FixedPlane

from philic.structures.carbons.carbon import graphene
from philic.workflows.engine.flow import Derived, Flow, Step, structure_from


def relax(atoms, potential="emt", about=None, **parameters):
    return Step("relax", parameters, atoms, potential=potential, about=about or {})


def moved(atoms, by_A):
    copy = atoms.copy()
    copy.positions[0, 0] += by_A
    return copy


CU = bulk("Cu", cubic=True)


@pytest.mark.parametrize(
    "other",
    [
        relax(CU, fmax_eV_per_A=0.01),
        relax(CU, potential="lj"),
        relax(moved(CU, 1e-6)),
        relax(bulk("Ag", a=CU.cell[0, 0], cubic=True)),
        Step("bulk_modulus", {}, CU, potential="emt"),
        relax(Derived(relax(CU), 4)),
    ],
    ids=["parameter", "potential", "position", "element", "function", "parent"],
)
def test_another_calculation_has_another_key(other):
    assert other.key != relax(CU).key


def test_fixed_atoms_and_periodicity_are_part_of_the_key():
    fixed, open_ = CU.copy(), CU.copy()
    fixed.set_constraint(FixAtoms([0]))
    open_.pbc = (True, True, False)
    assert len({relax(atoms).key for atoms in (CU, fixed, open_)}) == 3


def test_what_changes_no_number_changes_no_key():
    noisy = moved(CU, 1e-13)
    noisy.info["note"] = "a name"
    assert relax(noisy, about={"host": "copper"}).key == relax(CU).key


def test_a_key_is_the_same_in_every_version_of_python_and_philic():
    """A change here throws away every user's store: raise the version in the registry instead, and on purpose."""
    step = Step("relax", {"fmax_eV_per_A": 0.02, "max_steps": 300}, molecule("H2", vacuum=3.0))
    assert step.key == "773246c02e68d553be4e9ef7b31d43d8"
    sheet = Step("relax", {"fmax_eV_per_A": 0.05, "max_steps": 100}, graphene((2, 2)))
    place = {"metal": "K", "anchors": [[[0, 0, 0]]], "face": 1}
    on_sheet = Step("relax", sheet.parameters, Derived(sheet, 9, "place_adatoms", place))
    assert on_sheet.key == "f3c87eddaaa05cea1bd995beb6b3f78d"


def test_a_parameter_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        _ = relax(CU, fmax_eV_per_A=float("nan")).key


def test_a_flow_takes_parents_along_and_each_step_once():
    host = relax(CU)
    children = [relax(Derived(host, 4), fmax_eV_per_A=f) for f in (0.1, 0.01)]
    flow = Flow([*children, relax(CU)])
    assert [step.key for step in flow] == [host.key, *(child.key for child in children)]
    assert [step.level for step in flow] == [0, 1, 1]


def test_packs_hold_alike_steps_that_can_run_together():
    hosts = [relax(moved(CU, 0.01 * i)) for i in range(5)]
    children = [relax(Derived(host, 4)) for host in hosts]
    other = relax(CU, potential="lj")
    flow = Flow([*children, other])
    packs = flow.packs(flow.steps, 3, 100.0, lambda _: 1.0)
    assert [len(pack) for pack in packs] == [3, 2, 1, 3, 2]
    for pack in packs:
        assert len({(step.level, step.function, step.potential) for step in pack}) == 1
    order = {step.key: number for number, pack in enumerate(packs) for step in pack}
    assert all(order[parent.key] < order[step.key] for step in children for parent in step.waits_for)


def test_packs_hold_what_is_missing_and_fill_their_time():
    hosts = [relax(moved(CU, 0.01 * i)) for i in range(7)]
    flow, lasts_s = Flow(hosts), {hosts[2].key: 50.0}
    packs = flow.packs([host.key for host in hosts[:6]], 256, 25.0, lambda step: lasts_s.get(step.key, 10.0))
    assert packs == [hosts[:2], hosts[2:3], hosts[3:5], hosts[5:6]]


def test_a_definition_is_plain_json_and_rebuilds_the_structure():
    sheet = graphene((2, 2))
    sheet.set_constraint(FixAtoms([1]))
    host = relax(sheet)
    placed = relax(Derived(host, 9, "place_adatoms", {"metal": "K", "anchors": [[[0, 0, 0]]]}))
    definitions = [json.loads(json.dumps(step.definition())) for step in (host, placed)]
    again = structure_from(definitions[0]["structure"], {})
    assert again == sheet
    assert again.info == sheet.info
    assert again.constraints[0].index.tolist() == [1]
    np.testing.assert_array_equal(again.positions, sheet.positions)
    on_sheet = structure_from(definitions[1]["structure"], {host.key: sheet})
    assert on_sheet.get_chemical_formula() == "C8K"


def test_a_constraint_that_no_key_can_hold_is_refused():
    flat = CU.copy()
    flat.set_constraint(FixedPlane(0, (0, 0, 1)))
    with pytest.raises(ValueError, match="`FixedPlane` is a constraint that no key can hold: use FixAtoms alone"):
        _ = relax(flat).key


def test_two_heads_of_one_model_have_two_keys(tiny_mace):
    path = tiny_mace("float64", heads=("pbe", "r2scan"))
    salt = bulk("KF", "rocksalt", a=5.4)
    keys = {relax(salt, potential=f"mace:{path}@{head}").key for head in ("pbe", "r2scan")}
    assert len(keys) == 2
