import re

import numpy as np
import pytest
from ase.data import atomic_numbers, covalent_radii
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from philic.structures.carbons.mxenes import SHEETS, TERMINATIONS, mxene
from philic.structures.catalogue import space_group

FORMULAS = {"": "Ti3C2", "O": "Ti3C2O2", "F": "Ti3C2F2", "OH": "Ti3C2H2O2", "S": "Ti3C2S2", "N": "Ti3C2N2"}
every = [pytest.param(sheet, over, id=sheet + over) for sheet in SHEETS for over in TERMINATIONS]


@pytest.mark.parametrize(("over", "formula"), FORMULAS.items())
def test_a_mxene_has_the_formula_its_name_says(over: str, formula: str) -> None:
    assert mxene("Ti3C2", over, size=(1, 1)).symbols.formula.format("metal") == formula


@pytest.mark.parametrize(("sheet", "over"), every)
def test_a_mxene_is_its_own_mirror_image_but_for_the_mixed_one(sheet: str, over: str) -> None:
    cell = mxene(sheet, over, size=(1, 1))
    assert space_group(cell) == ("P3m1 (156)" if sheet == "Ti3CN" else "P-3m1 (164)")
    assert cell.positions[:, 2].mean() == pytest.approx(cell.cell[2, 2] / 2)


@pytest.mark.parametrize(("sheet", "over"), every)
def test_every_carbon_or_nitrogen_inside_has_six_metal_neighbours_at_bond_lengths(sheet: str, over: str) -> None:
    cell = mxene(sheet, over, size=(2, 2))
    metals = ~np.isin(cell.symbols, ["C", "N", "O", "F", "H", "S"])
    first, second, distances = neighbor_list("ijd", cell, 2.8)
    inner = [i for i in np.where(~metals)[0] if (metals[second[first == i]]).sum() == 6]
    assert len(inner) == (4 if cell.symbols.formula.count()[sheet[:2].rstrip("2C")] == 8 else 8)
    for i in inner:
        bond = np.sort(distances[first == i])[:6]
        radii = covalent_radii[cell.numbers[i]] + covalent_radii[cell.numbers[metals][0]]
        assert (0.85 * radii < bond).all()
        assert (bond < 1.08 * radii).all()


ROCK_SALT_A = {"TiC": 4.328, "VC": 4.165, "NbC": 4.470, "TiN": 4.24}  # measured; a bond is half of it
INNER = {"": 0.978, "O": 0.998, "N": 0.998, "F": 0.973, "OH": 0.980, "S": 1.010}
OUTER = {"O": 0.895, "N": 0.897, "F": 1.017, "OH": 0.977, "S": 0.919}


@pytest.mark.parametrize(("sheet", "over"), every)
def test_bonds_are_as_long_as_in_the_bulk_carbide_and_alike_under_one_termination(sheet: str, over: str) -> None:
    """A lattice constant off by 6 % is 4 % of a bond, a height off by 0.3 A is 9 %."""
    cell = mxene(sheet, over, size=(2, 2))
    metal = "V" if sheet[0] == "V" else sheet[:2]
    deep = np.abs(cell.positions[:, 2] - cell.positions[:, 2].mean()) < 1.8
    first, second, distances = neighbor_list("ijd", cell, 2.8)
    from_metal = cell.symbols[first] == metal
    for anion in {*cell.symbols[deep]} - {metal}:
        bond_A = distances[from_metal & deep[second] & (cell.symbols[second] == anion)].mean()
        assert bond_A / (ROCK_SALT_A[metal + anion] / 2) == pytest.approx(INNER[over], abs=0.022)
    if over:
        outer_A = distances[from_metal & ~deep[second] & (cell.symbols[second] == over[0])].min()
        radii_A = covalent_radii[[atomic_numbers[metal], atomic_numbers[over[0]]]].sum()
        assert outer_A / radii_A == pytest.approx(OUTER[over], abs=0.032)


@pytest.mark.parametrize("over", ["O", "F", "S", "N"])
def test_a_termination_has_three_metal_neighbours_and_stands_over_the_inner_metal(over: str) -> None:
    cell = mxene("Ti3C2", over, size=(3, 3))
    top = int(cell.positions[:, 2].argmax())
    titanium = np.where(cell.symbols == "Ti")[0]
    distances = np.sort(cell.get_distances(top, titanium, mic=True))
    lateral = cell.get_distances(top, titanium, mic=True, vector=True)[:, :2]
    straight = titanium[np.linalg.norm(lateral, axis=1) < 1e-6]
    assert np.ptp(distances[:3]) < 1e-6
    assert distances[3] > distances[2] + 0.8
    assert cell.positions[straight, 2] == pytest.approx(cell.cell[2, 2] / 2)


@settings(max_examples=15, deadline=None)
@given(
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    sheet=st.sampled_from(SHEETS),
    over=st.sampled_from(TERMINATIONS),
    vacuum=st.floats(5.0, 30.0),
)
def test_size_and_vacuum_are_as_asked(size: tuple[int, int], sheet: str, over: str, vacuum: float) -> None:
    cell = mxene(sheet, over, size=size, vacuum_A=vacuum)
    assert len(cell) == len(mxene(sheet, over, size=(1, 1))) * size[0] * size[1]
    assert cell.cell[2, 2] - np.ptp(cell.positions[:, 2]) == pytest.approx(vacuum)
    assert cell.pbc.all()


@pytest.mark.parametrize(
    ("over", "defect", "lost", "near"),
    [
        ("O", "V-O", {"O": 1}, 3),
        ("O", "V-Ti", {"Ti": 1}, 6),
        ("O", "V-C", {"C": 1}, 6),
        ("OH", "V-OH", {"O": 1, "H": 1}, 3),
        ("O", "N-C", {"C": 1, "N": -1}, 1),
    ],
)
def test_a_defect_takes_what_it_says_from_the_upper_half(over: str, defect: str, lost: dict[str, int], near: int) -> None:
    whole, broken = mxene("Ti3C2", over).symbols.formula.count(), mxene("Ti3C2", over, defect=defect)
    left = broken.symbols.formula.count()
    assert {e: whole.get(e, 0) - left.get(e, 0) for e in {*whole, *left} if whole.get(e, 0) != left.get(e, 0)} == lost
    about = broken.info["philic"]
    assert len(about["defect"]) == near
    assert (broken.positions[about["defect"], 2] > broken.cell[2, 2] / 2 - 0.1).all()
    assert about["host"].endswith(":" + defect)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"sheet": "Ti4C3"}, "`sheet` is 'Ti4C3' but must be one of: Ti2C, V2C, Nb2C"),
        ({"termination": "Cl"}, "`termination` is 'Cl' but must be one of: '' (bare), O, F, OH, S, N"),
        ({"size": (0, 3)}, "`size` is (0, 3) but both numbers must be at least 1"),
        ({"vacuum_A": -2.0}, "`vacuum_A` is -2.0 but must be above 0"),
        ({"defect": "V-Fe"}, "`defect` is 'V-Fe' but must be V-X, X an element of "),
        ({"defect": "B-C"}, "`defect` is 'B-C' but must be V-X"),
    ],
)
def test_an_impossible_mxene_is_refused(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        mxene(**{"sheet": "Ti3C2", **arguments})  # type: ignore[arg-type]
