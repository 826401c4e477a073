import json
import re
import time

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.geometry import find_mic
from ase.optimize import BFGS
from hypothesis import given, settings
from hypothesis import strategies as st

from philic.structures.carbons.carbon import carbon_host
from philic.structures.crystals.supercells import supercell_for
from philic.structures.jumps.hops import end_points, hops
from philic.structures.sites.adatoms import place_adatoms
from philic.structures.sites.sites import all_anchors, site_names
from philic.structures.surfaces.slabs import slab
from philic.structures.symmetry.equivalents import Image, image_of, imaged

CU = bulk("Cu", cubic=True)


def without(atoms: Atoms, index: int) -> Atoms:
    rest = atoms.copy()
    del rest[index]
    return rest


def over(host: Atoms, name: str) -> list[Atoms]:
    """The host with a Cu atom over each site of one name."""
    places = all_anchors(host)
    chosen = [anchors for (_, anchors), named in zip(places, site_names(host, places), strict=True) if named == name]
    pieces = []
    for anchors in chosen:
        piece = place_adatoms(host, "K", [anchors])
        piece.symbols[-1] = "Ag"  # for EMT
        pieces.append(piece)
    return pieces


def relaxed(atoms: Atoms) -> Atoms:
    settled = atoms.copy()
    settled.calc = EMT()
    BFGS(settled, logfile=None).run(fmax=0.05, steps=8)
    return settled


def check(one: Atoms, settled: Atoms, other: Atoms, image: Image) -> None:
    """An image has the energy of what it is the image of, its forces turned, and is as near the other as that the one."""
    again = imaged(settled, **json.loads(json.dumps(image._asdict())))
    again.calc = EMT()
    cell = settled.cell.array
    turn = np.linalg.inv(cell) @ np.transpose(image.rotation) @ cell
    forces = settled.get_forces(apply_constraint=False)[list(image.order)]
    assert again.get_potential_energy() == pytest.approx(settled.get_potential_energy(), abs=1e-6)
    assert again.get_forces(apply_constraint=False) == pytest.approx(forces @ turn, abs=1e-6)
    assert (again.numbers == other.numbers).all()
    moved_A = find_mic(settled.positions - one.positions, cell)[1][list(image.order)]
    assert find_mic(again.positions - other.positions, cell)[1] == pytest.approx(moved_A, abs=1e-6)
    assert [held.index.tolist() for held in again.constraints] == [held.index.tolist() for held in other.constraints]


@pytest.mark.parametrize("index", [1, 106])
def test_a_vacancy_in_copper_is_moved_by_a_translation(index: int) -> None:
    perfect = CU * (3, 3, 3)
    one, other = without(perfect, 0), without(perfect, index)
    image = image_of(perfect, one, other)
    assert image is not None
    assert np.array(image.rotation).tolist() == np.eye(3).tolist()
    check(one, relaxed(one), other, image)


def test_the_cell_may_have_relaxed_since() -> None:
    perfect = CU * (3, 3, 3)
    one, other = without(perfect, 0), without(perfect, 50)
    image = image_of(perfect, one, other)
    assert image is not None
    strained = one.copy()
    strained.set_cell(1.03 * one.cell, scale_atoms=True)
    expected = other.copy()
    expected.set_cell(1.03 * one.cell, scale_atoms=True)
    check(strained, relaxed(strained), expected, image)


def test_an_adatom_over_one_hollow_is_the_image_of_that_over_another_of_its_kind_only() -> None:
    host = slab(CU, (1, 1, 1), layers=3, size=(3, 3), fixed_layers=1)
    fcc, hcp = over(host, "hollow Cu3 fcc"), over(host, "hollow Cu3 hcp")
    settled = relaxed(fcc[0])
    for other in (fcc[1], fcc[5]):
        image = image_of(host, fcc[0], other)
        assert image is not None
        check(fcc[0], settled, other, image)
    assert image_of(host, fcc[0], hcp[0]) is None


def test_round_a_dopant_a_rotation_does_it() -> None:
    host = carbon_host("N")
    near, *rest = over(host, "hollow C5N")
    for other in rest:
        image = image_of(host, near, other)
        assert image is not None
        assert image.rotation != ((1, 0, 0), (0, 1, 0), (0, 0, 1))
        again = imaged(near, **image._asdict())
        assert find_mic(again.positions - other.positions, host.cell)[1].max() < 1e-6
    assert image_of(host, near, over(host, "hollow C6")[0]) is None


