"""Metal atoms in voids of silicon: tetrahedral and hexagonal ones, whose distances are fractions of the cube's diagonal."""

import numpy as np
import pytest
from ase.build import bulk

from philic.structures.crystals.supercells import supercell_for
from philic.structures.defects.defects import interstitial_sites
from philic.structures.defects.voids import fill_void, void_near
from philic.structures.jumps.hops import hops
from philic.structures.jumps.second_void import second_void

A = 5.431
SILICON = bulk("Si", a=A)
DIAGONAL_A = A * 3**0.5
WIDE, NARROW = interstitial_sites(SILICON, "Li")  # tetrahedral, hexagonal


def filled(**more):
    large = supercell_for(SILICON, 10.0)
    given = {"metal": "Li", "at_scaled": (0.5, 0.5, 0.5), "supercell": large.info["philic"]["supercell"]}
    return large, fill_void(SILICON, **{**given, **more})


def test_the_metal_is_last_and_the_crystal_as_it_was():
    large, atoms = filled()
    assert atoms.symbols[-1] == "Li"
    assert len(atoms) == len(large) + 1
    assert atoms.positions[:-1] == pytest.approx(large.positions)
    assert atoms.get_distance(-1, int(atoms.get_distances(-1, range(len(large)), mic=True).argmin()), mic=True) > 2
    assert atoms.info["philic"]["formula"] == atoms.symbols.formula.format("hill")


def test_a_second_one_comes_before_the_one_that_moves_and_that_is_put_aside():
    large, atoms = filled(beside_scaled=(0.25, 0.25, 0.25), aside_A=(0.1, 0.2, 0.2))
    assert list(atoms.symbols[-2:]) == ["Li", "Li"]
    _, plain = filled()
    assert np.linalg.norm(atoms.positions[-1] - plain.positions[-1]) == pytest.approx(0.3)
    assert len(atoms) == len(large) + 2


def test_an_unknown_metal_is_refused():
    with pytest.raises(ValueError, match="`metal` is 'Mg' but must be one of: Li, Na, K, Rb, Cs"):
        filled(metal="Mg")


@pytest.mark.parametrize("void", [WIDE, NARROW])
def test_a_void_is_found_from_beside_it_in_any_cell(void):
    for cell in ((0, 0, 0), (-3, 2, 5)):
        beside = np.array(void.position_A) + np.array(cell) @ SILICON.cell.array + (0.2, -0.1, 0.2)
        assert void_near(SILICON, [WIDE, NARROW], beside) == (void.label, pytest.approx(0.3, abs=1e-3))


def test_the_second_one_is_in_the_next_void_from_the_start_which_is_neither_end():
    hop = next(hop for hop in hops(SILICON, "Li", 2.4, mechanism="interstitial") if hop.length_A > 2.3)
    start, end = np.array(hop.path_A)
    beside = np.array(second_void(SILICON, hop, [WIDE]))
    assert np.linalg.norm(beside - start) == pytest.approx(DIAGONAL_A / 4, abs=1e-3)
    assert np.linalg.norm(beside - end) == pytest.approx(A / 2**0.5, abs=1e-3)
    assert void_near(SILICON, [WIDE, NARROW], beside)[0] == WIDE.label


def test_two_large_ones_are_not_put_where_they_overlap():
    """A tetrahedral void is 2.35 Å from the next, and potassium needs 0.6 times 2 x 2.03 Å: the third has room."""
    hop = next(hop for hop in hops(SILICON, "K", 2.4, mechanism="interstitial") if hop.length_A > 2.3)
    beside = np.array(second_void(SILICON, hop, [WIDE]))
    assert np.linalg.norm(beside - hop.path_A[0]) == pytest.approx(A / 2**0.5, abs=1e-3)


def test_no_void_for_a_second_one_is_refused():
    hop = hops(SILICON, "Li", 2.4, mechanism="interstitial")[0]
    with pytest.raises(ValueError, match=r"there is no void for a second Li within 8 A of 'interstitial 1\.18 A'"):
        second_void(SILICON, hop, [])
