import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, mx2
from ase.constraints import FixAtoms
from ase.data import covalent_radii

from philic.structures.carbons.carbon import carbon_host, graphene
from philic.structures.carbons.graphite import graphite, nanotube
from philic.structures.carbons.mxenes import mxene
from philic.structures.sites.adatoms import adatom_geometry, place_adatoms, sites_reached
from philic.structures.sites.faces import exposed_atoms, free_faces, heights_A, in_one_piece
from philic.structures.sites.placing import place
from philic.structures.sites.sites import adsorption_sites, lateral_operations
from philic.structures.surfaces.slabs import slab

CU = bulk("Cu", cubic=True)


def turned_over(host: Atoms) -> Atoms:
    """Half a turn about x, cell and all: c points down."""
    turned = host.copy()
    turned.rotate(180, "x", rotate_cell=True)
    return turned


def c_down(host: Atoms) -> Atoms:
    """The same atoms in a left-handed cell."""
    down = host.copy()
    down.cell[2] *= -1
    return down


def tilted(host: Atoms) -> Atoms:
    """The same slab, each next one shifted sideways, its upper half written a cell lower."""
    leaning = host.copy()
    leaning.cell[2] += 0.3 * leaning.cell[0] + 0.4 * leaning.cell[1]
    leaning.positions[leaning.positions[:, 2] > leaning.positions[:, 2].mean()] -= leaning.cell[2]
    return leaning


@pytest.mark.parametrize("rewritten", [turned_over, c_down, tilted])
@pytest.mark.parametrize(
    "host", [slab(CU, (1, 0, 0), layers=3, size=(2, 2)), mxene("Ti2C", "O", size=(2, 2))], ids=["Cu", "Ti2CO2"]
)
def test_however_c_points_an_adatom_stands_on_its_site(rewritten, host):
    given = rewritten(host)
    given.positions[:, 2] -= given.positions[:, 2].mean()  # the cell's boundary cuts it
    given.wrap()
    sites = adsorption_sites(given)
    assert [(site.label, site.multiplicity) for site in sites] == [(s.label, s.multiplicity) for s in adsorption_sites(host)]
    for site in (sites[0], sites[-1]):
        atoms = place_adatoms(given, "Na", [site.anchors], face=site.face)
        radii = covalent_radii[atoms.numbers[:-1]] + covalent_radii[11]
        assert (atoms.get_distances(-1, range(len(given)), mic=True) >= 0.8 * radii - 1e-9).all()
        assert sites_reached(atoms, given) == site.label
        assert 1.5 < adatom_geometry(atoms, 1).height_A < 4.0
        lain = place(given, Atoms("Na"), site.anchors)
        over = lain.get_distances(-1, range(len(given)), mic=True) - radii
        assert over.min() == pytest.approx(0)


def test_a_slab_that_the_cell_cuts_is_put_together_along_c():
    host = tilted(slab(CU, (1, 0, 0), layers=4))
    whole = in_one_piece(host)
    assert np.ptp(whole[:, 2]) == pytest.approx(3 * 3.61 / 2)
    between = whole[1:, :2] - whole[:-1, :2]
    folded = np.abs(between @ np.linalg.inv(host.cell.array[:2, :2])) % 1
    assert folded == pytest.approx(np.full((3, 2), 0.5))  # each next layer over the hollows of the last


def test_a_strained_square_is_no_square_however_small_the_strain():
    host = slab(CU, (1, 0, 0), layers=3)
    for strain, bridges in ((0.015, 2), (0.003, 2), (0.0003, 1)):
        strained = host.copy()
        strained.set_cell(host.cell.array * [[1 + strain], [1], [1]], scale_atoms=True)
        labels = [site.label for site in adsorption_sites(strained * (3, 3, 1))]
        assert len(labels) == 2 + bridges
        assert len(lateral_operations(strained).flips) == 16 // bridges


def test_atoms_may_be_farther_from_their_images_than_the_lattice():
    host = slab(CU, (1, 0, 0), layers=3, size=(2, 2))
    host.rattle(0.005, seed=1)
    assert len(adsorption_sites(host)) == 3


