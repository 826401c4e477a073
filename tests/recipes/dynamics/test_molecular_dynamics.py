"""Molecular dynamics as a user meets it: plans, refusals before a step is run, tables and pictures of a tiny run."""

import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from rich.console import Console

from philic.recipes.dynamics import expansion
from philic.recipes.dynamics.conductivity import lines
from philic.recipes.dynamics.curves import draw_arrhenius, draw_density, draw_transport
from philic.recipes.dynamics.molecular_dynamics import plan
from philic.recipes.running.planning import prepare, run
from philic.recipes.running.recipe_files import read
from philic.workflows.engine.costs import seconds
from philic.workflows.stores.export import select, write
from philic.workflows.stores.opening import open_store
from philic.workflows.stores.result import Result, Status
from philic.workflows.transport.conduction import arrhenius_of_runs


def planned(name="k3sbs4-cl", **overrides):
    return plan(read(name, {key: str(value) for key, value in overrides.items()}).parameters)


def printed(tables):
    console = Console(width=200, file=io.StringIO())
    for table in tables:
        console.print(table)
    return console.file.getvalue()


def atoms_of(step):
    return step.parents["run"].structure.parent.structure


def test_chlorine_comes_with_vacancies_and_every_temperature_is_run():
    made = planned()
    assert list(made.lines) == [("K", "M3SbS4"), ("K", "M3SbS4 + 0.25 Cl")]
    plain, doped = (atoms_of(steps[0]).get_chemical_formula() for steps in made.runs.values())
    assert (plain, doped) == ("K12S16Sb4", "ClK11S15Sb4")
    asked = [step.parents["run"].parameters["temperature_K"] for step in made.runs["K", "M3SbS4"]]
    assert asked == [600.0, 800.0, 1000.0]
    assert [len(pack) for pack in made.flow.packs(made.flow.steps, 256, math.inf, seconds)] == [2, 6, 12, 2]
    assert all("less than twice the potential's cutoff" in warning for warning in made.warnings)
    assert len(made.warnings) == 2


def test_a_longer_run_and_more_seeds_reuse_what_is_there():
    short, long = planned(), planned(length_ps=50, seeds="0,1")
    trails, longer = ({step.trail for step in made.flow if step.function == "md"} for made in (short, long))
    assert trails < longer
    assert len(longer) == 2 * len(trails)


def test_a_pressure_lets_the_cell_go_and_without_one_runs_are_what_they_were():
    fixed, free = (planned(**asked) for asked in ({}, {"pressure_GPa": 0.0}))
    kept, given = (
        [step.parents["run"].parameters for steps in made.runs.values() for step in steps] for made in (fixed, free)
    )
    assert not any("pressure_GPa" in parameters for parameters in kept)
    assert [parameters | {"pressure_GPa": 0.0, "isotropic": False} for parameters in kept] == given


def test_vacancies_are_apart_and_their_charge_is_reported():
    made = planned("electrolyte-md", hosts="MF", metal="K", vacancies=2, min_image_A=10)
    (steps,) = made.runs.values()
    left = atoms_of(steps[0])
    assert left.get_chemical_formula() == "F32K30"
    assert any("`vacancies` is 2, which leaves a charge of -2 in each cell" in warning for warning in made.warnings)
    metal = planned("electrolyte-md", hosts="M-bcc", metal="K", vacancies=1, min_image_A=10)
    assert not any("charge" in warning for warning in metal.warnings)


