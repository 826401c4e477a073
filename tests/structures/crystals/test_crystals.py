import json
import re
import warnings
from functools import cache
from importlib.resources import files

import numpy as np
import pytest
import spglib
from ase import Atoms
from ase.data import covalent_radii
from ase.formula import Formula
from ase.neighborlist import natural_cutoffs, neighbor_list

from philic.potentials import load
from philic.structures.crystals.crystals import FAMILIES, Crystal, average_cell, crystal, crystals

ROWS = crystals()
ORDERED = [row for row in ROWS if not row.disordered]


def label(row: Crystal) -> str:
    return f"{row.name} {row.metal or ''}".strip()


@cache
def build(row: Crystal) -> Atoms:
    return average_cell(row.name, row.metal)[0]


def spacegroup(atoms: Atoms) -> int:
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return int(spglib.get_symmetry_dataset(cell, symprec=1e-3).number)


def test_the_library_holds_what_the_field_asks_for() -> None:
    names = {row.name for row in ROWS}
    assert {
        "Cu",
        "Al",
        "Ni",
        "Ag",
        "Au",
        "Fe",
        "Zn",
        "Mg",
        "Sn-alpha",
        "Sn-beta",
        "Bi",
        "Sb",
        "In",
        "Pd",
    } <= names
    assert {"Cu3Pt", "Cu6Sn5", "M-bcc", "M-fcc", "M-hcp"} <= names
    assert {"MF", "MCl", "MH", "M2O", "M2O2", "MO2", "M2S", "M2Se", "M3N", "MOH", "M2CO3", "M2SO4"} <= names
    assert {"M2SO3", "MPO3", "M3P", "M3OCl", "MPF6", "M3Bi-cubic", "M3Bi-hexagonal", "M3VO4"} <= names
    assert {
        "KSi",
        "KGe",
        "KSn",
        "K4Sn9",
        "KPb",
        "KSb",
        "K3Bi2",
        "KP",
        "K4P3",
        "Li22Sn5",
        "P-black",
        "FeSb2",
    } <= names
    assert {
        "M3SbS4",
        "M3PS4",
        "Li10GeP2S12",
        "Li6PS5Cl",
        "Li7La3Zr2O12",
        "MAl11O17",
        "K2Fe4O7",
        "M2B12H12",
    } <= names
    assert {"Li10GeP2S12-disordered", "Li7La3Zr2O12-cubic", "M5Mg2Al31O51", "Li5La3Ta2O12"} <= {
        row.name for row in ROWS if row.disordered
    }
    assert {"M2S2", "M2Se2", "K2S6", "Na2S4", "Na2S5", "K2Se3", "K2Se5", "Na2Se4", "M3PO4", "P-fibrous"} <= names


@pytest.mark.parametrize("name", ["MF", "MCl", "MH", "M2O", "M2O2", "MO2", "M2S", "M2Se", "MOH", "M2CO3", "M2SO4"])
def test_a_salt_is_known_for_every_metal(name: str) -> None:
    assert [row.metal for row in ROWS if row.name == name] == ["Li", "Na", "K"]


def test_a_name_and_a_metal_are_given_once_with_a_source() -> None:
    assert len({(row.name, row.metal) for row in ROWS}) == len(ROWS)
    assert {row.formula for row in ROWS if not row.verified} == {"KO2", "KOH", "Na3Zr2Si2PO12"}
    for row in ROWS:
        assert row.source
        assert row.family in FAMILIES
        assert row.data in ("experiment", "computed", "built")
        assert (row.metal is None) == (not {"Li", "Na", "K"} & set(Formula(row.formula.split(".")[0]).count()))


@pytest.mark.parametrize("row", ROWS, ids=label)
def test_spglib_finds_the_stated_space_group(row: Crystal) -> None:
    assert spacegroup(build(row)) == row.spacegroup


