import numpy as np
import pytest
from ase import Atoms
from ase.build import bcc110, fcc100
from ase.data import covalent_radii

from philic.structures.carbons.carbon import graphene
from philic.structures.measures.wetting import contact_angle_deg, deposit, layers, surface_area_A2
from philic.structures.sites.adatoms import place_adatoms
from philic.structures.sites.islands import area_A2, half_ball, lattice_constant_A, layer_A, nearest_A, place_island
from philic.structures.sites.sites import all_anchors, lateral_position


def cap(metal, angle_deg, n):
    """Cut about n atoms of the bulk metal as a spherical cap on a (110) plane: its size, and the height of its centre."""
    cosine = np.cos(np.radians(angle_deg))
    radius = (n * lattice_constant_A(metal) ** 3 / 2 / (np.pi / 3 * (2 + cosine) * (1 - cosine) ** 2)) ** (1 / 3)
    block = bcc110(metal, (30, 60, 14), a=lattice_constant_A(metal), orthogonal=True)
    positions = block.positions - (*block.positions.mean(axis=0)[:2], block.positions[:, 2].min())
    inside = np.linalg.norm(positions - (0, 0, -layer_A(metal) / 2 - radius * cosine), axis=1) < radius
    return int(inside.sum()), positions[inside, 2].mean() + layer_A(metal) / 2


@pytest.mark.parametrize("metal", ["Li", "K"])
@pytest.mark.parametrize("angle_deg", [45, 60, 90, 120])
@pytest.mark.parametrize(("n", "within_deg"), [(60, 9), (300, 3)])
def test_a_cap_cut_from_a_crystal_has_its_contact_angle(metal, angle_deg, n, within_deg):
    assert contact_angle_deg(metal, *cap(metal, angle_deg, n)) == pytest.approx(angle_deg, abs=within_deg)


def test_there_is_no_angle_of_what_is_too_small_too_flat_or_too_wide():
    n, centre_A = cap("K", 60, 100)
    assert contact_angle_deg("K", n, centre_A, image_A=100.0)
    assert contact_angle_deg("K", n, centre_A, image_A=30.0) is None
    assert contact_angle_deg("K", 20, centre_A) is None
    assert contact_angle_deg("K", n, 0.1) is None
    assert contact_angle_deg("K", n, np.nan) is None


def layer(size):
    """Potassium over every third hexagon."""
    host = graphene(size)
    hollows = [anchors for kind, anchors in all_anchors(host) if kind == "hollow"]
    spots = np.array([lateral_position(host, anchors) for anchors in hollows])
    corners = np.rint((spots - spots[0]) @ np.linalg.inv(host.cell.array[:2, :2]) * size).astype(int)
    return place_adatoms(host, "K", [hollow for hollow, (i, j) in zip(hollows, corners, strict=True) if (i + j) % 3 == 0])


def test_a_monolayer_touches_with_every_atom_and_covers_the_host():
    atoms = layer((6, 6))
    found = deposit(atoms, "K", len(atoms) - 72)
    assert found.touching.all()
    assert found.coverage == 1.0  # denser than a (110) layer of the metal
    assert len(found.touching) * area_A2("K") > surface_area_A2(atoms)
    np.testing.assert_allclose(layers(found.heights_A, found.touching, "K"), [1.0])


def test_an_island_is_one_cluster_with_a_flat_side_that_touches():
    atoms = place_island(graphene((12, 12)), "K", 40)
    found = deposit(atoms, "K", 40)
    flat = int((half_ball("K", 40).positions[:, 2] < 0.1).sum())
    assert found.sizes == (40,)
    assert found.touching.sum() == flat
    assert found.coverage == pytest.approx(flat * area_A2("K") / surface_area_A2(atoms), rel=0.15)
    assert contact_angle_deg("K", 40, found.centre_A) == pytest.approx(90, abs=13)
    shares = layers(found.heights_A, found.touching, "K")
    assert shares.sum() == pytest.approx(1.0)
    assert shares[0] == flat / 40
    assert len(shares) == 3


@pytest.mark.parametrize(("share", "touches"), [(1.23, True), (1.27, False)])
def test_metal_touches_the_host_within_a_quarter_more_than_the_radii(share, touches):
    sheet = graphene((4, 4))
    atoms = sheet + Atoms("K", positions=[sheet.positions[0] + (0, 0, share * covalent_radii[[6, 19]].sum())])
    assert deposit(atoms, "K", 1).touching.tolist() == [touches]


def test_metal_on_the_lower_face_lies_there_as_it_does_on_the_upper():
    upper = place_island(graphene((12, 12)), "K", 40)
    lower = upper.copy()
    lower.positions[:, 2] *= -1
    lower.wrap()
    one, other = deposit(upper, "K", 40), deposit(lower, "K", 40)
    np.testing.assert_allclose(other.heights_A, one.heights_A)
    assert (other.centre_A, other.coverage) == pytest.approx((one.centre_A, one.coverage))


def test_clusters_reach_across_the_cell_and_what_flies_is_alone():
    slab = fcc100("Au", (6, 6, 2), vacuum=12.0)
    slab.pbc = True
    side_A, top_A = slab.cell[0, 0], slab.positions[:, 2].max()
    pair = [(0.5, 2.0, top_A + 3.0), (side_A - nearest_A("K") + 0.5, 2.0, top_A + 3.0)]
    atoms = slab + Atoms("K3", positions=[*pair, (8.0, 8.0, top_A + 9.0)])
    found = deposit(atoms, "K", 3)
    assert found.sizes == (2, 1)
    assert found.touching.tolist() == [True, True, False]
    assert found.away.tolist() == [False, False, True]
    np.testing.assert_allclose(found.heights_A, [3.0, 3.0, 9.0])
    moved = atoms.copy()
    moved.positions += (3.0, 1.0, -5.0)
    moved.wrap()
    same = deposit(moved, "K", 3)
    assert (same.sizes, same.touching.tolist()) == (found.sizes, found.touching.tolist())
    np.testing.assert_allclose(same.heights_A, found.heights_A, atol=1e-6)


def test_a_host_must_be_left():
    with pytest.raises(ValueError, match="`n_metal` is 3 but must be from 1 to 2"):
        deposit(Atoms("K3", positions=np.eye(3) * 5), "K", 3)
