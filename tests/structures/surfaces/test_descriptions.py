"""The same crystal in another description gives the same slab, and no slab of the library breaks the laws."""

from collections.abc import Callable, Sequence
from itertools import cycle, islice

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.neighborlist import neighbor_list
from ase.spacegroup import crystal as spaced

from philic.structures.crystals.crystals import Crystal, crystal, crystals
from philic.structures.crystals.molecular_units import molecular_units
from philic.structures.surfaces.cuts import weakest_cut
from philic.structures.surfaces.slabs import slab, terminations
from philic.structures.surfaces.stacks import primitive_cell, stack_planes
from philic.structures.symmetry.symmetry import symmetry_of

Miller = tuple[int, int, int]
Describe = Callable[[Atoms, Miller], tuple[Atoms, Miller]]
THICKNESS_A = 6.0

COBALTATE = spaced(
    ["Li", "Co", "O"],
    [(0, 0, 0.5), (0, 0, 0), (0, 0, 0.2395)],
    spacegroup=166,
    cellpar=[2.8156, 2.8156, 14.0542, 90, 90, 120],
)
NICKELATE = spaced(
    ["Li", "Ni", "O"],
    [(0, 0, 0), (0, 0, 0.5), (0, 0, 0.258)],
    spacegroup=166,
    cellpar=[2.878, 2.878, 14.19, 90, 90, 120],
)
FACES: list[tuple[Atoms, Miller]] = [
    (COBALTATE, (0, 0, 1)),
    (NICKELATE, (1, 0, 2)),
    (crystal("M2O", "Li"), (1, 0, 0)),
    (bulk("CsCl", "cesiumchloride", a=4.12), (1, 0, 0)),
    (crystal("M2O2", "K"), (1, 0, 0)),
    (crystal("M2CO3", "K"), (0, 0, 1)),
    (crystal("M3PO4", "Li"), (1, 1, 0)),
    (crystal("MPO3", "K"), (0, 0, 1)),
    (crystal("M3VO4", "K"), (1, 1, 0)),
    (crystal("MOH", "K"), (0, 1, 0)),
    (crystal("KSn", "K"), (0, 0, 1)),
    (crystal("M3OCl", "Li"), (1, 0, 0)),
    (crystal("Li7Sn2", "Li"), (0, 0, 1)),  # two planes that differ in the pairs of Sn alone
    (crystal("LiSi", "Li"), (0, 1, 2)),
    (crystal("SnSSe"), (1, 0, 0)),
]
LOW_INDEX: list[Miller] = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1)]
ORDERED = [row for row in crystals() if not row.disordered]


def shown(value: object) -> str:
    return str(value.symbols) if isinstance(value, Atoms) else "".join(map(str, value))  # type: ignore[call-overload]


def moved(cell: Atoms, miller: Miller) -> tuple[Atoms, Miller]:
    """The same crystal from another origin, half a cell away."""
    other = cell.copy()
    other.positions += (0.5, 0.5, 0.5) @ cell.cell.array
    return other, miller


def left_handed(cell: Atoms, miller: Miller) -> tuple[Atoms, Miller]:
    """The same crystal with a and b swapped, shifted, its atoms in another order."""
    random = np.random.default_rng(0)
    other = cell[random.permutation(len(cell))]
    other.set_cell(cell.cell.array[[1, 0, 2]])
    other.positions += random.normal(size=3)
    other.wrap()
    return other, (miller[1], miller[0], miller[2])


def sheared(cell: Atoms, miller: Miller) -> tuple[Atoms, Miller]:
    """The same crystal with other lattice vectors, turned."""
    other = cell.copy()
    a, b, c = cell.cell.array
    other.set_cell([a, a + b, b + c])
    other.rotate(77, (1, 2, 3), rotate_cell=True)
    return other, (miller[0], miller[0] + miller[1], miller[1] + miller[2])


def doubled(cell: Atoms, miller: Miller) -> tuple[Atoms, Miller]:
    """The same crystal in a supercell."""
    other = make_supercell(cell, np.diag([1, 2, 1]))
    other.info = cell.info
    return other, (miller[0], 2 * miller[1], miller[2])


