import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from philic.structures.crystals.metals import bulk_metal
from philic.structures.surfaces.steps import kinked_slab, stepped_slab

few = settings(max_examples=12, deadline=None, derandomize=True)
KINDS = [
    ("Cu", "111", "100"),
    ("Al", "111", "111"),
    ("Au", "100", "111"),
    ("K", "110", "110"),
    ("Na", "100", "110"),
]


def metal(symbol: str) -> Atoms:
    return bulk(symbol, cubic=True)


def coordination(slab: Atoms, symbol: str) -> np.ndarray:  # type: ignore[type-arg]
    nearest = metal(symbol).repeat(2).get_all_distances(mic=True)
    reach = 1.05 * nearest[nearest > 0].min()
    return np.bincount(neighbor_list("i", slab, reach), minlength=len(slab))


@pytest.mark.parametrize(
    ("symbol", "terrace", "step", "rows", "host"),
    [
        # Lang, Joyner and Somorjai, Surf. Sci. 30, 440 (1972): n(terrace) x (step)
        ("Cu", "111", "100", 3, "Cu(211)"),
        ("Cu", "111", "100", 6, "Cu(755)"),
        ("Pt", "111", "111", 3, "Pt(331)"),
        ("Pt", "111", "111", 6, "Pt(332)"),
        ("Ni", "100", "111", 3, "Ni(511)"),
        ("Ni", "100", "111", 4, "Ni(711)"),
        ("K", "100", "110", 2, "K(310)"),
        ("Fe", "110", "110", 3, "Fe(321)"),
    ],
)
def test_vicinal_surfaces_have_their_published_indices(symbol: str, terrace: str, step: str, rows: int, host: str) -> None:
    assert stepped_slab(metal(symbol), terrace, step, rows=rows).info["philic"]["host"] == host


@few
@given(kind=st.sampled_from(KINDS), rows=st.integers(2, 6))
def test_the_step_is_one_layer_high(kind: tuple[str, str, str], rows: int) -> None:
    """Seen along the terrace normal, the upper face is planes one lattice spacing apart, `rows` rows wide."""
    symbol, terrace, step = kind
    slab = stepped_slab(metal(symbol), terrace, step, rows=rows, layers=3)
    a = metal(symbol).cell[0, 0]
    numbers = np.array([int(i) for i in terrace])
    # fcc (111) and bcc (110) planes are a/|hkl| apart, (100) planes of both a/2
    spacing = a / np.linalg.norm(numbers) / (2 if terrace == "100" else 1)
    assert slab.info["philic"]["step_height_A"] == pytest.approx(spacing)
    miller = np.array(slab.info["philic"]["miller"])
    cosine = miller @ numbers / np.linalg.norm(miller) / np.linalg.norm(numbers)
    face = slab[slab.get_tags() <= rows]
    # in the plane, uphill is the part of the terrace normal across the edge: along a rows's descent
    vectors = slab.cell.array[:2]
    edge = vectors[np.argmin(np.linalg.norm(vectors, axis=1))]
    uphill = np.cross(edge, (0, 0, 1)) / np.linalg.norm(edge)
    steps = []
    for sign in (1, -1):
        normal = cosine * np.array([0, 0, 1]) + sign * np.sqrt(1 - cosine**2) * uphill
        lengths = [abs(vector @ normal) for vector in (vectors[0], vectors[1], vectors.sum(axis=0))]
        heights = face.positions @ normal / spacing
        steps.append((lengths, np.abs(heights - heights[0] - np.rint(heights - heights[0])).max()))
    lengths, off = min(steps, key=lambda found: found[1])
    assert off < 1e-6
    assert all(abs(length / spacing - round(length / spacing)) < 1e-6 for length in lengths)
    assert max(lengths) == pytest.approx(spacing)


@few
@given(kind=st.sampled_from(KINDS), rows=st.integers(2, 5), layers=st.integers(1, 4))
def test_a_stepped_slab_has_a_row_for_each_row_of_each_layer(kind: tuple[str, str, str], rows: int, layers: int) -> None:
    symbol, terrace, step = kind
    slab = stepped_slab(metal(symbol), terrace, step, rows=rows, layers=layers)
    assert len(slab) == rows * layers
    assert slab.info["philic"]["symmetric"]


@pytest.mark.parametrize(
    ("kind", "edge"),
    [
        (("Cu", "111", "100"), 7),  # 2 along the edge, 2 behind on the terrace, 3 below
        (("Al", "111", "111"), 7),
        (("Au", "100", "111"), 7),  # 2 along the edge, 1 behind, 4 below
        (("K", "110", "110"), 5),  # of 6 on the terrace: 2 along the edge, 1 behind, 2 below
        (("Na", "100", "110"), 4),  # [001] is no close-packed row: 4 below, none beside
    ],
)
def test_the_edge_atoms_have_the_neighbours_one_can_count(kind: tuple[str, str, str], edge: int) -> None:
    slab = stepped_slab(metal(kind[0]), *kind[1:], rows=4, layers=5, size=(2, 2))
    top = slab.positions[:, 2] > slab.cell[2, 2] / 2
    assert coordination(slab, kind[0])[top].min() == edge


