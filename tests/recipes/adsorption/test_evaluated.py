"""The same site with another potential."""

import pytest

from philic.recipes.adsorption.adsorption import Adsorption, plan
from philic.recipes.adsorption.evaluated import evaluated
from philic.workflows.engine.flow import Flow
from philic.workflows.fireworks.here import run_here
from philic.workflows.stores.opening import open_store
from philic.workflows.stores.result import Status


def answers():
    made = plan(Adsorption(metal="K", hosts=["pyridinic-3N"], size=[3, 3], potential="chgnet", max_steps=1, sites="hollow"))
    return [step for steps in made.answers.values() for step in steps]


def test_only_the_wanted_pristine_sites_are_evaluated_and_the_gate_never_is():
    answer = next(step for step in answers() if step.about["host"] == "pyridinic-3N")
    assert set(evaluated(answer, "chgnet:r2scan").parents) == {*answer.parents} - {"gate"}
    assert set(evaluated(answer, "chgnet:r2scan", pristine=[]).parents) == {"adsorbed", "host", "bulk", "pristine_host"}


def test_every_energy_is_of_the_other_potential_at_the_first_ones_geometry(tmp_path):
    store = open_store(tmp_path / "philic.db")
    step = evaluated(answers()[0], "chgnet:r2scan")
    run_here(Flow([step]), store, "evaluated")
    result = store.get([step.key])[step.key]
    assert result.status is Status.CONVERGED, result.message
    assert result.scalars["potential"] == "chgnet:r2scan"
    assert result.about["geometry"] == "chgnet"
    assert result.scalars["vs_atom_eV"] == pytest.approx(result.scalars["vs_bulk_eV"] - 0.8543)  # r2SCAN, not PBE
    parents = store.get(parent.key for parent in step.parents.values())
    energy = {role: parents[parent.key].scalars["energy_eV"] for role, parent in step.parents.items()}
    assert result.scalars["vs_bulk_eV"] == pytest.approx(energy["adsorbed"] - energy["host"] - energy["bulk"] / 2)
    relaxed = store.get(s.structure.parent.key for s in step.parents.values())
    for parent in step.parents.values():
        final = relaxed[parent.structure.parent.key].structures["final"]
        assert parents[parent.key].structures["final"] == final
