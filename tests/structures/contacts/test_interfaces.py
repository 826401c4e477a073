import json
import re
from itertools import pairwise

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from ase.formula import Formula
from ase.geometry import find_mic
from ase.spacegroup import crystal as spaced
from hypothesis import given, settings
from hypothesis import strategies as st

from philic.structures.carbons.carbon import graphene
from philic.structures.contacts.interfaces import coherent, film_gap_A, halves, interfaces, shift_film
from philic.structures.contacts.matching import all_matches, best_matches, biot_strain
from philic.structures.crystals.crystals import crystal as known
from philic.structures.crystals.metals import bulk_metal
from philic.structures.crystals.molecular_units import molecular_units
from philic.structures.surfaces.slabs import slab

K = bulk_metal("K")
KF = bulk("KF", "rocksalt", a=5.34, cubic=True)
LIF = bulk("LiF", "rocksalt", a=4.03, cubic=True)
CU, AL = bulk("Cu", cubic=True), bulk("Al", cubic=True)
K2O = spaced(["K", "O"], [(0.25, 0.25, 0.25), (0, 0, 0)], spacegroup=225, cellpar=[6.44] * 3 + [90] * 3)
LI2O = spaced(["Li", "O"], [(0.25, 0.25, 0.25), (0, 0, 0)], spacegroup=225, cellpar=[4.62] * 3 + [90] * 3)
LI3N = spaced(
    ["Li", "N", "Li"],
    [(0, 0, 0.5), (0, 0, 0), (1 / 3, 2 / 3, 0)],
    spacegroup=191,
    cellpar=[3.65, 3.65, 3.88, 90, 90, 120],
)
PAIRS = {
    "metal|SEI": (K, KF, (1, 0, 0), (1, 0, 0)),
    "SEI|metal": (KF, K, (1, 0, 0), (1, 1, 0)),
    "metal|collector": (K, CU, (1, 1, 0), (1, 1, 1)),
    "KF|K2O": (KF, K2O, (1, 0, 0), (1, 1, 0)),
    "LiF|Li2O": (LIF, LI2O, (1, 0, 0), (1, 1, 0)),
    "LiF|Li3N": (LIF, LI3N, (1, 1, 1), (0, 0, 1)),
}


def best(name: str, **limits: float) -> Atoms:
    return interfaces(*PAIRS[name], **{"max_area_A2": 100.0, **limits})[0]


def nearest_A(atoms: Atoms) -> float:
    distances = atoms.get_all_distances(mic=True)
    return float(distances[distances > 1e-6].min())


def unstrained(film: Atoms) -> Atoms:
    """Undo the strain an interface states."""
    told = film.info["philic"]["strain"]
    stretch = np.eye(3) + np.array([[told["xx"], told["xy"], 0], [told["xy"], told["yy"], 0], [0, 0, 0]])
    free = film.copy()
    free.set_cell(film.cell.array @ np.linalg.inv(stretch), scale_atoms=True)
    return free


@pytest.mark.parametrize("name", sorted(PAIRS))
def test_the_strain_said_is_the_strain_of_the_films_cell(name: str) -> None:
    film, _, film_miller, _ = PAIRS[name]
    atoms = best(name)
    about = atoms.info["philic"]
    top = halves(atoms)[1]
    # with the strain undone, the film's atoms have the distances of its crystal again
    crystal = film * (4, 4, 4)
    shortest = {
        tuple(sorted(pair)): crystal.get_distances(0, range(len(crystal)), mic=True)[crystal.symbols == pair[1]]
        for pair in [(str(film.symbols[0]), symbol) for symbol in set(film.symbols)]
    }
    free = unstrained(top)
    for (one, other), expected in shortest.items():
        distances = free[free.symbols == one].positions[:, None] - free[free.symbols == other].positions
        apart = find_mic(distances.reshape(-1, 3), free.cell, pbc=(True, True, False))[1]
        assert apart[apart > 0.1].min() == pytest.approx(expected[expected > 0.1].min(), abs=1e-3)
    area = slab(film, film_miller, thickness_A=10.0).info["philic"]["area_A2"]
    n_cells = abs(round(np.linalg.det(about["film_matrix"])))
    told = about["strain"]
    stretches = np.linalg.eigvalsh([[told["xx"], told["xy"]], [told["xy"], told["yy"]]])
    assert np.prod(1 + stretches) == pytest.approx(about["area_A2"] / (n_cells * area))
    assert np.abs(stretches).max() == pytest.approx(about["strain"]["largest"])


