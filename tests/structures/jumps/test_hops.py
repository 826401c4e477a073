import json
import re
from functools import cache

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.geometry import find_mic
from ase.spacegroup import crystal as spaced
from hypothesis import example, given, settings
from hypothesis import strategies as st

from philic.structures.crystals.supercells import supercell_for
from philic.structures.jumps.hops import MECHANISMS, Hop, Operation, end_points, hops

KF = bulk("KF", "rocksalt", a=5.34)
LIF = bulk("LiF", "rocksalt", a=4.03)
LI2O = spaced(["Li", "O"], [(0.25, 0.25, 0.25), (0, 0, 0)], spacegroup=225, cellpar=[4.62] * 3 + [90] * 3)
LI3N = spaced(
    ["Li", "N", "Li"],
    [(0, 0, 0.5), (0, 0, 0), (1 / 3, 2 / 3, 0)],
    spacegroup=191,
    cellpar=[3.65, 3.65, 3.88, 90, 90, 120],
)
K = bulk("K", cubic=True)
CASES = {
    "KF": (KF, "K", 4.5),
    "LiF": (LIF, "Li", 3.0),
    "Li2O": (LI2O, "Li", 3.4),
    "Li3N": (LI3N, "Li", 3.0),
    "bcc K": (K, "K", 4.6),
}


def all_hops(crystal: Atoms, metal: str, longest: float) -> list[Hop]:
    return [hop for mechanism in MECHANISMS for hop in hops(crystal, metal, longest, mechanism=mechanism)]


@cache
def every_hop(name: str) -> list[tuple[Hop, Atoms, Atoms]]:
    crystal, metal, longest = CASES[name]
    before = crystal.copy()
    found = [(hop, *end_points(supercell_for(crystal, 9.0), hop)) for hop in all_hops(crystal, metal, longest)]
    assert crystal == before
    return found


def maps_onto(one: Atoms, other: Atoms, operation: Operation) -> bool:
    """Return whether an operation takes each atom of one crystal onto its like in the other, within 0.1 A."""
    images = one.positions @ np.array(operation.rotation).T + np.array(operation.shift_A)
    return len(one) == len(other) and all(
        find_mic(other.positions[other.numbers == number] - image, one.cell)[1].min(initial=np.inf) < 0.1
        for number, image in zip(one.numbers, images, strict=True)
    )


def summary(found: list[Hop]) -> tuple[list[tuple[str, int, bool]], list[float]]:
    """What must not depend on how the crystal is written down: what there is, and how long."""
    rows = sorted((hop.mechanism, hop.multiplicity, hop.symmetric, hop.length_A) for hop in found)
    return [row[:3] for row in rows], [row[3] for row in rows]


def test_rock_salt_has_one_nearest_vacancy_hop_to_twelve_neighbours() -> None:
    (hop,) = hops(KF, "K", 4.0)
    assert (hop.mechanism, hop.multiplicity, hop.symmetric) == ("vacancy", 12, True)
    assert hop.length_A == pytest.approx(5.34 / 2**0.5)


def test_antifluorite_hops_along_the_edges_then_the_face_diagonals_of_a_simple_cubic_lattice() -> None:
    found = hops(LI2O, "Li", 3.4)
    assert [hop.multiplicity for hop in found] == [6, 12]
    assert [hop.length_A for hop in found] == pytest.approx([4.62 / 2, 4.62 / 2**0.5])


def test_the_cube_diagonals_of_antifluorite_are_two_hops_one_of_them_through_oxygen() -> None:
    along = hops(LI2O, "Li", 4.01)[2:]
    clear = sorted(end_points(supercell_for(LI2O, 10.0), hop)[0].info["philic"]["clearance_A"] for hop in along)
    assert [hop.multiplicity for hop in along] == [4, 4]
    assert clear == pytest.approx([0, 1.886], abs=2e-2)


def test_bcc_and_lithium_nitride_have_the_neighbours_of_their_lattices() -> None:
    assert [hop.multiplicity for hop in hops(K, "K", 4.6)] == [8]
    found = hops(LI3N, "Li", 3.0)  # in the Li2N plane, then between planes
    assert [(hop.multiplicity, hop.symmetric) for hop in found] == [
        (3, True),
        (12, False),
    ]  # 12 from the lone Li, 6 back


def test_an_interstitial_of_rock_salt_hops_along_the_edges_of_a_simple_cubic_lattice() -> None:
    (hop,) = hops(LIF, "Li", 2.1, mechanism="interstitial")
    assert (hop.multiplicity, hop.symmetric) == (6, True)
    assert hop.length_A == pytest.approx(4.03 / 2)