def test_a_face_that_is_held_is_no_image_of_one_that_is_free() -> None:
    loose = slab(CU, (1, 0, 0), layers=4, size=(2, 2))
    order = np.argsort(loose.positions[:, 2])
    one, other = without(loose, int(order[0])), without(loose, int(order[-1]))
    assert image_of(loose, one, other) is not None
    held = slab(CU, (1, 0, 0), layers=4, size=(2, 2), fixed_layers=1)
    assert image_of(held, without(held, int(order[0])), without(held, int(order[-1]))) is None


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 999))
def test_any_order_of_atoms_and_any_distortion_will_do(seed: int) -> None:
    random = np.random.default_rng(seed)
    perfect = bulk("NaCl", "rocksalt", a=5.6, cubic=True) * (2, 2, 2)
    chlorines = np.flatnonzero(perfect.symbols == "Cl")
    first, second = random.choice(chlorines, 2, replace=False)
    one, other = without(perfect, int(first)), without(perfect, int(second))
    one, other = (atoms[random.permutation(len(atoms))] for atoms in (one, other))
    image = image_of(perfect, one, other)
    assert image is not None
    one.rattle(0.1, seed=seed)
    again = imaged(one, **image._asdict())
    assert sorted(image.order) == list(range(len(one)))
    assert find_mic(again.positions - other.positions, perfect.cell)[1].max() < 0.6  # the rattle
    before, after = one.get_all_distances(mic=True), again.get_all_distances(mic=True)
    assert after == pytest.approx(before[np.ix_(image.order, image.order)], abs=1e-9)
    assert image_of(perfect, one, without(perfect, int(np.flatnonzero(perfect.symbols == "Na")[0]))) is None


@pytest.mark.parametrize(("stretch", "turned"), [(1.0, True), (1.002, False)])
def test_a_cell_that_is_only_nearly_cubic_is_not_turned(stretch: float, turned: bool) -> None:
    perfect = CU * (2, 2, 2)
    perfect.set_cell(perfect.cell.array * [[stretch], [1.0], [1.0]], scale_atoms=True)
    along_a, along_c = (perfect + Atoms("Ag", positions=[step]) for step in ([1.2, 0, 0], [0, 0, 1.2]))
    assert (image_of(perfect, along_a, along_c) is not None) == turned


@pytest.mark.parametrize("mechanism", ["vacancy", "interstitial", "knock-off"])
def test_the_end_of_a_symmetric_hop_is_the_image_of_its_start(mechanism: str) -> None:
    crystal = bulk("LiF", "rocksalt", a=4.03)
    for hop in hops(crystal, "Li", 2.9, mechanism=mechanism):
        start, end = end_points(supercell_for(crystal, 8.0), hop)
        image = image_of(supercell_for(crystal, 8.0), start, end)
        assert image is not None
        again = imaged(start, **image._asdict())
        assert find_mic(again.positions - end.positions, end.cell)[1].max() < 1e-6


def test_hundreds_of_operations_are_searched_at_once() -> None:
    perfect = bulk("NaCl", "rocksalt", a=5.6, cubic=True) * (3, 3, 3)
    one, other = without(perfect, 0), without(perfect, 104)
    image_of(perfect, one, other)
    start = time.process_time()
    image_of(perfect, one, other)
    assert time.process_time() - start < 0.8


def test_what_has_no_image_is_refused() -> None:
    perfect = CU * (2, 2, 2)
    one = without(perfect, 0)
    with pytest.raises(ValueError, match=re.escape("`other` has 30 atoms but must have one fewer or one more than the 32")):
        image_of(perfect, one, without(one, 0))
    with pytest.raises(ValueError, match="`one` has another cell than `perfect` but must have the same"):
        image_of(perfect, without(CU * (2, 2, 3), 0), one)
    with pytest.raises(ValueError, match="`order` names 3 atoms but must name each of the 31 once"):
        imaged(one, rotation=np.eye(3), shift=(0, 0, 0), order=(0, 1, 2))


def test_where_the_defect_was_is_no_longer_told() -> None:
    host = carbon_host("N")
    one, other, *_ = over(host, "hollow C5N")
    image = image_of(host, one, other)
    assert image is not None
    about = imaged(one, **image._asdict()).info["philic"]
    assert (about["metal"], about["face"], about["host"]) == ("K", 1, "N")
    assert "anchors" not in about
    assert "anchors" in one.info["philic"]
