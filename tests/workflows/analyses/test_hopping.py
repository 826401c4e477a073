from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk
from ase.spacegroup import crystal as spaced
from ase.units import kB
from hypothesis import given, settings
from hypothesis import strategies as st

from philic.structures.jumps.hops import hops
from philic.structures.jumps.network import Jump, Network, jump_network, to_parameters
from philic.workflows.analyses.hopping import diffusivity_cm2_per_s, hopping, isotropic, landscape, limiting_barriers
from philic.workflows.analyses.rates import rate_per_s
from philic.workflows.stores.result import Result, Status

LI3N = spaced(
    ["Li", "N", "Li"], [(0, 0, 0.5), (0, 0, 0), (1 / 3, 2 / 3, 0)], spacegroup=191, cellpar=[3.65, 3.65, 3.88, 90, 90, 120]
)
CUBE = ((2.0, 0, 0), (0, 2.0, 0), (0, 0, 2.0))


def network(cell, places, edges, kinds=None):
    """Build a network from edges (start, end, steps, hop), each with its reverse."""
    jumps = []
    for start, end, steps, hop in edges:
        back = tuple(-step for step in steps)
        jumps += [
            Jump(start, end, steps, hop, False),
            Jump(end, start, back, hop, kinds is None or kinds[start] != kinds[end]),
        ]
    labels = tuple(f"hop {hop}" for hop in range(1 + max(edge[3] for edge in edges)))
    return Network("adatom", cell, places, kinds or tuple(range(len(places))), labels, tuple(jumps))


def chain(*hops_):
    """Places in a row, one hop after the other, the last into the next cell."""
    n = len(hops_)
    edges = [(i, (i + 1) % n, (int(i == n - 1),), hop) for i, hop in enumerate(hops_)]
    return network(((3.0, 0, 0),), tuple((3.0 * i / n, 0, 0) for i in range(n)), edges)


def expand(crystal, metal, longest):
    return jump_network(crystal, hops(crystal, metal, longest))


def by_inverse(net, barriers, attempt_THz, temperature_K):
    """Diffusivity by mean squared jump and correlation term (Trinkle, Philos. Mag. 97, 2514, 2017), for one group."""
    land = landscape(net, barriers)
    p = np.exp(-land.places_eV / (kB * temperature_K))
    p /= p.sum()
    rates, bias, bare = np.zeros((len(p), len(p))), np.zeros((len(p), 3)), np.zeros((3, 3))
    for jump, step in zip(net.jumps, net.displacements_A, strict=True):
        w = rate_per_s(land.saddles_eV[jump.hop] - land.places_eV[jump.start], attempt_THz, temperature_K)
        rates[jump.start, jump.end] += w
        rates[jump.start, jump.start] -= w
        bias[jump.start] += w * step
        bare += p[jump.start] * w * np.outer(step, step) / 2
    root = np.sqrt(p)
    symmetric = root[:, None] * rates / root
    weighted = root[:, None] * bias
    return 1e-16 * (bare + weighted.T @ np.linalg.pinv(symmetric, hermitian=True) @ weighted)


def tangle(seed):
    """Four places at random and jumps among them, with energies that obey detailed balance."""
    random = np.random.default_rng(seed)
    pairs = [(0, 1), (1, 2), (2, 3), (3, 0), (0, 2), (1, 1), (0, 1), (2, 3), (3, 1)]
    edges = [(*pair, tuple(random.integers(-1, 2, 3).tolist()), hop) for hop, pair in enumerate(pairs)]
    edges += [(0, 0, (1, 0, 0), 9), (1, 1, (0, 1, 0), 10), (2, 2, (0, 0, 1), 11)]
    edges = [edge for edge in edges if edge[0] != edge[1] or any(edge[2])]
    edges = [(*edge[:3], hop) for hop, edge in enumerate(edges)]
    energies = random.uniform(0, 0.2, 4)
    saddles = random.uniform(0.25, 0.5, len(edges))
    barriers = {hop: (saddles[hop] - energies[start], saddles[hop] - energies[end]) for start, end, _, hop in edges}
    places = tuple(tuple(place) for place in random.uniform(0, 2, (4, 3)).tolist())
    return network(CUBE, places, edges), barriers, energies


