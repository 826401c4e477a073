import json
import re

import numpy as np
import pytest
from ase.neighborlist import natural_cutoffs, neighbor_list

from philic.structures.carbons.carbon import carbon_host
from philic.structures.carbons.graphite import bilayer, graphite, intercalated, nanotube, ribbon
from philic.structures.crystals.metals import METALS
from philic.structures.sites.bonds import find_bonds, find_rings


@pytest.mark.parametrize(
    ("name", "formula"),
    [("Stone-Wales", "C32"), ("epoxy", "C32O"), ("hydroxyl", "C32HO"), ("carbonyl", "C31O")],
)
def test_a_group_has_the_formula_its_name_says_and_is_written_down(name: str, formula: str) -> None:
    host = carbon_host(name)
    about = host.info["philic"]
    assert host.symbols.formula.format("hill") == formula
    assert json.loads(json.dumps(about)) == about
    assert {i for i, symbol in enumerate(host.symbols) if symbol != "C"} <= set(about["defect"])


def test_a_turned_bond_makes_two_five_rings_and_two_seven_rings() -> None:
    rings = [len(ring) for ring in find_rings(find_bonds(carbon_host("Stone-Wales")))]
    assert {size: rings.count(size) for size in set(rings)} == {5: 2, 6: 12, 7: 2}


@pytest.mark.parametrize(("name", "length", "bonded"), [("epoxy", 1.42, 2), ("hydroxyl", 1.42, 1), ("carbonyl", 1.22, 1)])
def test_an_oxygen_group_stands_over_the_sheet_with_as_many_bonds_as_it_should(
    name: str, length: float, bonded: int
) -> None:
    host = carbon_host(name, (5, 5))
    oxygen = list(host.symbols).index("O")
    carbons = [i for i, symbol in enumerate(host.symbols) if symbol == "C"]
    distances = np.sort(host.get_distances(oxygen, carbons, mic=True))
    assert distances[:bonded] == pytest.approx(length, abs=0.01)
    assert distances[bonded] > 1.9
    assert host.positions[oxygen, 2] > host.positions[carbons, 2].max() + 0.8


def test_a_hydroxyl_has_the_angle_and_bond_of_an_alcohol() -> None:
    host = carbon_host("hydroxyl")
    carbon, oxygen, hydrogen = host.info["philic"]["defect"]
    assert host.get_distance(oxygen, hydrogen) == pytest.approx(0.96)
    assert host.get_angle(carbon, oxygen, hydrogen) == pytest.approx(108.0)


def test_graphite_has_its_handbook_density() -> None:
    cell = graphite()  # 2.26 g/cm3: CRC Handbook of Chemistry and Physics, graphite
    assert cell.get_masses().sum() / cell.cell.volume * 1.66053907 == pytest.approx(2.26, abs=0.01)


@pytest.mark.parametrize("metal", METALS)
@pytest.mark.parametrize(("carbons", "group"), [(6, "P6/mmm (191)"), (8, "Fddd (70)")])
def test_an_intercalation_compound_has_its_composition_symmetry_and_a_metal_over_twelve_carbons(
    metal: str, carbons: int, group: str
) -> None:
    from philic.structures.catalogue import space_group

    cell = intercalated(metal, carbons)
    first, _, distances = neighbor_list("ijd", cell, 3.6)
    assert space_group(cell) == group
    assert (cell.symbols == "C").sum() == carbons * (cell.symbols == metal).sum()
    nearest = np.sort(distances[first == 0])[:12]
    assert np.ptp(nearest) < 1e-6


@pytest.mark.parametrize(
    ("metal", "carbons", "in_plane_A", "spacing_A"),
    [  # Materials Project mp-1001581, mp-28930, mp-568643, mp-28861: density functional theory
        ("Li", 6, 4.30693 / 3**0.5, 3.64950),
        ("K", 8, 4.956 / 2, 21.064 / 4),
        ("Rb", 8, 4.953 / 2, 22.455 / 4),
        ("Cs", 8, 4.951 / 2, 6.038),
    ],
)
def test_intercalation_compounds_are_as_wide_and_as_high_as_computed(
    metal: str, carbons: int, in_plane_A: float, spacing_A: float
) -> None:
    cell = intercalated(metal, carbons)
    bonds = neighbor_list("d", cell, {("C", "C"): 1.6})
    area = in_plane_A**2 * 3**0.5 / 4  # of an atom of graphene
    assert bonds == pytest.approx(in_plane_A / 3**0.5, rel=0.003)
    assert cell.cell.volume / (cell.symbols == "C").sum() / area == pytest.approx(spacing_A, rel=0.02)


