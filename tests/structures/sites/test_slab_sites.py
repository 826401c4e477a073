import re
import time
from collections import Counter

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc111, graphene, graphene_nanoribbon
from ase.data import covalent_radii
from ase.geometry import find_mic
from ase.spacegroup import crystal
from hypothesis import given, settings
from hypothesis import strategies as st

from philic.structures.carbons.carbon import carbon_host
from philic.structures.carbons.mxenes import mxene
from philic.structures.sites.adatoms import adatom_geometry, place_adatoms, sites_reached, spread_sites
from philic.structures.sites.faces import exposed_atoms, heights_A
from philic.structures.sites.sites import Site, adsorption_sites, all_anchors, lateral_position
from philic.structures.sites.slab_sites import is_sheet
from philic.structures.surfaces.slabs import slab
from philic.structures.surfaces.steps import kinked_slab, stepped_slab
from philic.structures.symmetry.symmetry import symmetry_of

few = settings(max_examples=12, deadline=None, derandomize=True)

CRYSTALS = {
    "Cu": bulk("Cu", cubic=True),
    "K": bulk("K", cubic=True),
    "Mg": bulk("Mg"),
    "KF": bulk("KF", "rocksalt", a=5.34, cubic=True),
    "Li2O": crystal(["O", "Li"], [(0, 0, 0), (0.25,) * 3], spacegroup=225, cellpar=[4.62] * 3 + [90] * 3),
}
SLABS = {
    "Cu(111)": slab(CRYSTALS["Cu"], (1, 1, 1), layers=4),
    "Cu(100)": slab(CRYSTALS["Cu"], (1, 0, 0), layers=4),
    "Cu(110)": slab(CRYSTALS["Cu"], (1, 1, 0), layers=6),
    "K(110)": slab(CRYSTALS["K"], (1, 1, 0), layers=5),
    "K(100)": slab(CRYSTALS["K"], (1, 0, 0), layers=5),
    "Mg(001)": slab(CRYSTALS["Mg"], (0, 0, 1), layers=5),
    "KF(100)": slab(CRYSTALS["KF"], (1, 0, 0), layers=4),
    "Li2O(111)": slab(CRYSTALS["Li2O"], (1, 1, 1), layers=6),
    "Cu(211)": stepped_slab(CRYSTALS["Cu"], "111", "100", rows=3),
    "K(310)": stepped_slab(CRYSTALS["K"], "100", "110", rows=2),
}


def labels(host: Atoms) -> list[str]:
    return sorted(site.label for site in adsorption_sites(host))


def summary(sites: list[Site]) -> list[tuple[str, str, int, int]]:
    """What must not depend on how the host is written down."""
    return sorted((s.kind, re.sub(" #.*", "", s.label), s.multiplicity, s.face) for s in sites)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        # p3m1 with an atom at the origin: both threefold axes between the atoms bear a hollow
        ("Cu(111)", ["bridge Cu-Cu", "hollow Cu3 fcc", "hollow Cu3 hcp", "top Cu"]),
        ("Mg(001)", ["bridge Mg-Mg", "hollow Mg3 fcc", "hollow Mg3 hcp", "top Mg"]),
        # p4m: a square's corner, side and middle
        ("Cu(100)", ["bridge Cu-Cu", "hollow Cu4", "top Cu"]),
        ("K(100)", ["bridge K-K", "hollow K4", "top K"]),
        # p2m: a rectangle's corner, both sides, middle (over the second row)
        ("Cu(110)", ["bridge Cu-Cu long", "bridge Cu-Cu short", "hollow Cu4", "top Cu"]),
        # c2mm: the rhombus of bcc(110) parts along its short diagonal a, the long bridge
        ("K(110)", ["bridge K-K long", "bridge K-K short", "hollow K3", "top K"]),
        # p4m: K and F on the two fourfold axes; the twofold axes bear the square's middle, its sides
        # (all alike, for a mirror runs along each diagonal) bear one bridge
        ("KF(100)", ["bridge F-K", "hollow F2K2", "top F", "top K"]),
    ],
)
def test_low_index_faces_have_the_sites_of_their_plane_group(host: str, expected: list[str]) -> None:
    assert labels(SLABS[host]) == expected


def test_what_lies_beneath_a_hollow_names_it() -> None:
    host = slab(CRYSTALS["Cu"], (1, 1, 1), layers=4, size=(2, 2))
    z = heights_A(host)
    for site in adsorption_sites(host):
        if site.kind == "hollow":
            apart = host.positions[:, :2] - lateral_position(host, site.anchors)
            to_cell = np.linalg.inv(host.cell.array[:2, :2])
            apart -= np.rint(apart @ to_cell) @ host.cell.array[:2, :2]
            below = z[np.linalg.norm(apart, axis=1) < 0.01].max()
            layer = round((z.max() - below) / (3.61 / 3**0.5))
            assert layer == {"hollow Cu3 hcp": 1, "hollow Cu3 fcc": 2}[site.label]


