import json
import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.formula import Formula
from ase.spacegroup import crystal as spaced
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree  # type: ignore[import-untyped]

from philic.structures.crystals.charges import formal_charge
from philic.structures.crystals.supercells import shortest_vector_A, supercell_for
from philic.structures.defects.defects import frenkel_pair, interstitial, interstitial_sites, vacancy, vacancy_sites

KF = bulk("KF", "rocksalt", a=5.34)
KF_CUBE = bulk("KF", "rocksalt", a=5.34, cubic=True)
LI2O = spaced(["Li", "O"], [(0.25, 0.25, 0.25), (0, 0, 0)], spacegroup=225, cellpar=[4.62] * 3 + [90] * 3)
LI3N = spaced(
    ["Li", "N", "Li"],
    [(0, 0, 0.5), (0, 0, 0), (1 / 3, 2 / 3, 0)],
    spacegroup=191,
    cellpar=[3.65, 3.65, 3.88, 90, 90, 120],
)
K = bulk("K", cubic=True)
CRYSTALS = {"KF": KF, "KF cube": KF_CUBE, "Li2O": LI2O, "Li3N": LI3N, "K": K, "hcp": bulk("Mg")}
METAL = {"KF": "K", "KF cube": "K", "Li2O": "Li", "Li3N": "Li", "K": "K", "hcp": "Na"}
few = settings(max_examples=8, deadline=None)


def disguised(atoms: Atoms, seed: int) -> Atoms:
    """The same crystal with another origin, order of atoms, orientation and supercell."""
    random = np.random.default_rng(seed)
    wide = make_supercell(atoms, [[1, 0, 0], [0, 2, 0], [random.integers(0, 2), 0, 1]])
    wide = wide[random.permutation(len(wide))]
    wide.translate(random.uniform(-9, 9, 3))
    wide.rotate(random.uniform(0, 360), random.normal(size=3), rotate_cell=True)
    wide.wrap()
    return wide


def nearest_A(atoms: Atoms) -> float:
    distances = atoms.get_all_distances(mic=True)
    return float(distances[distances > 1e-6].min()) if len(atoms) > 1 else np.inf


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("KF", [("F", 1), ("K", 1)]),
        ("KF cube", [("F", 4), ("K", 4)]),
        ("Li2O", [("Li", 8), ("O", 4)]),
        ("Li3N", [("Li #1", 1), ("Li #2", 2), ("N", 1)]),
        ("K", [("K", 2)]),
        ("hcp", [("Mg", 2)]),
    ],
)
def test_lattice_sites_are_the_orbits_of_the_space_group(name: str, expected: list[tuple[str, int]]) -> None:
    assert [(site.label, site.multiplicity) for site in vacancy_sites(CRYSTALS[name])] == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("KF cube", [(8, 5.34 * 3**0.5 / 4)]),  # the middle of each eighth of the cube
        ("Li2O", [(4, 4.62 * 3**0.5 / 4)]),  # the empty cube of lithium: the octahedron of oxygen
        ("K", [(12, 5.23 * 5**0.5 / 4)]),  # bcc: the tetrahedra
        ("hcp", [(2, 2.2657), (4, 1.9621)]),  # the octahedra, then the tetrahedra
    ],
)
def test_voids_are_the_textbook_interstices(name: str, expected: list[tuple[int, float]]) -> None:
    sites = interstitial_sites(CRYSTALS[name], METAL[name])
    assert [site.multiplicity for site in sites] == [multiplicity for multiplicity, _ in expected]
    assert [site.distance_A for site in sites] == pytest.approx([size for _, size in expected], abs=1e-3)


BISMUTHIDE = spaced(
    ["K", "K", "Bi"],
    [(0, 0, 0.25), (1 / 3, 2 / 3, 0.583), (1 / 3, 2 / 3, 0.25)],
    spacegroup=194,
    cellpar=[6.19, 6.19, 10.96, 90, 90, 120],
)


@pytest.mark.parametrize(("crystal", "metal"), [(KF, "K"), (LI2O, "Li"), (bulk("Mg"), "Na"), (BISMUTHIDE, "K")])
def test_the_largest_void_is_where_a_fine_grid_is_farthest_from_all_atoms(crystal: Atoms, metal: str) -> None:
    fine = np.linspace(0, 1, 24, endpoint=False)
    grid = np.stack(np.meshgrid(fine, fine, fine), axis=-1).reshape(-1, 3) @ crystal.cell.array
    images = crystal.repeat(3).positions - crystal.cell.array.sum(axis=0)
    farthest = cKDTree(images).query(grid)[0].max()
    largest = interstitial_sites(crystal, metal)[0].distance_A
    assert farthest - 0.1 < largest < farthest + 0.2  # two maxima within 1 Å are one void, at the middle


