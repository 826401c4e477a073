import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from philic.structures.crystals.packing import random_packing
from philic.structures.measures.bragg import sharpest_peak


@pytest.mark.parametrize(
    "crystal",
    [
        bulk("Cu"),
        bulk("Cu", cubic=True),
        bulk("Fe", cubic=True),
        bulk("Si", cubic=True),
        bulk("Mg"),
        bulk("NaCl", "rocksalt", a=5.6, cubic=True),
    ],
    ids=str,
)
def test_planes_that_hold_every_atom_scatter_with_full_height_in_any_cell(crystal):
    height = sharpest_peak(crystal * (2, 2, 2))
    assert height == pytest.approx(1.0 if "Mg" not in crystal.symbols else height)
    turned = crystal * (3, 2, 1)
    turned.rotate(35, (1, 2, 3), rotate_cell=True)
    turned.positions += (0.3, 0.1, 0.7)
    assert sharpest_peak(turned) == pytest.approx(height)
    assert height > 0.7


def test_the_cell_of_one_atom_scatters_like_the_crystal_it_repeats():
    assert sharpest_peak(bulk("Cu")) == pytest.approx(1.0)


def test_a_shaken_crystal_loses_height_by_the_debye_waller_factor():
    crystal, shake_A = bulk("Cu", a=3.6, cubic=True) * (4, 4, 4), 0.15
    crystal.rattle(shake_A, seed=1)
    first = (2 * np.pi * np.sqrt(3) / 3.6) ** 2  # of (111), the longest wave of fcc
    assert sharpest_peak(crystal) == pytest.approx(np.exp(-first * shake_A**2), rel=0.05)


def test_a_random_packing_is_far_from_a_crystal():
    peaks = [sharpest_peak(random_packing({"Li": 40, "O": 20}, density_g_cm3=1.9, seed=seed)) for seed in range(3)]
    assert max(peaks) < 0.15


def test_a_molecule_is_refused():
    with pytest.raises(ValueError, match="`atoms` is K2 but must be periodic in three directions"):
        sharpest_peak(Atoms("K2"))