@pytest.mark.parametrize(("terrace", "step"), [("111", "100"), ("111", "111")])
def test_beneath_a_tilted_hollow_is_along_its_own_normal(terrace: str, step: str) -> None:
    """On a terrace that leans by 19 degrees, the atom of the second layer is 0.7 A beside the hollow as seen from above."""
    host = stepped_slab(CRYSTALS["Cu"], terrace, step, rows=3)
    seen = set()
    for site in adsorption_sites(host):
        if len(site.anchors) == 3 and site.face == 1:
            corners = np.array([host.positions[i] + (a, b, 0) @ host.cell.array for i, a, b in site.anchors])
            normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
            normal *= np.sign(normal[2]) / np.linalg.norm(normal)
            apart = host.positions - (corners.mean(axis=0) - normal * 3.61 / 3**0.5)
            hcp = find_mic(apart, host.cell, (True, True, False))[1].min() < 0.1
            assert ("hcp" in site.label, "fcc" in site.label) == (hcp, not hcp)
            seen.add(hcp)
    assert seen == {True, False}


@pytest.mark.parametrize(
    ("host", "short", "long"),
    [("K(110)", 5.23 * 3**0.5 / 2, 5.23), ("Cu(110)", 3.61 / 2**0.5, 3.61)],
)
def test_short_and_long_bridges_have_their_lengths(host: str, short: float, long: float) -> None:
    for site in adsorption_sites(SLABS[host]):
        if site.kind == "bridge":
            (i, *start), (j, *end) = site.anchors
            shift = np.array([*end, 0]) - [*start, 0]
            length = np.linalg.norm(SLABS[host].positions[j] + shift @ SLABS[host].cell.array - SLABS[host].positions[i])
            assert length == pytest.approx(long if site.label.endswith("long") else short)


@few
@given(name=st.sampled_from(sorted(SLABS)), data=st.data())
def test_sites_do_not_depend_on_how_the_slab_is_written_down(name: str, data: st.DataObject) -> None:
    host = SLABS[name]
    size = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    moved = host.repeat((*size, 1))
    moved = moved[data.draw(st.permutations(range(len(moved))))]
    moved.translate(data.draw(st.tuples(*[st.floats(-20, 20)] * 3)))
    moved.rotate(data.draw(st.floats(0, 360)), "z", rotate_cell=True)
    if data.draw(st.booleans()):
        moved.wrap()
    found = [(k, n, m / np.prod(size), f) for k, n, m, f in summary(adsorption_sites(moved))]
    assert found == summary(adsorption_sites(host))


@few
@given(
    name=st.sampled_from(sorted(CRYSTALS)),
    miller=st.tuples(*[st.integers(0, 2)] * 3).filter(any),
    layers=st.integers(3, 6),
)
def test_the_sites_of_any_face_fill_its_torus_and_none_is_listed_twice(
    name: str, miller: tuple[int, int, int], layers: int
) -> None:
    host = slab(CRYSTALS[name], miller, layers=layers)
    sites = adsorption_sites(host)
    for face in {site.face for site in sites}:
        total: Counter[str] = Counter()
        for site in sites:
            if site.face == face:
                total[site.kind] += site.multiplicity
        places = all_anchors(host, face=face)
        assert total == Counter(kind for kind, _ in places)
        assert total["top"] == exposed_atoms(host, face).sum()
        assert total["top"] - total["bridge"] + total["hollow"] == 0  # Euler
    turned_over = bool((symmetry_of(host, 0.05).rotations[:, 2, 2] == -1).any())
    assert {site.face for site in sites} == ({1} if turned_over else {1, -1})


@few
@given(name=st.sampled_from(sorted(SLABS)))
def test_no_operation_of_spglib_takes_one_site_to_another(name: str) -> None:
    host = SLABS[name]
    found = symmetry_of(host, 0.05)
    upright = found.rotations[:, 2, 2] == 1
    plane = host.cell.array[:2, :2]
    sites = [site for site in adsorption_sites(host) if site.face == 1]
    spots = [lateral_position(host, site.anchors) @ np.linalg.inv(plane) for site in sites]
    for one, spot in zip(sites, spots, strict=True):
        images = found.rotations[upright, :2, :2] @ spot + found.translations[upright, :2]
        for other, place in zip(sites, spots, strict=True):
            apart = images - place
            nearest = np.linalg.norm((apart - np.rint(apart)) @ plane, axis=1).min()
            assert one is other or one.kind != other.kind or nearest > 0.3


