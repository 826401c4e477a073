import json
import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core.surface import Slab
from pymatgen.io.ase import AseAtomsAdaptor

from philic.structures.crystals.charges import formal_charges
from philic.structures.crystals.crystals import crystal as known
from philic.structures.surfaces.cuts import polarity_e_per_A2
from philic.structures.surfaces.slabs import shown_miller, slab, terminations
from philic.structures.symmetry.symmetry import symmetry_of

few = settings(max_examples=15, deadline=None, derandomize=True)
index = st.integers(-3, 3)
millers = st.tuples(index, index, index).filter(any)


def fluoride() -> Atoms:
    return bulk("KF", "rocksalt", a=5.34, cubic=True)


def lithia() -> Atoms:
    return crystal(["O", "Li"], [(0, 0, 0), (0.25, 0.25, 0.25)], spacegroup=225, cellpar=[4.62] * 3 + [90] * 3)


def peroxide() -> Atoms:
    """A made-up cubic crystal of metal ions and whole O2 molecules along [111], to see that none is cut."""
    return Atoms(
        "NaO2",
        scaled_positions=[(0.5, 0.5, 0.5), (0.92, 0.92, 0.92), (0.08, 0.08, 0.08)],
        cell=[5.5] * 3,
        pbc=True,
    )


CRYSTALS = {
    "Cu": bulk("Cu", cubic=True),
    "K": bulk("K", cubic=True),
    "Mg": bulk("Mg"),
    "Si": bulk("Si", cubic=True),
    "KF": fluoride(),
    "Li2O": lithia(),
    "NaO2": peroxide(),
}


@few
@given(
    name=st.sampled_from(sorted(CRYSTALS)),
    miller=millers,
    layers=st.integers(1, 6),
    vacuum_A=st.floats(5, 20),
    size=st.tuples(st.integers(1, 2), st.integers(1, 2)),
)
def test_any_cut_keeps_the_vacuum_the_distances_and_the_smallest_cell(
    name: str, miller: tuple[int, int, int], layers: int, vacuum_A: float, size: tuple[int, int]
) -> None:
    host = CRYSTALS[name]
    cut = slab(host, miller, layers=layers, vacuum_A=vacuum_A, size=size)
    z, about = cut.positions[:, 2], cut.info["philic"]
    assert cut.cell[2, 2] - np.ptp(z) == pytest.approx(vacuum_A)
    assert (z.min() + z.max()) / 2 == pytest.approx(cut.cell[2, 2] / 2)
    assert cut.cell.array[[0, 0, 1, 2, 2], [1, 2, 2, 0, 1]] == pytest.approx(0, abs=1e-9)
    assert np.linalg.det(cut.cell) > 0
    assert layers <= about["layers"] == len(set(cut.get_tags()))
    assert json.loads(json.dumps(about)) == about
    distances = cut.get_all_distances(mic=True) + 99 * np.eye(len(cut))
    doubled = host.repeat(2).get_all_distances(mic=True)
    assert distances.min() >= doubled[doubled > 1e-6].min() - 1e-6


@few
@given(name=st.sampled_from(sorted(CRYSTALS)), miller=millers)
def test_the_in_plane_cell_is_the_smallest(name: str, miller: tuple[int, int, int]) -> None:
    cut = slab(CRYSTALS[name], miller, layers=4)
    turns = symmetry_of(cut, 0.01).rotations
    assert (turns == np.eye(3)).all(axis=(1, 2)).sum() == 1


@few
@given(miller=millers, layers=st.integers(1, 7))
def test_an_element_with_like_planes_gets_exactly_the_layers_asked_for(miller: tuple[int, int, int], layers: int) -> None:
    for name in ("Cu", "K"):
        cut = slab(CRYSTALS[name], miller, layers=layers)
        assert len(cut) == cut.info["philic"]["layers"] == layers
        assert cut.info["philic"]["symmetric"]


@few
@given(name=st.sampled_from(["Cu", "KF", "Li2O", "Si", "Mg"]), miller=millers)
def test_a_slab_called_symmetric_has_an_operation_that_turns_it_over(name: str, miller: tuple[int, int, int]) -> None:
    cut = slab(CRYSTALS[name], miller, layers=3)
    turns_over = bool((symmetry_of(cut, 0.01).rotations[:, 2, 2] == -1).any())
    assert turns_over == cut.info["philic"]["symmetric"]
    assert cut.info["philic"]["dipole_e_A"] == pytest.approx(0, abs=1e-3) or cut.info["philic"]["polar"]


