"""How easily does the metal move over a surface? Barriers of an adatom's jumps on carbons, slabs and steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from ase import Atoms
from pydantic import Field, PositiveFloat

from ..potentials import card
from ..structures.adatoms import place_adatoms
from ..structures.defects import shortest_vector_A
from ..structures.network import percolation
from ..structures.surface_hops import SurfaceHop, surface_hops, surface_network
from ..workflows.flow import Derived, Flow, Step
from .jumps import Jumping, Plan, Planned, judged
from .kinds import OneOrMore
from .substrates import Substrates

LONGEST_A = 6.0
"""No jump longer than this is looked for."""


class SurfaceDiffusion(Jumping, Substrates):
    """Parameters of the recipe."""

    sites: Annotated[OneOrMore, Field(min_length=1)] = Field(
        ("hollow",), description="kinds of sites an adatom stays on: top, bridge, hollow"
    )
    near_A: PositiveFloat | Literal["all"] = Field("all", description="jumps up to this far from the defect, or `all`")
    max_length_A: PositiveFloat | Literal["percolating"] = Field(
        "percolating", description="the longest jump, or as long as it takes to get across the surface"
    )


def plan(parameters: SurfaceDiffusion) -> Plan:
    """Make every structure and step of the recipe; computes nothing.

    Raises
    ------
    ValueError
        If nothing is left to compute, or the potential does not know an element.
    """
    jumps: dict[tuple[str, str, str], Sequence[Step]] = {}
    networks: dict[tuple[str, str, str], Step] = {}
    warnings = []
    for name in parameters.hosts:
        for metal in parameters.metal:
            try:
                key = metal, name, "adatom"
                jumps[key], networks[key] = _on_surface(parameters, metal, name)
            except ValueError as error:
                warnings.append(f"{metal} on {name} is left out: {error}")
    if not jumps:
        raise ValueError("there is no jump to compute: " + "; ".join(warnings))
    return Plan(Flow([*networks.values()]), jumps, networks, warnings)


def _on_surface(parameters: SurfaceDiffusion, metal: str, name: str) -> tuple[list[Step], Step]:
    host = parameters.substrate(name, metal)
    for potential in parameters.potentials:
        card(potential).check_elements({*host.symbols, metal})
    found = _hops(host, parameters)
    ends = [
        (place_adatoms(host, metal, [hop.start], face=hop.face), place_adatoms(host, metal, [hop.end], face=hop.face))
        for hop in found
    ]

    def planned(potential: str) -> list[Planned]:
        about = {"metal": metal, "host": name}
        clean = Step("relax", parameters.relaxation, host, potential=potential, about={"host": name})
        return [
            _planned(clean, metal, hop, pair, about | {"mechanism": "adatom", "site": hop.label})
            for hop, pair in zip(found, ends, strict=True)
        ]

    return judged(parameters, host, planned, surface_network(host, found))


def _hops(host: Atoms, parameters: SurfaceDiffusion) -> list[SurfaceHop]:
    """Find the jumps up to a length; or the shortest ones that lead across the surface both ways, or one if none do."""
    near_A = None if parameters.near_A == "all" else parameters.near_A
    kinds, longest_A = parameters.sites, parameters.max_length_A
    wanted_A = [LONGEST_A] if isinstance(longest_A, str) else [longest_A]
    found = surface_hops(host, wanted_A[0], kinds=kinds, near_A=near_A)
    if host.constraints:
        found = [hop for hop in found if hop.face == 1]
    if not isinstance(longest_A, str):
        return found
    network = surface_network(host, found)
    widest = percolation(network, range(len(found)))[0].dimension
    for length in sorted({round(hop.length_A, 3) for hop in found}):
        shorter = [index for index, hop in enumerate(found) if hop.length_A <= length + 1e-3]
        if percolation(network, shorter)[0].dimension == widest:
            return [found[index] for index in shorter]
    return found


def _planned(clean: Step, metal: str, hop: SurfaceHop, ends: tuple[Atoms, Atoms], about: dict[str, str]) -> Planned:
    start, end = (
        Derived(
            clean,
            len(ends[0]),
            "place_adatoms",
            {"metal": metal, "anchors": [[list(map(int, anchor)) for anchor in anchors]], "face": hop.face},
        )
        for anchors in (hop.start, hop.end)
    )
    plane = ends[0].copy()
    plane.set_cell([*plane.cell[:2], [0, 0, 1e3]])
    built = {**about, "length_A": round(float(np.round(hop.length_A, 6)), 3)}
    return Planned(ends, (start, end), built, shortest_vector_A(plane))
