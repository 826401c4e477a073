import re
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write
from hypothesis import given, settings
from hypothesis import strategies as st

from philic.structures.carbons.carbon import carbon_host, graphene
from philic.structures.carbons.graphite import ribbon
from philic.structures.carbons.mxenes import mxene
from philic.structures.sites.bonds import find_bonds, find_rings
from philic.structures.sites.defect_atoms import defect_atoms
from philic.structures.sites.sites import Site, adsorption_sites, all_anchors

NAMES = [
    "pristine",
    "vacancy",
    "divacancy",
    "N",
    "S",
    "O-B",
    "O-C-P",
    "pyridinic-2N",
    "pyrrolic-N",
    "Co-N4",
    "Y-N4",
]
few = settings(max_examples=15, deadline=None)


def summary(sites: list[Site]) -> list[tuple[str, str, int, float, int]]:
    """What must not depend on how the host is written down."""
    named = [re.sub(" #.*", "", site.label) for site in sites]
    return sorted(
        (site.kind, name, site.multiplicity, round(site.distance_A, 3), site.face)
        for site, name in zip(sites, named, strict=True)
    )


def counts(sites: list[Site]) -> Counter[str]:
    return Counter(site.kind for site in sites)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (3, 4), (1, 3)])
def test_graphene_of_any_size_has_three_sites(size: tuple[int, int]) -> None:
    sites = adsorption_sites(graphene(size))
    cells = size[0] * size[1]
    assert [(site.label, site.multiplicity) for site in sites] == [
        ("bridge C-C", 3 * cells),
        ("hollow C6", cells),
        ("top C", 2 * cells),
    ]


def test_one_graphitic_nitrogen_in_4x4_leaves_25_sites() -> None:
    assert counts(adsorption_sites(carbon_host("N"))) == {"top": 10, "bridge": 10, "hollow": 5}


def test_the_sites_next_to_a_nitrogen_are_named_for_it() -> None:
    sites = adsorption_sites(carbon_host("N"), near_A=2.0)
    assert [(site.label, site.multiplicity) for site in sites] == [
        ("top N", 1),
        ("bridge C-N", 3),
        ("hollow C5N", 3),
        ("top C @1.4", 3),
        ("bridge C-C @1.9", 6),
    ]