@pytest.mark.parametrize(
    ("name", "miller", "spacing"),
    [
        ("Cu", (1, 1, 1), 3.61 / 3**0.5),
        ("Cu", (1, 0, 0), 3.61 / 2),
        ("K", (1, 1, 0), 5.23 / 2**0.5),
        ("K", (1, 0, 0), 5.23 / 2),
        ("KF", (1, 0, 0), 5.34 / 2),
        ("KF", (1, 1, 0), 5.34 / 8**0.5),
    ],
)
def test_layers_are_as_far_apart_as_lattice_planes(name: str, miller: tuple[int, int, int], spacing: float) -> None:
    z = np.unique(slab(CRYSTALS[name], miller, layers=5).positions[:, 2].round(6))
    assert np.diff(z) == pytest.approx(spacing, abs=1e-5)


@pytest.mark.parametrize(("miller", "tasker"), [((1, 0, 0), 1), ((1, 1, 0), 1), ((2, 1, 0), 1)])
def test_the_neutral_planes_of_a_rock_salt_make_a_slab_of_type_1(miller: tuple[int, int, int], tasker: int) -> None:
    for layers in (3, 4):
        about = slab(fluoride(), miller, layers=layers).info["philic"]
        assert (about["tasker"], about["layers"], about["polar"]) == (tasker, layers, False)
        assert about["stoichiometric"]
        assert about["symmetric"]


def test_antifluorite_111_is_cut_between_its_lithium_planes_without_a_dipole() -> None:
    # Li-O-Li trilayers: Tasker's type 2
    cut = slab(lithia(), (1, 1, 1), layers=4)
    about = cut.info["philic"]
    assert [str(cut[cut.get_tags() == tag].symbols) for tag in range(1, 7)] == ["Li", "O", "Li"] * 2
    assert (about["tasker"], about["polar"], about["termination"]) == (2, False, "Li over O")
    assert about["charge_e"] == about["dipole_e_A"] == 0


def test_a_polar_cut_that_is_asked_for_says_so() -> None:
    cut = slab(lithia(), (1, 1, 1), layers=6, termination="Li over Li")
    assert terminations(lithia(), (1, 1, 1)) == ["Li over Li", "Li over O", "O"]
    assert str(cut[cut.get_tags() <= 2].symbols) == "Li2"
    assert (cut.info["philic"]["tasker"], cut.info["philic"]["polar"]) == (3, True)
    assert slab(lithia(), (1, 1, 1), layers=6, termination="Li").info["philic"]["termination"] == "Li over O"


CESIUM_CHLORIDE = bulk("CsCl", "cesiumchloride", a=4.12)
BY_HAND = [  # crystal, plane, upper face, what was moved, and how many faces of the crystal's cell the slab's cell covers
    (known("MF", "K"), (1, 0, 0), "KF", None, 1 / 2),
    (known("MF", "K"), (1, 1, 0), "KF", None, 2**-0.5),
    (known("MF", "K"), (1, 1, 1), "K", "K", 3**0.5 / 2),
    (known("M2O", "K"), (1, 0, 0), "K", "K", 1 / 2),
    (known("M2O", "K"), (1, 1, 0), "K2O", None, 2**-0.5),
    (known("M2O", "K"), (1, 1, 1), "K over O", None, 3**0.5 / 4),
    (CESIUM_CHLORIDE, (1, 0, 0), "Cs", "Cs", 2),
    (known("M2CO3", "Li"), (0, 0, 1), "Li over CO3", None, 1 / 2),
    (known("M3PO4", "K"), (1, 0, 0), "K over PO4 #1", None, 1),
    (known("MAl11O17", "Na"), (0, 0, 1), "NaO", "NaO", 2),
]


@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")  # spglib's, called by pymatgen
@pytest.mark.parametrize(("cell", "miller", "termination", "moved", "cells"), BY_HAND)
def test_faces_are_those_worked_out_by_hand_and_pymatgen_judges_them_alike(
    cell: Atoms, miller: tuple[int, int, int], termination: str, moved: str | None, cells: float
) -> None:
    cut = slab(cell, miller, thickness_A=7.0)
    about = cut.info["philic"]
    a, b, c = cell.cell.array
    area = np.linalg.norm(np.cross(b, c) if miller == (1, 0, 0) else np.cross(a, b))
    assert (about["termination"], about["half_moved"]) == (termination, moved)
    assert about["area_A2"] == pytest.approx(cells * area)
    charges = formal_charges(cell)
    states = {str(symbol): charge for symbol, charge in zip(cell.symbols, charges, strict=True)}
    other = AseAtomsAdaptor.get_structure(cut)
    other.add_oxidation_state_by_element(states)
    judged = Slab(other.lattice, other.species, other.frac_coords, miller, other, 0, np.eye(3), reorient_lattice=False)
    assert (judged.is_polar(), judged.is_symmetric(), judged.charge) == (False, True, 0)