@pytest.mark.parametrize(("step", "cornered"), [("100", 0), ("111", 1)])
@pytest.mark.parametrize("every", [2, 3, 4])
def test_a_kinked_edge_has_one_kink_atom_in_the_cell(step: str, cornered: int, every: int) -> None:
    slab = kinked_slab(metal("Cu"), "111", step, rows=3, kink_every=every, layers=5)
    top = slab.positions[:, 2] > slab.cell[2, 2] / 2
    numbers = coordination(slab, "Cu")[top]
    # a kink of an fcc metal has half its neighbours, the others on the edge 7; at a B step, where one row
    # back is also one half along, the atom in the inner corner touches an eighth
    assert (numbers.min(), (numbers == 6).sum()) == (6, 1)
    assert (numbers == 7).sum() == every - 1 - cornered


def test_the_lattice_constant_and_the_crystal_are_kept() -> None:
    relaxed = bulk_metal("Li", lattice_constant_A=3.41)
    before = relaxed.copy()
    slab = stepped_slab(relaxed, "100", "110", rows=2)
    distances = slab.repeat((2, 2, 1)).get_all_distances(mic=True)
    assert distances[distances > 1e-6].min() == pytest.approx(3.41 * 3**0.5 / 2)
    assert relaxed == before
    assert slab.info["philic"]["metal"] == "Li"


def test_whole_terrace_layers_are_held() -> None:
    slab = stepped_slab(metal("Cu"), "111", "100", rows=3, layers=4, fixed_layers=2)
    assert len(slab.constraints[0].index) == 6


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (
            {"terrace": "110"},
            "`terrace`/`step` is 110/100 but for fcc must be one of: 111/100, 111/111, 100/111",
        ),
        ({"rows": 1}, "`rows` is 1 but must be at least 2"),
        ({"layers": 0}, "`layers` is 0 but must be at least 1"),
        ({"fixed_layers": 9}, "`fixed_layers` is 9 but the slab has only 4 layers"),
        ({"fixed_layers": -1}, "`fixed_layers` is -1 but must be at least 0"),
        ({"vacuum_A": 0.0}, "`vacuum_A` is 0.0 but must be above 0"),
    ],
)
def test_an_impossible_step_is_refused(argument: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"terrace": "111", "step": "100", **argument}
    with pytest.raises(ValueError, match=re.escape(message)):
        stepped_slab(metal("Cu"), **arguments)  # type: ignore[arg-type]


def test_kinks_need_two_atoms_between_them() -> None:
    with pytest.raises(ValueError, match="`kink_every` is 1 but must be at least 2"):
        kinked_slab(metal("Cu"), "111", "100", kink_every=1)


@pytest.mark.parametrize("symbol", ["Mg", "Zn", "Ti"])
@pytest.mark.parametrize("rows", [2, 3, 5])
def test_hcp_terraces_are_half_a_cell_apart_and_as_wide_as_asked(symbol: str, rows: int) -> None:
    slab = stepped_slab(bulk(symbol), "0001", "10-10", rows=rows, layers=3)
    c = bulk(symbol).cell[2, 2]
    assert slab.info["philic"]["miller"] == [1, 0, 2 * rows]
    assert slab.info["philic"]["step_height_A"] == pytest.approx(c / 2)
    assert len(slab) == 3 * 2 * rows
    # the normal of the terraces: turned about the edge, the shortest vector, until all planes are c/2 apart
    edge, across = sorted(slab.cell.array[:2], key=np.linalg.norm)
    uphill = np.cross(edge, (0, 0, 1)) / np.linalg.norm(edge)
    drop = c / abs(across @ uphill)  # one step to the next cell is two layers down
    fits = []
    for slope in (drop, -drop):
        angle = np.arcsin(slope)
        heights = (
            slab.positions[slab.get_tags() <= 2 * rows] @ (np.cos(angle) * np.array([0, 0, 1]) + slope * uphill) / (c / 2)
        )
        heights -= heights[0]
        fits.append(
            (np.abs(heights - heights.round()).max(), np.unique(heights.round() % 2, return_counts=True)[1].tolist())
        )
    off, widths = min(fits)
    assert off < 1e-6
    assert widths == [rows, rows]


@pytest.mark.parametrize("symbol", ["Mg", "Zn"])
def test_hcp_edges_have_seven_neighbours_and_an_a_and_a_b_foot(symbol: str) -> None:
    slab = stepped_slab(bulk(symbol), "0001", "10-10", rows=4)
    a, c = bulk(symbol).cell.cellpar()[[0, 2]]
    numbers = np.bincount(neighbor_list("i", slab, 1.05 * max(a, np.hypot(a / 3**0.5, c / 2))))
    top = sorted(numbers[slab.positions[:, 2] > slab.cell[2, 2] / 2])
    assert top[:9] == [7, 7, 9, 9, 9, 9, 9, 10, 11]


def test_hcp_metals_have_no_kinks() -> None:
    message = "`terrace`/`step` is 0001/10-10 but kinks are only built on fcc and bcc metals"
    with pytest.raises(ValueError, match=message):
        kinked_slab(bulk("Mg"), "0001", "10-10")


def test_what_is_no_close_packed_metal_is_refused() -> None:
    message = "`crystal` is Si8 in space group 227 but must be an fcc, bcc or hcp metal"
    with pytest.raises(ValueError, match=message):
        stepped_slab(bulk("Si", cubic=True), "111", "100")
