import json
from collections import Counter
from functools import cache

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.spacegroup import crystal as spaced

from philic.structures.carbons.graphite import intercalated
from philic.structures.jumps.hops import MECHANISMS, Hop, hops
from philic.structures.jumps.network import (
    Jump,
    Network,
    from_parameters,
    jump_network,
    percolation,
    to_parameters,
    with_stops,
)
from philic.structures.symmetry.orbits import primitive

LIF = bulk("LiF", "rocksalt", a=4.03)
LI2O = spaced(["Li", "O"], [(0.25, 0.25, 0.25), (0, 0, 0)], spacegroup=225, cellpar=[4.62] * 3 + [90] * 3)
LI3N = spaced(
    ["Li", "N", "Li"], [(0, 0, 0.5), (0, 0, 0), (1 / 3, 2 / 3, 0)], spacegroup=191, cellpar=[3.65, 3.65, 3.88, 90, 90, 120]
)
RUTILE = spaced(["Ti", "O"], [(0, 0, 0), (0.305, 0.305, 0)], spacegroup=136, cellpar=[4.594, 4.594, 2.959, 90, 90, 90])
# Streltsov et al., Acta Cryst. B 49, 147 (1993)
LIFEPO4 = spaced(
    ["Li", "Fe", "P", "O", "O", "O"],
    [
        (0, 0, 0),
        (0.282, 0.25, 0.975),
        (0.095, 0.25, 0.418),
        (0.097, 0.25, 0.743),
        (0.457, 0.25, 0.206),
        (0.166, 0.047, 0.285),
    ],
    spacegroup=62,
    cellpar=[10.332, 6.010, 4.692, 90, 90, 90],
)
CASES = {
    "LiF": (LIF, "Li", 3.0),
    "Li2O": (LI2O, "Li", 3.4),
    "Li3N": (LI3N, "Li", 3.0),
    "rutile": (RUTILE, "Li", 1.4),
    "bcc K": (bulk("K", cubic=True), "K", 4.6),
}
PAIRS = [(name, mechanism) for name in CASES for mechanism in MECHANISMS if name != "rutile" or mechanism == "interstitial"]


@cache
def expanded(name: str, mechanism: str) -> tuple[list[Hop], Network]:
    crystal, metal, longest = CASES[name]
    found = hops(crystal, metal, longest, mechanism=mechanism)
    return found, jump_network(crystal, found)


def place_at(network: Network, position: np.ndarray) -> np.ndarray:
    """Give the network's place at each position, shape ``(n, 3)``."""
    apart = (position[:, None] - network.places_A) @ np.linalg.inv(network.cell_A)
    off = np.linalg.norm((apart - apart.round()) @ np.array(network.cell_A), axis=2)
    assert off.min(axis=1).max() < 0.1
    return off.argmin(axis=1)


def directions(network: Network, allowed: set[int]) -> np.ndarray:
    return np.array(percolation(network, allowed)[0].translations) @ np.array(network.cell_A)


@pytest.mark.parametrize(("name", "mechanism"), PAIRS)
def test_as_many_jumps_leave_a_place_as_the_hop_has_images(name: str, mechanism: str) -> None:
    found, network = expanded(name, mechanism)
    starts = place_at(network, np.array([hop.path_A[0] for hop in found]))
    for at, (hop, start) in enumerate(zip(found, starts, strict=True)):
        assert sum(jump.hop == at and jump.start == start for jump in network.jumps) == hop.multiplicity


@pytest.mark.parametrize(("name", "mechanism"), PAIRS)
def test_each_jump_has_its_reverse(name: str, mechanism: str) -> None:
    found, network = expanded(name, mechanism)
    reverse = [
        Jump(end, start, tuple(-step for step in steps), hop, back if found[hop].symmetric else not back)
        for start, end, steps, hop, back in network.jumps
    ]
    assert Counter(reverse) == Counter(network.jumps)


@pytest.mark.parametrize(("name", "mechanism"), PAIRS)
def test_jumps_go_as_far_as_their_hop(name: str, mechanism: str) -> None:
    found, network = expanded(name, mechanism)
    for jump, displacement in zip(network.jumps, network.displacements_A, strict=True):
        path = found[jump.hop].path_A
        assert np.linalg.norm(displacement) == pytest.approx(np.linalg.norm(np.subtract(path[-1], path[0])), abs=0.02)


