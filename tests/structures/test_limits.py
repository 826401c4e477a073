"""What is too large is refused before it is built, in a moment and with little memory."""

import re
import tracemalloc

import pytest
from ase.build import bulk

from philic.structures.carbons.carbon import graphene
from philic.structures.carbons.graphite import nanotube
from philic.structures.carbons.mxenes import mxene
from philic.structures.contacts.boundaries import grain_boundary
from philic.structures.crystals.packing import random_packing
from philic.structures.crystals.supercells import repeated, supercell_for
from philic.structures.limits import at_most
from philic.structures.surfaces.slabs import slab

COPPER = bulk("Cu", cubic=True)
TOO_LARGE = {
    "graphene of 4000x4000 cells would have 32,000,000 atoms": lambda: graphene((4000, 4000)),
    "Ti3C2O2 of 4000x4000 cells would have 112,000,000 atoms": lambda: mxene("Ti3C2", "O", size=(4000, 4000)),
    "nanotube-5,5 of 1000000 repeats would have 20,000,000 atoms": lambda: nanotube(5, 5, length=1_000_000),
    "a random packing would have 2,000,000 atoms": lambda: random_packing({"K": 10**6, "F": 10**6}, density_g_cm3=2.5),
    "a slab (111) of 1e+06 Å would have": lambda: slab(COPPER, (1, 1, 1), thickness_A=1e6),
    "a slab of 1000000 layers would have 1,000,000 atoms": lambda: slab(COPPER, (1, 1, 1), layers=10**6),
    "a slab of 4 atoms in 900x900 cells would have 3,240,000 atoms": lambda: slab(
        COPPER, (1, 1, 1), layers=4, size=(900, 900)
    ),
    "Cu with images 500 Å apart would have": lambda: supercell_for(COPPER, 500.0),
    "a supercell of Cu would have 4,000,000 atoms": lambda: repeated(COPPER, [[100, 0, 0], [0, 100, 0], [0, 0, 100]]),
    "a grain 100000 Å thick would have": lambda: grain_boundary(COPPER, 5, (0, 0, 1), (3, 1, 0), min_grain_A=1e5),
}


@pytest.mark.parametrize("words", TOO_LARGE)
def test_what_is_too_large_is_refused_before_it_is_built(words):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=re.escape(words)) as refused, at_most(5000):
            TOO_LARGE[words]()
        assert "but at most 5,000 are allowed: make it smaller, or raise `max_atoms`" in str(refused.value)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


def test_nothing_is_too_large_unless_it_is_said():
    assert len(graphene((60, 60))) == 7200
    with at_most(7200):
        assert len(graphene((60, 60))) == 7200


def test_a_lower_bound_refuses_nothing_that_would_fit():
    """The densest lattice of images is fcc: its primitive cell meets the bound."""
    small = bulk("Cu")
    with at_most(1):
        assert len(supercell_for(small, 2.5)) == 1


def test_indices_that_no_face_has_are_refused():
    with pytest.raises(ValueError, match="indices are at most 20: take a vicinal face of lower ones"):
        slab(COPPER, (99, 98, 97), layers=4)