def test_simple_cubic_is_rate_times_length_squared():
    edges = [(0, 0, step, 0) for step in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
    net = network(CUBE, ((0, 0, 0),), edges, kinds=(0,))
    tensor = diffusivity_cm2_per_s(net, {0: (0.3, 0.3)}, 10, 400)
    assert tensor == pytest.approx(np.eye(3) * rate_per_s(0.3, 10, 400) * 4e-16)


@pytest.mark.parametrize(("structure", "sites"), [("sc", 6), ("bcc", 8), ("fcc", 12)])
def test_cubic_lattices_are_sixth_of_neighbours_times_rate_times_length_squared(structure, sites):
    crystal = bulk("Li", structure, a=4.0)
    found = hops(crystal, "Li", 4.05)[:1]
    tensor = diffusivity_cm2_per_s(jump_network(crystal, found), {0: (0.3, 0.3)}, 10, 400)
    expected = sites / 6 * rate_per_s(0.3, 10, 400) * found[0].length_A ** 2 * 1e-16
    assert tensor == pytest.approx(np.eye(3) * expected, abs=1e-9 * expected)


def test_hexagonal_close_packing_by_its_two_rates():
    # D_a = a^2 (3 w_a + w_b) / 2, D_c = 3 c^2 w_b / 4 (Allnatt & Lidiard, Atomic Transport in Solids, 1993)
    tensor = diffusivity_cm2_per_s(
        expand(bulk("Li", "hcp", a=3.1, c=5.2), "Li", 3.3), {0: (0.3, 0.3), 1: (0.35, 0.35)}, 10, 500
    )
    within, between = rate_per_s(0.3, 10, 500), rate_per_s(0.35, 10, 500)
    expected = [3.1**2 * (3 * within + between) / 2] * 2 + [0.75 * 5.2**2 * between]
    assert np.diag(tensor) == pytest.approx(np.array(expected) * 1e-16, rel=1e-6)


def test_a_honeycomb_surface_is_three_quarters_of_rate_times_length_squared():
    a = 2.46
    net = network(
        ((a, 0, 0), (-a / 2, a * 3**0.5 / 2, 0)),
        ((0, 0, 2.0), (a / 2, a / 12**0.5, 2.1)),
        [(0, 1, steps, 0) for steps in ((0, 0), (-1, 0), (-1, -1))],
        kinds=(0, 0),
    )
    tensor = diffusivity_cm2_per_s(net, {0: (0.1, 0.1)}, 5, 300)
    assert isotropic(net, tensor) == pytest.approx(0.75 * rate_per_s(0.1, 5, 300) * a**2 / 3 * 1e-16)
    assert tensor[2] == pytest.approx(np.zeros(3), abs=1e-30)


@pytest.mark.parametrize(("slow_eV", "temperature_K"), [(0.2, 300.0), (2.0, 200.0)])
def test_two_barriers_in_a_row_add_like_resistors(slow_eV, temperature_K):
    tensor = diffusivity_cm2_per_s(chain(0, 1), {0: (0.1, 0.1), 1: (slow_eV, slow_eV)}, 10, temperature_K)
    fast, slow = (rate_per_s(barrier, 10, temperature_K) for barrier in (0.1, slow_eV))
    assert tensor[0, 0] == pytest.approx(1e-16 * 9 / (2 / fast + 2 / slow))


def test_a_trap_slows_by_the_time_spent_in_it():
    barriers = {0: (0.3, 0.5), 1: (0.5, 0.3)}  # the second place is 0.2 eV lower
    rate, depth = rate_per_s(0.3, 10, 300), np.exp(0.2 / (kB * 300))
    tensor = diffusivity_cm2_per_s(chain(0, 1), barriers, 10, 300)
    assert tensor[0, 0] == pytest.approx(1e-16 * 1.5**2 * 2 * rate / (1 + depth))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_it_is_the_mean_squared_jump_and_the_correlation_term(seed):
    net, barriers, energies = tangle(seed)
    tensor = diffusivity_cm2_per_s(net, barriers, 10, 500)
    assert landscape(net, barriers).places_eV == pytest.approx(energies - energies.min())
    assert tensor == pytest.approx(by_inverse(net, barriers, 10, 500), rel=1e-6, abs=1e-9 * np.trace(tensor))
    assert tensor == pytest.approx(tensor.T, abs=1e-12 * np.trace(tensor))
    assert np.linalg.eigvalsh(tensor).min() > 0


def test_places_may_be_counted_in_any_order_and_from_any_cell():
    net, barriers, _ = tangle(3)
    last_cell_on = np.array([0, 0, 0, 1])[:, None] * (1, 0, 0)
    moved = tuple(
        Jump(3 - start, 3 - end, tuple((np.array(steps) + last_cell_on[end] - last_cell_on[start]).tolist()), hop, back)
        for start, end, steps, hop, back in net.jumps
    )
    other = replace(net, places_A=net.places_A[::-1], jumps=moved)
    tensors = [diffusivity_cm2_per_s(one, barriers, 10, 300) for one in (net, other)]
    assert tensors[0] == pytest.approx(tensors[1])


def test_it_agrees_with_a_walk():
    net, barriers, energies = tangle(1)
    random = np.random.default_rng(0)
    saddles = landscape(net, barriers).saddles_eV
    energies = energies - energies.min()
    rates = [[] for _ in energies]
    for jump, step in zip(net.jumps, net.displacements_A, strict=True):
        rates[jump.start].append((rate_per_s(saddles[jump.hop] - energies[jump.start], 10, 800), jump.end, step))
    clock = max(sum(rate for rate, *_ in leaving) for leaving in rates)  # ticks for every walker alike; some ticks move none
    width = 1 + max(map(len, rates))
    edges, ends, steps = np.ones((4, width)), np.repeat(np.arange(4)[:, None], width, axis=1), np.zeros((4, width, 3))
    for place, leaving in enumerate(rates):
        for at, (_, end, step) in enumerate(leaving):
            ends[place, at], steps[place, at] = end, step
        edges[place, : len(leaving)] = np.cumsum([rate for rate, *_ in leaving]) / clock
    n_walkers, n_ticks = 20_000, 400
    at, position = random.integers(0, 4, n_walkers), np.zeros((n_walkers, 3))
    for _ in range(n_ticks):
        chosen = (random.random(n_walkers)[:, None] > edges[at]).sum(axis=1)
        position += steps[at, chosen]
        at = ends[at, chosen]
    walked = np.cov(position.T) / (2 * n_ticks / clock) * 1e-16
    exact = diffusivity_cm2_per_s(net, barriers, 10, 800)
    assert walked == pytest.approx(exact, abs=0.04 * np.trace(exact) / 3)


def test_channels_that_cross_count_equally():
    net = network(CUBE, ((0, 0, 0), (1, 1, 1)), [(0, 0, (1, 0, 0), 0), (1, 1, (0, 1, 0), 0)], kinds=(0, 0))
    tensor = diffusivity_cm2_per_s(net, {0: (0.2, 0.2)}, 10, 300)
    assert tensor == pytest.approx(np.diag([0.5, 0.5, 0]) * rate_per_s(0.2, 10, 300) * 4e-16)


def test_a_place_that_no_hop_reaches_changes_nothing():
    net = expand(LI3N, "Li", 3.0)
    plane = {0: (0.2, 0.2)}
    tensor = diffusivity_cm2_per_s(net, plane, 10, 300)
    assert np.diag(tensor) == pytest.approx(np.array([1, 1, 0]) * 0.75 * rate_per_s(0.2, 10, 300) * 3.65**2 / 3 * 1e-16)


@pytest.mark.parametrize("barriers", [{}, {0: (0.1, 0.1)}])
def test_without_a_way_through_there_is_no_diffusion(barriers):
    assert not diffusivity_cm2_per_s(chain(0, 1), barriers, 10, 300).any()
    assert limiting_barriers(chain(0, 1), barriers) == {}


def test_the_highest_saddle_limits_and_counts_from_the_lowest_place():
    barriers = {0: (0.5, 0.2), 1: (0.3, 0.1), 2: (0.2, 0.7)}  # places at 0, 0.3 and 0.5 eV; saddles at 0.5, 0.6 and 0.7 eV
    limit = limiting_barriers(chain(0, 1, 2), barriers)[1]
    assert (limit.barrier_eV, limit.hop) == (pytest.approx(0.7), 2)


def test_each_direction_has_its_own_limit():
    net = expand(LI3N, "Li", 3.0)
    limits = limiting_barriers(net, {0: (0.1, 0.1), 1: (0.4, 0.3)})  # the vacancy is 0.1 eV lower in the plane
    assert {n: limit.hop for n, limit in limits.items()} == {1: 0, 2: 0, 3: 1}
    assert [limits[n].barrier_eV for n in (1, 2, 3)] == pytest.approx([0.1, 0.1, 0.4])
    assert landscape(net, {0: (0.1, 0.1), 1: (0.4, 0.3)}).places_eV == pytest.approx([0.1, 0, 0])


def test_reaction_energies_that_do_not_close_are_told():
    land = landscape(chain(0, 1, 2), {0: (0.5, 0.5), 1: (0.5, 0.5), 2: (0.53, 0.5)})
    assert land.closure_error_eV == pytest.approx(0.01)
    there_and_back = landscape(expand(LI3N, "Li", 3.0), {0: (0.12, 0.1)})
    assert there_and_back.closure_error_eV == pytest.approx(0.02)
    assert there_and_back.saddles_eV == pytest.approx({0: 0.11})


FINGERPRINT = {"name": "a", "weights_sha256": "1", "dtype": "float32", "dispersion": "none"}
SETTINGS = {"attempt_frequency_THz": 10.0, "temperatures_K": [300, 400, 500]}
NOWHERE = "the jumps do not percolate: no site reaches its own image"
NOT_RARE = "from 400 K on the lowest barrier is under 3 kT: jumps are not rare there and D is an upper bound"  # 0.1 eV


def band(forward_eV, reverse_eV, status=Status.CONVERGED, message="converged"):
    scalars = {
        "barrier_forward_eV": forward_eV,
        "barrier_reverse_eV": reverse_eV,
        "reaction_energy_eV": forward_eV - reverse_eV,
    }
    return Result(status, message, scalars, function="neb", provenance={"fingerprint": FINGERPRINT})


def test_a_step_tells_the_limits_and_the_diffusivities():
    net = expand(LI3N, "Li", 3.0)
    outcome = hopping({"hop.0": band(0.1, 0.1), "hop.1": band(0.4, 0.3)}, network=to_parameters(net), **SETTINGS)
    scalars = outcome.scalars
    assert (outcome.status, outcome.message) == (Status.CONVERGED, f"converged; {NOT_RARE}")
    assert (scalars["percolates_in"], scalars["hops_left_out"]) == (3, 0)
    assert (scalars["limiting_hop_2d"], scalars["limiting_hop_3d"]) == ("vacancy 2.11 A", "vacancy 2.86 A")
    assert scalars["limiting_barrier_3d_eV"] == pytest.approx(0.4)
    tensor = diffusivity_cm2_per_s(net, {0: (0.1, 0.1), 1: (0.4, 0.3)}, 10.0, 300)
    assert scalars["diffusivity_300K_cm2_per_s"] == pytest.approx(np.trace(tensor) / 3, rel=1e-5)
    assert outcome.arrays["diffusivity_cm2_per_s"][0] == pytest.approx(tensor, rel=1e-5, abs=1e-15)
    assert scalars["activation_energy_eV"] == pytest.approx(0.1, abs=0.01)
    assert scalars["diffusivity_of"].startswith("a lone vacancy; an ion's is that times")


def test_diffusivities_follow_the_relaxed_crystal():
    """D = sum w d d / 2 over jumps d that the relaxation has sheared: its cell's rows are the sum's vectors."""
    cube = network(CUBE, ((0, 0, 0),), [(0, 0, step, 0) for step in np.eye(3, dtype=int).tolist()], kinds=(0,))
    built = bulk("Li", "sc", a=2.0)
    relaxed = built.copy()
    relaxed.set_cell([[1.8, 0.0, 0.3], [0.0, 2.1, 0.0], [0.0, 0.4, 2.2]])
    crystal = replace(band(0, 0), structures={"initial": built, "final": relaxed})
    outcome = hopping({"hop.0": band(0.3, 0.3), "crystal": crystal}, network=to_parameters(cube), **SETTINGS)
    expected = relaxed.cell.array.T @ relaxed.cell.array * rate_per_s(0.3, 10.0, 300) * 1e-16
    assert outcome.arrays["diffusivity_cm2_per_s"][0] == pytest.approx(expected, rel=1e-5)


def test_a_band_that_did_not_converge_is_left_out_and_named():
    net = to_parameters(expand(LI3N, "Li", 3.0))
    parents = {"hop.0": band(0.1, 0.1), "hop.1": band(0.4, 0.3, Status.UNCONVERGED, "0.2 eV/Å after 200 steps")}
    outcome = hopping(parents, network=net, **SETTINGS)
    assert outcome.status is Status.CONVERGED
    assert outcome.message == f"converged; vacancy 2.86 A is left out: 0.2 eV/Å after 200 steps; {NOT_RARE}"
    assert (outcome.scalars["percolates_in"], outcome.scalars["hops_left_out"]) == (2, 1)


def test_hops_that_lead_nowhere_are_a_failure():
    outcome = hopping({"hop.0": band(0.1, 0.1)}, network=to_parameters(chain(0, 1)), **SETTINGS)
    assert outcome.status is Status.FAILED
    assert outcome.message == f"{NOWHERE}; hop 1 is left out: it was not computed"
    assert outcome.scalars["percolates_in"] == 0


def test_where_it_is_too_cold_for_a_number_the_others_are_still_told():
    """0.9 eV are 1044 kT at 10 K: the rate is 0 in floating point, and its logarithm nothing."""
    ring = to_parameters(network(((3.0, 0, 0),), ((0, 0, 0),), [(0, 0, (1,), 0)], kinds=(0,)))
    cold, mild = (
        hopping({"hop.0": band(0.9, 0.9)}, network=ring, attempt_frequency_THz=10.0, temperatures_K=kelvins)
        for kelvins in ([10, 300, 400], [10, 300])
    )
    assert cold.scalars["diffusivity_10K_cm2_per_s"] == 0
    assert cold.scalars["activation_energy_eV"] == pytest.approx(0.9)
    assert cold.message == mild.message == "converged; at 10 K D is too small to be represented"
    assert "activation_energy_eV" not in mild.scalars
    assert at_300K(mild) == at_300K(cold) > 0


def test_it_is_told_along_the_slowest_and_the_fastest_direction():
    """A plane whose two jumps are at 60 degrees, in a crystal's frame and nowhere along z: D = sum w d d / 2, by hand."""
    edges = [(0, 0, (1, 0), 0), (0, 0, (0, 1), 1)]
    plane = network(((3.0, 0, 0), (1.5, 1.5 * 3**0.5, 0)), ((0, 0, 0),), edges, kinds=(0,))
    found = hopping({"hop.0": band(0.2, 0.2), "hop.1": band(0.5, 0.5)}, network=to_parameters(plane), **SETTINGS).scalars
    fast, slow = (rate_per_s(barrier_eV, 10.0, 300) * 9e-16 for barrier_eV in (0.2, 0.5))
    assert found["fastest_300K_cm2_per_s"] == pytest.approx(fast, rel=1e-4)
    assert found["slowest_300K_cm2_per_s"] == pytest.approx(slow * 0.75, rel=1e-4)  # sin(60 degrees) squared
    assert found["diffusivity_300K_cm2_per_s"] == pytest.approx((fast + slow) / 2)
    row = hopping({"hop.0": band(0.2, 0.2)}, network=to_parameters(plane), **SETTINGS).scalars
    assert (row["percolates_in"], row["slowest_300K_cm2_per_s"]) == (1, 0)


def test_bands_that_disagree_are_told():
    parents = {f"hop.{hop}": band(0.5, 0.5 - 0.03 * hop) for hop in range(3)}
    outcome = hopping(parents, network=to_parameters(chain(0, 1, 2)), **SETTINGS)
    assert outcome.message == "converged; reaction energies disagree by 30 meV: converge the bands further"


def split(*parts):
    """A band in parts, each with a forward and a reverse barrier."""
    tops = np.cumsum([0.0, *(there - back for there, back in parts)])[:-1] + [there for there, _ in parts]
    end = sum(there - back for there, back in parts)
    whole = band(float(tops.max()), float(tops.max() - end))
    return replace(whole, arrays={"part_barriers_eV": np.array(parts)})


def at_300K(outcome):
    return outcome.scalars["diffusivity_300K_cm2_per_s"]


@pytest.mark.parametrize("parts", [((0.3, 0.1), (0.2, 0.4)), ((0.1, 0.6), (0.7, 0.2)), ((0.5, 0.2), (0.1, 0.4))])
def test_a_minimum_on_the_way_is_a_place_of_the_walk(parts):
    """The first and last are shallow, the second is deeper than the ends; the same as two jumps by way of that place."""
    ring = network(((3.0, 0, 0),), ((0, 0, 0),), [(0, 0, (1,), 0)], kinds=(0,))
    outcome = hopping({"hop.0": split(*parts)}, network=to_parameters(ring), **SETTINGS)
    long_way = diffusivity_cm2_per_s(chain(0, 1), dict(enumerate(parts)), 10, 300)
    assert at_300K(outcome) == pytest.approx(long_way[0, 0])
    assert outcome.message == "converged; hop 0 has an intermediate minimum, which is a site of the walk too"


def test_a_deep_minimum_on_the_way_limits_and_a_shallow_one_does_not():
    ring = to_parameters(network(((3.0, 0, 0),), ((0, 0, 0),), [(0, 0, (1,), 0)], kinds=(0,)))
    deep = hopping({"hop.0": split((0.1, 0.6), (0.7, 0.2))}, network=ring, **SETTINGS)
    assert deep.scalars["limiting_barrier_1d_eV"] == pytest.approx(0.7)  # out of the minimum, 0.5 eV below the ends
    assert deep.scalars["limiting_hop_1d"] == "hop 0, part 2"
    assert deep.scalars["activation_energy_eV"] == pytest.approx(0.7, abs=0.01)
    shallow = hopping({"hop.0": split((0.5, 0.2), (0.1, 0.4))}, network=ring, **SETTINGS)
    plain = hopping({"hop.0": band(0.5, 0.5)}, network=ring, **SETTINGS)
    assert shallow.scalars["limiting_barrier_1d_eV"] == plain.scalars["limiting_barrier_1d_eV"] == 0.5
    assert at_300K(shallow) == pytest.approx(at_300K(plain), rel=1e-3)  # the highest point governs


def test_minima_on_equivalent_ways_of_a_crystal_are_equivalent():
    """Two equal parts of a cubic lattice's jump: half as often through, as two equal resistors in a row."""
    crystal = bulk("Li", "fcc", a=4.0)
    net = expand(crystal, "Li", 2.9)
    outcome = hopping({"hop.0": split((0.3, 0.1), (0.1, 0.3))}, network=to_parameters(net), **SETTINGS)
    tensor = outcome.arrays["diffusivity_cm2_per_s"][0]
    assert tensor == pytest.approx(np.eye(3) * tensor[0, 0], abs=1e-6 * tensor[0, 0])
    bare = diffusivity_cm2_per_s(net, {0: (0.3, 0.3)}, 10.0, 300)[0, 0]
    time_there = 6 * np.exp(-0.2 / (kB * 300))  # six minima to a place, each 0.2 eV above
    assert tensor[0, 0] == pytest.approx(bare / 2 / (1 + time_there), rel=1e-5)


def tried(forward_eV, reverse_eV, forward_THz, reverse_THz):
    found = band(forward_eV, reverse_eV)
    frequencies = {"attempt_frequency_THz": forward_THz, "attempt_frequency_reverse_THz": reverse_THz}
    return replace(found, scalars=found.scalars | frequencies)


def test_each_jump_has_its_own_frequency_and_the_ends_their_share_of_the_time():
    """A soft place, four times as roomy: p w is one flow both ways, and two flows in a row add like resistors."""
    parents = {"hop.0": tried(0.3, 0.2, 20.0, 5.0), "hop.1": tried(0.2, 0.3, 1.0, 4.0)}
    outcome = hopping(parents, network=to_parameters(chain(0, 1)), **SETTINGS)
    there = 4 * np.exp(-0.1 / (kB * 300))  # the second place over the first: 20/5, and 0.1 eV
    flows = [rate_per_s(0.3, 20.0, 300) / (1 + there), rate_per_s(0.2, 1.0, 300) * there / (1 + there)]
    assert rate_per_s(0.3, 4.0, 300) / (1 + there) == pytest.approx(flows[1])  # back over the second saddle as often
    assert at_300K(outcome) == pytest.approx(1e-16 * 9 / (1 / flows[0] + 1 / flows[1]))
    assert outcome.message == "converged; each jump has its own attempt frequency, 1.0 to 20.0 THz"
    assert outcome.scalars["limiting_barrier_1d_eV"] == pytest.approx(0.3)


def test_equal_frequencies_of_their_own_are_one_frequency():
    own = hopping({"hop.0": tried(0.3, 0.3, 3.0, 3.0)}, network=to_parameters(chain(0, 0)), **SETTINGS)
    one = hopping({"hop.0": band(0.3, 0.3)}, network=to_parameters(chain(0, 0)), **SETTINGS | {"attempt_frequency_THz": 3.0})
    assert at_300K(own) == pytest.approx(at_300K(one))


@pytest.mark.parametrize("other", [band(0.2, 0.3), split((0.1, 0.1), (0.1, 0.2))])
def test_where_a_jump_lacks_its_own_frequency_all_take_the_mean_and_that_is_said(other):
    outcome = hopping({"hop.0": tried(0.3, 0.2, 8.0, 2.0), "hop.1": other}, network=to_parameters(chain(0, 1)), **SETTINGS)
    assert outcome.scalars["attempt_frequency_THz"] == pytest.approx(4.0)
    assert outcome.message.endswith("1 of 2 jumps lack an attempt frequency: all take the others' mean, 4.0 THz")