def test_cells_are_compared_row_by_row():
    made = planned("electrolyte-md", hosts="MF", metal="K", min_image_A="5,9,10", temperatures_K="600,800")
    assert list(made.lines) == [("K", "MF, 8 atoms"), ("K", "MF, 64 atoms")]  # 9 and 10 Å are one cell
    assert [len(steps) for steps in made.sites.values()] == [2, 2]
    draws = np.exp(np.random.default_rng(0).normal(-11, 0.1, 4000))
    results = {}
    for steps, times in zip(made.runs.values(), (1.0, 3.0), strict=True):
        for step, factor in zip(steps, (1.0, times), strict=True):
            ends = dict(zip(("_low", "", "_high"), np.quantile(factor * draws, (0.16, 0.5, 0.84)), strict=True))
            scalars = {f"diffusivity{end}_cm2_per_s": value for end, value in ends.items()}
            asked_K = step.parents["run"].parameters["temperature_K"]
            scalars |= {"asked_K": asked_K, "temperature_K": asked_K}
            arrays = {"diffusivity_samples_cm2_per_s": factor * draws}
            results[step.key] = Result(Status.CONVERGED, "", scalars, {}, arrays)
    text = printed([lines(made, results)])
    assert "K in MF at 600 K: cells of 8 and 64 atoms agree: their D spread by 0%" in text
    assert "K in MF at 800 K: cells of 8 and 64 atoms do not agree: their D spread by 78%" in text
    assert "D depends on the cell, take a larger one, or the runs are too short." in text


