import re
from collections import Counter
from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.optimize import BFGS
from hypothesis import given, settings
from hypothesis import strategies as st

from philic.structures.carbons.carbon import carbon_host, graphene
from philic.structures.jumps.network import Jump, percolation
from philic.structures.jumps.surface_hops import SurfaceHop, surface_hops, surface_network
from philic.structures.sites.adatoms import image_distance_A, place_adatoms
from philic.structures.sites.resting import KINDS, on_sites, rest_position
from philic.structures.sites.sites import adsorption_sites
from philic.structures.surfaces.slabs import slab
from philic.structures.surfaces.steps import kinked_slab, stepped_slab

CU = bulk("Cu", a=3.61, cubic=True)
K = bulk("K", a=5.23, cubic=True)
CASES = {
    "graphene": (graphene((3, 4)), 2.5, ["hollow"]),
    "graphene, all": (graphene((2, 2)), 2.5, ["top", "bridge", "hollow"]),
    "N": (carbon_host("N"), 2.5, ["hollow"]),
    "vacancy": (carbon_host("vacancy"), 3.0, ["hollow", "top"]),
    "Cu(111)": (slab(CU, (1, 1, 1), layers=3, size=(2, 2)), 2.6, ["hollow"]),
    "Cu(100)": (slab(CU, (1, 0, 0), layers=3, size=(2, 2)), 2.6, ["hollow", "bridge"]),
    "K(110)": (slab(K, (1, 1, 0), layers=3, size=(2, 2)), 5.3, ["hollow", "bridge K-K long"]),
    "MgO(100)": (slab(bulk("MgO", "rocksalt", a=4.21, cubic=True), (1, 0, 0), layers=2), 3.0, ["top", "hollow"]),
    "Cu(533)": (stepped_slab(CU, "111", "100", rows=4, layers=3, size=(1, 2)), 2.6, ["hollow"]),
    "Cu(221)": (stepped_slab(CU, "111", "111", rows=4, layers=3, size=(1, 2)), 2.6, ["hollow"]),
    "K(431)": (stepped_slab(K, "110", "110", rows=4, layers=3, size=(1, 2)), 5.0, ["hollow"]),
    "kink": (kinked_slab(CU, "111", "100", rows=3, layers=3), 2.6, ["hollow"]),
}


def site_hops(host: Atoms, longest_A: float, kinds: Sequence[str] = KINDS, near_A: float | None = None) -> list[SurfaceHop]:
    return surface_hops(host, on_sites(host, kinds), longest_A, near_A=near_A)


@cache
def found_on(name: str) -> list[SurfaceHop]:
    host, longest, kinds = CASES[name]
    before = host.copy()
    hops = site_hops(host, longest, kinds=kinds)
    assert host == before
    return hops


def summary_of(hops: list[SurfaceHop]) -> list[tuple[str, int, bool, int, int]]:
    """What must not depend on how the host is written down; numbers at the end of labels do."""
    return sorted(
        (re.sub(r" #\d+", "", hop.label), hop.multiplicity, hop.symmetric, hop.climb, hop.start.face) for hop in hops
    )


def displacement(host: Atoms, hop: SurfaceHop) -> np.ndarray:
    return rest_position(host, hop.end) - rest_position(host, hop.start)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 3), (3, 4), (5, 5)])
def test_hexagons_of_graphene_are_a_triangular_lattice(size: tuple[int, int]) -> None:
    (hop,) = site_hops(graphene(size), 4.3, kinds=["hollow"])  # the second neighbours, at 4.26 A, lie beyond the first
    assert (hop.label, hop.multiplicity, hop.symmetric, hop.climb) == ("hollow C6 to hollow C6 2.46 A", 6, True, 0)
    assert hop.length_A == pytest.approx(2.46)