@pytest.mark.parametrize("name", sorted(PAIRS))
def test_halves_keep_the_composition_of_their_crystals_and_no_atoms_overlap(name: str) -> None:
    film, substrate, *_ = PAIRS[name]
    for atoms in interfaces(*PAIRS[name], max_area_A2=100.0):
        bottom, top = halves(atoms)
        assert bottom.symbols.formula.reduce()[0] == substrate.symbols.formula.reduce()[0]
        assert top.symbols.formula.reduce()[0] == film.symbols.formula.reduce()[0]
        assert len(bottom) + len(top) == len(atoms)
        assert (np.vstack([bottom.positions, top.positions]) == atoms.positions).all()
        assert nearest_A(atoms) > 0.9 * min(nearest_A(film * (2, 2, 2)), nearest_A(substrate * (3, 3, 3)))
        assert film_gap_A(atoms) == pytest.approx(atoms.info["philic"]["gap_A"])
        assert np.linalg.det(atoms.cell) > 0


@pytest.mark.parametrize("name", sorted(PAIRS))
def test_interfaces_are_ranked_and_none_is_both_larger_and_more_strained(name: str) -> None:
    found = [atoms.info["philic"] for atoms in interfaces(*PAIRS[name], max_area_A2=150.0)]
    strains = [about["strain"]["largest"] for about in found]
    assert strains == pytest.approx(sorted(strains), abs=1e-4)
    assert max(strains) <= 0.05
    assert all(about["area_A2"] <= 150 for about in found)
    ways = sorted({(round(about["area_A2"], 3), round(about["strain"]["largest"], 6)) for about in found})
    assert all(strain > later for (_, strain), (_, later) in pairwise(ways))
    assert all(json.loads(json.dumps(about)) == about for about in found)


def test_a_crystal_fits_itself_without_strain() -> None:
    atoms = interfaces(KF, KF, (1, 0, 0), (1, 0, 0))[0]
    assert atoms.info["philic"]["area_A2"] == pytest.approx(5.34**2 / 2)
    assert atoms.info["philic"]["strain"]["largest"] == pytest.approx(0, abs=1e-9)


def test_the_strain_of_one_square_cell_on_another_is_the_ratio_of_their_edges() -> None:
    about = interfaces(K, KF, (1, 0, 0), (1, 0, 0))[0].info["philic"]
    assert about["strain"]["xx"] == pytest.approx(5.34 / 5.23 - 1)
    assert about["strain"]["yy"] == pytest.approx(5.34 / 5.23 - 1)
    assert about["strain"]["xy"] == pytest.approx(0, abs=1e-12)
    assert about["host"] == "K(100)|KF(100)"


def test_every_match_of_zur_and_mcgill_in_pymatgen_is_matched_as_well() -> None:
    from pymatgen.analysis.interfaces.zsl import ZSLGenerator

    film = np.array([[3.2, 0.0], [1.6, 2.9]])
    substrate = np.array([[4.1, 0.0], [0.3, 4.4]])
    flat = [np.pad(cell, ((0, 0), (0, 1))) for cell in (film, substrate)]
    generator = ZSLGenerator(max_area=120, max_length_tol=0.03, max_angle_tol=0.03)
    ours = best_matches(film, substrate, 130.0, 0.1)
    theirs = list(generator(*flat))
    assert theirs
    for match in theirs:
        area = np.linalg.norm(np.cross(*match.substrate_sl_vectors))
        strain = biot_strain(np.array(match.film_sl_vectors)[:, :2], np.array(match.substrate_sl_vectors)[:, :2])
        largest = np.abs(np.linalg.eigvalsh(strain)).max()
        assert any(one.area_A2 <= area + 1e-6 and one.strain <= largest + 1e-6 for one in ours)


