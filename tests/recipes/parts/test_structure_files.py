"""Files as people have them; what is right was worked out by hand."""

import re
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, fcc111
from ase.constraints import FixAtoms, FixScaled
from ase.io import write

from philic.recipes.parts.structure_files import indices_note, read_host, write_structure
from philic.structures.symmetry.periodic import gaps_A

CELL = """data_x
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c {a}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M '{group}'
loop_
_atom_site_label
{columns}_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
{more}{rows}
"""
TYPE, OCCUPANCY = "_atom_site_type_symbol\n", "_atom_site_occupancy\n"


def cif(rows: str, columns: str = "", more: str = "", group: str = "P 1", a: float = 5.0) -> str:
    return CELL.format(rows=rows, columns=columns, more=more, group=group, a=a)


def poscar(symbols: str, first: str = "", second: str = "") -> str:
    dynamics = "Selective dynamics\n" if first else ""
    return f"x\n1.0\n4 0 0\n0 4 0\n0 0 4\n{symbols}\n1 1\n{dynamics}Direct\n0 0 0 {first}\n0.5 0.5 0.5 {second}\n"


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        pytest.param(cif("Li1 Li 0 0 0 ?\nO1 O .5 .5 .5 .", TYPE, OCCUPANCY), "LiO", id="unknown occupancy"),
        pytest.param(cif("NA1 0 0 0\nCL1 .5 .5 .5"), "NaCl", id="capital labels"),
        pytest.param(cif("O1A 0 0 0\nLi2 .5 .5 .5"), "OLi", id="labels with letters"),
        pytest.param(cif("Na1 ? 0 0 0\nCl1 ? .5 .5 .5", TYPE), "NaCl", id="unknown type"),
        pytest.param(cif("Li1 Li+ 0 0 0\nO1 O2- .5 .5 .5", TYPE), "LiO", id="charged types"),
        pytest.param(cif("a LI 0 0 0\nb O .5 .5 .5", TYPE), "LiO", id="capital types"),
        pytest.param(cif("Na1 Na1+ 0 0 0\nF1 F1- .5 .5 .5", TYPE), "NaF", id="charges before signs"),
        pytest.param("\ufeff" + cif("Li1 Li 0 0 0\nO1 O .5 .5 .5", TYPE), "LiO", id="byte-order mark"),
    ],
)
def test_an_untidy_cif_is_read_rightly(tmp_path: Path, text: str, formula: str) -> None:
    path = tmp_path / "x.cif"
    path.write_text(text, encoding="utf-8")
    atoms = read_host(path)
    assert str(atoms.symbols) == formula
    assert atoms.get_scaled_positions() == pytest.approx(np.array([[0, 0, 0], [0.5, 0.5, 0.5]]))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (cif("M1 Li,Na 0 0 0\nO1 O .5 .5 .5", TYPE), "has a site of several elements (M1: Li,Na) but each must hold one"),
        (cif("M1 Li/Na 0 0 0\nO1 O .5 .5 .5", TYPE), "has a site of several elements (M1: Li/Na)"),
        (cif("Li1 Li 0 0 0 0.5\nO1 O .5 .5 .5 1", TYPE, OCCUPANCY), "has a partly filled site (Li1: occupancy 0.5)"),
        (cif("Li1 Li 0 0 0 0.5(1)\nO1 O .5 .5 .5 1", TYPE, OCCUPANCY), "has a partly filled site (Li1: occupancy 0.5)"),
        (cif("Li1 Li 0 0 0 2\nO1 O .5 .5 .5 1", TYPE, OCCUPANCY), "has a partly filled site (Li1: occupancy 2)"),
        (cif("Li1 Li 0 0 ?\nO1 O .5 .5 .5", TYPE), "has ? for fract_z of site Li1 but must have a number: place it"),
        (cif("C1 0 0 0\nCA1 .5 .5 .5"), "has the site CA1, Ca or C, but must say which: add _atom_site_type_symbol"),
        (cif("Q1 0 0 0\nO1 .5 .5 .5"), "has the site Q1 without an element: add _atom_site_type_symbol"),
        (cif("Q1 Xx 0 0 0\nO1 O .5 .5 .5", TYPE), "has the type symbol Xx (site Q1) but it must be an element"),
        (cif("Li1 Li 0 0 0\nLi2 Li 0 0 .05", TYPE), "has atoms 0 (Li) and 1 (Li) 0.25 Å apart"),
        ("data_x\n_cell_length_a 5\n", "holds no atoms: a CIF needs _atom_site_fract_x"),
    ],
)
def test_a_cif_that_is_no_ordered_crystal_is_refused_by_its_name(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "x.cif"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(f"`{path}` {words}")):
        read_host(path)


