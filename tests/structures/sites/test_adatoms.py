import json
import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.constraints import FixAtoms
from ase.data import atomic_numbers, covalent_radii
from ase.geometry import find_mic, get_distances
from hypothesis import given, settings
from hypothesis import strategies as st

from philic.structures.carbons.carbon import carbon_host, graphene
from philic.structures.crystals.metals import METALS
from philic.structures.sites.adatoms import adatom_geometry, image_distance_A, lateral_shift_A, place_adatoms, spread_sites
from philic.structures.sites.sites import Site, adsorption_sites
from philic.structures.surfaces.slabs import slab

NAMES = ["vacancy", "divacancy", "P", "S-P", "F", "O-C-S", "pyridinic-4N", "pyrrolic-N", "Y-N4"]
few = settings(max_examples=20, deadline=None)


def site_of(host: Atoms, label: str) -> Site:
    return next(site for site in adsorption_sites(host) if site.label == label)


def anchors_of(host: Atoms, label: str) -> list[list[int]]:
    return [list(anchor) for anchor in site_of(host, label).anchors]


@pytest.mark.parametrize(("label", "lateral"), [("top C", 0.0), ("bridge C-C", 0.710), ("hollow C6", 1.420)])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (4, 4)])
def test_an_adatom_touches_its_anchors(label: str, lateral: float, size: tuple[int, int]) -> None:
    host = graphene(size)
    atoms = place_adatoms(host, "K", [anchors_of(host, label)])
    bond = covalent_radii[[6, 19]].sum()
    height = float(np.sqrt(bond**2 - lateral**2))
    assert adatom_geometry(atoms, 1).nearest_distance_A == pytest.approx(bond, abs=2e-3)
    assert adatom_geometry(atoms, 1).height_A == pytest.approx(height, abs=2e-3)


@few
@given(name=st.sampled_from(NAMES), metal=st.sampled_from(METALS), data=st.data())
def test_no_adatom_starts_inside_another_atom(name: str, metal: str, data: st.DataObject) -> None:
    host = carbon_host(name)
    site = data.draw(st.sampled_from(adsorption_sites(host, near_A=3.0)))
    atoms = place_adatoms(host, metal, [site.anchors], face=site.face)
    distances = atoms.get_distances(-1, range(len(host)), mic=True)
    radii = covalent_radii[host.numbers] + covalent_radii[atomic_numbers[metal]]
    heights = site.face * (atoms.positions[-1, 2] - host.positions[[i for i, _, _ in site.anchors], 2])
    assert (distances >= 0.8 * radii - 1e-9).all()
    assert heights.min() >= 1.0 - 1e-9


@few
@given(label=st.sampled_from(["top N", "bridge C-N", "hollow C5N"]), data=st.data())
def test_a_host_wrapped_after_its_sites_were_found_gets_the_adatom_in_the_same_place(
    label: str, data: st.DataObject
) -> None:
    host = carbon_host("N")
    anchors = anchors_of(host, label)
    wrapped = host.copy()
    shifts = data.draw(st.lists(st.tuples(*[st.integers(-1, 1)] * 3), min_size=len(host), max_size=len(host)))
    wrapped.positions += np.array(shifts) @ host.cell.array
    one, other = (place_adatoms(atoms, "Na", [anchors]).positions[-1] for atoms in (host, wrapped))
    assert get_distances(one, other, cell=host.cell, pbc=True)[1].item() == pytest.approx(0, abs=1e-6)


def test_an_adatom_follows_its_anchors_when_they_move() -> None:
    host = graphene()
    anchors = anchors_of(host, "hollow C6")
    moved = host.copy()
    moved.translate((0.3, 0.2, 0.1))
    shift = place_adatoms(moved, "K", [anchors]).positions[-1] - place_adatoms(host, "K", [anchors]).positions[-1]
    assert shift == pytest.approx([0.3, 0.2, 0.1])


def test_the_host_comes_first_and_keeps_its_constraints_and_info() -> None:
    host = carbon_host("N")
    host.set_constraint(FixAtoms([0, 1]))
    before, info = host.copy(), dict(host.info["philic"])
    groups = spread_sites(host, site_of(host, "hollow C5N"), 2)
    atoms = place_adatoms(host, "Li", groups)
    about = atoms.info["philic"]
    assert host == before
    assert host.info["philic"] == info
    assert str(atoms.symbols[-2:]) == "Li2"
    assert atoms[:-2].positions == pytest.approx(host.positions)
    assert atoms.constraints[0].index.tolist() == [0, 1]
    assert (about["host"], about["metal"], about["n_metal"], about["face"]) == ("N", "Li", 2, 1)
    assert about["anchors"] == groups
    assert json.loads(json.dumps(about)) == about


def test_the_lower_face_mirrors_the_upper() -> None:
    host = graphene()
    above, below = (place_adatoms(host, "K", [[[0, 0, 0]]], face=face).positions[-1] for face in (1, -1))
    assert above + below == pytest.approx(2 * host.positions[0])


def test_a_given_height_is_kept_unless_atoms_would_collide() -> None:
    host = graphene()
    for asked, got in ((3.5, 3.5), (0.5, 0.8 * covalent_radii[[6, 19]].sum())):
        atoms = place_adatoms(host, "K", [[[0, 0, 0]]], height_A=asked)
        assert adatom_geometry(atoms, 1).height_A == pytest.approx(got)


@few
@given(n=st.integers(2, 8), label=st.sampled_from(["top C", "bridge C-C", "hollow C6"]))
def test_spread_adatoms_never_share_a_site(n: int, label: str) -> None:
    host = graphene()
    groups = spread_sites(host, site_of(host, label), n)
    atoms = place_adatoms(host, "K", groups)
    distances = atoms[len(host) :].get_all_distances(mic=True)
    assert [tuple(anchor) for anchor in groups[0]] == list(site_of(host, label).anchors)
    assert distances[~np.eye(n, dtype=bool)].min() > 1.2


