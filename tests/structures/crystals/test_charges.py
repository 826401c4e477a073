import pytest
from ase import Atoms
from ase.build import bulk

from philic.structures.crystals.charges import formal_charge, formal_charges
from philic.structures.crystals.crystals import crystal, crystals


@pytest.mark.parametrize(
    ("name", "metal", "states"),
    [
        ("M2O2", "K", {"K": 1, "O": -1}),
        ("M2O2", "Na", {"Na": 1, "O": -1}),
        ("MO2", "K", {"K": 1, "O": -0.5}),
        ("Na2Se4", "Na", {"Na": 1, "Se": -0.5}),
        ("K2S3", "K", {"K": 1, "S": -2 / 3}),
        ("KSn", "K", {"K": 1, "Sn": -1}),
        ("Li15Si4", "Li", {"Li": 1, "Si": -3.75}),
        ("M2B12H12", "Na", {"Na": 1, "B": -1 / 12, "H": -1 / 12}),
        ("M3VO4", "K", {"K": 1, "V": 5, "O": -2}),
        ("FeSb2", None, {"Fe": 0, "Sb": 0}),
        ("M-bcc", "K", {"K": 0}),
    ],
)
def test_charges_of_the_library_are_the_chemists(name: str, metal: str | None, states: dict[str, float]) -> None:
    cell = crystal(name, metal)
    assert formal_charges(cell) == pytest.approx([states[symbol] for symbol in cell.symbols])


def test_every_crystal_with_an_alkali_metal_is_neutral_and_its_metal_positive() -> None:
    for row in crystals():
        if row.metal and not row.disordered and row.formula != row.metal:
            cell = crystal(row.name, row.metal)
            charges = formal_charges(cell)
            assert charges.sum() == pytest.approx(0, abs=1e-9), row.formula
            assert set(charges[cell.symbols == row.metal]) == {1.0}, row.formula


def test_a_crystal_without_an_entry_takes_the_balance_or_a_guess() -> None:
    assert formal_charges(Atoms("Na2O2")).tolist() == [1, 1, -1, -1]
    assert formal_charges(Atoms("LiCoO2")).tolist() == [1, 3, -2, -2]
    assert formal_charges(Atoms("CuSn")).tolist() == [0, 0]


def test_an_entry_that_no_longer_fits_the_atoms_is_not_used() -> None:
    doped = crystal("MF", "K")
    doped.symbols[0] = "Ca"
    assert not formal_charges(doped).any()  # K3CaF4: no states make it neutral
    vacant = crystal("M2CO3", "K")[1:]
    vacant.info = crystal("M2CO3", "K").info
    assert formal_charges(vacant).shape == (23,)


def test_initial_charges_go_first() -> None:
    cell = bulk("KF", "rocksalt", a=5.34)
    cell.set_initial_charges([0.9, -0.9])
    assert formal_charges(cell).tolist() == [0.9, -0.9]


@pytest.mark.parametrize(
    ("formula", "element", "charge"),
    [
        ("K2O2", "O", -1),
        ("K2O", "K", 1),
        ("KO2", "O", None),
        ("CaF2", "Ca", 2),
        ("K", "K", 0),
        ("C", "Li", 1),
    ],
)
def test_an_elements_charge_is_a_whole_number_with_its_sign_or_none(formula: str, element: str, charge: int | None) -> None:
    assert formal_charge(Atoms(formula), element) == charge
