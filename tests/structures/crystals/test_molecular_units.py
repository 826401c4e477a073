from collections import Counter

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_numbers
from pymatgen.core.bond_valence import BV_PARAMS

from philic.structures.crystals.bond_valences import bond_valences, find_bonds
from philic.structures.crystals.charges import formal_charges
from philic.structures.crystals.crystals import crystal
from philic.structures.crystals.molecular_units import clusters, molecular_units


@pytest.mark.parametrize(
    ("name", "metal", "units"),
    [
        ("M2CO3", "K", {"CO3": 4}),
        ("M3PO4", "Li", {"O4P": 2}),
        ("M3VO4", "K", {"O4V": 2}),
        ("M3SbS4-cubic", "Na", {"S4Sb": 2}),
        ("M2O2", "Na", {"O2": 3}),
        ("MO2", "K", {"O2": 2}),
        ("MOH", "K", {"HO": 2}),
        ("MPF6", "Na", {"F6P": 4}),
        ("MPO3", "K", {}),  # endless chains
        ("MPO3", "Li", {"O18P6": 2}),  # rings
        ("KSn", "K", {"Sn4": 8}),
        ("K4Pb9", "K", {"Pb9": 4}),
        ("Li7Si3", "Li", {"Si2": 9}),
        ("M2B12H12", "Na", {"H12B12": 2}),
        ("MZr2P3O12", "Na", {"O4P": 18}),  # in a framework of Zr-O bonds
        ("Li10GeP2S12", "Li", {"GeS4": 2, "PS4": 4}),
        ("MAl11O17", "Na", {}),
        ("M2O", "Li", {}),
        ("Cu6Sn5", None, {}),
        ("SnS2", None, {}),
        ("P-black", None, {}),
    ],
)
def test_units_are_the_chemists(name: str, metal: str | None, units: dict[str, int]) -> None:
    cell = crystal(name, metal)
    found = Counter(str(Atoms(cell.symbols[unit]).symbols.formula.format("hill")) for unit in molecular_units(cell))
    assert dict(found) == units


def test_an_oxalate_is_one_unit_though_its_carbons_are_both_positive() -> None:
    # planar C2O4, C-C 1.57 A, C-O 1.25 A
    spots = [(0.785, 0, 0), (-0.785, 0, 0), (1.41, 1.08, 0), (1.41, -1.08, 0), (-1.41, 1.08, 0), (-1.41, -1.08, 0)]
    cell = Atoms("C2O4K2", [*spots, (4.0, 0, 2.5), (-4.0, 0, 2.5)], cell=[9, 6, 6], pbc=True)
    assert formal_charges(cell)[0] == 3
    assert [len(unit) for unit in molecular_units(cell)] == [6]


def test_chains_and_sheets_in_the_plane_are_units_of_a_cut_along_it() -> None:
    cell = crystal("SnS2")
    charges = formal_charges(cell)
    bonds = find_bonds(cell, charges)
    along = {plane: clusters(cell, charges, bonds, endless=plane) for plane in ((True, True, False), (False, True, True))}
    assert [sorted(c.steps) for c in along[True, True, False]] == [[0, 1, 2]]
    assert along[True, True, False][0].endless.tolist() == [True, True, False]
    assert len(along[False, True, True]) == 3


def test_parameters_are_the_published_ones_and_valences_add_up_to_charges() -> None:
    for element, published in BV_PARAMS.items():
        number = np.array([atomic_numbers[str(element)]])
        alone = bond_valences(number, number, np.array([2 * published["r"]]))
        assert alone == pytest.approx(1)  # of two like atoms the electronegativities cancel
    # Li-F in LiF: one sixth; K-O in K2O: one quarter
    for name, metal, share in (("MF", "Li", 1 / 6), ("M2O", "K", 1 / 4)):
        cell = crystal(name, metal)
        bonds = find_bonds(cell, formal_charges(cell))
        assert bonds.valences.max() == pytest.approx(share, rel=0.35)


def test_neighbouring_cations_are_not_bonded() -> None:
    cell = bulk("MgO", "rocksalt", a=4.21)
    bonds = find_bonds(cell, formal_charges(cell))
    assert not (cell.numbers[bonds.first] == cell.numbers[bonds.second]).any()
