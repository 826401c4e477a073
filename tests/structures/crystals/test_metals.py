import json
import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from philic.structures.crystals.metals import METALS, bulk_metal
from philic.structures.surfaces.slabs import slab

index = st.integers(-3, 3)
millers = st.tuples(index, index, index).filter(any)


@pytest.mark.parametrize(("metal", "a"), [("Li", 3.49), ("Na", 4.23), ("K", 5.23), ("Rb", 5.59), ("Cs", 6.05)])
def test_bulk_has_two_atoms_in_a_cube_of_the_tabulated_edge(metal: str, a: float) -> None:
    # Ashcroft & Mermin, Solid State Physics, table 4.1
    bulk = bulk_metal(metal)
    assert len(bulk) == 2
    assert bulk.cell.cellpar() == pytest.approx([a, a, a, 90, 90, 90])
    assert bulk.info["philic"]["lattice_constant_A"] == pytest.approx(a)


@settings(max_examples=25, deadline=None)
@example(metal="Li", miller=(2, 3, 2), layers=1, vacuum_A=5.0)  # its first vector points along -x before it is turned
@given(metal=st.sampled_from(METALS), miller=millers, layers=st.integers(1, 9), vacuum_A=st.floats(5, 25))
def test_a_slab_has_one_atom_per_layer_and_the_gap_asked_for(
    metal: str, miller: tuple[int, int, int], layers: int, vacuum_A: float
) -> None:
    cut = slab(bulk_metal(metal), miller, layers=layers, vacuum_A=vacuum_A)
    z = np.sort(cut.positions[:, 2])
    assert len(cut) == layers
    assert cut.cell[2, 2] - (z[-1] - z[0]) == pytest.approx(vacuum_A)
    assert (z[0] + z[-1]) / 2 == pytest.approx(cut.cell[2, 2] / 2)
    assert np.diff(z, 2) == pytest.approx(0, abs=1e-6)
    assert cut.pbc.all()
    assert np.linalg.det(cut.cell) > 0


@settings(max_examples=25, deadline=None)
@given(miller=millers)
def test_a_slab_keeps_the_density_of_its_bulk(miller: tuple[int, int, int]) -> None:
    bulk = bulk_metal("Na")
    cut = slab(bulk, miller, layers=2, vacuum_A=8.0)
    spacing = np.ptp(cut.positions[:, 2])
    assert cut.info["philic"]["area_A2"] * spacing == pytest.approx(bulk.get_volume() / 2)


@pytest.mark.parametrize(("miller", "area"), [((1, 1, 0), 2**0.5 / 2), ((1, 0, 0), 1), ((1, 1, 1), 3**0.5)])
def test_a_low_index_slab_has_the_smallest_in_plane_cell(miller: tuple[int, int, int], area: float) -> None:
    cut = slab(bulk_metal("K"), miller, layers=7)
    assert cut.info["philic"]["area_A2"] == pytest.approx(area * 5.23**2)


def test_neighbours_inside_a_slab_keep_the_bulk_distance() -> None:
    cut = slab(bulk_metal("K"), (1, 1, 0), layers=7, size=(3, 3))
    distances = cut.get_all_distances(mic=True)
    assert len(cut) == 63
    assert distances[distances > 0].min() == pytest.approx(5.23 * 3**0.5 / 2)


def test_a_relaxed_bulk_is_cut_as_it_is_and_left_untouched() -> None:
    bulk = bulk_metal("Li", lattice_constant_A=3.41)
    before = bulk.copy()
    cut = slab(bulk, (1, 0, 0), layers=3, size=(2, 1))
    assert bulk == before
    assert cut.cell.lengths()[:2] == pytest.approx([6.82, 3.41])
    about = cut.info["philic"]
    assert json.loads(json.dumps(about)) == about
    assert (about["host"], about["miller"], about["layers"], about["size"]) == (
        "Li(100)",
        [1, 0, 0],
        3,
        [2, 1],
    )


def test_an_unknown_metal_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="`metal` is 'Mg' but must be one of: Li, Na, K, Rb, Cs"):
        bulk_metal("Mg")


def test_a_lattice_constant_must_be_positive() -> None:
    with pytest.raises(ValueError, match=re.escape("`lattice_constant_A` is -5.2 but must be above 0")):
        bulk_metal("K", lattice_constant_A=-5.2)
