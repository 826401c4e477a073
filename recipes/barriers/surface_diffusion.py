"""How easily does the metal move over a surface? Barriers of an adatom's jumps on carbons, slabs and steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, NamedTuple

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce
from pydantic import Field

from ...potentials import card
from ...structures.jumps.network import percolation
from ...structures.jumps.paths import TOO_CLOSE, closest_approach
from ...structures.jumps.surface_hops import SurfaceHop, surface_hops, surface_network
from ...structures.sites.adatoms import place_adatoms
from ...structures.sites.defect_atoms import defect_atoms
from ...structures.sites.resting import LOWEST_eV, Rest, Trial, on_site, rest_position, resting_places, trial_problem
from ...structures.sites.sites import adsorption_sites, lateral_distances_A
from ...structures.symmetry.orbits import as_position
from ...workflows.engine.flow import Derived, Flow, Step
from ...workflows.stores.result import Result, Status
from ..parts.kinds import Angstrom, Known, OneOrMore, no_results
from ..parts.lattices import Substrate, bulk_steps
from ..parts.substrates import KINDS, Substrates
from .jumps import Cell, Jumping, Plan, Planned, judged, merged


class SurfaceDiffusion(Jumping, Substrates):
    """Parameters of the recipe."""

    sites: Annotated[OneOrMore, Field(min_length=1)] = Field(
        KINDS, description="kinds of sites where an adatom is tried: top, bridge, hollow"
    )
    near_A: Angstrom | Literal["all"] = Field("all", description="jumps up to this far from the defect, or `all`")
    max_length_A: Angstrom | Literal["percolating"] = Field(
        "percolating", description="the longest jump, or as long as percolation along the surface needs"
    )


def plan(parameters: SurfaceDiffusion, known: Known = no_results) -> Plan:
    """Make the steps of the recipe; computes nothing.

    Where an adatom rests is computed first; the jumps are those between these places. What cannot be had of one host is a
    warning, and the others go on.

    Raises
    ------
    ValueError
        If nothing is left to compute.
    """
    return merged(
        [one for name in parameters.hosts for metal in parameters.metal for one in _of_host(parameters, metal, name, known)]
    )


def _of_host(parameters: SurfaceDiffusion, metal: str, name: str, known: Known) -> Iterator[Plan]:
    """Plan each face of a host by itself: no jump leads from one to the other."""
    try:
        substrate = parameters.substrate(name, metal)
        for potential in parameters.potentials:
            card(potential).check_elements({*substrate.given.symbols, metal})
        sites = _sites(parameters, substrate.given)
    except ValueError as error:
        yield Plan(Flow([]), {}, {}, [f"{metal} on {name} is left out: {error}"])
        return
    for face in sorted({site.face for site in sites}, reverse=True):
        yield _of_face(parameters, metal, substrate, [site for site in sites if site.face == face], known)


def _of_face(parameters: SurfaceDiffusion, metal: str, substrate: Substrate, sites: list[Rest], known: Known) -> Plan:
    """Plan the jumps on a face; where there are none, only say why."""
    name, below = substrate.name, " below" if sites[0].face < 0 else ""
    host = substrate.built(parameters.potential, known)
    steps = [step for potential in parameters.potentials for step in bulk_steps([substrate], potential)]
    warnings = list(substrate.caveats)
    try:
        tried = _tried(parameters, metal, substrate, host, sites, known)
        steps += tried.steps
        warnings += [f"{metal} on {name}{below}{sentence}" for sentence in tried.warnings]
        if not tried.complete:
            return Plan(Flow(steps), {}, {}, warnings, complete=False)
        key = metal, name, f"adatom{below}"
        jumps, network = _jumps(parameters, key, substrate, host, tried.minima)
        if parameters.near_A != "all" and defect_atoms(host):
            warnings.append(
                f"{metal} on {name}{below}: percolation and D include only jumps within {parameters.near_A:g} Å "
                "of the defect"
            )
    except ValueError as error:
        return Plan(Flow(steps), {}, {}, [*warnings, f"{metal} on {name}{below} is left out: {error}"])
    return Plan(Flow([*steps, network]), {key: jumps}, {key: network}, warnings, substrates={key: substrate})


class _Tried(NamedTuple):
    """Every trial so far, the minima these show, whether none is missing, and what is doubtful."""

    steps: list[Step]
    minima: list[Rest]
    complete: bool
    warnings: list[str]


def _tried(
    parameters: SurfaceDiffusion, metal: str, substrate: Substrate, host: Atoms, sites: list[Rest], known: Known
) -> _Tried:
    """Try every site of a face, then every end that is doubtful."""
    name, clean = substrate.name, substrate.clean(parameters.potential, parameters.relaxation)
    tries: dict[Rest, Step] = {}
    waiting, minima = sites, list[Rest]()
    while waiting:
        tries |= {rest: _trial(parameters, metal, name, clean, rest) for rest in waiting}
        steps = list(tries.values())
        results = known([step.key for step in steps])
        if not all(step.key in results and results[step.key].status.final for step in steps):
            return _Tried(steps, [], False, [])
        ended = {rest: results[step.key] for rest, step in tries.items()}
        problems = {rest: problem for rest, result in ended.items() if (problem := _problem(rest, result))}
        trials = [_ended(rest, result) for rest, result in ended.items() if rest not in problems]
        minima, doubtful = resting_places(host, trials)
        waiting = [rest for rest in doubtful if rest not in tries]
    if not minima:
        raise ValueError(f"no adatom came to rest on it: {'; '.join(f'{at.label}: {why}' for at, why in problems.items())}")
    warnings = [f", {rest.label}: is left out: {problem}" for rest, problem in problems.items()]
    return _Tried(steps, minima, True, [*warnings, *_flat(trials, minima)])


def _sites(parameters: SurfaceDiffusion, host: Atoms) -> list[Rest]:
    """List the sites that are tried first."""
    sites = [site for site in adsorption_sites(host) if site.kind in parameters.sites]
    if parameters.near_A != "all":  # a jump near the defect has an end farther off
        sites = [site for site in sites if site.distance_A <= parameters.near_A + _farthest_A(host)]
    if not sites:
        raise ValueError(f"it has no {' or '.join(parameters.sites)} site to try: change `sites` or `near_A`")
    return [on_site(site) for site in sites]


def _trial(parameters: SurfaceDiffusion, metal: str, name: str, clean: Step, rest: Rest) -> Step:
    return Step(
        "relax",
        parameters.relaxation,
        _placed(clean, metal, rest, rest.trial_aside_A),
        potential=parameters.potential,
        about={"metal": metal, "host": name, "site": rest.label},
    )


def _ended(rest: Rest, result: Result) -> Trial:
    return Trial(rest, result.structures["initial"], result.structures["final"], result.scalars["energy_eV"])


def _problem(rest: Rest, result: Result) -> str:
    """Say why a trial does not count."""
    return result.message if result.status is not Status.CONVERGED else trial_problem(_ended(rest, result))


def _flat(trials: Sequence[Trial], minima: Sequence[Rest]) -> list[str]:
    """Say that a surface is flat where an adatom has one energy wherever it is put."""
    spread_eV = float(np.ptp([trial.energy_eV for trial in trials]))
    if len(minima) == 1 or spread_eV > LOWEST_eV:
        return []
    return [
        f" is flat: {len(trials)} trials ended within {spread_eV:.3f} eV of each other, so a barrier below {LOWEST_eV} eV"
        " says only that the potential sees no corrugation"
    ]


def _jumps(
    parameters: SurfaceDiffusion, key: tuple[str, str, str], substrate: Substrate, host: Atoms, minima: Sequence[Rest]
) -> tuple[list[Step], Step]:
    metal, name, mechanism = key
    found = _hops(host, parameters, minima, metal)
    ends = [_ends(host, metal, hop) for hop in found]

    def planned(potential: str) -> list[Planned]:
        clean = substrate.clean(potential, parameters.relaxation)
        return [
            Planned(
                (start, end),
                (_placed(clean, metal, hop.start), _placed(clean, metal, hop.end)),
                [len(host)],
                {
                    "metal": metal,
                    "host": name,
                    "mechanism": mechanism,
                    "site": hop.label,
                    "length_A": round(hop.length_A, 3),
                },
                as_position(np.append(rest_position(host, hop.end) - rest_position(host, hop.start), 0.0)),
            )
            for hop, (start, end) in zip(found, ends, strict=True)
        ]

    return judged(parameters, [Cell(host, planned)], surface_network(host, found))


def _ends(host: Atoms, metal: str, hop: SurfaceHop) -> tuple[Atoms, Atoms]:
    start, end = (place_adatoms(host, metal, **rest.placement()) for rest in (hop.start, hop.end))
    return start, end


def _hops(host: Atoms, parameters: SurfaceDiffusion, minima: Sequence[Rest], metal: str) -> list[SurfaceHop]:
    """Find the jumps up to a length; or the shortest ones that connect all the places that any do, across the surface.

    A straight line through an atom counts as longer: over the edge of a step the way is between two atoms.
    """
    near_A = None if parameters.near_A == "all" else parameters.near_A
    longest_A = _farthest_A(host) if isinstance(parameters.max_length_A, str) else parameters.max_length_A
    hops = surface_hops(host, minima, longest_A, near_A=near_A)
    if not hops:
        raise ValueError(f"`near_A` is {near_A} but no jump has an end so near the defect: raise it")
    found = [hop for hop in hops if _is_direct(host, hop)]
    if not found:
        raise ValueError(f"its shortest jump is {hops[0].length_A:.2f} Å and leads to an image of its end: enlarge the cell")
    if not isinstance(parameters.max_length_A, str):
        return found
    network = surface_network(host, found)
    ways_A = [round(_way_A(host, metal, hop), 3) for hop in found]
    shells = [[i for i, way_A in enumerate(ways_A) if way_A <= farthest + 1e-3] for farthest in sorted(set(ways_A))]
    connected = [[(part.dimension, len(part.places)) for part in percolation(network, shell)] for shell in shells]
    return [found[index] for index in shells[connected.index(connected[-1])]]


def _way_A(host: Atoms, metal: str, hop: SurfaceHop) -> float:
    """Give the length of a jump, the more than it is the nearer its straight line comes to an atom."""
    start, end = _ends(host, metal, hop)
    closeness = closest_approach(start, np.array([start.positions, end.positions])).closeness
    return hop.length_A * max(1.0, TOO_CLOSE / closeness)


def _is_direct(host: Atoms, hop: SurfaceHop) -> bool:
    """Return whether a jump is no longer than the path to any image of its end: a band takes the shortest."""
    way_A = lateral_distances_A(host, rest_position(host, hop.end) - rest_position(host, hop.start))
    return bool(hop.length_A < way_A + 1e-3)


def _farthest_A(host: Atoms) -> float:
    """Give a length that no direct jump exceeds: half the diagonal of the cell."""
    return float(np.linalg.norm(minkowski_reduce(host.cell, pbc=(True, True, False))[0][:2])) / 2


def _placed(clean: Step, metal: str, rest: Rest, aside_A: tuple[float, float] = (0.0, 0.0)) -> Derived:
    return Derived(clean, clean.n_atoms + 1, "place_adatoms", {"metal": metal, **rest.placement(aside_A)})
