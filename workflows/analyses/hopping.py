"""From jumps and their barriers to the limiting barrier of percolation and the diffusivity of a defect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from ase.units import kB, m

from ...structures.jumps.network import Jump, Network, from_parameters, percolation, strained, with_stops
from ..stores.result import Outcome, Result, Status, check_one_potential
from .cell_size import strain_of
from .rates import arrhenius_law, rate_per_s

CLOSURE_EV = 0.01
"""Reaction energies that disagree by more than this are reported."""
RARE_kT = 3.0
"""Over a barrier of less than this many times kT a walker does not rest between jumps, as their rates suppose."""

Barriers = Mapping[int, tuple[float, float]]
"""Forward and reverse barrier in eV by hop of a network; a hop that is missing does not happen."""

Frequencies = Mapping[int, tuple[float, float]]
"""Forward and reverse attempt frequency in THz by hop."""

_MEANING = {
    "vacancy": "a lone vacancy; an ion's is that times the vacancies' site fraction and a correlation factor",
    "interstitial": "a lone interstitial; an ion's is that times the interstitials' site fraction and a correlation factor",
    "tracer": "an ion that swaps with its like, its tracer diffusivity",
    "adatom": "a lone adatom",
}
_CM2_PER_A2 = (100 / m) ** 2
_NOISE = 1e-13  # of the largest principal value: a smaller one is nothing but rounding


@dataclass(frozen=True)
class Landscape:
    """Energies of a network's places and saddles.

    Attributes
    ----------
    places_eV
        Energy of each place, that of the lowest of its group being 0.
    groups
        Which group each place is in; only energies of one group are known relative to each other.
    saddles_eV
        Energy of each hop's saddle, on its group's scale.
    closure_error_eV
        How far the worst hop's reaction energy is off the difference between its places.
    """

    places_eV: np.ndarray
    groups: np.ndarray
    saddles_eV: Mapping[int, float]
    closure_error_eV: float


class Limit(NamedTuple):
    """The limiting barrier of percolation: its highest saddle above the lowest place, and the hop that has it."""

    barrier_eV: float
    hop: int


def landscape(network: Network, barriers: Barriers) -> Landscape:
    """Fit energies of places to the reaction energies of hops by least squares.

    A reaction energy is forward minus reverse barrier. Places of one kind have one energy. A saddle is put at the mean of
    what its two ends say.
    """
    kinds, of = np.unique(network.kinds, return_inverse=True)
    ends = {jump.hop: (of[jump.start], of[jump.end]) for jump in network.jumps if not jump.backward}
    steps = np.zeros((len(barriers), len(kinds)))
    groups = np.arange(len(kinds))
    for row, hop in enumerate(barriers):
        start, end = ends[hop]
        steps[row, end] += 1
        steps[row, start] -= 1
        groups[groups == groups[end]] = groups[start]
    reactions_eV = np.array([forward - reverse for forward, reverse in barriers.values()])
    energies_eV = np.linalg.lstsq(steps, reactions_eV)[0] if len(barriers) else np.zeros(len(kinds))
    for group in set(groups.tolist()):
        energies_eV[groups == group] -= energies_eV[groups == group].min()
    saddles_eV = {hop: float(np.mean(energies_eV[list(ends[hop])] + pair)) for hop, pair in barriers.items()}
    off_eV = abs(steps @ energies_eV - reactions_eV)
    return Landscape(energies_eV[of], groups[of], saddles_eV, float(off_eV.max(initial=0.0)))


def limiting_barriers(network: Network, barriers: Barriers) -> dict[int, Limit]:
    """Find the lowest barrier at which a network percolates in 1, 2 and 3 dimensions, and the hop that sets it.

    A saddle counts from the lowest place it is connected with, where the walker mostly is.

    Returns
    -------
    dict
        By number of dimensions; those in which the network does not percolate are missing.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from philic.structures.jumps.hops import hops
    >>> from philic.structures.jumps.network import jump_network
    >>> crystal = bulk("KF", "rocksalt", a=5.34)
    >>> limiting_barriers(jump_network(crystal, hops(crystal, "K", 4.0)), {0: (0.8, 0.8)})[3]
    Limit(barrier_eV=0.8, hop=0)
    """
    saddles_eV = landscape(network, barriers).saddles_eV
    limits: dict[int, Limit] = {}
    open_hops: set[int] = set()
    for hop in sorted(saddles_eV, key=lambda hop: (saddles_eV[hop], hop)):
        open_hops.add(hop)
        for directions in range(1, percolation(network, open_hops)[0].dimension + 1):
            limits.setdefault(directions, Limit(saddles_eV[hop], hop))
    return limits


def diffusivity_cm2_per_s(
    network: Network, barriers: Barriers, attempt_frequency_THz: float, temperature_K: float
) -> np.ndarray:
    """Diffusivity of a lone walker, exactly: all correlations between its jumps are in it.

    In equilibrium, with rates that obey detailed balance, ``D`` along a direction is the least that
    ``1/2 sum_ij p_i w_ij (d_ij + f_j - f_i)^2`` can be for any shifts ``f`` of the places: the power lost in a network of
    resistors, and the same as the mean of squared jumps plus the correlation term with the inverse of the rate matrix
    (D. R. Trinkle, Philos. Mag. 97, 2514, 2017). Places are taken out one at a time, as in star-mesh and graph
    transformations (D. J. Sharpe & D. J. Wales, J. Chem. Phys. 155, 140901, 2021). Nothing is subtracted, so rates may
    differ by many powers of ten.

    This is the defect's diffusivity. That of the ions' tracer is this times the defect's site fraction and correlation
    factor. Where hops tie places into several groups whose energies cannot be compared, the fastest group's is given.

    Parameters
    ----------
    network
        Places and jumps.
    barriers
        In eV, by hop.
    attempt_frequency_THz
        The same for every hop.
    temperature_K
        Temperature.

    Returns
    -------
    numpy.ndarray
        Shape ``(3, 3)``, symmetric.
    """
    land = landscape(network, barriers)
    jumps = [jump for jump in network.jumps if jump.hop in barriers]
    tensors = [np.zeros((3, 3))]
    for group in set(land.groups.tolist()):
        inside = [jump for jump in jumps if land.groups[jump.start] == group]
        weight = np.exp(-land.places_eV[land.groups == group] / (kB * temperature_K)).sum()
        flows = {
            hop: rate_per_s(saddle_eV, attempt_frequency_THz, temperature_K) / weight
            for hop, saddle_eV in land.saddles_eV.items()
        }
        spread = _spread(inside, flows, len(network.places_A), len(network.cell_A))
        tensors.append(np.array(network.cell_A).T @ spread @ np.array(network.cell_A) * _CM2_PER_A2)
    return max(tensors, key=lambda tensor: float(np.trace(tensor)))


def isotropic(network: Network, tensor: np.ndarray) -> float:
    """Mean of a diffusivity over the periodic directions: a third of the trace in a crystal, half on a surface."""
    return float(np.trace(tensor)) / len(network.cell_A)


def slowest_and_fastest(network: Network, tensor: np.ndarray) -> tuple[float, float]:
    """Smallest and largest principal value of a diffusivity in the space of the periodic directions."""
    basis = np.linalg.qr(np.array(network.cell_A).T)[0]
    values = np.linalg.eigvalsh(basis.T @ tensor @ basis)
    return float(values[0]) if values[0] > _NOISE * values[-1] else 0.0, float(values[-1])


def hopping(
    parents: Mapping[str, Result],
    *,
    network: Mapping[str, Any],
    attempt_frequency_THz: float,
    temperatures_K: Sequence[float],
) -> Outcome:
    """Turn the barriers of a network's hops into its limiting barriers and the walker's diffusivity.

    A hop without a converged barrier is left out, named, and taken never to happen. An intermediate minimum of a hop is one
    more place, where the walker rests: a shallow one changes little, one deeper than the ends holds it. See
    `diffusivity_cm2_per_s` for whose diffusivity it is; its activation energy is that of migration, without the energy
    that forms the defect.

    Parameters
    ----------
    parents
        Bands by role: ``hop.0`` for the network's first hop, and so on. Where there is ``crystal``, the relaxation of the
        cell, the network follows it.
    network
        From `philic.structures.jumps.network.to_parameters`, in the crystal as built.
    attempt_frequency_THz
        The same for every hop, unless each band has its own, forward and reverse; where only some have, their geometric
        mean. A band in several parts has none of each part.
    temperatures_K
        At least two, for an activation energy.

    Returns
    -------
    Outcome
        ``percolates_in`` (directions), ``limiting_barrier_1d_eV`` and ``limiting_hop_1d`` … for each of them,
        ``diffusivity_300K_cm2_per_s`` … (mean over the periodic directions), ``slowest_300K_cm2_per_s`` and
        ``fastest_300K_cm2_per_s`` … (along its principal axes), ``activation_energy_eV``, ``prefactor_cm2_per_s``,
        ``attempt_frequency_THz``, ``closure_error_eV``, ``hops_left_out`` and ``diffusivity_of`` (what it is the
        diffusivity of); the tensors ``diffusivity_cm2_per_s`` as an array, shape ``(n_temperatures, 3, 3)``.
    """
    whole = strained(from_parameters(network), strain_of(parents))
    good, missing = _bands(parents, whole)
    if good:
        check_one_potential({f"hop.{hop}": band for hop, band in good.items()})
    net, barriers = _cut(whole, good)
    own_THz, attempt_frequency_THz, of_frequencies = _frequencies(good, attempt_frequency_THz)
    limits = limiting_barriers(net, barriers)
    closure_eV = landscape(net, barriers).closure_error_eV
    scalars: dict[str, Any] = {
        "percolates_in": max(limits, default=0),
        **{f"limiting_barrier_{n}d_eV": limit.barrier_eV for n, limit in limits.items()},
        **{f"limiting_hop_{n}d": net.labels[limit.hop] for n, limit in limits.items()},
        "attempt_frequency_THz": attempt_frequency_THz,
        "closure_error_eV": closure_eV,
        "hops_left_out": len(missing),
        "diffusivity_of": _MEANING[net.walker],
    }
    notes = [f"{label} is left out: {why}" for label, why in missing.items()]
    resting = [whole.labels[hop] for hop, band in good.items() if _n_parts(band) > 1]
    notes += [f"{label} has an intermediate minimum, which is a site of the walk too" for label in resting]
    notes += of_frequencies + _doubts(closure_eV, limits, temperatures_K)
    if not limits:
        nowhere = "the jumps do not percolate: no site reaches its own image"
        return Outcome(Status.FAILED, "; ".join([nowhere, *notes]), scalars)
    free = [_free(barriers, own_THz, attempt_frequency_THz, kelvin) for kelvin in temperatures_K]
    conditions = zip(free, temperatures_K, strict=True)
    tensors = np.array([diffusivity_cm2_per_s(net, walls, attempt_frequency_THz, kelvin) for walls, kelvin in conditions])
    notes += _add_diffusivities(scalars, net, tensors, temperatures_K)
    return Outcome(Status.CONVERGED, "; ".join(["converged", *notes]), scalars, arrays={"diffusivity_cm2_per_s": tensors})


def _add_diffusivities(
    scalars: dict[str, Any], network: Network, tensors: np.ndarray, temperatures_K: Sequence[float]
) -> list[str]:
    """Add diffusivities and their Arrhenius law, and say where they are no numbers: exp(-750) is 0."""
    means = [isotropic(network, tensor) for tensor in tensors]
    for kelvin, mean, tensor in zip(temperatures_K, means, tensors, strict=True):
        slowest, fastest = slowest_and_fastest(network, tensor)
        scalars[f"diffusivity_{kelvin:g}K_cm2_per_s"] = mean
        scalars |= {f"slowest_{kelvin:g}K_cm2_per_s": slowest, f"fastest_{kelvin:g}K_cm2_per_s": fastest}
    warm = {kelvin: mean for kelvin, mean in zip(temperatures_K, means, strict=True) if mean > 0}
    if len(warm) > 1:
        scalars["activation_energy_eV"], scalars["prefactor_cm2_per_s"] = arrhenius_law([*warm], [*warm.values()])
    return [f"at {kelvin:g} K D is too small to be represented" for kelvin in temperatures_K if kelvin not in warm]


def _doubts(closure_eV: float, limits: Mapping[int, Limit], temperatures_K: Sequence[float]) -> list[str]:
    """List the caveats of the diffusivities."""
    notes = []
    if closure_eV > CLOSURE_EV:
        notes.append(f"reaction energies disagree by {1000 * closure_eV:.0f} meV: converge the bands further")
    hot_K = [kelvin for kelvin in temperatures_K if limits and limits[1].barrier_eV < RARE_kT * kB * kelvin]
    if hot_K:
        why = f"the lowest barrier is under {RARE_kT:g} kT: jumps are not rare there and D is an upper bound"
        notes.append(f"from {min(hot_K):g} K on {why}")
    return notes


def _bands(parents: Mapping[str, Result], network: Network) -> tuple[dict[int, Result], dict[str, str]]:
    """Return the hops with a barrier, by number, and those without, by label with the reason."""
    good, missing = {}, {}
    for hop, label in enumerate(network.labels):
        band = parents.get(f"hop.{hop}")
        if band and band.status is Status.CONVERGED:
            good[hop] = band
        else:
            missing[label] = band.message if band else "it was not computed"
    return good, missing


def _n_parts(band: Result) -> int:
    return len(band.arrays.get("part_barriers_eV", [None]))


def _cut(network: Network, bands: Mapping[int, Result]) -> tuple[Network, dict[int, tuple[float, float]]]:
    """Make the intermediate minima of a band places of the network, and give the barriers of every part."""
    cut, parts = with_stops(network, {hop: _n_parts(band) - 1 for hop, band in bands.items()})
    barriers: dict[int, tuple[float, float]] = {}
    for hop, band in bands.items():
        whole = [[band.scalars["barrier_forward_eV"], band.scalars["barrier_reverse_eV"]]]
        pairs = band.arrays["part_barriers_eV"] if _n_parts(band) > 1 else whole
        barriers |= {part: (float(there), float(back)) for part, (there, back) in zip(parts[hop], pairs, strict=True)}
    return cut, barriers


def _frequencies(bands: Mapping[int, Result], common_THz: float) -> tuple[Frequencies, float, list[str]]:
    """Give each hop's own attempt frequencies, forward and reverse, if all have them; their mean; and what to say of it."""
    names = ("attempt_frequency_THz", "attempt_frequency_reverse_THz")
    own = {
        hop: (band.scalars[names[0]], band.scalars[names[1]])
        for hop, band in bands.items()
        if _n_parts(band) == 1 and all(name in band.scalars for name in names)
    }
    if not own:
        return {}, common_THz, []
    every = [*own.values()]
    mean_THz = float(np.exp(np.mean(np.log(every))))
    if lacking := len(bands) - len(own):
        notes = f"{lacking} of {len(bands)} jumps lack an attempt frequency: all take the others' mean, {mean_THz:.1f} THz"
        return {}, mean_THz, [notes]
    return own, mean_THz, [f"each jump has its own attempt frequency, {np.min(every):.1f} to {np.max(every):.1f} THz"]


