"""A metal on a host as a user meets it: plans, refusals before a step is run, tables and the picture of a tiny run."""

import io
import re

import pytest

from philic.recipes.running.recipe_files import read
from philic.recipes.wetting.islands import draw_wetting, tables, together
from philic.recipes.wetting.metal_on_host import plan
from philic.workflows.fireworks.here import run_here
from philic.workflows.stores.opening import open_store


def planned(**overrides):
    return plan(read("metal-on-host", {key: str(value) for key, value in overrides.items()}).parameters)


def test_every_metal_starts_both_ways_on_a_host_that_is_relaxed_once():
    made = planned(hosts="pristine,Cu(111)", metal="Na,K", atoms=8)
    assert list(made.answers) == [("Na", "pristine"), ("K", "pristine"), ("Na", "Cu(111)"), ("K", "Cu(111)")]
    sites = [step.about["site"] for step in made.answers["K", "Cu(111)"]]
    assert sites == ["scattered, seed 0", "island, seed 0"]
    clean = {step.parents["host"].key for steps in made.answers.values() for step in steps}
    assert len(clean) == 2
    run = made.answers["K", "pristine"][1].parents["run"]
    assert run.n_atoms == 128 + 8
    assert (run.structure.builder, run.structure.parameters) == ("place_island", {"metal": "K", "n": 8})
    assert run.parameters["mobile"] == "K"
    assert list(made.gates) == ["Na", "K"]


def test_the_atoms_of_the_file_fit_on_a_face_too():
    made = planned(hosts="Cu(111)", metal="Li,Na,K")
    assert len(made.answers) == 3
    assert not made.warnings


def test_a_start_or_a_seed_given_twice_is_run_once():
    (steps,) = planned(start="island,island", seeds="1,1").answers.values()
    assert [step.about["site"] for step in steps] == ["island, seed 1"]


def test_what_does_not_fit_on_one_host_does_not_stop_the_others():
    made = planned(hosts="pristine,Cu(111)", atoms=14, start="island", min_image_A=9)
    assert list(made.answers) == [("K", "pristine")]
    assert made.warnings[0].startswith("K on Cu(111) is left out: `host` repeats every 10.2")


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"temperature_K": -3}, "`temperature_K` is -3: input should be greater than 0"),
        ({"start": "flying"}, "`start` names 'flying' but must be one or both of: scattered, island"),
        ({"atoms": 200}, "`atoms` is 200 but only 13 K atoms fit side by side on the host: enlarge it"),
        ({"metal": "Fe"}, "`metal` is 'Fe' but must be one of: Li, Na, K"),
        ({"equilibration_ps": 2}, "`equilibration_ps` is 2 but must be at most half of `length_ps`, 0.5: run longer"),
        ({"timestep_fs": 9}, "`timestep_fs` is 9 but must be above 0 and at most 3.47 for C, the lightest atom"),
        ({"potential": "emt"}, "is unknown to the potential 'emt'"),
        ({"hosts": "Xx"}, "`hosts` is 'Xx' but must be one of"),
    ],
)
def test_bad_input_is_a_sentence_before_a_step_is_run(overrides, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        planned(**overrides)


def test_starts_that_disagree_decide_nothing():
    assert together(["wets", "wets"]) == "wets"
    assert together(["wets", "islands"]) == "undecided: depends on the run"


def test_a_start_that_failed_does_not_contradict_the_others():
    assert together(["wets", "failed", "wets"]) == "wets, 1 failed"
    assert together(["failed", "failed"]) == "2 failed"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Two atoms of lithium on a small sheet for some femtoseconds, through the default potential."""
    made = planned(metal="Li", size="[3, 3]", atoms=2, start="scattered", length_ps=0.04, equilibration_ps=0)
    store = open_store(tmp_path_factory.mktemp("wetting") / "philic.db")
    run_here(made.flow, store, "metal on host")
    return made, store.get(made.flow.steps)


def test_a_run_ends_in_tables_with_the_rule_of_the_verdict(tiny):
    from rich.console import Console

    console = Console(width=160, file=io.StringIO())
    for table in tables(*tiny):
        console.print(table)
    text = console.file.getvalue()
    for said in (
        "no verdict, because the potential is doubtful for Li: ",
        " frames are left but at least 10 are needed: run longer",
        "spread: 1 for a flat layer, 0 for half a ball",
        "does the metal wet?",
    ):
        assert said in text
    (result,) = (result for result in tiny[1].values() if result.function == "wetting")
    assert result.scalars["touching"] > 0.5
    assert result.scalars["vs_bulk_eV"] < 1.0


def test_the_end_of_a_run_is_drawn_and_nothing_else(tiny, tmp_path):
    results = tiny[1].values()
    draw_wetting([result for result in results if result.function == "wetting"], tmp_path / "wetting.png")
    assert (tmp_path / "wetting.png").stat().st_size > 10_000
    with pytest.raises(ValueError, match="no run was judged"):
        draw_wetting([result for result in results if result.function == "md"], tmp_path / "none.png")