def test_a_jump_over_a_third_site_is_two_jumps() -> None:
    hops = site_hops(graphene((3, 3)), 2.5)
    assert [(hop.label, hop.multiplicity) for hop in hops] == [
        ("top C to bridge C-C 0.71 A", 3),
        ("hollow C6 to bridge C-C 1.23 A", 6),
        ("hollow C6 to top C 1.42 A", 6),
    ]


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 3), (2, 3)])
def test_a_close_packed_face_has_three_fcc_to_hcp_jumps_and_no_other(size: tuple[int, int]) -> None:
    (hop,) = site_hops(slab(CU, (1, 1, 1), layers=3, size=size), 2.7, kinds=["hollow"])
    assert (hop.start.label, hop.end.label) == ("hollow Cu3 fcc", "hollow Cu3 hcp")
    assert (hop.label, hop.multiplicity, hop.symmetric) == ("hollow Cu3 fcc to hollow Cu3 hcp 1.47 A", 3, False)
    assert hop.length_A == pytest.approx(3.61 / 6**0.5)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 3)])
def test_a_square_face_has_four_jumps_along_its_sides_then_four_over_the_atoms(size: tuple[int, int]) -> None:
    hops = site_hops(slab(CU, (1, 0, 0), layers=3, size=size), 3.7, kinds=["hollow"])
    assert [(hop.multiplicity, hop.symmetric) for hop in hops] == [(4, True), (4, True)]
    assert [hop.length_A for hop in hops] == pytest.approx([3.61 / 2**0.5, 3.61])


def test_the_long_bridges_of_a_bcc_face_are_joined_along_its_close_packed_rows() -> None:
    hops = site_hops(slab(K, (1, 1, 0), layers=3), 5.3, kinds=["bridge K-K long"])
    assert [(hop.multiplicity, hop.symmetric) for hop in hops] == [(4, True), (2, True)]
    assert [hop.length_A for hop in hops] == pytest.approx([5.23 * 3**0.5 / 2, 5.23])


def test_two_hollows_of_a_bcc_face_share_a_long_bridge() -> None:
    first, second, _ = site_hops(slab(K, (1, 1, 0), layers=3), 5.3, kinds=["hollow"])
    # centroids of the two triangles on a side a of a rhombus whose other diagonal is sqrt(2) a
    assert (first.multiplicity, first.length_A) == (1, pytest.approx(5.23 * 2**0.5 / 3))
    assert second.multiplicity == 2


def test_a_dopant_makes_jumps_distinct() -> None:
    assert len(found_on("N")) > len(found_on("graphene"))
    near = site_hops(carbon_host("N"), 2.5, kinds=["hollow"], near_A=2.0)
    assert {hop.start.label for hop in near} == {"hollow C5N"}
    assert {hop.label for hop in near} < {hop.label for hop in found_on("N")}


def test_the_jumps_round_a_nitrogen_add_up_to_three_for_each_hexagon() -> None:
    host = carbon_host("N")
    jumps = surface_network(host, site_hops(host, 2.5, kinds=["hollow"])).jumps
    assert Counter(jump.start for jump in jumps) == dict.fromkeys(range(16), 6)


@pytest.mark.parametrize("name", ["Cu(533)", "Cu(221)", "K(431)", "kink"])
def test_jumps_lead_over_the_edge_of_a_step_down_and_up_as_often(name: str) -> None:
    host, hops = CASES[name][0], found_on(name)
    over = [hop for hop in hops if hop.climb]
    assert over
    assert {abs(hop.climb) for hop in over} == {1}
    assert all(("down a step" in hop.label) == (hop.climb == -1) for hop in hops)
    network = surface_network(host, hops)
    climbs = [hops[jump.hop].climb * (-1 if jump.backward else 1) for jump in network.jumps]
    assert sum(climbs) == 0
    assert [part.dimension for part in percolation(network, range(len(hops)))] == [2]


