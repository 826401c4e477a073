"""Melt and quench as a user meets it: plans, refusals before a step is run, tables and the picture of a tiny run."""

import io
import re
from itertools import pairwise

import pytest
from ase.build import bulk, graphene
from ase.constraints import FixAtoms

from philic.recipes.glasses.glasses import draw_glasses
from philic.recipes.glasses.melt_quench import plan
from philic.recipes.running.planning import prepare, run
from philic.recipes.running.recipe_files import read
from philic.workflows.stores.opening import open_store


def planned(**overrides):
    return plan(read("melt-quench", {key: str(value) for key, value in overrides.items()}).parameters)


def runs_of(step):
    return {role: parent for role, parent in step.parents.items() if parent.function == "md"}


def test_each_run_starts_where_the_one_before_ended_and_steps_down_at_the_rate():
    made = planned(hosts="M2O", metal="Li,Na", seeds="0,1")
    assert list(made.glasses) == ["Li in M2O", "Na in M2O"]
    assert all(len(steps) == 2 for steps in made.glasses.values())
    runs = [*runs_of(made.glasses["Na in M2O"][0]).values()]
    kelvins = [run.parameters["temperature_K"] for run in runs]
    assert (kelvins[0], kelvins[-1], len(runs)) == (3500.0, 300.0, 14)
    assert kelvins == sorted(kelvins, reverse=True)
    for before, after in pairwise(runs):
        assert after.structure.parent is before
    assert len({(run.parameters["seed"], run.parameters["temperature_K"]) for run in runs}) == len(runs)
    time_ps = sum(run.parameters["steps"] * run.parameters["timestep_fs"] for run in runs) / 1e3
    assert time_ps == pytest.approx(2 + 3200 / 1000 + 1, abs=0.15)
    packing = runs[0].structure.parent.structure
    assert packing.get_chemical_formula() == "Na40O20"


def test_a_random_start_of_lithium_deuteride_is_of_deuterium_and_as_wide_as_that_of_the_hydride(tmp_path):
    starts = {}
    for name, mass_u in (("LiH", 1.008), ("LiD", 2.014)):
        crystal = bulk("LiH", "rocksalt", a=4.084, cubic=True)
        crystal.set_masses([6.94, mass_u] * 4)
        crystal.write(tmp_path / f"{name}.extxyz")
        made = planned(hosts=tmp_path / f"{name}.extxyz", metal="Li", atoms=16, seeds=0)
        (steps,) = made.glasses.values()
        starts[name] = runs_of(steps[0])["melt"].structure.parent.structure
        assert set(starts[name].get_masses()[starts[name].symbols == "H"]) == {mass_u}
    assert starts["LiD"].get_volume() == pytest.approx(starts["LiH"].get_volume())