@pytest.mark.parametrize(("name", "mechanism"), PAIRS)
def test_the_space_group_takes_jumps_to_jumps_and_places_to_places_of_their_kind(name: str, mechanism: str) -> None:
    _, network = expanded(name, mechanism)
    cell, (rotations, shifts) = primitive(CASES[name][0])
    start, hop, backward = (np.array([jump[at] for jump in network.jumps]) for at in (0, 3, 4))

    def alike(starts: np.ndarray, displacements: np.ndarray) -> np.ndarray:
        """Count for each jump how many of the network's it is."""
        same = (starts[:, None] == start) & (hop[:, None] == hop) & (backward[:, None] == backward)
        return (same & (np.linalg.norm(displacements[:, None] - network.displacements_A, axis=2) < 0.1)).sum(axis=1)

    counts = alike(start, network.displacements_A)
    for turn, shift in zip(rotations, shifts, strict=True):
        rotation = cell.cell.array.T @ turn @ np.linalg.inv(cell.cell.array.T)
        to = place_at(network, np.array(network.places_A) @ rotation.T + shift @ cell.cell.array)
        assert sorted(to) == list(range(len(to)))
        assert (np.array(network.kinds)[to] == network.kinds).all()
        assert (alike(to[start], network.displacements_A @ rotation.T) == counts).all()


@pytest.mark.parametrize(("name", "mechanism"), PAIRS)
def test_a_network_does_not_depend_on_origin_supercell_or_order(name: str, mechanism: str) -> None:
    crystal, metal, longest = CASES[name]
    random = np.random.default_rng(1)
    other = make_supercell(crystal, [[1, 0, 0], [0, 2, 0], [1, 0, 1]])
    other = other[random.permutation(len(other))]
    other.translate(random.uniform(-9, 9, 3))

    def summary(network: Network) -> list[tuple[int, int, int]]:
        each = range(len(network.labels))
        return sorted(
            (
                sum(jump.hop == hop for jump in network.jumps),
                sum(jump.backward for jump in network.jumps if jump.hop == hop),
                percolation(network, {hop})[0].dimension,
            )
            for hop in each
        )

    network = jump_network(other, hops(other, metal, longest, mechanism=mechanism))
    expected = expanded(name, mechanism)[1]
    assert summary(network) == summary(expected)
    assert sorted(Counter(network.kinds).values()) == sorted(Counter(expected.kinds).values())
    assert (network.displacements_A**2).sum() == pytest.approx((expected.displacements_A**2).sum(), rel=1e-2)


def test_a_vacancy_goes_against_the_atom_that_fills_it() -> None:
    found, network = expanded("Li3N", "vacancy")
    (hop,) = (hop for hop in found if not hop.symmetric)
    first, last = place_at(network, np.array(hop.path_A))
    ahead = {(jump.start, jump.end) for jump in network.jumps if jump.hop == found.index(hop) and not jump.backward}
    assert (last, first) in ahead
    assert (first, last) not in ahead


def test_each_mechanism_has_its_walker_and_its_places() -> None:
    networks = {mechanism: expanded("LiF", mechanism)[1] for mechanism in MECHANISMS}
    assert {name: (network.walker, len(network.places_A)) for name, network in networks.items()} == {
        "vacancy": ("vacancy", 1),
        "interstitial": ("interstitial", 2),
        "knock-off": ("interstitial", 2),
        "exchange": ("tracer", 1),
    }


def test_vacancies_of_rock_salt_go_everywhere() -> None:
    assert percolation(expanded("LiF", "vacancy")[1], {0})[0].dimension == 3


def test_vacancies_of_lithium_nitride_stay_in_its_planes_by_the_short_hop() -> None:
    network = expanded("Li3N", "vacancy")[1]
    plane, lone = percolation(network, {0})
    assert (plane.dimension, lone.dimension, len(plane.places)) == (2, 0, 2)
    assert np.allclose(directions(network, {0})[:, 2], 0)
    assert percolation(network, {0, 1})[0].dimension == 3