@pytest.mark.parametrize(
    ("crystal", "miller", "climbs"),
    [
        (CU, (2, 1, 1), {0, 1}),
        (CU, (3, 1, 1), {0, 1}),
        (K, (3, 1, 0), {0, 1}),
        (CU, (1, 1, 0), {0}),  # troughs, whose walls are (111)
        (CU, (1, 0, 0), {0}),
        (K, (1, 1, 0), {0}),
        (bulk("MgO", "rocksalt", a=4.21, cubic=True), (1, 0, 0), {0}),
    ],
)
def test_a_step_is_told_by_its_terraces(crystal: Atoms, miller: tuple[int, int, int], climbs: set[int]) -> None:
    """On slabs by Miller index too: from edge to edge over a terrace it is one step."""
    hops = site_hops(slab(crystal, miller, layers=6 if 1 in climbs else 3), 8.5, kinds=["top"])
    assert {abs(hop.climb) for hop in hops} == climbs


@pytest.mark.parametrize("name", ["Cu(533)", "Cu(221)"])
def test_without_the_jumps_over_the_edge_an_adatom_stays_on_its_terrace(name: str) -> None:
    hops = found_on(name)
    network = surface_network(CASES[name][0], hops)
    level = [at for at, hop in enumerate(hops) if hop.climb == 0]
    assert {part.dimension for part in percolation(network, level)} == {1}


@pytest.mark.parametrize("name", sorted(CASES))
def test_each_jump_has_its_reverse_and_as_many_leave_a_start_as_the_hop_says(name: str) -> None:
    host, hops = CASES[name][0], found_on(name)
    network = surface_network(host, hops)
    reverse = [
        Jump(end, start, (-steps[0], -steps[1]), hop, back if hops[hop].symmetric else not back)
        for start, end, steps, hop, back in network.jumps
    ]
    assert Counter(reverse) == Counter(network.jumps)
    places = np.array(network.places_A)[:, :2]
    for at, hop in enumerate(hops):
        apart = (places - rest_position(host, hop.start)) @ np.linalg.inv(host.cell.array[:2, :2])
        start = np.abs(apart - apart.round()).max(axis=1).argmin()
        assert sum(jump.hop == at and jump.start == start for jump in network.jumps) == hop.multiplicity


@pytest.mark.parametrize("name", sorted(CASES))
def test_every_jump_of_the_network_is_as_long_as_its_hop(name: str) -> None:
    hops = found_on(name)
    network = surface_network(CASES[name][0], hops)
    lengths = np.linalg.norm(network.displacements_A, axis=1)
    assert lengths == pytest.approx([hops[jump.hop].length_A for jump in network.jumps], abs=0.05)
    assert network.displacements_A.sum(axis=0) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", sorted(CASES))
def test_ends_are_sites_of_the_host_a_length_apart(name: str) -> None:
    host, longest, _ = CASES[name]
    listed = {site.label: site for site in adsorption_sites(host)}
    for hop in found_on(name):
        assert np.linalg.norm(displacement(host, hop)) == pytest.approx(hop.length_A)
        assert hop.length_A <= longest
        assert hop.start.anchors == listed[hop.start.label].anchors
        assert hop.start.face == listed[hop.start.label].face == listed[hop.end.label].face
        start, end = (place_adatoms(host, "Na", **rest.placement()) for rest in (hop.start, hop.end))
        assert (end.positions - start.positions)[-1, :2] == pytest.approx(displacement(host, hop))


@pytest.mark.parametrize("name", sorted(CASES))
def test_labels_are_unique_and_the_shortest_comes_first(name: str) -> None:
    hops = found_on(name)
    lengths = [round(hop.length_A, 3) for hop in hops]
    assert len({hop.label for hop in hops}) == len(hops)
    assert lengths == sorted(lengths)