def test_what_one_host_lacks_does_not_stop_the_others():
    made = planned("electrolyte-md", hosts="MF,Cu", metal="K")
    assert list(made.lines) == [("K", "MF")]
    assert any(warning.startswith("K in Cu is left out: `metal` is 'K' but") for warning in made.warnings)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"temperatures_K": -5}, "greater than 0"),
        ({"timestep_fs": 9}, "`timestep_fs` is 9 but must be above 0 and at most 5.66 for S, the lightest atom: 2 is safe"),
        ({"pressure_GPa": 0, "thermostat": "none"}, "`pressure_GPa` is 0 but needs a thermostat: choose one"),
        ({"thermostat": "cold"}, "`thermostat` is 'cold' but must be one of: none, bussi"),
        ({"hosts": "Cu", "x": 0}, "`metal` is 'K' but Cu holds only: Cu"),
        ({"x": 0.1}, "`x` is 0.1, 0.4 Cl in 4 formula units, but must be whole and 1 or more"),
        ({"x": 0.25, "halogen": "O"}, "input should be 'F', 'Cl', 'Br' or 'I'"),
        ({"x": 0.25, "hosts": "MF"}, "holds no sulfur"),
        ({"vacancies": 12, "x": 0}, "`n` is 12 but must be below 12, the K atoms of the cell: enlarge it"),
        ({"potential": "emt"}, "are unknown to the potential 'emt'"),
        ({"equilibration_ps": 20}, "`equilibration_ps` is 20 but must be at most half of `length_ps`, 5: run longer"),
        ({"seeds": -1}, "greater than or equal to 0"),
    ],
)
def test_bad_input_is_a_sentence_before_a_step_is_run(overrides, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        planned(**overrides)


def test_a_disk_too_small_for_all_runs_is_refused_before_the_first(tmp_path):
    with pytest.raises(
        ValueError, match=r"the trajectory will take .* MB more but .* has .* MB free: make room, or run fewer steps"
    ):
        prepare(read("k3sbs4-cl", {"length_ps": "1e9"}), tmp_path / "philic.db")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Two atoms of potassium for some femtoseconds at two temperatures, through the default potential."""
    folder = tmp_path_factory.mktemp("md")
    bulk("K", cubic=True).write(folder / "k.vasp")
    overrides = {"hosts": str(folder / "k.vasp"), "metal": "K", "temperatures_K": "300,600", "min_image_A": "4"}
    overrides |= {"length_ps": "0.06", "equilibration_ps": "0", "timestep_fs": "5"}
    recipe = read("electrolyte-md", overrides)
    store = open_store(folder / "philic.db")
    prepared = prepare(recipe, store.address)
    return prepared, store, run(prepared, store)[1]


def test_a_run_ends_in_tables_that_say_why_there_is_no_diffusivity(tiny):
    prepared, store, results = tiny
    text = printed(prepared.recipe.kind.tables(prepared.plan, results))
    assert "no diffusivity: K made 0 hops in" in text
    kelvins = [result.scalars["temperature_K"] for result in results.values() if result.function == "transport"]
    assert all(f" {kelvin:.0f} " in text for kelvin in kelvins)
    assert "fewer than 10 frames are left, too few to judge its temperature: run longer" in text
    assert "no activation energy: 0 temperature(s) have a diffusivity" in text
    assert not prepare(prepared.recipe, store.address).missing
    assert {path.name for path in (Path(store.address).parent / "philic.db.work").iterdir()} == {
        step.trail for step in prepared.plan.flow if step.function == "md"
    }


def test_what_was_found_is_exported(tiny, tmp_path):
    _, store, _ = tiny
    columns = {
        "transport": {"hops", "settled", "temperature_K", "temperature_error_K"},
        "sites": {"sites", "sites_found", "jumps", "jump_dimensions"},
    }
    for function, wanted in columns.items():
        write(select(store, function), tmp_path / f"{function}.json")
        rows = json.loads((tmp_path / f"{function}.json").read_text())
        assert [row["site"] for row in rows] == ["300 K, seed 0", "600 K, seed 0"]
        assert wanted <= set(rows[0])


def test_under_pressure_the_growth_of_the_cells_is_a_table(tiny, tmp_path):
    from rich.console import Console

    prepared, _, _ = tiny
    asked = {
        "min_image_A": str(list(prepared.recipe.parameters.min_image_A)),
        "hosts": prepared.recipe.parameters.hosts[0],
        "metal": "K",
        "temperatures_K": "300",
        "timestep_fs": "5",
    }
    recipe = read("electrolyte-md", asked | {"length_ps": "0.2", "equilibration_ps": "0", "pressure_GPa": "0"})
    store = open_store(tmp_path / "philic.db")
    ready = prepare(recipe, store.address)
    _, results = run(ready, store)
    (dynamics,) = (result for result in results.values() if result.function == "md")
    volume, growth = (dynamics.scalars[name] for name in ("volume_A3", "expansion_percent"))
    assert dynamics.scalars["expansion_error_percent"] is None
    for error, shown in ((None, ""), (0.37, " ± 0.37")):
        scalars = dynamics.scalars | {"expansion_error_percent": error}
        console = Console(width=160, file=io.StringIO())
        for table in expansion.tables(ready.plan, results | {dynamics.key: replace(dynamics, scalars=scalars)}):
            console.print(table)
        (line,) = (line for line in console.file.getvalue().splitlines() if "300 K, seed 0" in line)
        assert re.search(rf" {volume:.1f} +{re.escape(f'{growth:+.2f}')}{shown} ", line)


def test_runs_without_a_diffusivity_are_drawn_and_lines_without_one_refused(tiny, tmp_path):
    _, _, results = tiny
    draw_transport([r for r in results.values() if r.function == "transport"], tmp_path / "msd.png")
    assert (tmp_path / "msd.png").stat().st_size > 10_000
    draw_density([r for r in results.values() if r.function == "sites"], tmp_path / "density.png")
    assert (tmp_path / "density.png").stat().st_size > 10_000
    with pytest.raises(ValueError, match="nothing to draw among these results"):
        draw_arrhenius([r for r in results.values() if r.function == "arrhenius"], tmp_path / "line.png")


def test_a_line_is_drawn_with_its_band(tmp_path):
    parents = {}
    for kelvin, D in ((600.0, 1e-6), (800.0, 4e-6), (1000.0, 1e-5)):
        draws = D * np.exp(np.random.default_rng(0).normal(0, 0.2, 4000))
        scalars = {
            "asked_K": kelvin,
            "temperature_K": kelvin,
            "settled": True,
            "n_mobile": 8,
            "volume_A3": 500.0,
            "nernst_einstein_mS_per_cm": 1.0,
        }
        ends = dict(zip(("_low", "", "_high"), np.quantile(draws, (0.16, 0.5, 0.84)), strict=True))
        scalars |= {f"diffusivity{end}_cm2_per_s": value for end, value in ends.items()}
        arrays = {"diffusivity_samples_cm2_per_s": draws}
        parents[f"{kelvin:g} K"] = Result(Status.CONVERGED, "", scalars, {"final": Atoms()}, arrays)
    outcome = arrhenius_of_runs(parents)
    cell = {"atoms": 32, "length_ps": 25.0, "potential": "chgnet"}
    result = Result(**vars(outcome), about={"metal": "K", "host": "K3SbS4", **cell}, function="arrhenius")
    draw_arrhenius([result], tmp_path / "line.png")
    assert (tmp_path / "line.png").stat().st_size > 10_000
