from ase import Atoms
from ase.build import bulk

from philic.structures.defects.defects import interstitial_sites
from philic.structures.jumps.hops import hops
from philic.structures.symmetry.orbits import primitive
from philic.structures.symmetry.symmetry import rigid, symmetry_of


def strained(crystal: Atoms, strain: float) -> Atoms:
    longer = crystal.copy()
    longer.set_cell(crystal.cell.array * [[1], [1], [1 + strain]], scale_atoms=True)
    return longer


def test_a_strained_cube_has_the_operations_of_a_square_prism_however_near_its_atoms_are():
    salt = bulk("KF", "rocksalt", a=5.34, cubic=True)
    longer = strained(salt, 0.005)
    found = symmetry_of(longer, 0.05)
    assert len(found.rotations) == 4 * 48  # 0.027 A are within the tolerance
    assert rigid(found.rotations, longer.cell.array).sum() == 4 * 16
    assert [len(primitive(strained(salt, strain))[1].rotations) for strain in (0.0003, 0.005)] == [48, 16]


def test_jumps_and_voids_along_the_strain_are_others_than_those_across():
    salt, iron = strained(bulk("KF", "rocksalt", a=5.34, cubic=True), 0.01), strained(bulk("Fe", a=2.87, cubic=True), 0.01)
    assert [hop.multiplicity for hop in hops(salt, "K", max_length_A=4.5)] == [4, 8]
    assert sorted(void.multiplicity for void in interstitial_sites(iron, "Li")) == [4, 8]
