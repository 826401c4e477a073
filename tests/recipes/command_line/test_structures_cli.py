import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read, write
from typer.testing import CliRunner

from philic.recipes.command_line.cli import app
from philic.recipes.command_line.draw import draw
from philic.recipes.parts.hosts import host_atoms
from philic.recipes.parts.structure_files import read_host
from philic.structures.catalogue import entries
from philic.structures.symmetry.periodic import gaps_A


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["structures", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def test_the_list_has_every_host_with_its_formula_group_kind_and_source() -> None:
    code, out, _ = run("list")
    shown = {line.split()[0] for line in out.splitlines() if line.split()}
    assert code == 0
    assert {entry.name for entry in entries()} <= shown
    for words in ("Fm-3m (225)", "KF", "P-3m1 (164)", "experiment", "computed", "built", "Trucano", "Ontiveros"):
        assert words in out


def test_a_list_of_one_family_has_no_other() -> None:
    code, out, _ = run("list", "--family", "mxene")
    assert code == 0
    assert "Ti3C2O2" in out
    assert "graphene:" not in out


def test_a_host_is_shown_with_cell_group_density_and_source() -> None:
    code, out, _ = run("show", "MF", "--metal", "K")
    assert code == 0
    for words in ("K4F4", "Fm-3m (225)", "2.5", "g/cm³", "F-K 2.67 Å", "experiment", "Wyckoff"):
        assert words in out
    assert "vacuum" in run("show", "graphene:N")[1]
    assert "hypothetical" in run("show", "NaC8")[1]


@pytest.mark.parametrize("ending", ["cif", "vasp", "extxyz", "xyz", "json", "traj"])
def test_a_host_written_and_read_again_is_the_same(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"host.{ending}"
    code, out, _ = run("build", "KC8", "--to", path)
    back = host_atoms(str(path))
    assert code == 0
    assert f"written to {path}" in out
    assert back.symbols.formula.count() == {"K": 2, "C": 16}
    assert back.cell.volume == pytest.approx(host_atoms("KC8").cell.volume, rel=1e-4)


def test_a_slab_is_cut_from_a_name_and_from_a_file(tmp_path: Path) -> None:
    crystal, one, other = tmp_path / "KF.cif", tmp_path / "one.extxyz", tmp_path / "other.extxyz"
    assert run("build", "MF", "--metal", "K", "--to", crystal)[0] == 0
    for name, to in (("KF", one), (crystal, other)):
        assert run("build", name, "--miller", 1, 0, 0, "--layers", 4, "--vacuum", 12, "--to", to)[0] == 0
    first, second = read(one), read(other)
    assert len(first) == len(second)
    assert first.symbols.formula.reduce()[0].format("metal") == "KF"
    assert np.ptp(first.positions[:, 2]) == pytest.approx(np.ptp(second.positions[:, 2]), abs=1e-3)
    assert gaps_A(first)[2] == pytest.approx(12.0, abs=0.05)


def test_the_termination_of_a_slab_can_be_chosen_and_what_speaks_against_a_slab_is_said(tmp_path: Path) -> None:
    cut, polar = tmp_path / "cut.extxyz", tmp_path / "polar.extxyz"
    code, out, _ = run("build", "K2O", "--miller", 1, 1, 1, "--termination", "O", "--to", cut)
    slab = read(cut)
    assert code == 0
    assert str(slab.symbols[slab.positions[:, 2].argmax()]) == "O"
    assert "note: K2O(111) has half of its outermost O plane moved to the lower face" in out
    code, out, _ = run("build", "SnSSe", "--miller", 0, 0, 1, "--to", polar)
    assert "note: SnSSe(001) is polar: its formal charges have a dipole of" in out
    assert "caveats" not in run("show", "KF", "--miller", 1, 0, 0)[1]


@pytest.mark.parametrize("name", ["graphene:Fe-N4", "KF", "molecule:EC", "KC8", "nanotube-5,5", "K"])
def test_a_picture_is_a_png_with_ink_on_it(tmp_path: Path, name: str) -> None:
    from matplotlib.image import imread

    path = tmp_path / "picture.png"
    code, out, _ = run("draw", name, "--to", path)
    picture = imread(path)
    assert code == 0
    assert "drawn to" in out
    assert picture.shape[0] > 300
    assert picture.shape[1] > 600
    assert 0.01 < (picture[..., :3] < 0.9).any(axis=2).mean() < 0.6


def test_drawing_leaves_the_atoms_alone(tmp_path: Path) -> None:
    atoms = host_atoms("KF")
    before = atoms.copy()
    draw(atoms, tmp_path / "kf.png", "KF")
    assert atoms == before


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "kept.cif"
    path.write_text("mine")
    for command in ("build", "draw"):
        code, _, err = run(command, "KF", "--to", path)
        assert code == 2
        assert f"error: `{path}` exists already: choose another name or remove it first" in err
    assert path.read_text() == "mine"


def overlapping(path: Path) -> None:
    write(path, Atoms("KF2", positions=[(0, 0, 0), (0, 0, 2.6), (0, 0, 2.9)], cell=[8, 8, 8], pbc=True))


def partial(path: Path) -> None:
    atoms = Atoms("KF", positions=[(0, 0, 0), (2.6, 0, 0)], cell=[5.2, 5.2, 5.2], pbc=True)
    write(path, atoms, format="cif")
    text = path.read_text().replace("K1        1.0  0.0  0.0  0.0  1.0", "K1        1.0  0.0  0.0  0.0  0.5")
    assert text != path.read_text()
    path.write_text(text)


def nonsense(path: Path) -> None:
    path.write_text("these are no atoms\n")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (overlapping, "has atoms 1 (F) and 2 (F) 0.30 Å apart but atoms must keep 0.6 times the sum"),
        (partial, "has a partly filled site"),
        (nonsense, "cannot be read as a structure: "),
    ],
)
@pytest.mark.parametrize("command", ["show", "build", "draw"])
def test_a_bad_file_is_refused_with_a_sentence(tmp_path: Path, make, words: str, command: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / ("bad.cif" if make is not overlapping else "bad.extxyz")
    make(path)
    code, _, err = run(command, path, *(() if command == "show" else ("--to", tmp_path / "new.png")))
    assert code == 2
    assert words in err
    assert not (tmp_path / "new.png").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("list", "--family", "wood"), "`--family` is 'wood' but must be one of: carbon, graphite, mxene"),
        (("list", "--metal", "Cu"), "`metal` is 'Cu' but must be one of: Li, Na, K"),
        (("show", "KG"), "`name` is 'KG' but must be one of the catalogue's"),
        (("show", "missing.cif"), "`missing.cif` does not exist: give a structure file, or a name"),
        (("build", "KF", "--to", "here.nonsense"), "`here.nonsense` ends in no format that ASE can write"),
        (("build", "KF", "--to", "no/such/folder.cif"), "`no/such` is no folder: make it first"),
        (
            ("build", "KF", "--miller", 0, 0, 0, "--to", "new.cif"),
            "but at least one index must differ from 0",
        ),
        (
            ("build", "KF", "--miller", 1, 0, 0, "--vacuum", -5, "--to", "new.cif"),
            "`vacuum_A` is -5.0 but must be",
        ),
        (
            ("build", "KF", "--miller", 1, 0, 0, "--layers", 0, "--to", "new.cif"),
            "`layers` is 0 but must be at least 1",
        ),
        (
            ("build", "K2O", "--miller", 1, 1, 1, "--termination", "Li", "--to", "new.cif"),
            "`termination` is 'Li' but K2O(111) has: K over K, K over O, O",
        ),
        (
            ("build", "K2O", "--termination", "K", "--to", "new.cif"),
            "`--termination` is 'K' but only a slab has one: give --miller too",
        ),
        (("draw", "KF", "--to", "new.cif"), "`new.cif` must end in .png: it is a picture"),
    ],
)
def test_bad_input_is_a_sentence_and_exit_code_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[object, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run(*arguments)
    assert code == 2
    assert "error: " in err
    assert words in err
    assert list(tmp_path.iterdir()) == []


def test_a_molecule_without_a_cell_is_shown_but_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "water.xyz"
    write(path, Atoms("OH2", positions=[(0, 0, 0), (0.76, 0.59, 0), (-0.76, 0.59, 0)]))
    assert run("show", path)[0] == 0
    assert run("draw", path, "--to", tmp_path / "water.png")[0] == 0
    code, _, err = run("build", path, "--miller", 1, 0, 0, "--to", tmp_path / "slab.cif")
    assert code == 2
    assert "has no cell but a slab is cut from a crystal: leave --miller out" in err


def test_a_slab_of_a_primitive_cell_says_whose_indices_were_used(tmp_path: Path) -> None:
    path = tmp_path / "cu.cif"
    write(path, bulk("Cu"))
    code, out, _ = run("build", path, "--miller", 1, 0, 0, "--to", tmp_path / "slab.extxyz")
    assert code == 0
    assert "note: (1 0 0) refers to the given cell (1 atom): it is (1 -1 " in out
    assert "of the conventional cell (4), whose (1 0 0) is (" in out
    assert "Miller indices" in run("show", path, "--miller", 1, 0, 0)[1]
    assert "note" not in run("build", "Cu", "--miller", 1, 0, 0, "--to", tmp_path / "other.extxyz")[1]


def test_a_deuteride_is_shown_with_its_own_density(tmp_path: Path) -> None:
    """LiD, a = 4.084 A: 4 (6.94 + 2.0141) u / a^3 = 0.873 g/cm3, LiH would be 0.775."""
    atoms = bulk("LiH", "rocksalt", a=4.084, cubic=True)
    atoms.set_masses([6.94, 2.0141] * 4)
    write(tmp_path / "LiD.extxyz", atoms)
    assert "0.873 g/cm³" in run("show", tmp_path / "LiD.extxyz")[1]


def test_a_file_says_where_it_came_from(tmp_path: Path) -> None:
    path = tmp_path / "mine.vasp"
    write(path, host_atoms("KF"))
    assert read_host(path).info["philic"] == {"family": "file", "host": "mine.vasp"}


def test_the_help_loads_no_atoms() -> None:
    code = (
        "import sys; from philic.recipes.command_line import cli, structures_cli; "
        "print([m for m in ('ase', 'numpy', 'matplotlib', 'pymatgen', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
