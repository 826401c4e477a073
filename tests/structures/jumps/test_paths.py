import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc100
from ase.constraints import FixAtoms
from ase.geometry import find_mic

from philic.structures.crystals.supercells import supercell_for
from philic.structures.jumps.hops import end_points, hops
from philic.structures.jumps.paths import (
    closest_approach,
    farthest_A,
    interpolated,
    matched,
    path_lengths_A,
    respaced,
    straight,
)
from philic.structures.symmetry.path_symmetry import mirror_of

KF = bulk("KF", "rocksalt", a=5.34)


def vacancy(seed=None):
    """A vacancy hop in copper over the cell's edges: the atom ends on the other side."""
    whole = bulk("Cu", cubic=True) * (3, 3, 3)
    apart = whole.get_distances(0, range(len(whole)), mic=True)
    mover = next(i for i in range(1, 108) if apart[i] < 2.6 and np.linalg.norm(whole.positions[i]) > 5)
    start, end = whole.copy(), whole.copy()
    end.positions[mover] = whole.positions[0]
    del start[0], end[0]
    if seed is not None:
        order = np.random.default_rng(seed).permutation(107)
        end = end[order]
    return start, end, mover - 1


def hop_of(mechanism, length_A):
    return end_points(supercell_for(KF, 10.0), hops(KF, "K", length_A, mechanism=mechanism)[0])


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_one_atom_moves_over_the_cell_s_edge(seed):
    start, end, mover = vacancy(seed)
    end.positions += [0.3, -0.2, 0.1]
    end.wrap()
    last, order = matched(start, end)
    ways = np.linalg.norm(last.positions - start.positions, axis=1)
    assert ways.argmax() == mover
    assert ways[mover] == pytest.approx(3.61 / 2**0.5 * 106 / 107)
    assert np.delete(ways, mover).max() < 0.03
    assert (last.positions - start.positions).sum(axis=0) == pytest.approx(0, abs=1e-9)
    apart = last.positions - end.positions[order] + [0.3, -0.2, 0.1]
    assert np.linalg.norm(find_mic(apart, start.cell)[0], axis=1).max() < 0.03


def test_the_order_tells_what_exchanges_and_what_knocks_off():
    for mechanism, length_A in (("exchange", 4.0), ("knock-off", 3.0)):
        start, end = hop_of(mechanism, length_A)
        last, order = matched(start, end)
        assert (order == np.arange(len(start))).all()
        assert (np.linalg.norm(last.positions - start.positions, axis=1) > 1).sum() == 2


def test_fixed_atoms_stay_and_hold_the_rest():
    slab = fcc100("Al", (2, 2, 2), vacuum=5.0)
    slab.set_constraint(FixAtoms([0, 1, 2, 3]))
    end = slab.copy()
    end.positions[4:] += 0.4
    last, _ = matched(slab, end)
    np.testing.assert_allclose(last.positions, end.positions)
    path_A = interpolated(slab, straight(slab, last, 5))
    assert (path_A[:, :4] == slab.positions[:4]).all()
    end.set_constraint()
    with pytest.raises(ValueError, match="the end points have different fixed atoms but must have the same"):
        matched(slab, end)
    end.set_constraint(slab.constraints)
    end.positions[0] = end.positions[0] + 0.1
    end.arrays["positions"][0] += 0.1
    with pytest.raises(ValueError, match="differ in a fixed atom's place but fixed atoms must stay"):
        matched(slab, end)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda end: end.symbols.__setitem__(0, "Ag"), "the end points are Cu107 and AgCu106 but must be the same atoms"),
        (lambda end: end.set_cell(end.cell * 1.01), "the end points have different cells but must have one"),
        (lambda end: end.set_pbc(False), "the end points have different cells but must have one"),
    ],
)
def test_what_cannot_be_compared_is_refused(change, sentence):
    start, end, _ = vacancy()
    change(end)
    with pytest.raises(ValueError, match=sentence):
        matched(start, end)


def test_the_same_end_twice_is_refused():
    start, _, _ = vacancy()
    end = start[::-1]
    end.rattle(0.01, seed=0)
    with pytest.raises(ValueError, match=r"the end points are the same: no atom is more than 0\.0\d A elsewhere"):
        matched(start, end)