def test_two_readers_that_disagree_are_reported(tmp_path: Path) -> None:
    """Two lists of operations that contradict each other: each reader prefers another."""
    one = "loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n"
    two = "loop_\n_space_group_symop_operation_xyz\nx,y,z\nx+1/2,y+1/2,z\n"
    path = tmp_path / "x.cif"
    path.write_text(cif("K1 K 0 0 0\nF1 F 0 0 .5", TYPE).replace("loop_\n", one + two + "loop_\n", 1))
    with pytest.raises(ValueError, match=r"x.cif` is K2F2 in 125.00 Å³ to ASE but KF in 125.00 Å³ to pymatgen: write all"):
        read_host(path)


@pytest.mark.parametrize(
    ("group", "angle", "words"),
    [
        ("F d -3 m", 90, "names F d -3 m, which has two origins, but must say which: list its operations"),
        ("R -3 m", 57.23, "has the cell 4.746 4.746 4.746 57.23 57.23 57.23, which R -3 m does not leave as it is"),
        ("P 21/a", 90, "has a space group that ASE does not know (invalid spacegroup `P 21/a`"),
    ],
)
def test_a_space_group_that_would_be_guessed_is_refused(tmp_path: Path, group: str, angle: float, words: str) -> None:
    path = tmp_path / "x.cif"
    path.write_text(cif("Bi1 Bi .2339 .2339 .2339", TYPE, group=group, a=4.746).replace(" 90\n", f" {angle}\n"))
    with pytest.raises(ValueError, match=re.escape(f"x.cif` {words}")):
        read_host(path)


def test_deuterium_is_hydrogen_of_its_own_mass(tmp_path: Path) -> None:
    """LiD, a = 4.084 Å: density 4 (6.94 + 2.0141) / a^3 = 0.873 g/cm3."""
    path = tmp_path / "LiD.cif"
    path.write_text(cif("Li1 Li 0 0 0\nD1 D 0.5 0.5 0.5", TYPE, group="F m -3 m", a=4.084))
    atoms = read_host(path)
    assert str(atoms.symbols) == "Li4H4"
    assert atoms.get_masses()[4:] == pytest.approx(2.0141, abs=1e-4)
    assert atoms.get_masses().sum() / atoms.cell.volume / units.mol * 1e24 == pytest.approx(0.873, abs=5e-4)
    with pytest.raises(ValueError, match=r".cif keeps no masses and these atoms have their own"):
        write_structure(atoms, tmp_path / "new.cif")
    write_structure(atoms, tmp_path / "new.extxyz")
    assert read_host(tmp_path / "new.extxyz").get_masses() == pytest.approx(atoms.get_masses())


def test_a_magnetic_cif_has_all_its_atoms_and_moments(tmp_path: Path) -> None:
    """Antiferromagnetic bcc Cr in P_I m'm'm-like form: two atoms by an operation that turns the moment round."""
    path = tmp_path / "Cr.mcif"
    path.write_text(
        """data_Cr
_cell_length_a 2.91
_cell_length_b 2.91
_cell_length_c 2.91
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_space_group_symop_magn_operation.id
_space_group_symop_magn_operation.xyz
1 x,y,z,+1
loop_
_space_group_symop_magn_centering.id
_space_group_symop_magn_centering.xyz
1 x,y,z,+1
2 x+1/2,y+1/2,z+1/2,-1
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Cr1 Cr 0 0 0
loop_
_atom_site_moment.label
_atom_site_moment.crystalaxis_x
_atom_site_moment.crystalaxis_y
_atom_site_moment.crystalaxis_z
Cr1 0 0 0.6
"""
    )
    atoms = read_host(path)
    assert str(atoms.symbols) == "Cr2"
    assert sorted(atoms.get_initial_magnetic_moments()) == pytest.approx([-0.6, 0.6])


@pytest.mark.parametrize("symbols", ["Li O", "Li+ O2-", "Li1+ O2-", "Li_sv O", "Li/9d8cf O/1234", "LI O"])
def test_decorated_symbols_of_a_poscar_are_elements(tmp_path: Path, symbols: str) -> None:
    path = tmp_path / "POSCAR"
    path.write_text(poscar(symbols))
    assert str(read_host(path).symbols) == "LiO"


def test_deuterium_of_a_poscar(tmp_path: Path) -> None:
    path = tmp_path / "x.vasp"
    path.write_text(poscar("Li D"))
    assert read_host(path).get_masses() == pytest.approx([6.94, 2.0141], abs=1e-4)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (poscar("Li O", "T T F", "T T T"), "holds atom 0 in part (FixScaled, selective dynamics such as T T F)"),
        (poscar("Li O", "F F F", "F F F"), "holds all its 2 atoms (selective dynamics F F F) but at least one"),
        (poscar("Li Oxygen"), "names Oxygen in its line of elements but each must be one, such as Na or Na+"),
        (
            poscar("Li O").replace("0.5 0.5 0.5", "0.5 nan 0.5"),
            "has atom 1 (O) at [nan, nan, nan] but positions must be finite",
        ),
        (poscar("Li O").replace("4 0 0", "inf 0 0"), "has a cell that is not finite"),
    ],
)
def test_a_poscar_that_cannot_be_used_is_refused_by_its_name(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "x.vasp"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(f"`{path}` {words}")):
        read_host(path)