def test_silicon_has_a_tetrahedral_and_a_hexagonal_interstice() -> None:
    sites = interstitial_sites(bulk("Si", "diamond", a=5.43), "Li")
    sizes = [5.43 * 3**0.5 / 4, 5.43 * 11**0.5 / 8]
    assert [site.multiplicity for site in sites] == [2, 4]
    assert [site.distance_A for site in sites] == pytest.approx(sizes, abs=1e-3)


@few
@example(name="Li3N", seed=0)  # spglib puts its mirror plane 0.02 Å off
@given(name=st.sampled_from(sorted(CRYSTALS)), seed=st.integers(0, 999))
def test_sites_do_not_depend_on_how_the_crystal_is_written_down(name: str, seed: int) -> None:
    plain = CRYSTALS[name]
    other = disguised(plain, seed)
    for sites in (vacancy_sites, lambda crystal: interstitial_sites(crystal, METAL[name])):
        one, two = sites(plain), sites(other)
        assert [site.label for site in two] == [site.label for site in one]
        assert [site.multiplicity for site in two] == [2 * site.multiplicity for site in one]
        assert [site.distance_A for site in two] == pytest.approx([site.distance_A for site in one], abs=1e-3)


def test_the_noise_of_a_relaxation_splits_no_void() -> None:
    cube = KF_CUBE.copy()
    cube.rattle(0.005, seed=1)
    assert [site.multiplicity for site in interstitial_sites(cube, "K")] == [8]


@pytest.mark.parametrize("name", sorted(CRYSTALS))
def test_a_vacancy_cell_loses_exactly_one_atom(name: str) -> None:
    crystal = CRYSTALS[name]
    whole = supercell_for(crystal, 9.0)
    for site in vacancy_sites(crystal):
        atoms = vacancy(crystal, site, min_image_A=9.0)
        counts = whole.symbols.formula.count()
        counts[str(site.element)] -= 1
        assert atoms.symbols.formula.count() == counts
        about = atoms.info["philic"]
        assert Formula(about["formula"]).count() == counts
        assert json.loads(json.dumps(about)) == about


@pytest.mark.parametrize("name", sorted(CRYSTALS))
def test_an_interstitial_is_one_atom_more_as_far_from_the_others_as_its_site_says(name: str) -> None:
    crystal, metal = CRYSTALS[name], METAL[name]
    for site in interstitial_sites(crystal, metal):
        atoms = interstitial(crystal, metal, site, min_image_A=9.0)
        assert len(atoms) == len(supercell_for(crystal, 9.0)) + 1
        assert atoms.symbols[-1] == metal
        away = atoms.get_distances(-1, range(len(atoms) - 1), mic=True)
        assert away.min() == pytest.approx(site.distance_A, abs=1e-3)


def test_a_frenkel_pair_keeps_composition_and_order_and_is_as_far_apart_as_asked() -> None:
    lattice, void = vacancy_sites(KF, "K")[0], interstitial_sites(KF, "K")[0]
    whole = supercell_for(KF, 10.0)
    far = frenkel_pair(KF, "K", lattice, void)
    near = frenkel_pair(KF, "K", lattice, void, apart_A=3.0)
    for pair in (far, near):
        assert (pair.numbers == whole.numbers).all()
        moved = np.linalg.norm(pair.positions - whole.positions, axis=1) > 1e-6
        assert moved.sum() == 1
        assert pair.symbols[moved] == "K"
        index = int(np.flatnonzero(moved)[0])
        others = np.delete(np.arange(len(pair)), index)
        assert pair.get_distances(index, others, mic=True).min() == pytest.approx(void.distance_A, abs=1e-3)
        assert pair.info["philic"]["formal_charge"] == 0
    assert near.info["philic"]["apart_A"] == pytest.approx(5.34 * 11**0.5 / 4)  # the second shell of voids
    assert far.info["philic"]["apart_A"] > near.info["philic"]["apart_A"]


@pytest.mark.parametrize(("element", "charge"), [("Li", -1), ("O", 2)])
def test_a_missing_ion_leaves_the_opposite_of_its_charge(element: str, charge: int) -> None:
    site = vacancy_sites(LI2O, element)[0]
    assert vacancy(LI2O, site, min_image_A=4.0).info["philic"]["formal_charge"] == charge


def test_formal_charges_are_the_chemists_and_none_where_there_are_none() -> None:
    assert formal_charge(KF, "K") == 1
    assert formal_charge(LI3N, "N") == -3
    assert formal_charge(K, "K") == 0
    assert formal_charge(Atoms("K3Bi"), "K") == 1
    assert formal_charge(Atoms("NaK"), "K") is None
    assert formal_charge(KF, "Na") == 1
    assert formal_charge(K, "Na") is None  # a foreign atom of an alloy, not an ion