def test_what_nobody_has_made_says_so() -> None:
    real = {(metal, n) for metal in METALS for n in (6, 8) if not intercalated(metal, n).info["philic"]["hypothetical"]}
    assert real == {("Li", 6), ("K", 8), ("Rb", 8), ("Cs", 8)}


@pytest.mark.parametrize("gap", [5.0, 7.5, 10.0])
@pytest.mark.parametrize("stacking", ["AA", "AB"])
def test_a_bilayer_has_its_gap_and_its_vacuum(gap: float, stacking: str) -> None:
    sheets = bilayer(gap, stacking=stacking, vacuum_A=12.0)  # type: ignore[arg-type]
    assert np.ptp(sheets.positions[:, 2]) == pytest.approx(gap)
    assert sheets.cell[2, 2] - gap == pytest.approx(12.0)


@pytest.mark.parametrize(("n", "m"), [(5, 5), (10, 0), (8, 4), (6, 1)])
def test_a_nanotube_has_the_circumference_of_its_indices_and_three_bonds_an_atom(n: int, m: int) -> None:
    tube = nanotube(n, m)
    middle = tube.positions[:, :2].mean(axis=0)
    radius = np.linalg.norm(tube.positions[:, :2] - middle, axis=1)
    assert radius == pytest.approx(2.464 * np.sqrt(n * n + n * m + m * m) / (2 * np.pi), rel=1e-3)
    first = neighbor_list("i", tube, natural_cutoffs(tube, mult=1.15))
    assert (np.bincount(first) == 3).all()


@pytest.mark.parametrize("edge", ["zigzag", "armchair"])
def test_every_edge_atom_of_a_ribbon_bears_what_closes_it(edge: str) -> None:
    for group, change in (("H", {}), ("O", {"H": -1, "O": 1}), ("OH", {"O": 1})):
        closed, plain = ribbon(edge, group=group), ribbon(edge)  # type: ignore[arg-type]
        for element in ("C", "H", "O"):
            grown = (closed.symbols == element).sum() - (plain.symbols == element).sum()
            assert grown == change.get(element, 0)
        first, second = neighbor_list("ij", closed, natural_cutoffs(closed, mult=1.15))
        bonds = np.bincount(first)
        assert (bonds[closed.symbols == "C"] == 3).all()
        assert (bonds[closed.symbols == "H"] == 1).all()
        assert len(first) == len(second)
        assert closed.get_all_distances(mic=True)[~np.eye(len(closed), dtype=bool)].min() > 0.95


def test_impossible_carbons_are_refused() -> None:
    for call, words in (
        (lambda: intercalated("K", 7), "`carbons` is 7 but must be 6 (as in LiC6) or 8 (as in KC8)"),
        (lambda: intercalated("Cu", 8), "`metal` is 'Cu' but must be one of: Li, Na, K"),
        (lambda: bilayer(0.5), "`gap_A` is 0.5 but must be at least 2: the sheets would overlap"),
        (lambda: bilayer(7.0, stacking="AX"), "`stacking` is 'AX' but must be one of: AA, AB"),
        (lambda: bilayer(7.0, size=(0, 1)), "`size` is (0, 1) but both numbers must be at least 1"),
        (lambda: nanotube(0, 5), "`n`, `m` is (0, 5) but must have n >= m >= 0 and n + m of at least 3"),
        (lambda: nanotube(5, 5, length=0), "`length` is 0 but must be at least 1"),
        (lambda: nanotube(5, 5, vacuum_A=-1), "`vacuum_A` is -1 but must be above 0"),
        (lambda: ribbon("bent"), "`edge` is 'bent' but must be one of: zigzag, armchair"),
        (lambda: ribbon("zigzag", group="N"), "`group` is 'N' but must be one of: H, O, OH"),
        (lambda: ribbon("zigzag", width=1), "`width` is 1 but must be at least 2"),
        (lambda: ribbon("zigzag", vacuum_A=0), "`vacuum_A` is 0 but must be above 0"),
    ):
        with pytest.raises(ValueError, match=re.escape(words)):
            call()  # type: ignore[no-untyped-call]
