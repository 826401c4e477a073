"""Report cards through the engine."""

import subprocess
import sys

import pytest

from philic.recipes.running.recipe_files import verifying
from philic.recipes.verification.card import _facts, report_card
from philic.recipes.verification.verification import Verification, headline, plan, tables
from philic.workflows.analyses.report_card import QUANTITIES, SECTIONS
from philic.workflows.fireworks.here import run_here
from philic.workflows.stores.opening import open_store
from philic.workflows.stores.result import Status


def entries(potential):
    return report_card(potential).parameters["entries"]


def test_a_card_counts_only_references_whose_elements_the_potential_knows():
    of_metals = {entry["name"] for entry in entries("emt") if not entry["section"].startswith("forces")}
    assert of_metals == {"Cu", "Al", "Ag", "Au", "fcc Cu", "fcc Al", "fcc Ag", "fcc Au"}
    assert {entry["section"] for entry in entries("chgnet")} >= {*SECTIONS} - {"forces on salts"}


def test_every_entry_can_be_computed_and_has_a_reference():
    for entry in entries("chgnet"):
        assert entry["section"] in SECTIONS
        assert entry["quantity"] in QUANTITIES
        assert entry["reference"] is not None or entry["quantity"] == "dopants"


def test_every_fact_names_its_source():
    facts = _facts()
    assert all(row["source"] for row in [*facts["crystals"], *facts["elements"], facts["faces"], facts["vacancies"]])
    assert "arXiv 2508.06459" in facts["barriers_source"]
    assert len(facts["faces"]["values_J_per_m2"]) == 13


def test_what_a_card_shares_with_the_gate_is_computed_once():
    from philic.recipes.parts.gate import metal_steps

    of_gate = {step.key for step in metal_steps("K", "chgnet").gate.parents.values()}
    assert of_gate <= {step.key for step in report_card("chgnet").parents.values()}


@pytest.fixture(scope="module")
def emt(tmp_path_factory):
    store = open_store(tmp_path_factory.mktemp("card") / "philic.db")
    made = plan(Verification(potential="emt"))
    run_here(made.flow, store, "x")
    return store, made


def test_emt_reproduces_the_copper_it_was_fitted_to(emt):
    """EMT: lattice constants within 2 % of PBE; the vacancies of Al and Au off by some tenths of an eV."""
    store, made = emt
    result = store.get([made.cards[0].key])[made.cards[0].key]
    assert result.status is Status.CONVERGED
    assert result.scalars["sections"]["lattice constants"]["mae"] < 3
    values = {(kind, name): value for kind, name, value, _ in result.scalars["values"]}
    assert values["lattice constants", "Cu"] == pytest.approx(3.59, abs=0.01)  # Jacobsen et al., Surf. Sci. 366, 394 (1996)
    assert 0.5 < values["vacancies", "fcc Cu"] < 1.5
    assert result.provenance["fingerprint"]["name"] == "emt"
    assert (
        headline(Verification(potential="emt"), made) == f"{len(entries('emt'))} references of 4 kinds"
    )  # EMT knows carbon and nitrogen, of a sort


def test_the_tables_show_each_card_and_say_what_references_are(emt, capsys):
    from philic.recipes.command_line.console import terminal

    store, made = emt
    for table in tables(made, store.get(made.flow.steps)):
        terminal().print(table)
    text = " ".join(capsys.readouterr().out.split())
    assert "report card of emt" in text
    assert "emt was trained on none (fitted" in text
    assert "References are PBE" in text


def test_two_cards_stand_side_by_side_in_the_command_line(tmp_path):
    command = [sys.executable, "-m", "philic.recipes.command_line.cli", "verify", "emt", "lj"]
    done = subprocess.run(
        [*command, "--store", tmp_path / "philic.db"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    again = subprocess.run(
        [*command, "--store", tmp_path / "philic.db"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "mean errors side by side" in done.stdout
    assert "nothing to compute" in again.stdout


def test_what_cannot_be_verified_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'nonsense' is not a known potential"):
        verifying(["nonsense"])
    command = [sys.executable, "-m", "philic.recipes.command_line.cli", "verify"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert "error: name a potential, such as chgnet, or give --all" in done.stderr


@pytest.mark.slow
def test_chgnet_is_poor_where_a_metal_lies_on_carbon(tmp_path):
    store = open_store(tmp_path / "philic.db")
    made = plan(Verification(potential="chgnet"))
    run_here(made.flow, store, "x")
    sections = store.get([made.cards[0].key])[made.cards[0].key].scalars["sections"]
    assert {name: sections[name]["grade"] for name in ("lattice constants", "metal on graphene", "metal on dopants")} == {
        "lattice constants": "good",
        "metal on graphene": "poor",
        "metal on dopants": "poor",
    }
    assert sections["metal on dopants"]["slope"] == pytest.approx(0.37, abs=0.1)