def test_knock_off_in_lithium_fluoride_is_straight_or_bent_two_ways() -> None:
    # one interstitial has four lithium neighbours, each with seven other voids round it: 3 + 3 + 1
    found = hops(LIF, "Li", 1.8, mechanism="knock-off")
    assert {hop.label: hop.multiplicity for hop in found} == {
        "knock-off 1.75 A 71 deg": 12,
        "knock-off 1.75 A 109 deg": 12,
        "knock-off 1.75 A 180 deg": 4,
    }
    assert all(hop.symmetric and hop.length_A == pytest.approx(4.03 * 3**0.5 / 4) for hop in found)


def test_a_foreign_interstitial_may_hop() -> None:
    start, _ = end_points(supercell_for(LIF, 10.0), hops(LIF, "Na", 2.1, mechanism="interstitial")[0])
    assert start.symbols[-1] == "Na"
    assert start.info["philic"]["formal_charge"] == 1


@pytest.mark.parametrize("name", sorted(CASES))
def test_end_points_are_matched_and_moved_by_the_minimum_image(name: str) -> None:
    metal = CASES[name][1]
    for hop, start, end in every_hop(name):
        moved = end.positions - start.positions
        lengths = np.linalg.norm(moved, axis=1)
        assert (start.numbers == end.numbers).all()
        assert np.allclose(start.cell, end.cell)
        assert np.flatnonzero(lengths > 1e-6).tolist() == sorted(start.info["philic"]["moving"])
        assert set(start.symbols[lengths > 1e-6]) == {metal}
        assert lengths.max() == pytest.approx(hop.length_A)
        assert np.allclose(find_mic(moved, start.cell)[0], moved, atol=1e-6)


@pytest.mark.parametrize("name", sorted(CASES))
def test_no_atoms_overlap_at_either_end(name: str) -> None:
    for _, *ends in every_hop(name):
        for atoms in ends:
            assert np.unique(atoms.get_all_distances(mic=True).round(3))[1] > 1.4


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_operation_of_a_symmetric_hop_maps_its_end_points_onto_each_other(name: str) -> None:
    for hop, start, end in every_hop(name):
        assert hop.symmetric == (hop.operation is not None)
        assert start.info["philic"]["symmetric"] <= hop.symmetric
        if start.info["philic"]["symmetric"]:
            assert hop.operation is not None
            turn = np.array(hop.operation.rotation)
            assert turn @ turn.T == pytest.approx(np.eye(3), abs=1e-6)
            assert maps_onto(start, end, hop.operation)
            assert maps_onto(end, start, hop.operation)


@pytest.mark.parametrize(
    ("mechanism", "more", "moving", "charge"),
    [("vacancy", -1, 1, -1), ("interstitial", 1, 1, 1), ("knock-off", 1, 2, 1), ("exchange", 0, 2, 0)],
)
def test_each_mechanism_has_its_defect(mechanism: str, more: int, moving: int, charge: int) -> None:
    hop = hops(LIF, "Li", 3.0, mechanism=mechanism)[0]
    start, end = end_points(supercell_for(LIF, 10.0), hop)
    counts = start.symbols.formula.count()
    assert counts["Li"] == counts["F"] + more
    for atoms, name in ((start, "start"), (end, "end")):
        about = atoms.info["philic"]
        assert (about["end"], about["mechanism"], about["formal_charge"]) == (name, mechanism, charge)
        assert len(about["moving"]) == moving
        assert json.loads(json.dumps(about)) == about


def test_an_exchange_collides_on_the_straight_line_and_says_so() -> None:
    start, end = end_points(supercell_for(KF, 10.0), hops(KF, "K", 4.0, mechanism="exchange")[0])
    one, other = start.info["philic"]["moving"]
    apart = find_mic(end.positions[one] - start.positions[other], start.cell)[1]
    assert apart == pytest.approx(0, abs=1e-6)
    assert start.info["philic"]["clearance_A"] == pytest.approx(0, abs=1e-6)


def test_the_closest_approach_of_a_rock_salt_hop_is_between_two_anions() -> None:
    start, _ = end_points(supercell_for(KF, 10.0), hops(KF, "K", 4.0)[0])
    assert start.info["philic"]["clearance_A"] == pytest.approx(5.34 / 2 / 2**0.5, abs=1e-6)