@few
@given(name=st.sampled_from(sorted(CRYSTALS)), least=st.floats(3, 16))
def test_images_in_a_supercell_are_at_least_as_far_apart_as_asked(name: str, least: float) -> None:
    crystal = CRYSTALS[name]
    before = crystal.copy()
    cell = supercell_for(crystal, least)
    matrix = np.array(cell.info["philic"]["supercell"])
    assert shortest_vector_A(cell) == pytest.approx(cell.info["philic"]["image_distance_A"])
    assert shortest_vector_A(cell) >= least - 1e-6
    assert len(cell) == len(crystal) * round(np.linalg.det(matrix))
    assert cell.get_volume() == pytest.approx(crystal.get_volume() * len(cell) / len(crystal))
    assert nearest_A(cell) == pytest.approx(nearest_A(supercell_for(crystal, 9.0)))
    assert cell.symbols.formula.reduce()[0] == crystal.symbols.formula.reduce()[0]
    assert crystal == before


def test_a_supercell_grows_along_its_short_directions_only() -> None:
    flat = Atoms("KF", scaled_positions=[(0, 0, 0), (0.5, 0.5, 0.5)], cell=[4, 4, 12], pbc=True)
    assert supercell_for(flat, 11.9).info["philic"]["supercell"] == [[3, 0, 0], [0, 3, 0], [0, 0, 1]]


def test_a_primitive_cell_may_grow_into_a_cube() -> None:
    assert supercell_for(KF, 5.3).cell.cellpar() == pytest.approx([5.34] * 3 + [90] * 3)


def test_the_crystal_and_its_info_are_left_untouched() -> None:
    crystal = KF.copy()
    crystal.info["philic"] = {"host": "KF", "source": "test"}
    before, info = crystal.copy(), dict(crystal.info["philic"])
    atoms = vacancy(crystal, vacancy_sites(crystal)[0])
    interstitial(crystal, "K", interstitial_sites(crystal, "K")[0])
    assert crystal == before
    assert crystal.info["philic"] == info
    assert atoms.info["philic"]["source"] == "test"


def test_what_cannot_be_is_refused() -> None:
    lattice, void = vacancy_sites(KF, "K")[0], interstitial_sites(KF, "K")[0]
    refused = [
        (lambda: vacancy_sites(KF, "Na"), "`element` is 'Na' but KF holds only: F, K"),
        (lambda: interstitial_sites(KF, "Mg"), "`metal` is 'Mg' but must be one of: Li, Na, K, Rb, Cs"),
        (lambda: vacancy(KF, void), "`site` is 'void #1' but a vacancy needs a lattice site"),
        (
            lambda: interstitial(KF, "K", lattice),
            "`site` is 'K' but must be a void: see `interstitial_sites`",
        ),
        (
            lambda: interstitial(LI2O, "Li", void),
            "`site` is 'void #1' 2.31 A from an atom but in this crystal it is",
        ),
        (
            lambda: frenkel_pair(KF, "K", vacancy_sites(KF, "F")[0], void),
            "`lattice_site` is 'F' but must be a lattice site of K",
        ),
        (
            lambda: frenkel_pair(KF, "K", lattice, void, apart_A=50.0),
            "`apart_A` is 50.0 but the farthest void is 6.94 A from the vacancy: lower it or raise",
        ),
        (
            lambda: vacancy(KF, lattice, min_image_A=3.0),
            "`min_image_A` is 3.0 but its supercell KF has only one K: raise it",
        ),
        (lambda: supercell_for(KF, 0.0), "`min_image_A` is 0.0 but must be above 0"),
        (
            lambda: vacancy(LI2O, lattice),
            "`crystal` is Li2O with no K at (0.00, 0.00, 0.00) but must be the one the site was found in",
        ),
    ]
    for build, message in refused:
        with pytest.raises(ValueError, match=re.escape(message)):
            build()


def test_a_slab_or_overlapping_atoms_are_no_crystal() -> None:
    slab = KF.copy()
    slab.pbc = (True, True, False)
    with pytest.raises(
        ValueError,
        match=re.escape("`crystal` is KF with pbc [True, True, False] but must be periodic in all three directions"),
    ):
        vacancy_sites(slab)
    double = KF + Atoms("K", positions=[(0.01, 0, 0)])
    with pytest.raises(ValueError, match="`crystal` is KFK with overlapping atoms but they must lie apart"):
        vacancy_sites(double)