def test_atoms_held_whole_stay_held(tmp_path: Path) -> None:
    path = tmp_path / "x.vasp"
    path.write_text(poscar("Li O", "F F F", "T T T"))
    (held,) = read_host(path).constraints
    assert isinstance(held, FixAtoms)
    assert held.get_indices().tolist() == [0]


def test_constraints_of_other_kinds_are_refused_in_any_format(tmp_path: Path) -> None:
    atoms = bulk("Cu", cubic=True)
    atoms.set_constraint(FixScaled([1], [True, False, False]))
    write(tmp_path / "x.traj", atoms)
    with pytest.raises(ValueError, match=r"x.traj` holds atom 1 in part \(FixScaled"):
        read_host(tmp_path / "x.traj")


def test_infinite_positions_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "x.xyz", Atoms("LiF", positions=[(0, 0, 0), (0, 0, np.inf)]))
    with pytest.raises(ValueError, match=r"x.xyz` has atom 1 \(F\) at \[0.0, 0.0, inf\] but positions must be finite"):
        read_host(tmp_path / "x.xyz")


@pytest.mark.parametrize("vacuum", [None, 0.4])
def test_a_slab_without_vacuum_gets_some(tmp_path: Path, vacuum: float | None) -> None:
    """Four (111) layers of Cu: three spacings of 3.61 / sqrt(3) Å, and 15 Å above."""
    path = tmp_path / "slab.extxyz"
    slab = fcc111("Cu", (1, 1, 4), vacuum=vacuum)
    slab.info.clear()
    write(path, slab)
    atoms = read_host(path)
    assert atoms.pbc.all()
    assert atoms.cell.lengths()[2] == pytest.approx(3 * 3.61 / 3**0.5 + 15, abs=1e-6)
    assert gaps_A(atoms)[2] == pytest.approx(15)
    assert atoms.cell.array[2, :2] == pytest.approx(0)
    assert np.diff(np.sort(atoms.positions[:, 2])) == pytest.approx(3.61 / 3**0.5)


def test_a_slab_with_vacuum_stays_as_it_is(tmp_path: Path) -> None:
    path, slab = tmp_path / "slab.extxyz", fcc111("Cu", (1, 1, 4), vacuum=7)
    slab.info.clear()
    write(path, slab)
    assert read_host(path).cell.array == pytest.approx(slab.cell.array)


@pytest.mark.parametrize(
    ("crystal", "miller", "conventional", "given"),
    [  # b1 = (-1, 1, 1) / a of primitive fcc and (0, 1, 1) / a of primitive bcc
        (bulk("Cu"), (1, 0, 0), {1}, [0, 1, 1]),
        (bulk("Fe"), (1, 0, 0), {0, 1}, [1, 1, 1]),
        (bulk("Cu", cubic=True) * (2, 1, 1), (1, 1, 0), {0, 1, 2}, [0, 1, 2]),
    ],
)
def test_the_note_says_whose_indices_they_are(
    crystal: Atoms, miller: tuple[int, int, int], conventional: set[int], given: list[int]
) -> None:
    found = re.findall(r"\((-?\d -?\d -?\d)\)", indices_note(crystal, miller))
    asked, there, _, here = ([int(n) for n in words.split()] for words in found)
    assert tuple(asked) == miller
    assert {abs(n) for n in there} == conventional
    assert sorted(abs(n) for n in here) == given


@pytest.mark.parametrize("crystal", [bulk("Cu", cubic=True), bulk("Mg"), bulk("Cu", cubic=True) * 2])
def test_nothing_is_said_where_the_indices_are_the_conventional_ones(crystal: Atoms) -> None:
    assert indices_note(crystal, (1, 0, 0)) == ""


CUBE = "x\n1.0\n{a} 0 0\n0 3 0\n{c}\nCu\n{n}\nDirect\n0 0 0\n"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.xyz", "1000000000000\n\nCu 0 0 0\n", "announces 1,000,000,000,000 atoms in its first line but has only 3 lines"),
        ("a.vasp", CUBE.format(a=3, c="0 0 3", n=10**9), "announces 1,000,000,000 atoms but has only 9 lines"),
        ("a.vasp", CUBE.format(a=0.001, c="0 0 3", n=1), "has a cell 0.001 Å wide, below 0.5 Å: is it in Å?"),
        ("a.vasp", CUBE.format(a=3, c="3 0 0", n=1), "has a flat cell but it is periodic in 3 directions"),
        (
            "a.json",
            '{"1": {"cell": [[3, 0, 0], [0, 3, 0], [0, 0, 3]], "numbers": [999], "positions": [[0, 0, 0]],'
            ' "pbc": [true, true, true]}, "ids": [1], "nextid": 2}',
            "has an atom of number 999, which is no element",
        ),
    ],
)
def test_what_would_never_end_is_refused(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=re.escape(words)):
        read_host(tmp_path / name)