@few
@given(name=st.sampled_from(NAMES), size=st.tuples(st.integers(3, 5), st.integers(3, 5)))
def test_multiplicities_add_up_to_the_atoms_bonds_and_rings_of_the_sheet(name: str, size: tuple[int, int]) -> None:
    host = carbon_host(name, size)
    sites = adsorption_sites(host)
    faces = len({site.face for site in sites})
    total: Counter[str] = Counter()
    for site in sites:
        total[site.kind] += site.multiplicity
    bonds = find_bonds(host)
    chords = {"vacancy": 3, "divacancy": 2, "pyridinic-2N": 3, "pyrrolic-N": 4}.get(name, 0)  # across a hole
    assert total["top"] == faces * len(host)
    assert total["bridge"] == faces * (len(bonds) // 2 + chords)
    assert total["hollow"] == faces * (len(find_rings(bonds)) + chords)
    assert total["top"] - total["bridge"] + total["hollow"] == 0  # Euler, on a torus


@few
@given(name=st.sampled_from(NAMES), data=st.data())
def test_sites_do_not_depend_on_how_the_host_is_written_down(name: str, data: st.DataObject) -> None:
    host = carbon_host(name)
    order = data.draw(st.permutations(range(len(host))))
    moved = host[list(order)]
    moved.info["philic"] = {"defect": [order.index(i) for i in host.info["philic"]["defect"]]}
    moved.translate(data.draw(st.tuples(*[st.floats(-20, 20)] * 3)))
    moved.rotate(data.draw(st.floats(0, 360)), "z", rotate_cell=True)
    if data.draw(st.booleans()):
        moved.wrap()
    assert summary(adsorption_sites(moved)) == summary(adsorption_sites(host))


@pytest.mark.parametrize("name", NAMES)
def test_labels_are_unique_and_sites_come_in_order_of_distance(name: str) -> None:
    sites = adsorption_sites(carbon_host(name))
    distances = [round(site.distance_A, 3) for site in sites]
    assert len({site.label for site in sites}) == len(sites)
    assert distances == sorted(distances)
    assert sites == adsorption_sites(carbon_host(name))


@pytest.mark.parametrize(("name", "faces"), [("O-B", {1}), ("Co-N4", {1}), ("S", {1, -1}), ("Y-N4", {1, -1})])
def test_only_a_puckered_host_has_two_different_faces(name: str, faces: set[int]) -> None:
    sites = adsorption_sites(carbon_host(name))
    assert {site.face for site in sites} == faces
    assert all(site.label.endswith("below") or "below #" in site.label for site in sites if site.face < 0)


@pytest.mark.parametrize(
    ("name", "rings"),
    [
        ("vacancy", {6: 13, 12: 1, 5: 3}),
        ("divacancy", {6: 12, 14: 1, 5: 2}),
        ("Stone-Wales", {5: 2, 6: 12, 7: 2}),
        ("Fe-N4", {5: 2, 6: 14}),
    ],
)
def test_hollows_are_the_rings_of_the_sheet_a_hole_and_the_rings_it_opened(name: str, rings: dict[int, int]) -> None:
    found = Counter(len(anchors) for kind, anchors in all_anchors(carbon_host(name)) if kind == "hollow")
    assert found == rings


def test_distance_is_measured_to_the_nearest_atom_of_the_defect() -> None:
    sites = {site.label: site.distance_A for site in adsorption_sites(carbon_host("N"))}
    assert sites["top N"] == pytest.approx(0, abs=1e-9)
    assert sites["bridge C-N"] == pytest.approx(0.710, abs=1e-3)
    assert sites["hollow C5N"] == pytest.approx(1.420, abs=1e-3)


def test_small_noise_of_a_relaxation_does_not_split_sites() -> None:
    host = carbon_host("N")
    host.rattle(0.003, seed=1)
    assert len(adsorption_sites(host)) == 25


@pytest.mark.parametrize("host", [*map(carbon_host, NAMES), ribbon("armchair"), mxene("Ti3C2", "O")], ids=str)
def test_last_digits_of_the_positions_change_neither_names_nor_order(host: Atoms) -> None:
    """As they differ from one processor to another: the oxygen of an epoxide is on neither side of its bond."""
    random = np.random.default_rng(0)
    listed = [(site.label, site.multiplicity, site.face, site.anchors) for site in adsorption_sites(host)]
    for _ in range(5):
        other = host.copy()
        other.positions += random.normal(size=other.positions.shape, scale=1e-12)
        assert [(site.label, site.multiplicity, site.face, site.anchors) for site in adsorption_sites(other)] == listed


def test_a_loose_flake_has_no_ring_outside_itself() -> None:
    angles = np.arange(6) * np.pi / 3
    ring = np.column_stack([np.cos(angles), np.sin(angles), 0 * angles]) * 1.42
    flake = Atoms("C6", positions=ring + 7.5, cell=[15, 15, 15, 90, 90, 120], pbc=True)
    assert [site.label for site in adsorption_sites(flake)] == ["bridge C-C", "hollow C6", "top C"]


@pytest.mark.parametrize("name", ["vacancy", "pyridinic-1N", "pyrrolic-N", "O-C-P", "Fe-N4", "Stone-Wales", "epoxy"])
def test_a_record_of_the_defect_that_the_atoms_do_not_bear_out_is_replaced_by_what_stands_out(name: str) -> None:
    host = carbon_host(name)
    order = np.random.default_rng(0).permutation(len(host))
    shuffled, bare, cut = host[order], host.copy(), host[: len(host) // 3]
    bare.info = {}
    defect = sorted(host.info["philic"]["defect"])
    assert sorted(defect_atoms(host)) == defect
    assert sorted(int(order[i]) for i in defect_atoms(shuffled)) == defect
    assert sorted(defect_atoms(bare)) == defect
    assert all(i < len(cut) for i in defect_atoms(cut))
    assert summary(adsorption_sites(shuffled, near_A=2.0)) == summary(adsorption_sites(host, near_A=2.0))


def test_a_record_that_names_the_wrong_atoms_of_a_mxene_is_dropped() -> None:
    host = mxene("Ti3C2", "O", defect="V-O")
    assert defect_atoms(host) == host.info["philic"]["defect"]
    assert defect_atoms(host[::-1]) == []


def test_sites_beside_nitrogen_are_the_same_in_any_order_of_the_file(tmp_path: Path) -> None:
    host = carbon_host("N")
    for at, order in enumerate((range(32), range(31, -1, -1), np.argsort(-host.numbers, kind="stable"))):
        write(tmp_path / f"{at}.extxyz", host[list(order)])
        sites = adsorption_sites(read(tmp_path / f"{at}.extxyz"), near_A=2.0)
        assert [site.label for site in sites][:3] == ["top N", "bridge C-N", "hollow C5N"]
        assert len(sites) == 5


def test_the_host_is_left_untouched() -> None:
    host = carbon_host("O-S")
    before, info = host.copy(), dict(host.info["philic"])
    adsorption_sites(host)
    assert host == before
    assert host.info["philic"] == info


def test_sites_of_a_large_doped_sheet_are_found_in_a_second() -> None:
    host = carbon_host("O-C-B", (10, 10))
    start = time.process_time()
    assert len(adsorption_sites(host)) == 600
    assert time.process_time() - start < 1.0


def test_a_sheet_that_does_not_lie_in_the_xy_plane_is_refused() -> None:
    host = graphene()
    host.rotate(90, "x", rotate_cell=True)
    with pytest.raises(ValueError, match=r"`host` has an a or b that rises by 8.52 A but both must lie in the xy plane"):
        adsorption_sites(host)


def test_overlapping_atoms_are_refused() -> None:
    host = graphene((1, 1))
    host += Atoms("C", positions=host.positions[:1])
    with pytest.raises(ValueError, match="`host` is C3 with overlapping atoms but they must lie apart"):
        adsorption_sites(host)
