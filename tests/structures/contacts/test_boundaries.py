import json
import re
from functools import cache
from itertools import combinations_with_replacement

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.geometry import find_mic
from ase.spacegroup import crystal as spaced

from philic.structures.contacts.boundaries import grain_boundary, sigmas
from philic.structures.crystals.crystals import crystal
from philic.structures.crystals.metals import bulk_metal
from philic.structures.crystals.molecular_units import molecular_units

KF = bulk("KF", "rocksalt", a=5.34)
LI2O = spaced(["Li", "O"], [(0.25, 0.25, 0.25), (0, 0, 0)], spacegroup=225, cellpar=[4.62] * 3 + [90] * 3)
CRYSTALS = {"K": bulk_metal("K"), "Li": bulk_metal("Li"), "KF": KF, "Li2O": LI2O, "Cu": bulk("Cu", a=3.61)}
BOUNDARIES = [
    ("K", 5, (0, 0, 1), (3, 1, 0)),
    ("K", 5, (0, 0, 1), (2, 1, 0)),
    ("K", 5, (0, 0, 1), (1, 0, 0)),
    ("K", 5, (0, 0, 1), (1, 1, 1)),
    ("K", 9, (1, 1, 0), (2, -2, 1)),
    ("Li", 3, (1, 1, 0), (1, -1, 2)),
    ("Li", 3, (1, 1, 1), (1, 1, 1)),
    ("Cu", 3, (1, 1, 1), (1, 1, 1)),
    ("KF", 5, (0, 0, 1), (3, 1, 0)),
    ("KF", 5, (0, 0, 1), (0, 0, 1)),
    ("KF", 3, (1, 1, 0), (1, -1, 1)),
    ("KF", 7, (1, 1, 1), (1, 1, 1)),
    ("Li2O", 5, (0, 0, 1), (3, 1, 0)),
]
every_boundary = pytest.mark.parametrize("boundary", BOUNDARIES, ids=str)
Boundary = tuple[str, int, tuple[int, int, int], tuple[int, int, int]]


@cache
def built(boundary: Boundary) -> Atoms:
    name, sigma, axis, plane = boundary
    return grain_boundary(CRYSTALS[name], sigma, axis, plane)


def grains(atoms: Atoms) -> tuple[Atoms, Atoms]:
    n_lower = atoms.info["philic"]["n_lower"]
    return atoms[:n_lower], atoms[n_lower:]


def shortest_A(atoms: Atoms, one: str, other: str) -> float:
    apart = atoms.positions[atoms.symbols == one][:, None] - atoms.positions[atoms.symbols == other]
    distances = find_mic(apart.reshape(-1, 3), atoms.cell)[1]
    return float(distances[distances > 1e-6].min())


@every_boundary
def test_composition_is_kept_in_each_grain_and_each_is_whole_layers(boundary: Boundary) -> None:
    crystal, atoms = CRYSTALS[boundary[0]], built(boundary)
    area = atoms.info["philic"]["area_A2"]
    for grain in grains(atoms):
        assert grain.symbols.formula.reduce()[0] == crystal.symbols.formula.reduce()[0]
        thickness = crystal.get_volume() / len(crystal) * len(grain) / area
        assert thickness >= 12.0 - 1e-6
        assert np.ptp(grain.positions[:, 2]) < thickness


@every_boundary
def test_no_pair_is_nearer_than_four_fifths_of_its_distance_in_the_crystal(boundary: Boundary) -> None:
    crystal, atoms = CRYSTALS[boundary[0]] * (3, 3, 3), built(boundary)
    for one, other in combinations_with_replacement(sorted(set(crystal.symbols)), 2):
        assert shortest_A(atoms, one, other) >= 0.8 * shortest_A(crystal, one, other) - 1e-6
    wide = [grain * (2, 2, 1) for grain in grains(atoms)]
    for grain in wide:  # inside a grain every distance is the crystal's
        one, other = sorted(set(crystal.symbols))[0], sorted(set(crystal.symbols))[-1]
        assert shortest_A(grain, one, other) == pytest.approx(shortest_A(crystal, one, other), abs=1e-3)


@every_boundary
def test_the_grains_are_turned_by_the_stated_angle_about_the_axis_by_a_matrix_over_sigma(
    boundary: Boundary,
) -> None:
    _, sigma, axis, plane = boundary
    about = built(boundary).info["philic"]
    lower, upper = np.array(about["orientation_lower"]), np.array(about["orientation_upper"])
    turn = lower @ upper.T  # rows are where each crystal's axes point
    assert np.degrees(np.arccos((np.trace(turn) - 1) / 2)) == pytest.approx(about["angle_deg"])
    assert turn @ np.array(axis) == pytest.approx(np.array(axis))
    whole = turn * sigma  # Grimmer, Bollmann & Warrington, Acta Cryst. A30, 197 (1974)
    assert whole == pytest.approx(whole.round(), abs=1e-6)
    for frame, miller in ((lower, plane), (upper, about["plane_upper"])):
        along = np.array(miller) @ frame / np.linalg.norm(miller)
        assert along == pytest.approx([0, 0, 1], abs=1e-6)


@every_boundary
def test_each_grain_has_the_lattice_of_its_orientation(boundary: Boundary) -> None:
    name, *_ = boundary
    atoms = built(boundary)
    about = atoms.info["philic"]
    edge = {"K": 5.23, "Li": 3.49, "KF": 5.34, "Li2O": 4.62, "Cu": 3.61}[name]
    for grain, frame in zip(grains(atoms), ("orientation_lower", "orientation_upper"), strict=True):
        same = grain.positions[grain.symbols == grain.symbols[0]]
        steps = (same - same[0]) @ np.array(about[frame]).T / edge * 4  # quarters of the cubic edge
        assert steps == pytest.approx(steps.round(), abs=1e-4)


