"""Labelled structures: what is held out, what is paired, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, graphene
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from philic.potentials.training.frames import errors, fit_shifts, functional_of, level_of, pairs, read, references, split


def labelled(atoms: Atoms, energy_eV: float, **info: str) -> Atoms:
    atoms.calc = SinglePointCalculator(atoms, energy=energy_eV, forces=np.zeros((len(atoms), 3)))
    atoms.info.update({"level": "PBE", **info})
    return atoms


def sheet(metal: str = "", shift: float = 0.0, dopant: str = "") -> Atoms:
    atoms = graphene(size=(2, 1, 1), vacuum=6.0)
    if dopant:
        atoms.symbols[0] = dopant
    if metal:
        atoms += Atoms(metal, positions=[atoms.positions[0] + (0, 0, 3 + shift)])
    return atoms


def frames_of(tmp_path: Path, *structures: Atoms):
    path = tmp_path / "labels.xyz"
    write(path, structures, format="extxyz")
    return read([path])[0]


@pytest.fixture
def frames(tmp_path: Path):
    return frames_of(
        tmp_path,
        labelled(bulk("K", "bcc", a=5.3), -1.0, name="K-bcc", metal="K", host="none"),
        labelled(sheet(), -36.0, name="a-clean", host="pristine", metal="none"),
        labelled(sheet("K"), -37.5, name="a-K1", host="pristine", metal="K"),
        labelled(sheet("K", 0.5), -37.0, name="b-K1", host="pristine", metal="K"),
        labelled(sheet(), -35.0, name="b-clean", host="pristine", metal="none"),
        labelled(sheet(dopant="B"), -34.0, name="c-clean", host="B", metal="none"),
        labelled(sheet("K", dopant="B"), -36.5, name="c-K1", host="B", metal="K"),
        labelled(sheet("K", 0.1), -37.4, name="z-K1", host="pristine", metal="K"),
        labelled(sheet(dopant="B"), -34.1, name="d-clean", host="B2", metal="none"),
    )


def test_a_host_with_metal_is_paired_with_that_of_its_group_or_the_lowest(frames) -> None:
    found = {frames[pair.on].name: (frames[pair.clean].name, pair.n, pair.metal) for pair in pairs(frames)}
    assert found == {
        "a-K1": ("a-clean", 1, "K"),
        "b-K1": ("b-clean", 1, "K"),
        "c-K1": ("c-clean", 1, "K"),
        "z-K1": ("a-clean", 1, "K"),
    }


def test_the_reference_is_the_pure_metal_of_lowest_energy(frames) -> None:
    assert {metal: frames[place].name for metal, place in references(frames).items()} == {"K": "K-bcc"}


def test_whole_systems_are_held_out(frames) -> None:
    training, held_out = split(frames)
    assert {frame.system for frame in training} & {frame.system for frame in held_out} == set()
    assert len(training) + len(held_out) == len(frames)
    assert "K metal" in {frame.system for frame in training}
    chosen_training, chosen = split(frames, ["B"])
    assert {frame.system for frame in chosen} == {"B"}
    assert all(frame.host != "B" for frame in chosen_training)


def test_an_adsorption_energy_is_wrong_by_what_its_parts_are(frames) -> None:
    wrong = dict.fromkeys((frame.name for frame in frames), 0.0) | {"a-clean": 0.3, "a-K1": 0.1, "K-bcc": 0.05}
    predicted = [(frame.energy_eV + wrong[frame.name], frame.forces_eV_per_A + 0.02) for frame in frames]
    found = errors(frames, predicted, len(frames))
    of_pairs = [0.1 - 0.3 - 0.05, -0.05, -0.05, -0.3 - 0.05]
    assert found["adsorption_eV"] == pytest.approx(np.abs(of_pairs).mean())
    assert found["n_adsorption"] == 4
    assert found["forces_meV_per_A"] == pytest.approx(20)


def test_shifts_are_those_of_the_elements(frames) -> None:
    wanted = {"C": -7.0, "K": 0.4, "B": 2.0}
    energies = np.array([frame.energy_eV - sum(n * wanted[e] for e, n in frame.counts.items()) for frame in frames])
    assert fit_shifts(frames, energies) == pytest.approx(wanted)


def test_one_system_is_refused(frames) -> None:
    with pytest.raises(ValueError, match=r"^all 1 structures are of one system \(K metal\) but a whole one is held out"):
        split(frames[:1])


def test_an_unknown_system_lists_the_known_ones(frames) -> None:
    with pytest.raises(ValueError, match=r"^'X' is not a system of the file; its systems are: B, B2, K metal, pristine"):
        split(frames, ["X"])


def test_an_element_in_held_out_systems_alone_is_refused(frames) -> None:
    with pytest.raises(ValueError, match=r"^B would be in held-out systems alone; hold out others"):
        split(frames, ["B", "B2"])


def test_nothing_can_be_held_out(frames) -> None:
    with pytest.raises(ValueError, match=r"^no system can be held out, because each has an element that no other has"):
        split([frames[0], frames[1]])


def test_levels_of_theory_are_not_mixed(tmp_path: Path) -> None:
    write(tmp_path / "a.xyz", labelled(sheet(), -36.0, level="PBE"), format="extxyz")
    write(tmp_path / "b.xyz", labelled(sheet(), -36.0, level="r2SCAN"), format="extxyz")
    sentence = r"^2 levels of theory are mixed but must never be: structure 0 of a.xyz: PBE; structure 0 of b.xyz: r2SCAN"
    with pytest.raises(ValueError, match=sentence):
        read([tmp_path / "a.xyz", tmp_path / "b.xyz"])


def test_what_follows_from_a_structure_is_no_level() -> None:
    one, other = Atoms("K"), Atoms("K")
    one.info = {"settings": '{"xc": "PBE", "kpts": [3, 3, 3], "plane_waves_eV": 500}', "gpaw": "26.7.0"}
    other.info = {"settings": '{"xc": "PBE", "kpts": [5, 5, 1], "plane_waves_eV": 500}', "gpaw": "26.7.0"}
    assert level_of(one) == level_of(other) == '{"gpaw": "26.7.0", "plane_waves_eV": 500, "xc": "PBE"}'
    other.info["settings"] = '{"xc": "PBE", "kpts": [5, 5, 1], "plane_waves_eV": 400}'
    assert level_of(one) != level_of(other)
    assert functional_of(level_of(one)) == "PBE"
    assert functional_of("unknown") == "unknown"


def test_unlabelled_structures_and_files_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist: give the path of a file of labelled structures"):
        read([tmp_path / "none.xyz"])
    (tmp_path / "text.xyz").write_text("no structure\n")
    with pytest.raises(ValueError, match="is not extended XYZ"):
        read([tmp_path / "text.xyz"])
    write(tmp_path / "bare.xyz", sheet(), format="extxyz")
    with pytest.raises(ValueError, match=r"^structure 0 of `.*bare.xyz` has no energy and no forces: label it first"):
        read([tmp_path / "bare.xyz"])
    write(tmp_path / "nan.xyz", labelled(sheet(), np.nan), format="extxyz")
    with pytest.raises(ValueError, match="has an energy or force that is not finite: leave it out"):
        read([tmp_path / "nan.xyz"])
    (tmp_path / "empty.xyz").write_text("")
    with pytest.raises(ValueError, match=r"holds no structure: there is nothing to train on|is not extended XYZ"):
        read([tmp_path / "empty.xyz"])


def test_our_own_labels_can_be_read() -> None:
    frames, level = read(sorted((Path(__file__).parents[3] / "training" / "labels").glob("*.xyz.gz")))
    assert '"xc": "PBE"' in level
    assert len(frames) >= 24
    assert pairs(frames)
    assert set(references(frames)) == {"K", "Na", "Li"}
