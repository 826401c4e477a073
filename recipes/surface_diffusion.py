"""How easily does the metal move over a surface? Barriers of an adatom's jumps on carbons, slabs and steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from ase import Atoms
from pydantic import Field, PositiveFloat

from ..potentials import card
from ..structures.adatoms import lateral_shift_A, place_adatoms
from ..structures.defects import shortest_vector_A
from ..structures.network import percolation
from ..structures.sites import Anchors, adsorption_sites
from ..structures.surface_hops import SurfaceHop, surface_hops, surface_network
from ..workflows.flow import Derived, Flow, Step
from ..workflows.result import Result, Status
from .jumps import Jumping, Plan, Planned, judged
from .kinds import Known, OneOrMore, no_results
from .substrates import KINDS, Substrates

LONGEST_A = 6.0
"""No jump longer than this is looked for."""
ASIDE_A = (0.25, 0.15)
STAYED_A = 0.5
WENT_A = 0.1
LOWEST_eV = 0.005
"""A site holds an adatom that, put so far aside along x and y, ends nearer to it than `STAYED_A`; and that came back by more
than `WENT_A`, or stands at most `LOWEST_eV` above the lowest site: on the flat top of a barrier it stays where it was
put, or goes farther."""


class SurfaceDiffusion(Jumping, Substrates):
    """Parameters of the recipe."""

    sites: Annotated[OneOrMore, Field(min_length=1)] = Field(
        KINDS, description="kinds of sites an adatom may stay on: top, bridge, hollow"
    )
    near_A: PositiveFloat | Literal["all"] = Field("all", description="jumps up to this far from the defect, or `all`")
    max_length_A: PositiveFloat | Literal["percolating"] = Field(
        "percolating", description="the longest jump, or as long as it takes to get across the surface"
    )


def plan(parameters: SurfaceDiffusion, known: Known = no_results) -> Plan:
    """Make the steps of the recipe; computes nothing.

    Which sites hold an adatom is computed first; the jumps are those between them. What cannot be had of one host is a
    warning, and the others go on.

    Raises
    ------
    ValueError
        If nothing is left to compute.
    """
    trials: dict[tuple[str, str], _Trial] = {}
    jumps: dict[tuple[str, str, str], Sequence[Step]] = {}
    networks: dict[tuple[str, str, str], Step] = {}
    warnings = []
    for metal, name in ((metal, name) for name in parameters.hosts for metal in parameters.metal):
        try:
            trials[metal, name] = _trials(parameters, metal, name)
        except ValueError as error:
            warnings.append(f"{metal} on {name} is left out: {error}")
    steps = [step for trial in trials.values() for step in trial.steps.values()]
    results = known([step.key for step in steps])
    complete = True
    for (metal, name), trial in trials.items():
        tried = {label: results.get(step.key) for label, step in trial.steps.items()}
        if not all(result and result.status.final for result in tried.values()):
            complete = False
            continue
        warnings += [
            f"{metal} on {name}, {label}: is left out: {result.message}"
            for label, result in tried.items()
            if result and result.status is not Status.CONVERGED
        ]
        try:
            key = metal, name, "adatom"
            jumps[key], networks[key] = _jumps(parameters, metal, name, trial, results)
        except ValueError as error:
            warnings.append(f"{metal} on {name} is left out: {error}")
    if complete and not jumps:
        raise ValueError("there is no jump to compute: " + "; ".join(warnings))
    return Plan(Flow([*steps, *networks.values()]), jumps, networks, warnings, complete)


class _Trial(NamedTuple):
    """A host, and the relaxation of an adatom on each of its distinct sites, by label."""

    host: Atoms
    steps: Mapping[str, Step]


def _trials(parameters: SurfaceDiffusion, metal: str, name: str) -> _Trial:
    host = parameters.substrate(name, metal)
    for potential in parameters.potentials:
        card(potential).check_elements({*host.symbols, metal})
    near_A = None if parameters.near_A == "all" else parameters.near_A
    faces = (1,) if host.constraints else (1, -1)
    sites = [site for site in adsorption_sites(host) if site.kind in parameters.sites and site.face in faces]
    if near_A is not None:  # a jump near the defect has an end farther off
        sites = [site for site in sites if site.distance_A <= near_A + LONGEST_A]
    clean = _clean(parameters, name, host, parameters.potential)
    steps = {
        site.label: Step(
            "relax",
            parameters.relaxation,
            _placed(clean, host, metal, site.anchors, site.face, aside_A=list(ASIDE_A)),
            potential=parameters.potential,
            about={"metal": metal, "host": name, "site": site.label},
        )
        for site in sites
    }
    return _Trial(host, steps)


def _jumps(
    parameters: SurfaceDiffusion, metal: str, name: str, trial: _Trial, results: Mapping[str, Result]
) -> tuple[list[Step], Step]:
    host = trial.host
    tried = {label: results[step.key] for label, step in trial.steps.items()}
    held = _held({label: result for label, result in tried.items() if result.status is Status.CONVERGED})
    if not held:
        raise ValueError(f"an adatom stays on none of {', '.join(trial.steps)}")
    found = _hops(host, parameters, held)
    ends = [
        (place_adatoms(host, metal, [hop.start], face=hop.face), place_adatoms(host, metal, [hop.end], face=hop.face))
        for hop in found
    ]
    apart_A = shortest_vector_A(_flat(host))

    def planned(potential: str) -> list[Planned]:
        clean = _clean(parameters, name, host, potential)
        return [
            Planned(
                pair,
                (
                    _placed(clean, host, metal, hop.start, hop.face),
                    _placed(clean, host, metal, hop.end, hop.face),
                ),
                [len(host)],
                {
                    "metal": metal,
                    "host": name,
                    "mechanism": "adatom",
                    "site": hop.label,
                    "length_A": round(hop.length_A, 3),
                },
                apart_A,
            )
            for hop, pair in zip(found, ends, strict=True)
        ]

    return judged(parameters, host, planned, surface_network(host, found))


def _held(tried: Mapping[str, Result]) -> list[str]:
    """Tell which sites hold an adatom that was put beside them."""
    lowest_eV = min((result.scalars["energy_eV"] for result in tried.values()), default=0.0)
    held = []
    for label, result in tried.items():
        start, end = result.structures["initial"], result.structures["final"]
        site = start.copy()
        site.positions[-1, :2] -= ASIDE_A
        went_A = (end.positions - start.positions)[:, :2]
        back_A = (went_A[:-1].mean(axis=0) - went_A[-1]) @ ASIDE_A / np.linalg.norm(ASIDE_A)
        is_low = result.scalars["energy_eV"] <= lowest_eV + LOWEST_eV
        if lateral_shift_A(site, end, 1) < STAYED_A and (back_A > WENT_A or is_low):
            held.append(label)
    return held


def _hops(host: Atoms, parameters: SurfaceDiffusion, held: Sequence[str]) -> list[SurfaceHop]:
    """Find the jumps up to a length; or the shortest ones that connect all the sites that any do, across the surface."""
    near_A = None if parameters.near_A == "all" else parameters.near_A
    longest_A = LONGEST_A if isinstance(parameters.max_length_A, str) else parameters.max_length_A
    found = surface_hops(host, longest_A, kinds=held, near_A=near_A)
    if not isinstance(parameters.max_length_A, str):
        return found
    network = surface_network(host, found)
    lengths = sorted({round(hop.length_A, 3) for hop in found})
    shells = [[i for i, hop in enumerate(found) if hop.length_A <= length + 1e-3] for length in lengths]
    connected = [[(part.dimension, len(part.places)) for part in percolation(network, shell)] for shell in shells]
    return [found[index] for index in shells[connected.index(connected[-1])]]


def _clean(parameters: SurfaceDiffusion, name: str, host: Atoms, potential: str) -> Step:
    return Step("relax", parameters.relaxation, host, potential=potential, about={"host": name})


def _placed(clean: Step, host: Atoms, metal: str, anchors: Anchors, face: int, **more: Any) -> Derived:
    place = {"metal": metal, "anchors": [[[int(number) for number in anchor] for anchor in anchors]], "face": face}
    return Derived(clean, len(host) + 1, "place_adatoms", place | more)


def _flat(host: Atoms) -> Atoms:
    """Give the host in a cell so tall that its shortest lattice vector is a lateral one."""
    tall: Atoms = host.copy()
    tall.set_cell([*host.cell[:2], [0, 0, 1e3]])
    return tall