def primitive(cell: Atoms, miller: Miller) -> tuple[Atoms, Miller]:
    """The same crystal in its primitive cell."""
    other = primitive_cell(cell)
    indices = other.cell.array @ np.linalg.solve(cell.cell.array, miller) * (len(cell) // len(other))
    h, k, l = (int(i) for i in indices.round() // np.gcd.reduce(indices.round().astype(int)))  # noqa: E741
    return other, (h, k, l)


DESCRIPTIONS = [moved, left_handed, sheared, doubled, primitive]


def moments(cut: Atoms) -> np.ndarray:
    """Give the energy of an analytic pair potential over the area, and its first two moments along the normal."""
    first, second, apart = neighbor_list("ijd", cut, 6.0)
    scale = np.sqrt(cut.numbers[first] * cut.numbers[second])
    pairs = scale * (1.5 * np.exp(-apart / 0.7) - np.exp(-apart / 1.4)) * np.cos(np.pi * apart / 12) ** 2
    height = cut.positions[first, 2] - cut.positions[:, 2].min()
    return np.array([pairs.sum(), pairs @ height, pairs @ height**2]) / cut.info["philic"]["area_A2"]


def check_descriptions(one: Atoms, cell: Atoms, miller: Miller, descriptions: Sequence[Describe] = DESCRIPTIONS) -> None:
    expected = moments(one)
    for describe in descriptions:
        name, other = describe.__name__, slab(*describe(cell, miller), thickness_A=THICKNESS_A)
        for word in ("termination", "half_moved", "stoichiometric", "symmetric", "polar", "layers", "charge_e"):
            assert other.info["philic"][word] == one.info["philic"][word], (miller, name, word)
        assert len(other) == len(one), (miller, name)
        assert other.cell.cellpar() == pytest.approx(one.cell.cellpar(), abs=1e-3), (miller, name)
        assert other.info["philic"]["area_A2"] == pytest.approx(one.info["philic"]["area_A2"]), (miller, name)
        assert other.info["philic"]["dipole_e_A"] == pytest.approx(one.info["philic"]["dipole_e_A"], abs=1e-3), name
        assert moments(other) == pytest.approx(expected, rel=1e-4), (miller, name)


def copies(unit: list[str], held: list[list[str]]) -> int:
    """Count the units in a slab's clusters: what is left of a chain of LiPON holds some PO2, joined by N."""
    return sum(min(cluster.count(element) // unit.count(element) for element in set(unit)) for cluster in held)


def check_laws(cut: Atoms, cell: Atoms, miller: Miller) -> None:
    """Molecular units whole, whole formula units, no charge, and the dipole that is stated."""
    about, states = cut.info["philic"], cell.info["philic"].get("oxidation", {})
    whole = [sorted(cell.symbols[unit]) for unit in molecular_units(cell)]
    alone = Atoms(cut.symbols, cut.positions, cell=cut.cell, pbc=(True, True, False))
    alone.info["philic"] = {"oxidation": states}
    held = [sorted(alone.symbols[unit]) for unit in molecular_units(alone)]
    for unit in {"".join(unit): unit for unit in whole}.values():
        for element in set(unit):  # one that is in such units alone, as the Sn of Li7Sn2 is not
            if whole.count(unit) * unit.count(element) == list(cell.symbols).count(element):
                assert copies(unit, held) * unit.count(element) == list(cut.symbols).count(element), (miller, unit)
    assert cut.symbols.formula.reduce()[0] == cell.symbols.formula.reduce()[0]
    assert (about["stoichiometric"], about["charge_e"]) == (True, 0.0)
    if states:
        charges = np.array([states[symbol] for symbol in cut.symbols])
        assert charges @ cut.positions[:, 2] == pytest.approx(about["dipole_e_A"], abs=1e-3)
        density = abs(about["dipole_e_A"]) / about["area_A2"] / np.ptp(cut.positions[:, 2])
        assert about["polar"] == (density > 0.002)


def distinct_faces(cell: Atoms) -> list[Miller]:
    """Give the faces of low index, of those that symmetry makes equal the first."""
    faces: list[Miller] = []
    rotations = symmetry_of(cell, 0.01).rotations
    for miller in LOW_INDEX:
        if not {tuple(image) for image in (miller @ rotations).tolist()} & set(faces):
            faces.append(miller)
    return faces


@pytest.mark.parametrize(("cell", "miller"), FACES, ids=shown)
def test_the_same_crystal_in_another_description_gives_the_same_slab(cell: Atoms, miller: Miller) -> None:
    check_descriptions(slab(cell, miller, thickness_A=THICKNESS_A), cell, miller)


@pytest.mark.parametrize(("cell", "miller"), [face for face in FACES if "philic" in face[0].info], ids=shown)
def test_units_are_whole_and_slabs_are_neutral_and_stoichiometric(cell: Atoms, miller: Miller) -> None:
    check_laws(slab(cell, miller, thickness_A=THICKNESS_A), cell, miller)


@pytest.mark.slow
@pytest.mark.parametrize("row", ORDERED, ids=lambda row: f"{row.formula}-{row.spacegroup}")
def test_every_crystal_of_the_library_gives_the_same_lawful_slabs_in_any_description(row: Crystal) -> None:
    """Each face in two other descriptions in turn, so that three faces see all of them; one face of a very large cell."""
    cell = crystal(row.name, row.metal)
    descriptions = cycle(DESCRIPTIONS)
    for miller in distinct_faces(cell) if row.n_atoms < 150 else LOW_INDEX[:1]:
        cut = slab(cell, miller, thickness_A=THICKNESS_A)
        check_laws(cut, cell, miller)
        check_descriptions(cut, cell, miller, list(islice(descriptions, 2)))


def test_lithium_cobaltate_is_cut_beside_its_lithium_and_keeps_half_of_it_on_either_face() -> None:
    # Co-O is three times as strong as Li-O; halves: Kramer & Ceder, Chem. Mater. 21, 3799 (2009)
    about = slab(COBALTATE, (0, 0, 1), thickness_A=12.0).info["philic"]
    assert (about["termination"], about["half_moved"], about["polar"], about["symmetric"]) == ("Li", "Li", False, True)
    assert about["area_A2"] == pytest.approx(2 * 2.8156**2 * 3**0.5 / 2)
    assert terminations(COBALTATE, (0, 0, 1)) == ["CoO2", "Li"]


@pytest.mark.parametrize(
    ("name", "metal", "miller", "halved", "formula"),
    [
        ("M2O", "K", (1, 0, 0), "K", "K6O3"),  # of two K in the outermost plane one is moved
        ("MAl11O17", "Na", (1, 0, 0), "O", "Al44Na4O68"),
        ("M3VO4", "K", (1, 1, 0), "K", "K6V2O8"),
        ("MF", "K", (1, 1, 1), "K", "K6F6"),
        ("M2SO4", "Li", (1, 1, 1), "SO4", "Li16O32S8"),  # not every way to halve its planes makes equal faces
        ("M2O2", "Li", (1, 0, 0), None, "Li12O12"),  # half a plane would break weaker bonds
        ("M2O", "K", (1, 1, 0), None, "K10O5"),
        ("M2O", "K", (1, 1, 1), None, "K6O3"),
    ],
)
def test_half_of_the_outermost_ions_cross_over_where_no_cut_of_whole_planes_is_free_of_a_dipole(
    name: str, metal: str, miller: Miller, halved: str | None, formula: str
) -> None:
    cell = crystal(name, metal)
    cut = slab(cell, miller, thickness_A=7.0)
    states = cell.info["philic"]["oxidation"]
    charges = np.array([states[symbol] for symbol in cut.symbols])
    assert cut.symbols.formula.format("metal") == formula
    assert cut.info["philic"]["half_moved"] == halved
    assert charges.sum() == 0
    assert charges @ cut.positions[:, 2] == pytest.approx(0, abs=1e-6)
    assert cut.info["philic"]["symmetric"]


def test_the_weaker_of_two_bonds_is_broken_though_each_is_one() -> None:
    # K-O of 2.5 and 3.0 A in turn; were the bonds counted, the cation would be outermost
    rods = Atoms("KO", [(0, 0, 0), (0, 0, 2.5)], cell=[5, 5, 5.5], pbc=True)
    stack = stack_planes(rods, (0, 0, 1))
    lowest = weakest_cut(stack).first
    assert str(stack.atoms[stack.planes[lowest]].symbols) == "K"
    assert stack.broken[lowest] / stack.broken[lowest - 1] == pytest.approx(np.exp(0.5 / 0.37), rel=0.2)


def test_half_of_a_square_of_ions_is_a_chessboard() -> None:
    cut = slab(bulk("CsCl", "cesiumchloride", a=4.12), (1, 0, 0), layers=5)
    top = cut[cut.get_tags() == 1] * (2, 2, 1)
    apart = top.get_all_distances(mic=True)
    assert set(top.symbols) == {"Cs"}
    assert apart[apart > 0.1].min() == pytest.approx(4.12 * 2**0.5)


def test_the_ions_of_half_a_plane_are_spread() -> None:
    cut = slab(crystal("MAl11O17", "Na"), (1, 0, 0), thickness_A=7.0)
    nearest = []
    for tag in (1, 7):  # a half and a whole plane of O
        plane = cut[cut.get_tags() == tag] * (2, 2, 1)
        apart = plane.get_all_distances(mic=True)
        nearest.append(apart[apart > 0.1].min())
    assert nearest == pytest.approx([5.43, 2.74], abs=0.01)


def test_chains_that_run_in_the_plane_are_left_whole() -> None:
    # every phosphorus of a whole chain has four oxygens; KPO3's chains run along b
    for miller in ((0, 0, 1), (1, 0, 0), (1, 0, 1)):
        cut = slab(crystal("MPO3", "K"), miller, thickness_A=8.0)
        ends = neighbor_list("i", cut, {("P", "O"): 1.8})
        counts = np.bincount(ends, minlength=len(cut))
        assert (counts[cut.symbols == "P"] == 4).all()
