import json
import re

import numpy as np
import pytest
from ase import Atoms
from hypothesis import example, given, settings
from hypothesis import strategies as st

from philic.structures.crystals.metals import METALS, bulk_metal
from philic.structures.surfaces.metal_slabs import slab_from_bulk

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
    slab = slab_from_bulk(bulk_metal(metal), miller=miller, layers=layers, vacuum_A=vacuum_A)
    z = np.sort(slab.positions[:, 2])
    assert len(slab) == layers
    assert slab.cell[2, 2] - (z[-1] - z[0]) == pytest.approx(vacuum_A)
    assert (z[0] + z[-1]) / 2 == pytest.approx(slab.cell[2, 2] / 2)
    assert np.diff(z, 2) == pytest.approx(0, abs=1e-6)
    assert slab.pbc.all()
    assert np.linalg.det(slab.cell) > 0


@settings(max_examples=25, deadline=None)
@given(miller=millers)
def test_a_slab_keeps_the_density_of_its_bulk(miller: tuple[int, int, int]) -> None:
    bulk = bulk_metal("Na")
    slab = slab_from_bulk(bulk, miller=miller, layers=2, vacuum_A=8.0)
    spacing = np.ptp(slab.positions[:, 2])
    assert slab.info["philic"]["area_A2"] * spacing == pytest.approx(bulk.get_volume() / 2)


@pytest.mark.parametrize(("miller", "area"), [((1, 1, 0), 2**0.5 / 2), ((1, 0, 0), 1), ((1, 1, 1), 3**0.5)])
def test_a_low_index_slab_has_the_smallest_in_plane_cell(miller: tuple[int, int, int], area: float) -> None:
    slab = slab_from_bulk(bulk_metal("K"), miller=miller)
    assert slab.info["philic"]["area_A2"] == pytest.approx(area * 5.23**2)


def test_neighbours_inside_a_slab_keep_the_bulk_distance() -> None:
    slab = slab_from_bulk(bulk_metal("K"), size=(3, 3))
    distances = slab.get_all_distances(mic=True)
    assert len(slab) == 63
    assert distances[distances > 0].min() == pytest.approx(5.23 * 3**0.5 / 2)


def test_a_relaxed_bulk_is_cut_as_it_is_and_left_untouched() -> None:
    bulk = bulk_metal("Li", lattice_constant_A=3.41)
    before = bulk.copy()
    slab = slab_from_bulk(bulk, miller=(1, 0, 0), layers=3, size=(2, 1))
    assert bulk == before
    assert slab.cell.lengths()[:2] == pytest.approx([6.82, 3.41])
    about = slab.info["philic"]
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


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"miller": (0, 0, 0)}, "`miller` is (0, 0, 0) but at least one index must differ from 0"),
        ({"layers": 0}, "`layers` is 0 but must be at least 1"),
        ({"vacuum_A": -1.0}, "`vacuum_A` is -1.0 but must be above 0"),
        ({"size": (0, 1)}, "`size` is (0, 1) but both numbers must be at least 1"),
    ],
)
def test_an_impossible_slab_is_refused(argument: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        slab_from_bulk(bulk_metal("K"), **argument)  # type: ignore[arg-type]


def test_what_is_no_bcc_cell_is_refused() -> None:
    off_centre = Atoms("K2", scaled_positions=[(0, 0, 0), (0.4, 0.5, 0.5)], cell=[5, 5, 5], pbc=True)
    for bulk in (Atoms("K", cell=[5, 5, 5], pbc=True), off_centre):
        with pytest.raises(ValueError, match=r"`bulk` is K2? but must be a 2-atom bcc cell: build it with `bulk_metal`"):
            slab_from_bulk(bulk)


def test_a_lattice_constant_must_be_positive() -> None:
    with pytest.raises(ValueError, match=re.escape("`lattice_constant_A` is -5.2 but must be above 0")):
        bulk_metal("K", lattice_constant_A=-5.2)
