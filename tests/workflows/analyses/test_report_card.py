"""Errors, bias, slope, order and grades of hand-made numbers."""

import numpy as np
import pytest
from ase.build import bulk

from philic.workflows.analyses.report_card import SECTIONS, report_card, summary
from philic.workflows.stores.result import Result, Status


def energy(value, atoms):
    given = {"energy_eV": value}
    return Result(Status.CONVERGED, "", given, {"initial": atoms, "final": atoms}, provenance={"fingerprint": {"name": "p"}})


def judged(section, quantity, given):
    """Grade values against references: pairs of a result and a reference."""
    parents = {str(i): result for i, (result, _) in enumerate(given)}
    entries = [
        {"section": section, "name": f"n{i}", "quantity": quantity, "roles": [str(i)], "reference": reference}
        for i, (_, reference) in enumerate(given)
    ]
    return report_card(parents, entries=entries)


def barrier(value):
    return Result(Status.CONVERGED, "", {"climb_forward_eV": value})


def test_errors_bias_slope_and_order():
    s = judged("migration barriers", "barrier", [(barrier(v), r) for v, r in ((0.2, 0.1), (0.3, 0.3), (0.1, 0.4))]).scalars
    s = s["sections"]["migration barriers"]
    errors = np.array([0.1, 0.0, -0.3])
    assert s["n"] == 3
    assert s["mae"] == pytest.approx(np.abs(errors).mean())
    assert s["bias"] == pytest.approx(errors.mean())
    assert s["slope"] == pytest.approx(np.polyfit([0.1, 0.3, 0.4], [0.2, 0.3, 0.1], 1)[0])
    assert s["tau"] == pytest.approx(-1 / 3)
    assert s["worst"] == "n2: 0.1 for 0.4"


@pytest.mark.parametrize(("error", "grade"), [(0.05, "good"), (-0.05, "good"), (0.2, "fair"), (-0.31, "poor")])
def test_grades_follow_the_mean_absolute_error(error, grade):
    outcome = judged("migration barriers", "barrier", [(barrier(0.5 + error), 0.5)])
    assert outcome.scalars["sections"]["migration barriers"]["grade"] == grade
    assert outcome.message == f"{grade}: migration barriers"


def test_what_a_constant_does_as_well_is_poor():
    references = (0.40, 0.50, 0.60)
    for values, grade in (((0.42, 0.50, 0.58), "good"), ((0.50, 0.51, 0.50), "poor"), ((0.60, 0.50, 0.40), "poor")):
        outcome = judged("migration barriers", "barrier", [(barrier(v), r) for v, r in zip(values, references, strict=True)])
        s = outcome.scalars["sections"]["migration barriers"]
        assert s["constant_mae"] == pytest.approx(0.2 / 3)
        assert s["grade"] == grade


def test_forces_are_held_against_none():
    atoms = bulk("Cu", cubic=True)
    at_rest = Result(Status.CONVERGED, "", {}, {"final": atoms}, {"forces_eV_per_A": np.zeros((4, 3))})
    s = judged("forces on metals", "forces", [(at_rest, np.full((4, 3), 0.02).tolist())]).scalars["sections"]
    assert s["forces on metals"]["mae"] == s["forces on metals"]["constant_mae"] == pytest.approx(0.02)
    assert s["forces on metals"]["grade"] == "poor"


def test_errors_of_lengths_are_relative():
    copper = energy(0.0, bulk("Cu", a=3.6, cubic=True))
    s = judged("lattice constants", "lattice constant", [(copper, 4.0)]).scalars["sections"]["lattice constants"]
    assert s["mae"] == pytest.approx(10)
    assert s["grade"] == "poor"


def test_a_vacancy_is_measured_against_the_crystal_per_atom():
    crystal = bulk("Cu", cubic=True)
    hole = (crystal * 2).copy()
    del hole[0]
    parents = {"hole": energy(-31 * 3.5 + 1.2, hole), "bulk": energy(-4 * 3.5, crystal)}
    entry = {"section": "vacancies", "name": "Cu", "quantity": "vacancy", "roles": ["hole", "bulk"], "reference": 1.0}
    assert report_card(parents, entries=[entry]).scalars["values"] == [["vacancies", "Cu", pytest.approx(1.2), 1.0]]


def test_a_surface_has_two_faces():
    crystal, slab = bulk("Cu", a=3.6, cubic=True), bulk("Cu", a=3.6, cubic=True) * (1, 1, 3)
    parents = {"slab": energy(-12 * 3.5 + 2.0, slab), "bulk": energy(-4 * 3.5, crystal)}
    entry = {
        "section": "surface energies",
        "name": "x",
        "quantity": "surface energy",
        "roles": ["slab", "bulk"],
        "reference": 1,
    }
    ((_, _, value, _),) = report_card(parents, entries=[entry]).scalars["values"]
    assert value == pytest.approx(2.0 / (2 * 3.6**2) * 16.0218, rel=1e-4)


def test_dopants_are_compared_as_differences_to_pristine():
    s = {"hosts": ["N", "pristine"], "raw_vs_bulk_eV": [-1.1, -1.0], "reference_vs_bulk_eV": [0.4, 0.1]}
    outcome = judged("metal on dopants", "dopants", [(Result(Status.CONVERGED, "", s), None)])
    assert outcome.scalars["values"] == [["metal on dopants", "n0 on N", pytest.approx(-0.1), pytest.approx(0.3)]]


def test_forces_count_by_component():
    result = Result(Status.CONVERGED, "", arrays={"forces_eV_per_A": np.array([[0.1, 0.0, -0.2]])})
    s = judged("forces on salts", "forces", [(result, [[0.0, 0.0, -0.1]])]).scalars["sections"]["forces on salts"]
    assert s["n"] == 3
    assert s["mae"] == pytest.approx(0.2 / 3)


def test_what_did_not_converge_is_not_judged_and_said():
    late = Result(Status.UNCONVERGED, "not converged: 0.3 eV/Å", {"climb_forward_eV": 0.1})
    outcome = judged("migration barriers", "barrier", [(late, 0.1), (barrier(0.2), 0.2)])
    assert outcome.scalars["not_judged"] == ["n0: not converged: 0.3 eV/Å"]
    assert outcome.scalars["sections"]["migration barriers"]["n"] == 1


def test_every_kind_has_limits_in_order_and_the_summary_names_them():
    assert all(0 < section.good < section.fair for section in SECTIONS.values())
    grades = {"a": {"grade": "poor"}, "b": {"grade": "good"}, "c": {"grade": "poor"}}
    assert summary(grades) == "good: b; poor: a, c"
