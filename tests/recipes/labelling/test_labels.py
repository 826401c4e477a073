"""Labels: sampled, chosen, computed and written for real."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import graphene
from ase.io import read, write
from typer.testing import CliRunner

from philic import potentials
from philic.potentials.training.frames import pairs, references
from philic.potentials.training.frames import read as read_labels
from philic.recipes.command_line.cli import app
from philic.recipes.labelling.choosing import choose, descriptors

RECIPE = """
recipe: labels
question: "Which structures?"
metal: K
potential: chgnet
labeller: chgnet:r2scan
second: chgnet:r2scan
hosts: [pristine, N]
size: [2, 2]
vacuum_A: 8
heights_A: [2.6]
structures: 3
distorted: 1
length_ps: 0.01
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("labels")
    (folder / "tiny.yaml").write_text(RECIPE)
    done = labels(folder)
    assert done.exit_code == 0, done.output
    return folder, done.output


def labels(folder: Path, *more: str, to: str = "out.xyz"):
    options = ["--store", str(folder / "store.db"), "--to", str(folder / to)]
    return CliRunner().invoke(app, ["labels", str(folder / "tiny.yaml"), *options, *more])


def test_the_file_can_be_trained_on(made: tuple[Path, str]) -> None:
    frames, level = read_labels([made[0] / "out.xyz"])
    with_metal = [frame for frame in frames if frame.metal and frame.host]
    assert len(with_metal) == 3
    assert {frames[pair.on].name for pair in pairs(frames)} == {frame.name for frame in with_metal}
    for pair in pairs(frames):
        on, clean = frames[pair.on].atoms, frames[pair.clean].atoms
        np.testing.assert_allclose(on.positions[:-1], clean.positions, atol=1e-6)
    assert set(references(frames)) == {"K"}
    assert '"name": "chgnet:r2scan"' in level
    assert '"weights_sha256"' in level


def test_every_label_is_the_labellers_and_says_where_it_comes_from(made: tuple[Path, str]) -> None:
    structures = read(made[0] / "out.xyz", ":", format="extxyz")
    for atoms, one in zip(structures, potentials.load("chgnet:r2scan").evaluate(structures), strict=True):
        assert atoms.get_potential_energy() == pytest.approx(one.energy_eV, abs=1e-4)
        np.testing.assert_allclose(atoms.get_forces(), one.forces_eV_per_A, atol=2e-3)
        assert len(atoms.info["key"]) == 32
        assert atoms.info["philic"]


def test_run_again_nothing_is_computed_and_the_file_is_the_same(made: tuple[Path, str]) -> None:
    before = (made[0] / "out.xyz").read_text()
    done = labels(made[0])
    assert "0 force calls" in done.output or "nothing" in done.output or " 0 steps computed" in done.output
    assert (made[0] / "out.xyz").read_text() == before


def test_a_file_of_another_level_is_refused_before_anything_is_computed(made: tuple[Path, str]) -> None:
    before = (made[0] / "out.xyz").read_text()
    done = labels(made[0], "--set", "labeller=chgnet")
    assert done.exit_code == 2
    assert "holds labels of another level of theory" in done.stderr
    assert "levels are never mixed; name another file" in done.stderr
    assert (made[0] / "out.xyz").read_text() == before


@pytest.mark.parametrize(
    ("to", "more", "sentence"),
    [
        ("out.csv", [], "must end in .xyz: labels are written as extended XYZ"),
        ("none/out.xyz", [], "does not exist: make it, or name another"),
        ("folder.xyz", [], "is there already but is no extended XYZ file: name another"),
        ("text.xyz", [], "is there already but is no extended XYZ file: name another"),
        (
            "o.xyz",
            ["--set", "labeller=emt"],
            "there is nothing to label: pristine is left out: K is unknown to the potential 'emt'",
        ),
        ("o.xyz", ["--set", "labeller=none"], "'none' is not a known potential"),
        ("o.xyz", ["--set", "structures=0"], "`structures` is 0"),
    ],
)
def test_what_cannot_be_is_refused(made: tuple[Path, str], to: str, more: list[str], sentence: str) -> None:
    (made[0] / "folder.xyz").mkdir(exist_ok=True)
    (made[0] / "text.xyz").write_text("my notes\n")
    done = labels(made[0], *more, to=to)
    assert done.exit_code == 2
    assert sentence in done.stderr


def test_a_recipe_that_labels_nothing_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["labels", "k-philic-dopants", "--store", str(tmp_path / "a.db")])
    assert done.exit_code == 2
    assert "`k-philic-dopants` labels nothing: give a recipe file with `recipe: labels`" in done.stderr


def sheet(height_A: float) -> Atoms:
    atoms = graphene(size=(3, 3, 1), vacuum=6.0)
    return atoms + Atoms("K", positions=[atoms.positions[0] + np.array([0, 0, height_A])])


def test_the_descriptor_sees_one_metal_atom_on_a_sheet() -> None:
    features = descriptors([sheet(2.5), sheet(2.5001), sheet(3.5), graphene(size=(3, 3, 1), vacuum=6.0)])
    near, far, without = (float(np.linalg.norm(features[0] - other)) for other in features[1:])
    assert near < 1e-3 * far
    assert without > far / 2


def test_the_descriptor_knows_no_orientation_order_or_origin() -> None:
    atoms = sheet(2.7)
    turned = atoms[np.random.default_rng(0).permutation(len(atoms))]
    turned.rotate(30, "z", rotate_cell=True)
    turned.positions += [0.3, -0.2, 0.1]
    one, other = descriptors([atoms, turned])
    np.testing.assert_allclose(one, other, atol=1e-9)


def test_the_chosen_lie_far_apart() -> None:
    points = np.array([[0.0], [0.1], [5.0], [5.1], [10.0]])
    assert choose(points, 3) == [0, 4, 2]
    assert sorted(choose(points, 9)) == [0, 1, 2, 3, 4]
    assert choose(points[:0], 3) == []


def test_the_more_uncertain_half_is_chosen_from() -> None:
    points = np.array([[0.0], [0.1], [5.0], [5.1], [10.0], [20.0]])
    doubt = np.array([0.5, 0.9, 0.4, 0.1, 0.0, 0.0])
    assert choose(points, 2, doubt) == [1, 2]
    assert len(choose(points, 5, doubt)) == 5


def test_a_file_of_labels_is_read_back_whole(made: tuple[Path, str], tmp_path: Path) -> None:
    structures = read(made[0] / "out.xyz", ":", format="extxyz")
    write(tmp_path / "again.xyz", structures, format="extxyz")
    assert read_labels([tmp_path / "again.xyz"])[1] == read_labels([made[0] / "out.xyz"])[1]