def test_a_crystal_may_be_the_start_and_one_without_the_metal_is_run_once():
    made = planned(hosts="Cu", metal="Li,Na,K", start="crystal", potential="emt", atoms=32, density=0.9)
    (steps,) = made.glasses.values()
    start = runs_of(steps[0])["melt"].structure
    crystal = steps[0].parents["crystal"].structure
    assert start.get_volume() / len(start) == pytest.approx(crystal.get_volume() / len(crystal) / 0.9)
    assert set(made.glasses) == {"Cu"}


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"melt_K": 300}, "`melt_K` is 300 but must be above `end_K`, 300: melt hotter"),
        ({"melt_K": -1}, "`melt_K` is -1: input should be greater than 0"),
        ({"quench_K_per_ps": 0}, "`quench_K_per_ps` is 0: input should be greater than 0"),
        ({"density": 3}, "`density` is 3: input should be less than or equal to 1.5"),
        ({"density": 0}, "`density` is 0: input should be greater than or equal to 0.3"),
        ({"density": 1.5, "metal": "K"}, "`density` of 1.5 leaves no room for K40O20"),
        ({"hosts": "Ti3C2O2"}, "which is no crystal: there is vacuum in its cell"),
        ({"hosts": "nothing"}, "`name` is 'nothing' but must be one of the catalogue's"),
        ({"timestep_fs": 5}, "`timestep_fs` is 5 but must be above 0 and at most 2.63 for Li, the lightest atom"),
        ({"potential": "emt"}, "is unknown to the potential 'emt'"),
        ({"start": "ice"}, "`start` is 'ice'"),
    ],
)
def test_bad_input_is_a_sentence_before_a_step_is_run(overrides, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        planned(**overrides)


def test_a_file_that_holds_a_sheet_is_refused(tmp_path):
    graphene(vacuum=8.0).write(tmp_path / "sheet.vasp")
    with pytest.raises(ValueError, match="which is no crystal"):
        planned(hosts=tmp_path / "sheet.vasp")


def test_a_file_that_is_not_periodic_is_refused_before_it_is_melted(tmp_path):
    crystal = bulk("Cu", cubic=True)
    crystal.pbc = (True, False, False)
    crystal.write(tmp_path / "cu.traj")
    with pytest.raises(ValueError, match="which is no crystal: it is not periodic in three directions"):
        planned(hosts=tmp_path / "cu.traj", potential="emt")


def test_a_crystal_is_relaxed_free_of_the_constraints_of_its_file(tmp_path):
    crystal = bulk("Cu", cubic=True)
    crystal.set_constraint(FixAtoms([0, 1]))
    crystal.write(tmp_path / "cu.traj")
    (steps,) = planned(hosts=tmp_path / "cu.traj", potential="emt").glasses.values()
    assert not steps[0].parents["crystal"].structure.constraints


def test_a_fast_quench_has_fewer_steps_and_not_a_slower_rate():
    (steps,) = planned(quench_K_per_ps=10000, hold_ps=1).glasses.values()
    runs = runs_of(steps[0])
    assert len(runs) == 4  # melt, two on the way down, hold
    cooling_ps = sum(run.parameters["steps"] * run.parameters["timestep_fs"] for run in runs.values()) / 1e3 - 2 - 1
    assert cooling_ps == pytest.approx(0.32, rel=0.15)


def test_a_seed_given_twice_is_one_glass():
    assert [len(steps) for steps in planned(seeds="0,0").glasses.values()] == [1]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Fourteen atoms of copper, melted and quenched in a fraction of a picosecond."""
    folder = tmp_path_factory.mktemp("glass")
    bulk("Cu", cubic=True).write(folder / "cu.vasp")
    overrides = {"hosts": str(folder / "cu.vasp"), "potential": "emt", "atoms": "14", "timestep_fs": "4"}
    overrides |= {"melt_K": "3000", "melt_ps": "0.1", "quench_K_per_ps": "40000", "end_K": "2500", "hold_ps": "0.1"}
    recipe = read("melt-quench", overrides)
    store = open_store(folder / "philic.db")
    return recipe, store, run(prepare(recipe, store.address), store)[1]


def test_a_run_ends_in_tables_and_runs_once(tiny):
    from rich.console import Console

    recipe, store, results = tiny
    prepared = prepare(recipe, store.address)
    assert not prepared.missing
    console = Console(width=160, file=io.StringIO())
    for table in recipe.kind.tables(prepared.plan, results):
        console.print(table)
    text = console.file.getvalue()
    (glass,) = (result for result in results.values() if result.function == "glass")
    assert not glass.scalars["melted"]  # at 3000 K copper flies 1.1 Å in 0.1 ps
    assert glass.scalars["crystal_neighbours_Cu_Cu"] == pytest.approx(12)
    # it may fall back into the crystal, as far as both are relaxed
    assert glass.scalars["energy_vs_crystal_eV"] > -0.005
    for said in (
        glass.scalars["state"],
        "it did not melt, or too briefly to forget its start: in 0.1 ps Cu",
        "many orders of magnitude faster",
    ):
        assert said in text


def test_a_glass_is_drawn_and_nothing_else(tiny, tmp_path):
    _, _, results = tiny
    draw_glasses([result for result in results.values() if result.function == "glass"], tmp_path / "glass.png")
    assert (tmp_path / "glass.png").stat().st_size > 10_000
    with pytest.raises(ValueError, match="no glass was made"):
        draw_glasses([result for result in results.values() if result.function == "md"], tmp_path / "none.png")