def test_two_adatoms_in_a_4x4_sheet_sit_half_a_cell_apart() -> None:
    host = graphene()
    atoms = place_adatoms(host, "K", spread_sites(host, site_of(host, "hollow C6"), 2))
    assert atoms.get_distance(-1, -2, mic=True) == pytest.approx(2 * 2.46)


def test_a_cell_has_only_so_many_sites() -> None:
    host = graphene((2, 2))
    with pytest.raises(ValueError, match="`n` is 5 but the host has only 4 hollow sites: enlarge it"):
        spread_sites(host, site_of(host, "hollow C6"), 5)
    with pytest.raises(ValueError, match="`n` is 0 but must be at least 1"):
        spread_sites(host, site_of(host, "hollow C6"), 0)


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (3, 5)])
def test_an_adatom_meets_its_image_after_the_shortest_translation(size: tuple[int, int]) -> None:
    assert image_distance_A(graphene(size)) == pytest.approx(2.46 * min(size))


def test_a_skewed_cell_has_the_image_distance_of_its_reduced_one() -> None:
    host = graphene()
    host.set_cell(np.array([[1, 0, 0], [3, 1, 0], [0, 0, 1]]) @ host.cell.array)
    assert image_distance_A(host) == pytest.approx(4 * 2.46)


def test_geometry_names_the_nearest_element() -> None:
    host = carbon_host("O-B")
    geometry = adatom_geometry(place_adatoms(host, "K", [anchors_of(host, "top B")]), 1)
    assert geometry.nearest_element == "B"


def test_geometry_does_not_mind_the_boundary() -> None:
    host = carbon_host("N")
    atoms = place_adatoms(host, "K", spread_sites(host, site_of(host, "hollow C5N"), 3))
    moved = atoms.copy()
    moved.translate((3.0, 4.0, 6.9))
    moved.wrap()
    before, after = (adatom_geometry(each, 3) for each in (atoms, moved))
    assert after.height_A == pytest.approx(before.height_A)
    assert after.nearest_distance_A == pytest.approx(before.nearest_distance_A)
    assert after.nearest_element == before.nearest_element


@few
@given(shift=st.tuples(st.floats(-1.5, 1.5), st.floats(-1.5, 1.5)), drift=st.floats(-1, 1), wrap=st.booleans())
def test_lateral_shift_ignores_drift_height_and_wrapping(shift: tuple[float, float], drift: float, wrap: bool) -> None:
    before = place_adatoms(graphene(), "K", [[[0, 0, 0]]])
    after = before.copy()
    after.positions[-1] += (*shift, 0.7)
    after.translate((drift, -drift, drift))
    if wrap:
        after.wrap()
    assert lateral_shift_A(before, after, 1) == pytest.approx(np.hypot(*shift), abs=1e-6)


@pytest.mark.parametrize(
    ("metal", "anchors", "face", "message"),
    [
        ("Fe", [[[0, 0, 0]]], 1, "`metal` is 'Fe' but must be one of: Li, Na, K, Rb, Cs"),
        ("K", [], 1, "`anchors` is [] but needs at least one atom for each adatom"),
        ("K", [[]], 1, "`anchors` is [[]] but needs at least one atom for each adatom"),
        ("K", [[[32, 0, 0]]], 1, "`anchors` names atom 32 but the host has atoms 0 to 31"),
        ("K", [[[-1, 0, 0]]], 1, "`anchors` names atom -1 but the host has atoms 0 to 31"),
        ("K", [[[0, 0, 0]]], 0, "`face` is 0 but must be 1 (above) or -1 (below)"),
    ],
)
def test_an_impossible_placement_is_refused(metal: str, anchors: list[list[list[int]]], face: int, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        place_adatoms(graphene(), metal, anchors, face=face)


@pytest.mark.parametrize("n_metal", [0, 33])
def test_an_impossible_number_of_metal_atoms_is_refused(n_metal: int) -> None:
    atoms = place_adatoms(graphene(), "K", [[[0, 0, 0]]])
    message = f"`n_metal` is {n_metal} but must be from 1 to 32"
    with pytest.raises(ValueError, match=message):
        adatom_geometry(atoms, n_metal)
    with pytest.raises(ValueError, match=message):
        lateral_shift_A(atoms, atoms, n_metal)


def test_a_shift_between_different_atoms_is_refused() -> None:
    atoms = place_adatoms(graphene(), "K", [[[0, 0, 0]]])
    with pytest.raises(ValueError, match="`after` has 32 atoms but must have the 33 of `before`"):
        lateral_shift_A(atoms, graphene(), 1)


@pytest.mark.parametrize(("crystal", "miller"), [("Cu", (1, 1, 1)), ("K", (1, 1, 0))])
def test_a_narrow_cell_has_its_sites_where_a_wide_one_has(crystal, miller):
    heights = {}
    for size in ((1, 1), (3, 3)):
        host = slab(bulk(crystal, cubic=True), miller, layers=3, size=size)
        for site in adsorption_sites(host):
            adatom = place_adatoms(host, "K", [site.anchors]).positions[-1]
            nearest = np.sort(np.linalg.norm(find_mic(host.positions - adatom, host.cell)[0], axis=1))[0]
            heights.setdefault(site.label, []).append((adatom[2], nearest))
    assert len(heights) == 4
    for narrow, wide in heights.values():
        assert narrow == pytest.approx(wide, abs=1e-6)