def test_the_closest_approach_is_found_where_it_is():
    """An atom that passes another at 2 A, half-way."""
    start = Atoms("KK", [[0, 0, 0], [3, 2, 0]], cell=[20] * 3, pbc=True)
    path_A = np.array([start.positions, start.positions])
    path_A[1, 0, 0] = 6.0
    found = closest_approach(start, path_A)
    assert found[:1] + found[2:] == pytest.approx((2.0, 0.5, 0, 1))
    assert found.closeness == pytest.approx(2.0 / 4.06)
    assert found.collides


@pytest.mark.parametrize("mechanism", ["exchange", "through"])
def test_a_collision_is_led_around(mechanism):
    """Atoms that swap places, and one that would go through another: no symmetry keeps them on the line."""
    start, end = hop_of("exchange", 4.0) if mechanism == "exchange" else through()
    last, _ = matched(start, end)
    line_A = np.array([start.positions, last.positions])
    assert closest_approach(start, line_A).distance_A < 0.2
    path_A = interpolated(start, straight(start, last, 9))
    assert closest_approach(start, path_A).distance_A > 1.5
    np.testing.assert_array_equal(path_A, interpolated(start, straight(start, last, 9)))
    np.testing.assert_allclose(path_A[[0, -1]], line_A)


def through():
    """An argon atom that hops two sites along a row, over the atom between."""
    whole = bulk("Ar", cubic=True, a=5.3) * (3, 3, 3)
    row = np.array([0.0, 2.65, 2.65])
    to = next(i for i in range(108) if np.allclose(whole.positions[i], 2 * row))
    start, end = whole.copy(), whole.copy()
    end.positions[0] = whole.positions[to]
    del start[to], end[to]
    return start, end


def test_images_are_evenly_spaced_and_distances_change_evenly():
    start, end, mover = vacancy()
    last, _ = matched(start, end)
    path_A = interpolated(start, straight(start, last, 7))
    gaps = np.diff(path_lengths_A(path_A))
    np.testing.assert_allclose(gaps, gaps.mean(), rtol=0.02)
    line = closest_approach(start, np.array([start.positions, last.positions]))
    assert line.mover == mover
    assert closest_approach(start, path_A).distance_A > line.distance_A + 0.05
    np.testing.assert_allclose(respaced(path_A, 7)[[0, -1]], path_A[[0, -1]])
    assert farthest_A(start, last) == pytest.approx(2.55, abs=0.04)


def test_a_vacancy_hop_is_its_own_mirror_image():
    start, end, _ = vacancy()
    last, _ = matched(start, end)
    path_A = interpolated(start, straight(start, last, 7))
    mirror = mirror_of(start, last, path_A[3])
    for here, there in zip(path_A, path_A[::-1], strict=True):
        np.testing.assert_allclose(mirror.image(here), there, atol=1e-3)
        np.testing.assert_allclose(mirror.image(mirror.image(here)), here, atol=1e-9)
    np.testing.assert_allclose(mirror.turned(path_A[1] - path_A[0]), path_A[5] - path_A[6], atol=2e-3)


def test_what_has_no_mirror_gets_none():
    start, end, _ = vacancy()
    last, _ = matched(start, end)
    off = np.random.default_rng(0).normal(scale=0.2, size=(107, 3))
    start.positions += off
    last.positions += off
    assert mirror_of(start, last, (start.positions + last.positions) / 2) is None


def test_a_mirror_takes_fixed_atoms_to_fixed_atoms():
    slab = fcc100("Al", (3, 3, 2), vacuum=5.0)
    add_adsorbate(slab, "Au", 1.7, "hollow")
    slab.set_constraint(FixAtoms([atom.index for atom in slab if atom.tag == 2]))
    end = slab.copy()
    end.positions[-1, 0] += slab.cell[0, 0] / 3
    middle_A = (slab.positions + end.positions) / 2
    assert mirror_of(slab, end, middle_A) is not None
    for atoms in (slab, end):
        atoms.set_constraint(FixAtoms([0]))
    assert mirror_of(slab, end, middle_A) is None