def test_two_different_faces_are_told_apart() -> None:
    lone = SLABS["Cu(111)"].repeat((2, 2, 1))
    add_adsorbate(lone, "O", 1.0, position=tuple(lone.positions[-1, :2]))
    both = adsorption_sites(lone)
    assert {site.face for site in both} == {1, -1}
    assert all(("below" in site.label) == (site.face == -1) for site in both)
    assert len({site.label for site in both}) == len(both)
    below = [site for site in both if site.face == -1 and site.kind == "top"]
    assert sum(site.multiplicity for site in below) == 4


def test_a_step_has_its_edge_terrace_and_foot() -> None:
    found = labels(stepped_slab(CRYSTALS["Cu"], "111", "100", rows=3))
    # edge, terrace and foot of fcc(211) have 7, 9 and 10 neighbours; its (100) step face is a square
    assert [label for label in found if label.startswith("top")] == [
        "top Cu cn 10",
        "top Cu cn 7",
        "top Cu cn 9",
    ]
    assert "bridge Cu-Cu cn 7-7" in found
    assert "hollow Cu4" in found
    assert len(found) == 14


@pytest.mark.parametrize("rows", [3, 4, 6])
def test_a_wider_terrace_keeps_the_sites_of_its_step(rows: int) -> None:
    found = labels(stepped_slab(CRYSTALS["Cu"], "111", "100", rows=rows))
    assert {"top Cu cn 7", "top Cu cn 10", "bridge Cu-Cu cn 7-7", "hollow Cu4"} <= set(found)


def test_a_kink_atom_is_a_site_of_its_own() -> None:
    assert "top Cu cn 6" in labels(kinked_slab(CRYSTALS["Cu"], "111", "100", rows=3, kink_every=3))


def test_a_vacancy_is_a_hollow_of_six() -> None:
    host = slab(CRYSTALS["Cu"], (1, 1, 1), layers=4, size=(3, 3))
    del host[len(host) - 1]
    hollows = [site for site in adsorption_sites(host) if site.kind == "hollow" and site.face == 1]
    assert [site.multiplicity for site in hollows if len(site.anchors) == 6] == [1]


@pytest.mark.parametrize("host", ["Ti2C", "V2C", "Ti3C2"])
def test_a_bare_mxene_has_the_sites_of_a_close_packed_face(host: str) -> None:
    metal = host[: host.index("2" if host[0] == "V" or host[2] == "2" else "3")]
    hollows = [f"hollow {metal}3 over C", f"hollow {metal}3 over {metal}"]
    assert labels(mxene(host, "")) == [f"bridge {metal}-{metal}", *hollows, f"top {metal}"]


def test_coordination_numbers_are_those_of_the_textbook() -> None:
    oxide = crystal(["Ti", "O"], [(0, 0, 0), (0.305, 0.305, 0)], spacegroup=136, cellpar=[4.594, 4.594, 2.959, 90, 90, 90])
    found = labels(slab(oxide, (1, 1, 0), layers=9))
    # rutile (110): bridging and in-plane oxygen, titanium that has lost one neighbour; six-fold titanium is under a bridge
    assert [label for label in found if label.startswith("top")] == ["top O cn 2", "top O cn 3", "top Ti"]
    # bcc (310): 4 of 8 at the edge (see test_steps), 6 in the row behind it
    assert {"top K cn 4", "top K cn 6"} <= set(labels(SLABS["K(310)"]))


@pytest.mark.parametrize("empty_A", [0.0, 1.0])
def test_a_slab_that_is_not_periodic_along_z_needs_no_height(empty_A: float) -> None:
    for host in (fcc111("Cu", (2, 2, 4), vacuum=6), graphene(vacuum=6)):
        bare = host.copy()
        bare.cell[2] = (0, 0, empty_A)
        assert labels(bare) == labels(host)
        atoms = place_adatoms(bare, "K", [[[len(bare) - 1, 0, 0]]])
        assert adatom_geometry(atoms, 1).height_A == pytest.approx(
            adatom_geometry(place_adatoms(host, "K", [[[len(bare) - 1, 0, 0]]]), 1).height_A
        )


def test_graphite_has_two_tops_and_doped_sheets_stay_sheets() -> None:
    bilayer = crystal(
        ["C", "C"],
        [(0, 0, 0.25), (1 / 3, 2 / 3, 0.25)],
        spacegroup=194,
        cellpar=[2.46, 2.46, 6.71, 90, 90, 120],
    )
    graphite = slab(bilayer, (0, 0, 1), layers=3)
    assert Counter(site.kind for site in adsorption_sites(graphite)) == {"top": 2, "bridge": 1, "hollow": 1}
    assert all(is_sheet(carbon_host(name)) for name in ("N", "S", "Y-N4", "divacancy", "pyrrolic-N"))
    assert is_sheet(graphene(vacuum=8))
    assert not any(is_sheet(host) for host in SLABS.values())