@settings(max_examples=30, deadline=None)
@given(numbers=st.tuples(*[st.floats(2.5, 5)] * 4, *[st.floats(-1.5, 1.5)] * 2), angle=st.floats(0, 2 * np.pi))
def test_a_match_strains_one_cell_onto_the_other(numbers: tuple[float, ...], angle: float) -> None:
    film = np.array([[numbers[0], 0], [numbers[4], numbers[1]]])
    substrate = np.array([[numbers[2], 0], [numbers[5], numbers[3]]])
    turned = substrate @ [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
    ours, same = (all_matches(film, cell, 60.0, 0.1) for cell in (substrate, turned))
    assert [one.strain for one in ours] == pytest.approx([one.strain for one in same], abs=1e-6)
    for match in ours:
        strain = biot_strain(match.film @ film, match.substrate @ substrate)
        assert np.abs(np.linalg.eigvalsh(strain)).max() == pytest.approx(match.strain, abs=1e-6)
        assert np.linalg.det(match.film) > 0
        assert match.area_A2 == pytest.approx(np.linalg.det(match.substrate @ substrate))


def test_a_gap_and_a_vacuum_are_as_asked() -> None:
    for atoms in interfaces(K, KF, (1, 0, 0), (1, 0, 0), gap_A=2.5, vacuum_A=11.0):
        heights = np.sort(atoms.positions[:, 2])
        assert film_gap_A(atoms) == pytest.approx(2.5)
        assert atoms.cell[2, 2] - (heights[-1] - heights[0]) == pytest.approx(11.0)


def test_a_sandwich_has_two_interfaces_and_no_vacuum() -> None:
    atoms = best("LiF|Li2O", vacuum_A=0.0)
    about = atoms.info["philic"]
    assert about["gap_over_film_A"] == pytest.approx(about["gap_A"], abs=0.5)
    assert np.diff(np.sort(atoms.positions[:, 2])).max() < 3.0
    assert nearest_A(atoms) > 1.7


def test_by_default_the_film_just_touches() -> None:
    atoms = best("metal|SEI")
    radii = {"K": 2.03, "F": 0.57}  # Cordero et al., Dalton Trans. 2008, 2832
    bottom, top = halves(atoms)
    pairs = find_mic((top.positions[:, None] - bottom.positions).reshape(-1, 3), atoms.cell)[1]
    reach = [radii[one] + radii[other] for one in top.symbols for other in bottom.symbols]
    assert (pairs - reach).min() == pytest.approx(0, abs=1e-6)


def test_a_rigid_shift_moves_the_film_only_and_adds_up() -> None:
    atoms = best("metal|SEI")
    before = atoms.copy()
    moved = shift_film(shift_film(atoms, (0.5, 0.25)), (0.75, 0.25), gap_A=3.0)
    n = atoms.info["philic"]["n_substrate"]
    assert moved.info["philic"]["shift"] == pytest.approx([0.25, 0.5])
    assert moved.info["philic"]["gap_A"] == pytest.approx(3.0)
    assert film_gap_A(moved) == pytest.approx(3.0)
    step = (0.25, 0.5, 0) @ atoms.cell.array + (0, 0, 3.0 - film_gap_A(atoms))
    apart = moved.positions[n:] - atoms.positions[n:] - step
    assert np.abs(find_mic(apart, atoms.cell, pbc=(True, True, False))[0]).max() < 1e-6
    kept = find_mic(moved.positions[:n] - atoms.positions[:n], atoms.cell)[1]
    assert kept.max() < 1e-6
    assert moved.cell[2, 2] - np.ptp(moved.positions[:, 2]) == pytest.approx(15.0)
    assert atoms == before


def ends(name: str, *, thickness_A: float = 8.0) -> set[tuple[str, str]]:
    """Give the terminations that meet: the film's and the substrate's."""
    found = interfaces(*PAIRS[name], max_area_A2=160.0, film_thickness_A=thickness_A, substrate_thickness_A=thickness_A)
    return {(part["film"]["termination"], part["substrate"]["termination"]) for part in (a.info["philic"] for a in found)}


def test_every_pair_of_faces_is_laid_together_and_the_face_told_is_the_one_that_meets() -> None:
    assert ends("metal|SEI") == {("K", "KF")}
    assert ends("LiF|Li3N") == {(one, other) for one in ("Li", "F") for other in ("Li", "Li2N")}
    for atoms in interfaces(*PAIRS["LiF|Li3N"], max_area_A2=160.0):
        about, (bottom, top) = atoms.info["philic"], halves(atoms)
        highest = bottom.positions[:, 2] > bottom.positions[:, 2].max() - 0.1
        lowest = top.positions[:, 2] < top.positions[:, 2].min() + 0.1
        for part, outermost, side in ((bottom, highest, "substrate"), (top, lowest, "film")):
            assert set(part.symbols[outermost]) == set(Formula(about[side]["termination"]))


def test_a_face_that_only_a_polar_slab_shows_is_left_out_where_there_are_better_ones() -> None:
    found = interfaces(LI2O, CU, (1, 1, 1), (1, 1, 1), max_area_A2=160.0, max_strain=0.1)
    assert {atoms.info["philic"]["film"]["termination"] for atoms in found} == {"Li over O", "O"}
    assert not any(atoms.info["philic"]["film"]["polar"] for atoms in found)


@pytest.mark.parametrize(
    ("film", "substrate"),
    [(K, known("M2CO3", "K")), (bulk_metal("Li"), known("M3PO4", "Li")), (known("M2CO3", "K"), K)],
    ids=["K|K2CO3", "Li|Li3PO4", "K2CO3|K"],
)
def test_no_interface_cuts_a_molecular_unit(film: Atoms, substrate: Atoms) -> None:
    for atoms in interfaces(film, substrate, (1, 0, 0), (1, 0, 0), max_area_A2=200.0, max_strain=0.12, film_thickness_A=6.0):
        for part, crystal in zip(halves(atoms), (substrate, film), strict=True):
            part.cell[2, 2] += 20.0
            held, whole = ([sorted(cell.symbols[unit]) for unit in molecular_units(cell)] for cell in (part, crystal))
            assert all(unit in whole for unit in held)
            assert len(held) * len(crystal) == len(whole) * len(part)


def test_the_film_is_turned_over_so_that_its_indices_point_up() -> None:
    blende = bulk("ZnS", "zincblende", a=5.41, cubic=True)
    film = halves(interfaces(blende, CU, (1, 1, 1), (1, 1, 1), max_area_A2=120.0, max_strain=0.1)[0])[1]
    zinc, sulfur = film[film.symbols == "Zn"], film[film.symbols == "S"]
    over = sulfur.positions - zinc.positions[:, None] - (0, 0, 5.41 * 3**0.5 / 4)  # [111] leads from Zn to S
    nearest = np.linalg.norm(find_mic(over.reshape(-1, 3), film.cell)[0], axis=1).reshape(len(zinc), -1).min(axis=1)
    assert (nearest < 0.3).sum() >= len(zinc) - len(zinc) // 4
    dipole = 2 * (zinc.positions[:, 2].sum() - sulfur.positions[:, 2].sum())
    cells = abs(np.linalg.det(film.info["philic"]["film_matrix"]))
    assert film.info["philic"]["film"]["dipole_e_A"] == pytest.approx(dipole / cells, abs=1e-3)


def test_slabs_of_other_builders_are_laid_on_each_other_too() -> None:
    sheet, metal = graphene((1, 1)), slab(K, (1, 1, 0), layers=3)
    before = sheet.copy(), metal.copy()
    atoms = coherent(metal, sheet, max_area_A2=120.0, max_strain=0.06)[0]
    assert (sheet, metal) == before
    assert set(atoms.symbols[: atoms.info["philic"]["n_substrate"]]) == {"C"}
    assert atoms.info["philic"]["film"]["host"] == "K(110)"


def test_a_slab_cut_in_two_by_its_cell_is_put_together() -> None:
    copper = fcc111("Cu", (1, 1, 4), a=3.6, vacuum=6.0, periodic=True)
    split = copper.copy()
    split.translate((0, 0, -8.0))
    split.wrap()
    film = slab(K, (1, 1, 1), layers=3)
    one, other = (coherent(film, part, max_area_A2=120.0)[0] for part in (copper, split))
    assert np.ptp(split.positions[:, 2]) > 12
    assert other.cell.cellpar() == pytest.approx(one.cell.cellpar())


@pytest.mark.parametrize(
    ("limits", "mend"),
    [
        ({"max_area_A2": 10.0}, "raise `max_area_A2` to 79"),
        ({"max_strain": 0.001}, "raise `max_strain` to 0.038"),
        (
            {"max_area_A2": 100.0, "max_strain": 0.0375},
            "raise `max_strain` to 0.038, or raise `max_area_A2` to 114",
        ),
    ],
)
def test_where_nothing_matches_the_limit_to_relax_is_named_and_relaxing_it_works(
    limits: dict[str, float], mend: str
) -> None:
    pair = (K, AL, (1, 1, 0), (1, 1, 1))
    with pytest.raises(ValueError, match=r"but no cell of .* on Al") as refused:
        interfaces(*pair, **limits)
    assert str(refused.value).endswith(mend)
    for name, value in re.findall(r"raise `(\w+)` to ([\d.]+)", mend):
        assert interfaces(*pair, **{**limits, name: float(value)})


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"max_area_A2": 0.0}, "`max_area_A2` is 0.0 but must be above 0"),
        ({"max_strain": -0.1}, "`max_strain` is -0.1 but must be from 0 to below 0.3"),
        ({"gap_A": 0.0}, "`gap_A` is 0.0 but must be above 0"),
        ({"vacuum_A": -1.0}, "`vacuum_A` is -1.0 but must be at least 0"),
        ({"film_thickness_A": 0.0}, "`thickness_A` is 0.0 but must be above 0"),
        ({"film_miller": (0, 0, 0)}, "`miller` is (0, 0, 0) but at least one index must differ from 0"),
    ],
)
def test_an_impossible_interface_is_refused(argument: dict[str, object], message: str) -> None:
    wanted = {"film_miller": (1, 0, 0), "substrate_miller": (1, 0, 0), **argument}
    with pytest.raises(ValueError, match=re.escape(message)):
        interfaces(K, KF, **wanted)  # type: ignore[arg-type]


def test_what_is_no_interface_is_refused() -> None:
    message = "`interface` is K2 but must come from `interfaces` or `coherent`"
    for build in (halves, film_gap_A, lambda atoms: shift_film(atoms, (0, 0))):
        with pytest.raises(ValueError, match=message):
            build(K)
    with pytest.raises(ValueError, match=re.escape("`gap_A` is -1.0 but must be above 0")):
        shift_film(best("metal|SEI"), (0, 0), gap_A=-1.0)