def test_lithium_in_graphite_stays_between_its_sheets() -> None:
    compound = intercalated("Li", 6)
    found = hops(compound, "Li", 4.4)
    network = jump_network(compound, found)
    short = {at for at, hop in enumerate(found) if abs(hop.path_A[1][2] - hop.path_A[0][2]) < 0.1}
    assert short
    assert percolation(network, short)[0].dimension == 2
    assert np.allclose(directions(network, short)[:, 2], 0)


def test_vacancies_of_olivine_stay_in_channels_along_b() -> None:
    # Morgan, Van der Ven & Ceder, Electrochem. Solid-State Lett. 7, A30 (2004): one-dimensional along [010]
    network = jump_network(LIFEPO4, hops(LIFEPO4, "Li", 3.2))
    assert [component.dimension for component in percolation(network, {0})] == [1, 1]
    ((x, y, z),) = directions(network, {0})
    assert (x, abs(y), z) == pytest.approx((0, 6.010, 0))


def test_lithium_in_rutile_goes_along_c_by_the_short_hop() -> None:
    network = expanded("rutile", "interstitial")[1]
    ((x, y, z),) = directions(network, {0})
    assert (x, y, abs(z)) == pytest.approx((0, 0, 2.959))


def test_without_hops_every_place_is_alone() -> None:
    network = expanded("Li3N", "vacancy")[1]
    assert [(c.places, c.dimension) for c in percolation(network, set())] == [((0,), 0), ((1,), 0), ((2,), 0)]


def test_every_second_image_is_a_lattice_of_its_own() -> None:
    steps = [(2, 0), (-2, 0), (1, 3), (-1, -3)]
    jumps = tuple(Jump(0, 0, step, 0, False) for step in steps)
    surface = Network("adatom", ((3.0, 0, 0), (0, 3.0, 0)), ((0, 0, 0),), (0,), ("hollow",), jumps)
    (component,) = percolation(surface, {0})
    assert abs(np.linalg.det(component.translations)) == pytest.approx(6)


def test_a_network_survives_json() -> None:
    network = expanded("Li3N", "vacancy")[1]
    again = from_parameters(json.loads(json.dumps(to_parameters(network))))
    assert again.displacements_A == pytest.approx(network.displacements_A, abs=1e-5)
    assert to_parameters(again) == to_parameters(network)
    assert (again.jumps, again.kinds, again.labels) == (network.jumps, network.kinds, network.labels)


def both(crystal: Atoms) -> list[Hop]:
    return [hops(crystal, "Li", 3.0, mechanism=mechanism)[0] for mechanism in ("vacancy", "exchange")]


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([], "`hops` are of nothing but must be of one metal by one mechanism"),
        (both(LIF), "`hops` are of Li by exchange and Li by vacancy but must be of one metal by one mechanism"),
        (hops(LI3N, "Li", 3.0), "off the sites of LiF: give the crystal it was found in"),
    ],
)
def test_hops_that_are_no_network_are_refused(found: list[Hop], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        jump_network(LIF, found)


def test_minima_on_the_way_are_new_places_of_one_kind_and_the_way_through_stays():
    crystal = bulk("Li", "fcc", a=4.0)
    net = jump_network(crystal, hops(crystal, "Li", 2.9))
    cut, parts = with_stops(net, {0: 2})
    assert parts == {0: (0, 1, 2)}
    assert len(cut.places_A) == 1 + 2 * 6
    assert len(cut.jumps) == 3 * 12
    assert sorted(Counter(cut.kinds).values()) == [1, 6, 6]
    assert cut.labels == tuple(f"vacancy 2.83 A, part {part}" for part in (1, 2, 3))
    assert np.linalg.norm(cut.displacements_A, axis=1) == pytest.approx(4 / 2**0.5 / 3)
    assert percolation(cut, {0, 1, 2})[0].dimension == 3
    assert percolation(cut, {0, 2})[0].dimension == 0
    back = {(jump.end, jump.start, tuple(-step for step in jump.steps), jump.hop) for jump in cut.jumps}
    assert back == {(jump.start, jump.end, jump.steps, jump.hop) for jump in cut.jumps}


def test_hops_without_minima_keep_their_jumps():
    net = jump_network(LI3N, hops(LI3N, "Li", 3.0))
    assert with_stops(net, {}) == (net, {hop: (hop,) for hop in range(len(net.labels))})
