import json
import re
from collections import Counter

import numpy as np
import pytest
from ase.data import covalent_radii
from hypothesis import given, settings
from hypothesis import strategies as st

from philic.potentials import load
from philic.structures.carbons.carbon import CARBON_FORMS, DOPANTS, TRANSITION_METALS, carbon_host, graphene
from philic.workflows.steps.relax import relax

NAMES = [
    *("pristine", "vacancy", "divacancy", *DOPANTS),
    *("O-B", "O-S", "O-P", "N-B", "S-P", "O-C-B", "O-C-S", "O-C-P", "S-C-P"),
    *("pyridinic-1N", "pyridinic-2N", "pyridinic-3N", "pyridinic-4N", "pyrrolic-N"),
    *(f"{metal}-N4" for metal in TRANSITION_METALS),
]
sizes = st.tuples(st.integers(3, 6), st.integers(3, 6))
few = settings(max_examples=20, deadline=None)


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("pristine", "C32"),
        ("vacancy", "C31"),
        ("divacancy", "C30"),
        ("P", "C31P"),
        ("O-B", "C30BO"),
        ("O-C-S", "C30OS"),
        ("pyridinic-1N", "C30N"),
        ("pyridinic-3N", "C28N3"),
        ("pyridinic-4N", "C26N4"),
        ("pyrrolic-N", "C30N"),
        ("Fe-N4", "C26FeN4"),
    ],
)
def test_a_host_has_the_formula_its_name_says(name: str, formula: str) -> None:
    assert carbon_host(name).symbols.formula.format("hill") == formula


@few
@given(size=st.tuples(st.integers(1, 6), st.integers(1, 6)), a=st.floats(2.3, 2.6))
def test_every_carbon_of_graphene_has_a_neighbour_at_a_over_root_three(size: tuple[int, int], a: float) -> None:
    sheet = graphene(size, lattice_constant_A=a, vacuum_A=12.0)
    bond = min(np.linalg.norm(sheet.positions[1] - sheet.positions[0] + s @ sheet.cell[:]) for s in np.ndindex(2, 2, 1))
    assert len(sheet) == 2 * size[0] * size[1]
    assert sheet.pbc.all()
    assert sheet.positions[:, 2] == pytest.approx(6.0)
    assert bond == pytest.approx(a / np.sqrt(3))


@pytest.mark.parametrize("name", NAMES)
def test_what_was_built_is_written_down_as_plain_json(name: str) -> None:
    host = carbon_host(name)
    about = host.info["philic"]
    assert json.loads(json.dumps(about)) == about
    assert about["host"] == name
    assert about["size"] == [4, 4]
    assert about["dopants"] == {s: n for s, n in Counter(host.symbols).items() if s != "C"}
    assert {i for i, s in enumerate(host.symbols) if s != "C"} <= set(about["defect"])


@few
@given(name=st.sampled_from(NAMES), size=sizes)
def test_no_two_atoms_of_a_host_start_closer_than_a_carbon_bond(name: str, size: tuple[int, int]) -> None:
    distances = carbon_host(name, size).get_all_distances(mic=True)
    assert distances[~np.eye(len(distances), dtype=bool)].min() > 1.40


@few
@given(name=st.sampled_from([name for name in NAMES if name != "pristine"]), size=sizes)
def test_a_defect_lies_near_the_middle_of_its_cell(name: str, size: tuple[int, int]) -> None:
    host = carbon_host(name, size)
    from_middle = host.positions[host.info["philic"]["defect"]] - host.cell.sum(axis=0) / 2
    assert np.linalg.norm(from_middle[:, :2], axis=1).max() < 4.5


def test_co_dopants_are_bonded_or_share_one_carbon() -> None:
    for name, distance in (("O-B", 2.46 / np.sqrt(3)), ("O-C-B", 2.46)):
        host = carbon_host(name)
        assert host.get_distance(*host.info["philic"]["defect"], mic=True) == pytest.approx(distance)


def test_the_order_of_co_dopants_does_not_matter() -> None:
    for one, other in (("B-O", "O-B"), ("P-C-O", "O-C-P")):
        assert carbon_host(one) == carbon_host(other)
        assert carbon_host(one).info == carbon_host(other).info


@pytest.mark.parametrize("name", ["S", "P", "O-C-P", "Y-N4", "Sc-N4"])
def test_an_atom_too_large_for_the_sheet_starts_above_it_with_covalent_bonds(name: str) -> None:
    host = carbon_host(name)
    top = int(host.positions[:, 2].argmax())
    distances = host.get_distances(top, range(len(host)), mic=True)
    nearest = int(np.argsort(distances)[1])
    assert distances[nearest] == pytest.approx(covalent_radii[host.numbers[[top, nearest]]].sum())
    assert np.unique(host.positions[:, 2].round(6)).size == 2