@pytest.mark.parametrize(
    ("boundary", "kind", "angle"),
    [
        (BOUNDARIES[0], "symmetric tilt", 36.87),
        (BOUNDARIES[1], "symmetric tilt", 36.87),
        (BOUNDARIES[2], "tilt", 36.87),
        (BOUNDARIES[3], "mixed", 36.87),
        (BOUNDARIES[4], "symmetric tilt", 38.94),
        (BOUNDARIES[5], "symmetric tilt", 70.53),
        (BOUNDARIES[7], "twist", 60.0),
        (BOUNDARIES[9], "twist", 36.87),
        (BOUNDARIES[11], "twist", 38.21),
    ],
    ids=str,
)
def test_kind_and_angle_are_the_textbooks(boundary: Boundary, kind: str, angle: float) -> None:
    # tan(angle / 2) = sqrt(N) n / m, N the squared length of the axis: Ranganathan, Acta Cryst. 21, 197
    about = built(boundary).info["philic"]
    assert (about["kind"], round(about["angle_deg"], 2)) == (kind, angle)


def test_areas_are_those_of_the_coincidence_lattice() -> None:
    areas = {name: built(name).info["philic"]["area_A2"] for name in BOUNDARIES}
    assert areas[BOUNDARIES[0]] == pytest.approx(5.23**2 * 10**0.5 / 2)
    assert areas[BOUNDARIES[7]] == pytest.approx(3.61**2 * 3**0.5 / 4)
    assert areas[BOUNDARIES[9]] == pytest.approx(5.34**2 / 2 * 5)  # a twist: sigma plane cells
    assert areas[BOUNDARIES[11]] == pytest.approx(5.34**2 * 3**0.5 / 4 * 7)


def test_a_coherent_twin_of_a_close_packed_metal_needs_no_opening_and_keeps_twelve_neighbours() -> None:
    atoms = built(("Cu", 3, (1, 1, 1), (1, 1, 1)))
    assert atoms.info["philic"]["opening_A"] == pytest.approx([0, 0], abs=1e-6)
    assert atoms.get_volume() == pytest.approx(len(atoms) * 3.61**3 / 4)
    wide = atoms * (4, 4, 1)
    for index in range(len(atoms)):
        distances = wide.get_distances(index, range(len(wide)), mic=True)
        assert ((distances > 0.1) & (distances < 3.61 / 2**0.5 + 0.01)).sum() == 12


def test_a_boundary_does_not_depend_on_the_cell_given() -> None:
    cube = bulk("KF", "rocksalt", a=5.34, cubic=True)
    before = cube.copy()
    one, other = (grain_boundary(crystal, 5, (0, 0, 1), (2, 1, 0)) for crystal in (KF, cube * (1, 2, 1)))
    assert cube == before
    assert len(one) == len(other)
    assert one.cell.cellpar() == pytest.approx(other.cell.cellpar())
    assert json.loads(json.dumps(one.info["philic"])) == one.info["philic"]


@pytest.mark.parametrize(("name", "unit"), [("M3PS4-cubic", "PSSSS"), ("MO2", "OO")])
def test_no_boundary_cuts_a_molecular_unit(name: str, unit: str) -> None:
    cell = crystal(name, "Na")
    atoms = grain_boundary(cell, 5, (0, 0, 1), (2, 1, 0), min_grain_A=8.0)
    for grain in grains(atoms):
        grain.set_cell([*grain.cell[:2], (0, 0, 60.0)])
        held = ["".join(sorted(grain.symbols[members])) for members in molecular_units(grain)]
        assert held == [unit] * (len(grain) * len(molecular_units(cell)) // len(cell))


def test_thicker_grains_on_demand() -> None:
    atoms = grain_boundary(CRYSTALS["K"], 5, (0, 0, 1), (3, 1, 0), min_grain_A=20.0)
    assert atoms.cell[2, 2] >= 40.0


def test_the_known_sigmas_of_an_axis() -> None:
    # the odd part of m^2 + N n^2: Ranganathan, Acta Cryst. 21, 197 (1966)
    assert list(sigmas((0, 0, 1), 25)) == [5, 13, 17, 25]
    assert list(sigmas((1, 1, 1), 21)) == [3, 7, 13, 19, 21]
    assert list(sigmas((1, 1, 0), 19)) == [3, 9, 11, 17, 19]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (4, (0, 0, 1), (3, 1, 0)),
            "`sigma` is 4 but around [001] must be one of: 5, 13, 17, 25, 29, 37, 41",
        ),
        ((5, (0, 0, 0), (3, 1, 0)), "`axis` is (0, 0, 0) but at least one index must differ from 0"),
        ((5, (0, 0, 1), (0, 0, 0)), "`plane` is (0, 0, 0) but at least one index must differ from 0"),
        (
            (5, (0, 0, 1), (51, 37, 23)),
            "`plane` is (51, 37, 23) but its common cell is longer than 8 lattice",
        ),
    ],
)
def test_an_impossible_boundary_is_refused(
    arguments: tuple[int, tuple[int, int, int], tuple[int, int, int]], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        grain_boundary(KF, *arguments)


def test_a_crystal_that_is_not_cubic_and_an_empty_grain_are_refused() -> None:
    with pytest.raises(ValueError, match="`crystal` is Mg with space group P6_3/mmc but must be cubic"):
        grain_boundary(bulk("Mg"), 5, (0, 0, 1), (3, 1, 0))
    with pytest.raises(ValueError, match=re.escape("`min_grain_A` is 0.0 but must be above 0")):
        grain_boundary(KF, 5, (0, 0, 1), (3, 1, 0), min_grain_A=0.0)
