import json
import re
from collections import Counter

import numpy as np
import pytest
from ase.neighborlist import natural_cutoffs, neighbor_list

from philic.structures.catalogue import Entry, entries, facts, families, find, host, space_group
from philic.structures.crystals.metals import METALS

BUILT = [
    pytest.param(entry, metal, id=f"{entry.name}/{metal}")
    for entry in entries()
    for metal in ([m for m in entry.metals if m in METALS[:3]] or ["K"])
]


@pytest.mark.parametrize(("entry", "metal"), BUILT)
def test_every_entry_builds_whole_atoms_well_apart_that_say_what_they_are(entry: Entry, metal: str) -> None:
    if entry.metals and metal not in entry.metals:
        metal = entry.metals[0]
    atoms = entry.build(metal)
    about = atoms.info["philic"]
    assert np.isfinite(atoms.positions).all()
    assert atoms.pbc.all()
    assert atoms.cell.volume > 0
    assert not len(neighbor_list("i", atoms, natural_cutoffs(atoms, mult=0.6)))
    assert json.loads(json.dumps(about)) == about
    assert about["host"]
    assert entry.source


@pytest.mark.parametrize("entry", [entry for entry in entries() if entry.metals], ids=lambda entry: entry.name)
def test_an_entry_with_metals_holds_the_one_it_is_asked_for(entry: Entry) -> None:
    for metal in entry.metals:
        found = facts(entry, metal)
        assert metal in re.findall("[A-Z][a-z]?", found.formula)
        assert found.n_atoms > 0


@pytest.mark.parametrize(
    ("name", "geometry"),
    [
        ("KF", "experiment"),
        ("Na3PO4", "computed"),
        ("Li10GeP2S12-disordered", "experiment"),
        ("graphite", "experiment"),
        ("KC8", "built"),
        ("graphene:pristine", "built"),
        ("Ti3C2O2", "computed"),
        ("Ti3C2O2:V-O", "built"),
        ("Ti3CNO2", "built"),
        ("V2CN2", "built"),
        ("molecule:EC", "computed"),
        ("molecule:M2S4", "built"),
    ],
)
def test_a_host_says_whether_it_was_measured_computed_or_built(name: str, geometry: str) -> None:
    entry, metal = find(name)
    assert facts(entry, metal).geometry == geometry


def test_what_is_partly_occupied_says_that_its_atoms_were_chosen() -> None:
    electrolytes = [entry for entry in entries() if entry.family == "electrolytes"]
    chosen = {entry.name for entry in electrolytes if "ordering" in host(entry.name).info["philic"]}
    assert chosen == {entry.name for entry in electrolytes if facts(entry).source.endswith("whole atoms by point charges")}
    assert "M5Mg2Al31O51" in chosen


def test_names_are_unique_and_families_cover_the_field() -> None:
    assert max(Counter(entry.name for entry in entries()).values()) == 1
    assert {"carbon", "graphite", "mxene", "metals", "sei", "alloys", "electrolytes", "molecule"} == set(families())


@pytest.mark.parametrize(
    ("name", "metal", "entry", "chosen"),
    [
        ("KC8", None, "MC8", "K"),
        ("MC8", "Na", "MC8", "Na"),
        ("MC8", None, "MC8", "K"),
        ("LiF", None, "MF", "Li"),
        ("Na", None, "M-bcc", "Na"),
        ("Na3SbS4", None, "M3SbS4-cubic", "Na"),
        ("Bi0.5Sb0.5", "Na", "Bi0.5Sb0.5", "Na"),
        ("graphene:N", "Li", "graphene:N", "Li"),
        ("Fe-N4", None, "graphene:Fe-N4", "K"),
        ("graphene:B-O", None, "graphene:B-O", "K"),
        ("Nb2CO2:V-Nb", None, "Nb2CO2:V-Nb", "K"),
        ("molecule:K2S4", None, "molecule:M2S4", "K"),
    ],
)
def test_a_host_is_found_by_the_names_a_person_types(name: str, metal: str | None, entry: str, chosen: str) -> None:
    found, with_metal = find(name, metal)
    assert (found.name, with_metal) == (entry, chosen)


@pytest.mark.parametrize(("name", "counts"), [("Bi0.5Sb0.5", {"Bi": 12, "Sb": 12}), ("Bi0.75Sb0.25", {"Bi": 18, "Sb": 6})])
def test_a_solid_solution_has_the_shares_of_its_name(name: str, counts: dict[str, int]) -> None:
    assert host(name).symbols.formula.count() == counts


def test_the_formula_is_general_until_a_metal_is_named() -> None:
    entry, _ = find("MC8")
    assert facts(entry).formula == "MC8"
    assert facts(entry, "Na").formula == "NaC8"
    assert facts(find("MC6")[0], "Li").spacegroup == "P6/mmm (191)"


def test_two_builds_are_the_same_and_do_not_share_atoms() -> None:
    one, other = host("KC8"), host("KC8")
    one.positions += 1
    assert (host("KC8").positions == other.positions).all()


def test_the_space_group_of_what_is_built_is_the_one_stated() -> None:
    wrong = [
        (entry.name, metal, facts(entry, metal).spacegroup, found)
        for entry in entries()
        if entry.stated and max(row.n_atoms for row in entry.stated.values()) <= 16
        for metal in entry.metals or ("K",)
        if (found := space_group(entry.build(metal))) != facts(entry, metal).spacegroup
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("name", "metal", "words"),
    [
        ("KG", None, "`name` is 'KG' but must be one of the catalogue's "),
        ("Ti3C3", None, "entries: nearest are Ti3C"),
        ("????", None, "entries, such as graphene:pristine, "),
        ("KF", "Li", "`metal` is 'Li' but 'KF' names K: write 'MF', or leave the metal out"),
        ("MF", "Cu", "`metal` is 'Cu' but must be one of: Li, Na, K"),
        ("MF", "Cs", "`metal` is 'Cs' but 'MF' needs one of: Li, Na, K"),
        (
            "Na3Bi",
            None,
            "`name` is 'Na3Bi' but must say which form of it: Na3Bi-cubic (Fm-3m (225)), Na3Bi-hexagonal (P6_3/mmc (194))",
        ),
        ("Sn", None, "`name` is 'Sn' but must say which form of it: Sn-alpha (Fd-3m (227)), Sn-beta (I4_1/amd (141))"),
        ("Bi0.5Sb0.6", None, "`name` is 'Bi0.5Sb0.6', shares of 0.5 and 0.6, but they must add up to 1"),
        ("Bi0.5Cu0.5", None, "`one` is 'Bi' and `other` is 'Cu' but both must be elements of one structure type"),
        ("graphene:Xx", None, "`name` is 'Xx' but must be one of: pristine; vacancy; "),
        ("Ti3C2O2:V-Fe", None, "`defect` is 'V-Fe' but must be V-X"),
    ],
)
def test_what_the_catalogue_does_not_hold_is_refused(name: str, metal: str | None, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        host(name, metal)
