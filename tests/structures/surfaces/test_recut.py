"""The same cut on another lattice: what is cut anew is what would have been cut there, atom by atom."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from philic.structures.carbons.carbon import carbon_host, graphene
from philic.structures.carbons.mxenes import mxene
from philic.structures.catalogue import host
from philic.structures.surfaces.caveats import slab_caveats
from philic.structures.surfaces.recut import cut_of, recut, stretch_of, stretched
from philic.structures.surfaces.slabs import slab

CUTS = [
    ("Cu", None, (1, 1, 1)),
    ("KF", None, (1, 1, 0)),
    ("Zn", None, (1, 0, 0)),
    ("M2O2", "Na", (0, 0, 1)),
    ("M2CO3", "Li", (1, 1, 0)),
    ("Bi", None, (1, 1, 1)),
]


def grown(crystal: Atoms, *factors: float) -> Atoms:
    """Stretch a crystal along its vectors, fractions kept."""
    cell = crystal.cell.array * np.array(factors)[:, None]
    larger = crystal.copy()
    larger.set_cell(cell, scale_atoms=True)
    return larger


@pytest.mark.parametrize(("name", "metal", "miller"), CUTS)
def test_a_slab_cut_anew_from_the_same_crystal_is_the_same(name, metal, miller):
    crystal = host(name, metal)
    first = slab(crystal, miller, thickness_A=5.0, vacuum_A=9.0, fixed_layers=1, size=(2, 1))
    again = recut(crystal, **cut_of(first, crystal, miller))
    assert again.numbers.tolist() == first.numbers.tolist()
    np.testing.assert_allclose(again.positions, first.positions, atol=1e-4)
    np.testing.assert_allclose(again.cell.array, first.cell.array, atol=1e-4)
    assert again.constraints[0].index.tolist() == first.constraints[0].index.tolist()
    assert {"host", "miller", "termination", "polar", "source", "area_A2"} <= set(again.info["philic"])
    assert again.info["philic"]["area_A2"] == pytest.approx(first.info["philic"]["area_A2"])
    assert again.info["philic"]["strain"] == pytest.approx([0, 0], abs=1e-6)


@pytest.mark.parametrize(
    ("name", "miller", "factors"),
    [
        ("Cu", (1, 1, 1), (0.99, 0.99, 0.99)),
        ("KF", (1, 0, 0), (1.03,) * 3),
        ("KF", (1, 1, 1), (1.03,) * 3),
        ("Zn", (1, 0, 0), (1.01, 1.01, 0.97)),
    ],
)
def test_it_is_what_would_have_been_cut_from_the_relaxed_crystal(name, miller, factors):
    """The cutter itself, given the larger crystal, is the independent answer; the vacuum stays."""
    crystal = host(name)
    relaxed = grown(crystal, *factors)
    first, direct = (slab(one, miller, layers=4, vacuum_A=9.0, size=(2, 2)) for one in (crystal, relaxed))
    again = recut(relaxed, **cut_of(first, crystal, miller))
    np.testing.assert_allclose(again.cell.array, direct.cell.array, atol=1e-4)
    np.testing.assert_allclose(again.positions, direct.positions, atol=1e-4)
    growth = direct.cell.lengths()[:2] / first.cell.lengths()[:2] - 1
    assert again.info["philic"]["strain"] == pytest.approx(growth, abs=1e-5)


def test_atoms_that_moved_in_the_crystal_have_moved_in_the_slab():
    """O2 pulled apart by 0.1 A in the crystal is 0.1 A longer in the slab, in every molecule, and Na stays."""
    crystal = host("M2O2", "Na")
    first = slab(crystal, (0, 0, 1), thickness_A=6.0, vacuum_A=9.0)
    cut = cut_of(first, crystal, (0, 0, 1))
    oxygen = np.flatnonzero(crystal.symbols == "O")
    partner = {int(i): int(oxygen[np.argsort(crystal.get_distances(i, oxygen, mic=True))[1]]) for i in oxygen}
    relaxed = crystal.copy()
    for i, j in partner.items():
        bond = crystal.get_distance(i, j, mic=True, vector=True)
        relaxed.positions[i] -= 0.05 * bond / np.linalg.norm(bond)
    again = recut(relaxed, **cut)

    def shortest(atoms: Atoms) -> np.ndarray:
        chosen = atoms[atoms.symbols == "O"]
        apart = chosen.get_all_distances(mic=True)
        return np.sort(apart + 9 * np.eye(len(chosen)), axis=1)[:, 0]

    np.testing.assert_allclose(shortest(again) - shortest(first), 0.1, atol=1e-6)
    sodium = first.symbols == "Na"
    np.testing.assert_allclose(np.ptp((again.positions - first.positions)[sodium], axis=0), 0, atol=1e-6)


@pytest.mark.parametrize(("name", "metal", "miller"), [("MF", "K", (1, 1, 1)), ("M2O", "K", (1, 0, 0))])
def test_ions_that_were_moved_are_still_reported(name, metal, miller):
    crystal = host(name, metal)
    first = slab(crystal, miller, thickness_A=5.0, size=(2, 1))
    again = recut(grown(crystal, 1.02, 1.02, 1.02), **cut_of(first, crystal, miller))
    assert slab_caveats(first) != []
    assert slab_caveats(again) == slab_caveats(first)


def test_the_dipole_is_that_of_the_relaxed_crystal():
    """Moved planes do not change that zinc blende (111) is polar; its dipole grows with the lattice, not with the size."""
    crystal = bulk("ZnS", "zincblende", a=5.41, cubic=True)
    first = slab(crystal, (1, 1, 1), layers=4, size=(2, 2))
    again = recut(grown(crystal, 1.03, 1.03, 1.03), **cut_of(first, crystal, (1, 1, 1)))
    assert first.info["philic"]["dipole_e_A"] == pytest.approx(4 * 5.41 * 3**0.5 / 12, abs=1e-3)  # 2 bilayers of +-2 e
    assert again.info["philic"]["dipole_e_A"] == pytest.approx(1.03 * first.info["philic"]["dipole_e_A"], abs=1e-5)
    (flaw,) = slab_caveats(again)
    assert f"dipole of {again.info['philic']['dipole_e_A']:.2f} e" in flaw


def test_what_is_no_cut_of_the_crystal_is_refused():
    copper, silver = bulk("Cu", cubic=True), bulk("Cu", a=4.0, cubic=True)
    with pytest.raises(ValueError, match=r"`slab` is Cu\(111\) but no cut of Cu4: cut it from that crystal"):
        cut_of(slab(copper, (1, 1, 1), layers=3), silver, (1, 1, 1))


def test_masses_and_charges_of_the_crystal_are_those_of_the_slab():
    crystal = bulk("LiH", "rocksalt", a=4.08, cubic=True)
    first = slab(crystal, (1, 0, 0), layers=2)
    crystal.set_masses([2.014 if symbol == "H" else None for symbol in crystal.symbols])
    crystal.set_initial_charges([1 if symbol == "Li" else -1 for symbol in crystal.symbols])
    again = recut(crystal, **cut_of(first, crystal, (1, 0, 0)))
    assert set(again.get_masses()[again.symbols == "H"]) == {2.014}
    assert set(again.get_initial_charges()[again.symbols == "Li"]) == {1.0}


def test_a_doped_sheet_takes_the_bond_length_of_the_relaxed_one_and_keeps_its_heights():
    sheet, unit = carbon_host("S", (4, 4)), graphene((1, 1), lattice_constant_A=2.50)
    wider = stretched(unit, **stretch_of(sheet, graphene((1, 1))))
    assert wider.cell.lengths() == pytest.approx([10.0, 10.0, 15.0])
    np.testing.assert_allclose(wider.positions[:, 2], sheet.positions[:, 2], atol=1e-7)
    far = int(np.argmax(sheet.get_distances(sheet.info["philic"]["defect"][0], range(len(sheet)), mic=True)))
    bonds = np.sort(wider.get_distances(far, range(len(wider)), mic=True))[1:4]
    assert bonds == pytest.approx([2.50 / 3**0.5] * 3)
    assert wider.info["philic"]["defect"] == sheet.info["philic"]["defect"]
    assert wider.info["philic"]["lattice_constant_A"] == pytest.approx(2.50)
    assert wider.info["philic"]["strain"] == pytest.approx([2.50 / 2.46 - 1] * 2)


def test_a_sheet_strained_along_one_axis_is_so():
    sheet, unit = mxene("Ti3C2", "O", size=(3, 2)), mxene("Ti3C2", "O", size=(1, 1))
    relaxed = unit.copy()
    relaxed.set_cell(unit.cell.array @ np.diag([1.02, 1, 1]), scale_atoms=True)
    wider = stretched(relaxed, **stretch_of(sheet, unit))
    np.testing.assert_allclose(wider.positions, sheet.positions * [1.02, 1, 1], atol=1e-6)
    assert wider.info["philic"]["strain"][0] == pytest.approx(0.02)


def a_and_b_swapped(first: Atoms) -> Atoms:
    """The same slab in another description: turned by a right angle, a where b was."""
    turned = first.copy()
    turned.rotate(-90, "z", rotate_cell=True)
    turned.set_cell([turned.cell[1], -turned.cell[0], turned.cell[2]])
    return turned


@pytest.mark.parametrize("swapped", [False, True])
def test_directions_that_only_the_elements_tell_apart_are_not_confused(swapped):
    """Copper and gold in planes of a cubic lattice: stretched along c, copper stays as near to copper as it was."""
    places = [(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    crystal = Atoms("Cu2Au2", scaled_positions=places, cell=[4.0, 4.0, 4.0], pbc=True)
    first = slab(crystal, (1, 0, 0), layers=4, size=(2, 2))
    first = a_and_b_swapped(first) if swapped else first
    again = recut(grown(crystal, 1, 1, 1.05), **cut_of(first, crystal, (1, 0, 0)))
    assert again.numbers.tolist() == first.numbers.tolist()
    for one, other, apart_A in (("Cu", "Cu", 8**0.5), ("Cu", "Au", (4 + 2.1**2) ** 0.5)):
        rows = again.get_all_distances(mic=True)[again.symbols == one][:, again.symbols == other]
        assert rows[rows > 0.1].min() == pytest.approx(apart_A, abs=1e-6)


def test_a_and_b_of_one_plane_are_translations_of_the_crystal():
    """One atom is anywhere alike; of bcc's (110) plane, a and b are halves of the body's diagonals, 70.5 degrees apart."""
    crystal = bulk("Fe", a=2.87, cubic=True)
    first = slab(crystal, (1, 1, 0), layers=1)
    *lengths, _, _, angle = first.cell.cellpar()
    for sharp_or_blunt in (angle, 180 - angle):
        first.set_cell([*lengths, 90, 90, sharp_or_blunt])
        vectors = 2 * np.array(cut_of(first, crystal, (1, 1, 0))["vectors"])
        np.testing.assert_allclose(vectors, vectors.round(), atol=1e-6)