@pytest.mark.parametrize("name", ["N", "B", "O", "N-B", "pyridinic-3N", "pyrrolic-N", "Fe-N4", "Co-N4", "Zn-N4"])
def test_an_atom_that_fits_stays_in_the_sheet(name: str) -> None:
    assert np.ptp(carbon_host(name).positions[:, 2]) == 0


def test_two_bonded_atoms_too_large_for_the_sheet_start_on_opposite_faces() -> None:
    host = carbon_host("S-P")
    sulfur, phosphorus = host.info["philic"]["defect"]
    assert host.positions[sulfur, 2] > 7.5 > host.positions[phosphorus, 2]


def test_fluorine_starts_off_the_sheet() -> None:
    assert carbon_host("F").positions[:, 2].max() == pytest.approx(8.0)


def test_pyrrolic_nitrogen_closes_a_five_ring() -> None:
    host = carbon_host("pyrrolic-N", (5, 5))
    nitrogen = len(host) - 1
    distances = host.get_distances(nitrogen, range(nitrogen), mic=True)
    a, d = np.argsort(distances)[:2]
    bonded = host.get_all_distances(mic=True)[:nitrogen, :nitrogen] < 1.5
    bridges = bonded[a].astype(int) @ bonded @ bonded[d]
    assert distances[[a, d]] == pytest.approx(1.548, abs=1e-3)
    assert bridges == 1


def test_a_metal_centre_has_four_nitrogens_at_one_distance() -> None:
    host = carbon_host("Fe-N4")
    distances = host.get_distances(30, [i for i, s in enumerate(host.symbols) if s == "N"], mic=True)
    assert distances == pytest.approx(1.879, abs=1e-3)


@pytest.mark.parametrize("name", ["", "O-O", "O-C-O", "Xx", "pyridinic-5N", "K-N4", "N-", "vacancies", "O-N-B"])
def test_an_unknown_name_is_refused_with_the_known_forms(name: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"`name` is {name!r} but must be one of: pristine; vacancy; ")):
        carbon_host(name)
    with pytest.raises(ValueError, match=re.escape(list(CARBON_FORMS)[-1])):
        carbon_host(name)


@pytest.mark.parametrize(("name", "least"), [("vacancy", 2), ("O-B", 2), ("Fe-N4", 3), ("pyrrolic-N", 3)])
def test_a_cell_too_small_for_the_defect_is_refused(name: str, least: int) -> None:
    message = f"`size` is (1, 4) but '{name}' needs at least ({least}, {least}): enlarge it"
    with pytest.raises(ValueError, match=re.escape(message)):
        carbon_host(name, (1, 4))


def test_an_impossible_sheet_is_refused() -> None:
    with pytest.raises(ValueError, match=re.escape("`size` is (0, 4) but both numbers must be at least 1")):
        carbon_host("Fe-N4", (0, 4))
    with pytest.raises(ValueError, match=re.escape("`lattice_constant_A` is 0 but must be above 0")):
        graphene(lattice_constant_A=0)
    with pytest.raises(ValueError, match=re.escape("`vacuum_A` is -1.0 but must be above 0")):
        graphene(vacuum_A=-1.0)


@pytest.mark.parametrize(("name", "pairs"), [("vacancy", 1), ("pyridinic-1N", 1), ("pyridinic-2N", 0), ("divacancy", 0)])
def test_two_carbons_of_a_monovacancy_start_nearer(name, pairs):
    host = carbon_host(name)
    edge = [i for i in host.info["philic"]["defect"] if host.symbols[i] == "C"]
    gaps_A = host.get_all_distances(mic=True)[np.ix_(edge, edge)]
    assert np.sum(np.isclose(gaps_A, 1.42 * np.sqrt(3) - 0.4, atol=0.02)) == 2 * pairs


def test_a_vacancy_s_bond_closes_and_lowers_the_energy():
    """A. A. El-Barbary et al., Phys. Rev. B 68, 144107 (2003): as cut, its three carbons are held apart by symmetry."""
    closing = carbon_host("vacancy")
    edge = closing.info["philic"]["defect"]
    cut = graphene((4, 4))
    del cut[0]
    outcomes = dict(relax([closing, cut], load("chgnet")))
    bond_A = outcomes[0].structures["final"].get_all_distances(mic=True)[np.ix_(edge, edge)]
    assert bond_A[bond_A > 0].min() < 1.9
    assert outcomes[0].scalars["energy_eV"] < outcomes[1].scalars["energy_eV"] - 0.1