@settings(max_examples=15, deadline=None)
@given(name=st.sampled_from(sorted(CASES)), seed=st.integers(0, 999))
def test_jumps_do_not_depend_on_origin_supercell_orientation_or_order(name: str, seed: int) -> None:
    host, longest, kinds = CASES[name]
    random = np.random.default_rng(seed)
    other = host.copy() if host.info["philic"].get("defect") else host.repeat((1, int(random.integers(1, 3)), 1))
    order = random.permutation(len(other))
    other = other[order]
    if defect := host.info["philic"].get("defect"):
        other.info["philic"] = {**host.info["philic"], "defect": [int(np.flatnonzero(order == i)[0]) for i in defect]}
    other.translate([*random.uniform(-9, 9, 2), 0.0])
    other.rotate(random.uniform(0, 360), "z", rotate_cell=True)
    other.wrap(pbc=(True, True, False))
    assert summary_of(site_hops(other, longest, kinds=kinds)) == summary_of(found_on(name))


def test_two_unlike_faces_have_each_their_own_jumps() -> None:
    sheet = graphene((2, 2))
    lid = slab(CU, (1, 1, 1), layers=3, size=(2, 2))
    assert image_distance_A(sheet) == pytest.approx(4.92)
    lid.set_cell([*sheet.cell.array[:2], lid.cell.array[2]], scale_atoms=True)
    sheet.positions[:, 2] = lid.positions[:, 2].max() + 3.3
    both = lid + sheet
    hops = site_hops(both, 2.5, kinds=["hollow"])
    assert {(hop.start.label.split()[1], hop.start.face) for hop in hops} == {("C6", 1), ("Cu3", -1)}
    with pytest.raises(ValueError, match="`hops` are on 2 faces but must be on one"):
        surface_network(both, hops)


@pytest.mark.parametrize(
    ("longest", "kinds", "message"),
    [
        (0.0, ["hollow"], "`max_length_A` is 0.0 but must be above 0"),
        (1.0, ["hollow"], "`max_length_A` is 1.0 but the shortest jump on pristine is 2.46 A: raise it"),
        (2.5, ["ring"], "`kinds` holds 'ring' but must be of: top, bridge, hollow, bridge C-C, hollow C6, top C"),
        (2.5, [], "`kinds` is [] but pristine has only: bridge C-C, hollow C6, top C"),
    ],
)
def test_what_cannot_hop_is_refused(longest: float, kinds: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        site_hops(graphene((2, 2)), longest, kinds=kinds)


def test_a_host_without_hollows_has_jumps_between_its_other_sites_only() -> None:
    apart = Atoms("C", cell=[6.0, 6.0, 15.0], pbc=True)
    assert [hop.label for hop in site_hops(apart, 6.1)] == ["top C to top C 6.00 A"]
    with pytest.raises(ValueError, match=re.escape("`kinds` is ['hollow'] but C has only: top C")):
        site_hops(apart, 6.1, kinds=["hollow"])


@pytest.mark.parametrize("name", ["Cu(533)", "kink"])
def test_the_steps_of_a_relaxed_slab_are_told_as_well(name: str) -> None:
    host, longest, kinds = CASES[name]
    settled = host.copy()
    settled.calc = EMT()
    BFGS(settled, logfile=None).run(fmax=0.1, steps=8)
    assert np.abs(settled.positions - host.positions).max() > 0.05
    climbs = Counter(hop.climb for hop in site_hops(settled, longest, kinds=kinds))
    assert climbs == Counter(hop.climb for hop in found_on(name))


def test_a_network_of_nothing_or_of_another_host_is_refused() -> None:
    sheet = graphene((2, 2))
    with pytest.raises(ValueError, match="`hops` are on 0 faces but must be on one"):
        surface_network(sheet, [])
    moved = sheet.copy()
    moved.positions[:, 0] += 0.5 * np.arange(len(sheet)) % 3
    with pytest.raises(ValueError, match="has no such sites: give the host it was found on"):
        surface_network(moved, site_hops(sheet, 2.5, kinds=["hollow"]))
