"""Masses, magnetic moments and charges: which are an atom's own, and that every builder leaves them to it."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.data import atomic_masses, atomic_numbers

from philic.structures.carbons.carbon import graphene
from philic.structures.contacts.boundaries import grain_boundary
from philic.structures.crystals.crystals import crystal
from philic.structures.crystals.metals import bulk_metal
from philic.structures.crystals.orderings import doped
from philic.structures.crystals.supercells import repeated, supercell_for
from philic.structures.defects.defects import frenkel_pair, interstitial, interstitial_sites, vacancy, vacancy_sites
from philic.structures.defects.freezing import freeze_except
from philic.structures.defects.voids import fill_void
from philic.structures.jumps.hop_ends import hop_end
from philic.structures.jumps.hops import end_points, hops
from philic.structures.sites.adatoms import place_adatoms
from philic.structures.sites.islands import place_island
from philic.structures.sites.placing import place
from philic.structures.surfaces.slabs import slab
from philic.structures.surfaces.steps import stepped_slab
from philic.structures.symmetry.equivalents import image_of, imaged
from philic.structures.symmetry.orbits import primitive
from philic.structures.symmetry.species import own_arrays, species

OWN = {"K": (41.0, 0.5, 0.9), "F": (19.5, -0.5, -0.9), "Na": (24.0, 1.0, 0.1), "C": (13.0, 0.2, 0.3), "S": (34.0, 0.1, -0.5)}
"""Mass in u, moment and charge of each element that a builder is given."""
NAMES = ("masses", "initial_magmoms", "initial_charges")


def marked(atoms):
    known = np.array([OWN.get(symbol, (atomic_masses[atomic_numbers[symbol]], 0, 0)) for symbol in atoms.symbols])
    atoms.set_masses(known[:, 0])
    atoms.set_initial_magnetic_moments(known[:, 1])
    atoms.set_initial_charges(known[:, 2])
    return atoms


KF = marked(bulk("KF", "rocksalt", a=5.34, cubic=True))
NA = marked(bulk_metal("Na"))
SHEET = marked(graphene((6, 6)))
VOID = interstitial_sites(KF, "Li")[0]
SITES = {site.element: site for site in vacancy_sites(KF)}
HOP = hops(KF, "K", 4.0)[0]


def image():
    large = supercell_for(KF, 10.0)
    potassium = np.flatnonzero(large.symbols == "K")[:2]
    one, other = (large[np.delete(np.arange(len(large)), gone)] for gone in potassium)
    return imaged(one, **image_of(large, one, other)._asdict())


BUILDERS = {
    "repeated": lambda: repeated(KF, 2 * np.eye(3, dtype=int)),
    "primitive": lambda: primitive(KF)[0],
    "vacancy": lambda: vacancy(KF, SITES["K"]),
    "interstitial": lambda: interstitial(KF, "Li", VOID),
    "frenkel pair": lambda: frenkel_pair(KF, "K", SITES["K"], interstitial_sites(KF, "K")[0]),
    "hop": lambda: end_points(repeated(KF, 2 * np.eye(3, dtype=int)), HOP)[1],
    "hop end": lambda: hop_end(
        KF, metal="K", mechanism="vacancy", path_scaled=np.array(HOP.path_A) / 5.34, supercell=2 * np.eye(3), end="start"
    ),
    "filled void": lambda: fill_void(
        KF, metal="Li", at_scaled=(0.25, 0.25, 0.25), supercell=2 * np.eye(3), beside_scaled=(0.75, 0.75, 0.75)
    ),
    "image": image,
    "freeze_except": lambda: freeze_except(KF, [0]),
    "slab": lambda: slab(KF, (1, 0, 0), layers=4, size=(2, 1)),
    "slab of a metal": lambda: slab(NA, (1, 1, 0), layers=3),
    "stepped surface": lambda: stepped_slab(NA, "110", "110", rows=3, layers=4),
    "grain boundary": lambda: grain_boundary(NA, 5, (0, 0, 1), (3, 1, 0), min_grain_A=4.0),
    "adatom": lambda: place_adatoms(SHEET, "Li", [[[0, 0, 0]]]),
    "island": lambda: place_island(SHEET, "Li", 5),
    "guest": lambda: place(graphene((6, 6)), marked(molecule("CH4")), [(0, 0, 0)])[len(SHEET) :],
    "doped": lambda: doped(marked(crystal("M3SbS4", "K")), replace={"S": {"Cl": 1}}, vacancies={"K": 1}),
}


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_every_builder_leaves_an_atom_what_it_is(build):
    built = build()
    own = own_arrays(built)
    assert set(own) == set(NAMES)
    for symbol in set(built.symbols):
        usual = atomic_masses[atomic_numbers[symbol]], 0.0, 0.0
        for name, expected in zip(NAMES, OWN.get(symbol, usual), strict=True):
            np.testing.assert_allclose(own[name][built.symbols == symbol], expected)


def test_symmetry_distinguishes_isotopes():
    """One deuterium in a cube of eight formula units: the seven other hydrogens are no longer one site."""
    cube = bulk("LiH", "rocksalt", a=4.08, cubic=True)
    assert len(vacancy_sites(cube)) == 2
    masses = cube.get_masses()
    masses[1] = 2.014
    cube.set_masses(masses)
    assert sorted(site.label for site in vacancy_sites(cube, "H")) == ["H #1", "H #2"]


def test_the_usual_masses_are_nobody_s_own():
    atoms = Atoms("LiH", masses=[6.94, 1.008], magmoms=[0, 0], charges=[0, 0])
    assert own_arrays(atoms) == {}
    assert species(atoms).tolist() == [3, 1]


def test_an_image_takes_no_hydrogen_for_deuterium():
    """A lithium of the cube is missing; beside the vacancy at the origin is deuterium at (1/2, 0, 0)."""
    cube = bulk("LiH", "rocksalt", a=4.08, cubic=True) * (2, 2, 2)

    def without(gone, deuterium):
        atoms = cube.copy()
        masses = atoms.get_masses()
        masses[_nearest(atoms, deuterium)] = 2.014
        atoms.set_masses(masses)
        del atoms[_nearest(atoms, gone)]
        return atoms

    one = without((0, 0, 0), (0.25, 0, 0))
    like, unlike = (without((0, 0.25, 0.25), deuterium) for deuterium in ((0, 0.5, 0.25), (0.25, 0.5, 0.5)))
    image = image_of(cube, one, like)
    assert image is not None
    np.testing.assert_array_equal(imaged(one, **image._asdict()).get_masses(), like.get_masses())
    assert image_of(cube, one, unlike) is None


def _nearest(atoms, spot):
    apart = atoms.get_scaled_positions() - spot
    return int(np.linalg.norm(apart - apart.round(), axis=1).argmin())