@settings(max_examples=8, deadline=None)
@example(name="Li3N", seed=0)
@given(name=st.sampled_from(sorted(CASES)), seed=st.integers(0, 999))
def test_hops_do_not_depend_on_origin_supercell_orientation_or_order(name: str, seed: int) -> None:
    crystal, metal, longest = CASES[name]
    random = np.random.default_rng(seed)
    other = make_supercell(crystal, [[1, 0, 0], [0, 2, 0], [random.integers(0, 2), 0, 1]])
    other = other[random.permutation(len(other))]
    other.translate(random.uniform(-9, 9, 3))
    other.rotate(random.uniform(0, 360), random.normal(size=3), rotate_cell=True)
    other.wrap()
    found = all_hops(other, metal, longest)
    kinds, lengths = summary(found)
    expected, expected_lengths = summary([hop for hop, *_ in every_hop(name)])
    assert kinds == expected
    assert lengths == pytest.approx(expected_lengths, abs=1e-2)
    hop = found[int(random.integers(len(found)))]
    start, end = end_points(supercell_for(other, 10.0), hop)
    assert np.allclose(find_mic(end.positions - start.positions, start.cell)[0], end.positions - start.positions)


@settings(max_examples=20, deadline=None)
@given(name=st.sampled_from(["KF", "LiF", "Li2O", "bcc K"]), reach=st.floats(1.0, 1.9))
def test_vacancy_hops_count_every_neighbour_of_a_lattice_with_one_kind_of_site(name: str, reach: float) -> None:
    crystal, metal, longest = CASES[name]
    cutoff = longest * reach
    wide = crystal * (5, 5, 5) if len(crystal) < 3 else crystal * (3, 3, 3)
    middle = wide.cell.array.sum(axis=0) / 2
    metals = wide.positions[wide.symbols == metal]
    one = metals[np.linalg.norm(metals - middle, axis=1).argmin()]
    near = find_mic(metals - one, wide.cell)[1]
    margin = np.abs(near - cutoff).min()
    if margin > 1e-3 and cutoff < np.linalg.norm(wide.cell.array, axis=1).min() / 2:
        assert sum(hop.multiplicity for hop in hops(crystal, metal, cutoff)) == (near < cutoff).sum() - 1


@pytest.mark.parametrize("name", sorted(CASES))
def test_labels_are_unique_and_the_shortest_comes_first(name: str) -> None:
    crystal, metal, longest = CASES[name]
    for mechanism in MECHANISMS:
        found = hops(crystal, metal, longest, mechanism=mechanism)
        lengths = [round(hop.length_A, 3) for hop in found]
        assert len({hop.label for hop in found}) == len(found)
        assert lengths == sorted(lengths)
        assert max(lengths) <= longest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Na", 4.0), "`metal` is 'Na' but KF holds only: F, K"),
        (("Mg", 4.0), "`metal` is 'Mg' but must be one of: Li, Na, K, Rb, Cs"),
        (("K", 0.0), "`max_length_A` is 0.0 but must be above 0"),
        (("K", 2.0), "`max_length_A` is 2.0 but the shortest vacancy jump of K in KF is 3.78 A: raise it"),
        (("K", 2.0, "knock-off"), "but the shortest knock-off jump of K in KF is 2.31 A: raise it"),
        (
            ("K", 4.0, "jump"),
            "`mechanism` is 'jump' but must be one of: vacancy, interstitial, knock-off, exchange",
        ),
    ],
)
def test_what_cannot_hop_is_refused(arguments: tuple[str, float, str], message: str) -> None:
    metal, longest, *rest = arguments
    with pytest.raises(ValueError, match=re.escape(message)):
        hops(KF, metal, longest, **({"mechanism": rest[0]} if rest else {}))


def test_a_crystal_without_a_void_is_refused() -> None:
    tight = bulk("Cu", "fcc", a=2.6)
    message = "`mechanism` is 'interstitial' but Cu has no void for Cs: take vacancy"
    with pytest.raises(ValueError, match=re.escape(message)):
        hops(tight, "Cs", 4.0, mechanism="interstitial")


def test_a_supercell_too_small_for_the_hop_or_of_another_crystal_is_refused() -> None:
    hop = hops(KF, "K", 4.0)[0]
    message = "`supercell` has images 5.34 A apart but a hop of 3.78 A needs more than 7.55 A: repeat the crystal more often"
    with pytest.raises(ValueError, match=re.escape(message)):
        end_points(supercell_for(KF, 5.0), hop)
    with pytest.raises(ValueError, match=r"with no K at .* but must be the one the site was found in"):
        end_points(supercell_for(LIF, 10.0), hop)