@pytest.mark.parametrize(
    ("held", "free"),
    [([], (1, -1)), ([0, 1], (1,)), ([2, 3], (-1,)), ([1, 2], (1, -1)), ([0, 1, 2, 3], (1, -1)), ([0, 3], (1, -1))],
)
def test_the_free_face_is_the_one_that_is_not_held(held, free):
    host = fcc111("Cu", (1, 1, 4), vacuum=6, periodic=True)
    host.set_constraint(FixAtoms(held))
    assert free_faces(host) == free
    sites = adsorption_sites(host)
    assert {site.face for site in sites} == {free[0]}  # inversion makes both faces one, where neither is held
    atoms = place_adatoms(host, "K", [sites[0].anchors], face=sites[0].face)
    assert (atoms.positions[-1, 2] > host.positions[:, 2].mean()) == (free[0] == 1)


def test_one_held_atom_holds_no_face():
    host = fcc111("Cu", (3, 3, 4), vacuum=6, periodic=True)
    host.set_constraint(FixAtoms([35]))
    assert free_faces(host) == (1, -1)
    sheet = graphene()
    sheet.set_constraint(FixAtoms([0]))
    assert free_faces(sheet) == (1, -1)


def test_the_free_face_of_a_janus_sheet_is_that_of_its_sulfur():
    host = mx2("MoS2", vacuum=8, size=(2, 2, 1))
    upper = host.positions[:, 2] > host.positions[:, 2].max() - 0.1
    host.numbers[upper] = 34
    host.pbc = True
    host.set_constraint(FixAtoms(mask=upper))
    sites = adsorption_sites(host)
    assert {site.face for site in sites} == {-1}
    assert {str(host.symbols[i]) for site in sites for i, *_ in site.anchors} == {"S"}


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        (CU, "`host` has 1.8 A of vacuum along z but needs at least 6: give a sheet, or cut a slab first"),
        (graphite(), "`host` has 3.4 A of vacuum along z but needs at least 6"),
        (nanotube(5, 5, length=3), "`host` has 1.2 A of vacuum along z but needs at least 6"),
        (graphene(vacuum_A=5.0), "`host` has 5.0 A of vacuum along z but needs at least 6"),
        (Atoms("Cu", pbc=True, cell=[0, 0, 20]), "`host` is Cu without a or b but must be a sheet or slab"),
    ],
)
def test_what_is_no_sheet_or_slab_is_refused(host, sentence):
    for attempt in (
        adsorption_sites,
        lambda host: place_adatoms(host, "K", [[[0, 0, 0]]]),
        lambda host: place(host, Atoms("K"), [[0, 0, 0]]),
    ):
        with pytest.raises(ValueError, match=sentence):
            attempt(host)


@pytest.mark.parametrize(
    ("host", "labels"),
    [
        (mxene("Ti3C2", "O", size=(1, 1)), ["bridge O-O", "hollow O3 over C", "hollow O3 over Ti", "top O"]),
        (mxene("Ti2C", "F", size=(1, 1)), ["bridge F-F", "hollow F3 over C", "hollow F3 over Ti", "top F"]),
        (mxene("Ti3C2", "OH", size=(1, 1)), ["bridge H-H", "hollow H3 over C", "hollow H3 over Ti", "top H"]),
        (mx2("MoS2", vacuum=8), ["bridge S-S", "hollow S3 open", "hollow S3 over Mo", "top S"]),
    ],
)
def test_anions_hide_the_metal_that_they_cover(host, labels):
    host.pbc = True
    assert [site.label for site in adsorption_sites(host)] == labels


def test_ions_of_one_layer_hide_none_of_it_even_when_it_is_rumpled():
    host = slab(bulk("KF", "rocksalt", a=5.34, cubic=True), (1, 0, 0), layers=3)
    top = host.positions[:, 2] > host.positions[:, 2].max() - 0.1
    host.positions[top & (host.numbers == 9), 2] += 0.2
    assert (exposed_atoms(host, 1) == top).all()
    assert heights_A(host).max() == pytest.approx(5.34 + 0.2)


def test_what_anions_cover_on_one_side_alone_is_exposed():
    """The three titanium atoms beside an oxygen vacancy, each with two oxygens left."""
    host = mxene("Ti2C", "O", defect="V-O")
    titanium = np.flatnonzero(exposed_atoms(host, 1) & (host.numbers == 22))
    assert titanium.tolist() == sorted(host.info["philic"]["defect"])


def test_a_hole_is_divided_like_a_face():
    labels = [site.label for site in adsorption_sites(carbon_host("pyridinic-3N"), near_A=2.0)]
    assert {"hollow C9N3", "hollow C3N2", "bridge N-N"} <= set(labels)