@pytest.mark.parametrize("row", ORDERED, ids=label)
def test_atoms_and_stoichiometry_are_as_stated(row: Crystal) -> None:
    atoms = crystal(row.name, row.metal)
    assert len(atoms) == row.n_atoms
    assert atoms.pbc.all()
    counted, stated = atoms.symbols.formula.count(), Formula(row.formula).count()
    units_in_cell = len(atoms) / sum(stated.values())
    assert counted == {element: n * units_in_cell for element, n in stated.items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_site_multiplicities_fill_the_cell(family: str) -> None:
    text = (files("philic.structures.crystals") / f"crystals_{family}.json").read_text(encoding="utf-8")
    rows = crystals(family)
    for record, row in zip(json.loads(text), rows, strict=True):
        stated = [int(re.split(r"\D", wyckoff)[0]) for _, wyckoff, _ in record["sites"]]
        assert np.bincount(build(row).arrays["site"]).tolist() == stated, label(row)


@pytest.mark.parametrize("row", [row for row in ROWS if "oxidation" in build(row).info["philic"]], ids=label)
def test_oxidation_states_add_up_to_nothing(row: Crystal) -> None:
    atoms, occupants = average_cell(row.name, row.metal)
    states = atoms.info["philic"]["oxidation"]
    charges = [sum(n * states[element] for element, n in occupants[site].items()) for site in atoms.arrays["site"]]
    assert sum(charges) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("row", ROWS, ids=label)
def test_no_two_atoms_touch(row: Crystal) -> None:
    atoms = build(row)
    i, j, d = neighbor_list("ijd", atoms, natural_cutoffs(atoms, mult=1.3))
    nearest = (d / (covalent_radii[atoms.numbers[i]] + covalent_radii[atoms.numbers[j]])).min()
    assert nearest > 0.6


@pytest.mark.parametrize(
    ("name", "metal", "pair", "distance_A"),
    [  # half a cube edge, a quarter of its diagonal, two bond lengths every textbook prints
        ("MF", "K", {"K", "F"}, 5.347 / 2),
        ("M2O", "Li", {"Li", "O"}, 4.619 * 3**0.5 / 4),
        ("M2CO3", "Li", {"C", "O"}, 1.28),
        ("M2SO4", "K", {"S", "O"}, 1.47),
        ("Si", None, {"Si"}, 2.352),
        ("M-bcc", "Li", {"Li"}, 3.49 * 3**0.5 / 2),
    ],
)
def test_nearest_neighbours_are_where_they_belong(name: str, metal: str | None, pair: set[str], distance_A: float) -> None:
    atoms = crystal(name, metal)
    i, j, d = neighbor_list("ijd", atoms, 4.0)
    nearest = min(r for a, b, r in zip(i, j, d, strict=True) if {atoms.symbols[a], atoms.symbols[b]} == pair)
    assert nearest == pytest.approx(distance_A, abs=0.02)


def test_default_potential_gives_finite_forces() -> None:
    potential = load("chgnet")
    small = [row for row in ORDERED if row.n_atoms <= 12][::4]
    assert len(small) > 15
    found = potential.evaluate([crystal(row.name, row.metal) for row in small])
    for row, prediction in zip(small, found, strict=True):
        assert np.isfinite(prediction.forces_eV_per_A).all(), label(row)
        assert np.isfinite(prediction.energy_eV), label(row)


def test_what_was_built_is_written_down_as_plain_json() -> None:
    facts = crystal("M3Bi-cubic", "K").info["philic"]
    assert json.loads(json.dumps(facts)) == facts
    assert facts["host"] == "K3Bi"
    assert facts["entry"] == "M3Bi-cubic"
    assert facts["metal"] == "K"
    assert facts["spacegroup"] == 225
    assert facts["family"] == "sei"


def test_every_call_gives_new_atoms_and_new_facts() -> None:
    first = crystal("MF", "Li")
    first.info["philic"]["host"] = "spoiled"
    first.positions += 1
    assert crystal("MF", "Li").info["philic"]["host"] == "LiF"
    occupants = average_cell("MF", "Li")[1]
    occupants[0].clear()
    assert average_cell("MF", "Li")[1][0] == {"Li": 1}


def test_a_name_known_for_one_metal_needs_none() -> None:
    assert crystal("KSb2") == crystal("KSb2", "K")


@pytest.mark.parametrize(
    ("name", "metal", "sentence"),
    [
        ("MFF", "K", r"`name` is 'MFF' but must be one of Cu, Al, .*MF, MCl"),
        ("MF", None, r"`metal` is None but MF is known for Li, Na, K"),
        ("MF", "Rb", r"`metal` is 'Rb' but MF is known for Li, Na, K"),
        ("M3N", "K", r"`metal` is 'K' but M3N is known for Li"),
        ("MF", "Fe", r"`metal` is 'Fe' but must be one of: Li, Na, K"),
        ("Cu", "K", r"`metal` is 'K' but Cu holds no alkali metal: leave it out"),
        (
            "Na3Zr2Si2PO12",
            "Na",
            r"its sites are partly occupied: order it with "
            r"philic.structures.crystals.orderings.ordered\('Na3Zr2Si2PO12', 'Na'\)",
        ),
    ],
)
def test_what_is_not_known_is_refused_in_a_sentence(name: str, metal: str | None, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        crystal(name, metal)


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(ValueError, match="`family` is 'salt' but must be one of metals, sei, alloys, electrolytes"):
        crystals("salt")
