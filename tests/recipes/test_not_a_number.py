"""NaN passes no check: recipes are run, and what their analyses are given is made NaN, one number at a time."""

import math
from dataclasses import replace

import pytest
import sqlalchemy as sa
from ase.build import bulk

from philic.recipes.running.planning import prepare, run
from philic.recipes.running.recipe_files import read
from philic.workflows.engine.execute import finite
from philic.workflows.engine.registry import STEPS
from philic.workflows.stores import tables
from philic.workflows.stores.opening import open_store
from philic.workflows.stores.result import Outcome

pytestmark = pytest.mark.slow
RECIPES = {
    "k-philic-dopants": {"hosts": "pristine", "dopants": "", "size": "2,2"},
    "surface-diffusion": {"hosts": "pristine", "metal": "K", "size": "3,3"},
    "electrolyte-md": {
        "hosts": "k.vasp",
        "metal": "K",
        "temperatures_K": "300,600",
        "min_image_A": "4",
        "length_ps": "0.3",
        "equilibration_ps": "0",
        "timestep_fs": "5",
    },
}
EACH = 8
"""Results of a step function that are tried: the others are given the same numbers of another site."""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nan")
    bulk("K", cubic=True).write(folder / "k.vasp")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        store = open_store("philic.db")
        for name, overrides in RECIPES.items():
            run(prepare(read(name, overrides), store.address), store)
        yield store


def outcome_of(definition, parents, given):
    """Return what an analysis comes to, as a run would store it; an error in words."""
    try:
        return finite(STEPS[definition["function"]].function(parents, **given, **definition["parameters"]))
    except (ValueError, ZeroDivisionError) as error:
        return str(error)


def said(outcome):
    return outcome if isinstance(outcome, str) else (outcome.status, outcome.message, repr(dict(outcome.scalars)))


def test_a_check_that_another_number_would_fail_is_not_passed_by_nan(store):
    with store.engine.connect() as connection:
        keys = list(connection.scalars(sa.select(tables.results.c.key)))
    seen, passed, noticed = dict.fromkeys(STEPS, 0), [], 0
    for key, definition in store.definitions(keys).items():
        function = definition["function"]
        if definition["structure"] or STEPS[function].expected_force_calls or not definition["parents"]:
            continue
        seen[function] += 1
        if seen[function] > EACH:
            continue
        steps = store.definitions(definition["parents"].values())
        parents = {role: store.get([parent])[parent] for role, parent in definition["parents"].items()}
        folders = {role: store.folder(steps[parent]["trail"]) for role, parent in definition["parents"].items()}
        given = {"folders": folders} if "folders" in STEPS[function].needs else {}
        as_it_is = said(outcome_of(definition, parents, given))
        for role, parent in parents.items():
            for name, value in parent.scalars.items():
                if not isinstance(value, float):
                    continue

                def with_(number, role=role, parent=parent, name=name):
                    changed = replace(parent, scalars={**parent.scalars, name: number})
                    return outcome_of(definition, {**parents, role: changed}, given)  # noqa: B023

                with_nan = with_(math.nan)
                if isinstance(with_nan, Outcome) and said(with_nan) == as_it_is:
                    others = [with_(number) for number in (7.3 - 3 * value, 900 + 40 * value, value + 0.9)]
                    if any(said(other) != as_it_is for other in others):
                        passed.append(f"{key[:8]} {function}: {role}.{name}")
                else:
                    noticed += 1
    assert not passed
    assert noticed > 30
    tried = {function for function, n in seen.items() if n}
    assert tried >= {
        "adsorption",
        "gate",
        "calibrated",
        "reference_calibration",
        "migration",
        "hopping",
        "transport",
        "sites",
    }