def test_the_dipole_of_a_rock_salts_charged_planes_is_cured_by_half_a_plane() -> None:
    neat = slab(fluoride(), (1, 1, 1), layers=6)
    about = neat.info["philic"]
    assert (about["tasker"], about["symmetric"], about["stoichiometric"], about["polar"]) == (3, True, True, False)
    assert (about["half_moved"], about["charge_e"], about["dipole_e_A"]) == ("K", 0.0, 0.0)
    counts = [int((neat.get_tags() == tag).sum()) for tag in range(1, about["layers"] + 1)]
    assert counts == [1, 2, 2, 2, 2, 2, 1]
    assert about["area_A2"] == pytest.approx(2 * 5.34**2 * 3**0.5 / 4)


def test_a_slab_is_polar_from_two_thousandths_of_an_electron_per_square_angstrom_on() -> None:
    assert polarity_e_per_A2(0.0019 * 50 * 8, 50, 8) == 0
    assert polarity_e_per_A2(-0.0021 * 50 * 8, 50, 8) == pytest.approx(0.0021)
    blende = bulk("ZnS", "zincblende", a=5.41, cubic=True)
    about = slab(blende, (1, 1, 1), layers=4).info["philic"]
    assert abs(about["dipole_e_A"]) == pytest.approx(2 * 2 * 5.41 * 3**0.5 / 12, rel=1e-3)  # of two double layers
    assert about["polar"]


@pytest.mark.parametrize("termination", ["K", "F"])
def test_the_upper_face_is_the_termination_asked_for(termination: str) -> None:
    cut = slab(fluoride(), (1, 1, 1), layers=4, termination=termination, symmetric=True)
    for tag in (1, cut.info["philic"]["layers"]):
        assert set(cut[cut.get_tags() == tag].symbols) == {termination}
    assert cut.info["philic"]["termination"] == termination


@few
@given(miller=millers)
def test_no_molecular_ion_is_ever_cut(miller: tuple[int, int, int]) -> None:
    cut = slab(peroxide(), miller, layers=2)
    oxygen = cut[cut.symbols == "O"]
    bonds = (oxygen.get_all_distances(mic=True) + 99 * np.eye(len(oxygen)) < 1.6).sum(axis=1)
    assert (bonds == 1).all()


def test_silicon_111_is_cut_where_one_bond_an_atom_breaks() -> None:
    z = np.unique(slab(CRYSTALS["Si"], (1, 1, 1), layers=4).positions[:, 2].round(4))
    assert z[1] - z[0] == pytest.approx(5.43 / 3**0.5 / 4, abs=1e-3)  # the narrow gap of a double layer


@pytest.mark.parametrize("termination", ["SrO", "TiO2"])
def test_neutral_planes_are_of_type_1_even_where_equal_faces_cost_stoichiometry(termination: str) -> None:
    # SrTiO3(001) is the textbook's stack of neutral planes: SrO, TiO2
    cube = [3.905] * 3 + [90] * 3
    titanate = crystal(["Sr", "Ti", "O"], [(0, 0, 0), (0.5,) * 3, (0.5, 0.5, 0)], spacegroup=221, cellpar=cube)
    about = slab(titanate, (0, 0, 1), layers=5, termination=termination, symmetric=True).info["philic"]
    assert (about["tasker"], about["stoichiometric"], about["polar"]) == (1, False, False)


def test_own_charges_go_before_guessed_ones() -> None:
    neutral = fluoride()
    neutral.set_initial_charges([1e-9] * len(neutral))
    about = slab(neutral, (1, 1, 1), layers=6).info["philic"]
    assert about["stoichiometric"]
    assert not about["polar"]


def test_an_alloy_of_bismuth_has_zintl_charges() -> None:
    bismuthide = crystal(
        ["K", "K", "Bi"],
        [(0, 0, 0.25), (1 / 3, 2 / 3, 0.583), (1 / 3, 2 / 3, 0.25)],
        spacegroup=194,
        cellpar=[6.19, 6.19, 10.96, 90, 90, 120],
    )
    about = slab(bismuthide, (1, 1, 0), layers=3).info["philic"]
    assert (about["host"], about["tasker"], about["polar"]) == ("K3Bi(110)", 1, False)