def test_a_slab_from_a_file_is_known_for_what_it_is() -> None:
    for host in SLABS.values():
        plain = host.repeat((2, 2, 1))
        plain.info = {}
        assert not is_sheet(plain)
        assert len(adsorption_sites(plain)) == len(adsorption_sites(host))


def test_a_slab_of_200_atoms_takes_less_than_a_second() -> None:
    host = slab(CRYSTALS["Cu"], (1, 1, 1), layers=5, size=(7, 6))
    start = time.process_time()
    assert len(adsorption_sites(host)) == 4
    assert time.process_time() - start < 1.0


@few
@given(name=st.sampled_from(sorted(SLABS)), metal=st.sampled_from(["Li", "Na", "K"]), data=st.data())
def test_an_adatom_on_a_slab_touches_its_face_and_says_where_it_is(name: str, metal: str, data: st.DataObject) -> None:
    host = SLABS[name].repeat((2, 2, 1))
    site = data.draw(st.sampled_from(adsorption_sites(host)))
    atoms = place_adatoms(host, metal, [site.anchors], face=site.face)
    rise = heights_A(atoms)[-1] - heights_A(atoms)[:-1].max()
    assert rise < covalent_radii[[55, 55]].sum()  # no atom of the far face, a period up, pushes it away
    radii = covalent_radii[atoms.numbers[:-1]] + covalent_radii[atoms.numbers[-1]]
    assert (atoms.get_distances(-1, range(len(host)), mic=True) >= 0.8 * radii - 1e-9).all()
    assert sites_reached(atoms, host) == re.sub(" #.*", "", site.label)
    assert 0 <= adatom_geometry(atoms, 1).height_A < 6


def test_height_is_over_the_face_and_not_over_the_middle_of_the_slab() -> None:
    host = SLABS["Cu(111)"].repeat((2, 2, 1))
    top = next(site for site in adsorption_sites(host) if site.kind == "top")
    geometry = adatom_geometry(place_adatoms(host, "K", [top.anchors]), 1)
    assert geometry.height_A == pytest.approx(covalent_radii[[19, 29]].sum())
    assert geometry.nearest_distance_A == pytest.approx(geometry.height_A)


@pytest.mark.parametrize("face", [1, -1])
def test_both_faces_of_a_thick_slab_take_adatoms(face: int) -> None:
    host = slab(CRYSTALS["Cu"], (1, 0, 0), layers=11, vacuum_A=10.0, size=(2, 2))
    tops = [anchors for kind, anchors in all_anchors(host, face=face) if kind == "top"]
    atoms = place_adatoms(host, "Na", [tops[0]], face=face)
    anchor = host.positions[tops[0][0][0]]
    assert (atoms.positions[-1] - anchor)[2] == pytest.approx(face * covalent_radii[[11, 29]].sum())
    assert sites_reached(atoms, host) == ("top Cu" if face == 1 else "top Cu below")


def test_adatoms_spread_over_the_hollows_of_a_face() -> None:
    host = slab(CRYSTALS["Cu"], (1, 1, 1), layers=4, size=(4, 4))
    hollow = next(site for site in adsorption_sites(host) if site.label == "hollow Cu3 fcc")
    atoms = place_adatoms(host, "K", spread_sites(host, hollow, 4))
    apart = atoms[-4:].get_all_distances(mic=True)
    assert apart[apart > 0].min() > 1.7 * 3.61 / 2**0.5  # four of sixteen fcc hollows: second neighbours or more
    assert sites_reached(atoms, host) == "hollow Cu3 fcc"


def test_a_ribbon_on_its_own_is_a_sheet() -> None:
    ribbon = graphene_nanoribbon(3, 2, type="zigzag", saturated=True, vacuum=6)
    ribbon.rotate(90, "x", rotate_cell=True)
    flat = Atoms(ribbon.numbers, positions=ribbon.positions, cell=np.abs(ribbon.cell.array[[0, 2, 1]]), pbc=True)
    assert is_sheet(flat)


def test_overlapping_atoms_are_refused() -> None:
    host = SLABS["Cu(111)"].copy()
    host += Atoms("Cu", positions=host.positions[:1])
    with pytest.raises(ValueError, match="`host` is Cu5 with overlapping atoms but they must lie apart"):
        adsorption_sites(host)