def _free(barriers: Barriers, own_THz: Frequencies, common_THz: float, temperature_K: float) -> Barriers:
    """Put each hop's own frequencies into its barriers, so that one frequency gives its rates.

    Forward over reverse frequency is what the vibrations of the end say against the start: as part of the barriers it
    goes into the one fit of the places' energies, and detailed balance holds.
    """
    if not own_THz:
        return barriers
    kT_eV = kB * temperature_K
    free = {hop: pair - kT_eV * np.log(np.array(own_THz[hop]) / common_THz) for hop, pair in barriers.items()}
    return {hop: (float(there), float(back)) for hop, (there, back) in free.items()}


def _spread(jumps: Sequence[Jump], flows: Mapping[int, float], n_places: int, n_vectors: int) -> np.ndarray:
    """Give the diffusivity in units of the cell's vectors, shape ``(n_vectors, n_vectors)``.

    Every pair of places has one flow and the mean steps that go with it; jumps between the two that differ from the mean
    spread the walker whatever the rest of the network does.
    """
    flow = np.zeros((n_places, n_places))
    steps = np.zeros((n_places, n_places, n_vectors))
    spread = np.zeros((n_vectors, n_vectors))
    for start, end, cell, hop, _ in jumps:
        if start == end:
            spread += flows[hop] * np.outer(cell, cell) / 2
        else:
            at = slice(start, start + 1), slice(end, end + 1)
            spread += _merge(flow[at], steps[at], np.array([[flows[hop]]]), np.array([[cell]]))
    for last in range(n_places - 1, 0, -1):
        into = flow[:last, last]
        if into.any():
            through = np.outer(into, into / into.sum())
            across = steps[:last, last][:, None] + steps[last, :last]
            spread += _merge(flow[:last, :last], steps[:last, :last], through, across)
    return spread


def _merge(flow: np.ndarray, steps: np.ndarray, more: np.ndarray, more_steps: np.ndarray) -> np.ndarray:
    """Add flows beside others, in place, and give what the two spread by their difference."""
    share = np.divide(more, flow + more, out=np.zeros_like(more), where=more > 0)
    apart = more_steps - steps
    spread: np.ndarray = np.einsum("ij,ija,ijb->ab", flow * share, apart, apart) / 2
    steps += share[..., None] * apart
    flow += more
    return spread