def test_thickness_is_at_least_what_was_asked_and_not_a_layer_more() -> None:
    for thickness_A in (4.0, 9.9, 10.1):
        cut = slab(CRYSTALS["Cu"], (1, 1, 1), thickness_A=thickness_A)
        spacing = 3.61 / 3**0.5
        assert thickness_A <= np.ptp(cut.positions[:, 2]) < thickness_A + spacing


def test_the_lowest_layers_are_held() -> None:
    cut = slab(fluoride(), (1, 0, 0), layers=4, fixed_layers=2, size=(2, 1))
    held = cut.constraints[0].index
    assert len(held) == len(cut) // 2
    assert cut.positions[held, 2].max() < np.delete(cut.positions[:, 2], held).min()


def test_the_primitive_cell_gives_the_slab_of_the_cube() -> None:
    primitive = bulk("Cu")
    direct = slab(CRYSTALS["Cu"], (1, 0, 0), layers=3)
    # the cube's (100) is (011) of ASE's primitive cell
    other = slab(primitive, (0, 1, 1), layers=3)
    assert sorted(other.cell.cellpar()) == pytest.approx(sorted(direct.cell.cellpar()))
    assert len(other) == len(direct) == 3


def test_the_crystal_is_left_untouched_and_its_info_kept() -> None:
    host = bulk("K", cubic=True)
    host.info["philic"] = {"family": "metal", "metal": "K"}
    before = host.copy()
    about = slab(host, (1, 1, 0), layers=3).info["philic"]
    assert host == before
    assert host.info == {"philic": {"family": "metal", "metal": "K"}}
    assert (about["family"], about["metal"], about["host"]) == ("metal", "K", "K(110)")


def test_negative_indices_are_shown_with_spaces() -> None:
    assert shown_miller((1, -1, 0)) == "1 -1 0"


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"miller": (0, 0, 0)}, "`miller` is (0, 0, 0) but at least one index must differ from 0"),
        ({"miller": (1, 0, -1, 0)}, "`miller` is (1, 0, -1, 0) but must be three indices: of four, leave out the third"),
        ({"layers": 0}, "`layers` is 0 but must be at least 1"),
        ({"layers": None}, "`layers` is None and `thickness_A` is None but one of the two must be given"),
        ({"thickness_A": 5.0}, "`layers` is 3 and `thickness_A` is 5.0 but one of the two must be given"),
        ({"layers": None, "thickness_A": -2.0}, "`thickness_A` is -2.0 but must be above 0"),
        ({"vacuum_A": -1.0}, "`vacuum_A` is -1.0 but must be above 0"),
        ({"fixed_layers": -1}, "`fixed_layers` is -1 but must be at least 0"),
        ({"fixed_layers": 4}, "`fixed_layers` is 4 but the slab has only 3 layers"),
        ({"size": (0, 1)}, "`size` is (0, 1) but both numbers must be at least 1"),
        ({"termination": "Rb"}, "`termination` is 'Rb' but KF(100) has: KF"),
        (
            {"miller": (1, 1, 1), "termination": "Rb"},
            "`termination` is 'Rb' but KF(111) has: F, K",
        ),
    ],
)
def test_an_impossible_slab_is_refused(argument: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"miller": (1, 0, 0), "layers": 3, **argument}
    with pytest.raises(ValueError, match=re.escape(message)):
        slab(fluoride(), **arguments)  # type: ignore[arg-type]


def test_a_crystal_with_overlapping_atoms_is_refused() -> None:
    host = fluoride()
    host += Atoms("K", positions=[host.positions[0] + (0.4, 0, 0)])
    message = "`crystal` has atoms 0 (K) and 8 (K) 0.40 A apart but they must be at least 2.03 A apart"
    for ask in (lambda: slab(host, (1, 0, 0), layers=3), lambda: terminations(host, (1, 0, 0))):
        with pytest.raises(ValueError, match=re.escape(message)):
            ask()


def test_a_slab_is_cut_from_what_repeats_in_three_directions() -> None:
    sheet = slab(CRYSTALS["Cu"], (1, 1, 1), layers=2)
    sheet.pbc = (True, True, False)
    with pytest.raises(ValueError, match=re.escape("`crystal` is Cu2 with pbc [True, True, False] but must be periodic")):
        slab(sheet, (1, 0, 0), layers=3)


def test_equal_faces_that_cannot_be_had_are_refused() -> None:
    blende = bulk("ZnS", "zincblende", a=5.41, cubic=True)  # no operation turns [111] over
    assert slab(blende, (1, 1, 1), layers=4).info["philic"]["tasker"] == 3
    with pytest.raises(ValueError, match=re.escape("`symmetric` is True but no such slab of ZnS(111) has two equal faces")):
        slab(blende, (1, 1, 1), layers=4, symmetric=True)
