"""How easily does the metal move through a crystal? Barriers of every distinct jump, and the diffusivity they add up to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, get_args

import numpy as np
from ase import Atoms
from pydantic import Field, PositiveFloat, field_validator

from ..potentials import card
from ..structures.defects import supercell_for
from ..structures.hops import Hop, Mechanism, end_points, hops
from ..structures.network import jump_network, percolation
from ..workflows.flow import Derived, Flow, Step
from .hosts import host_atoms
from .jumps import Jumping, Plan, Planned, judged
from .kinds import Known, OneOrMore, no_results

MECHANISMS = get_args(Mechanism)
TIGHT = {"fmax_eV_per_A": 0.005, "max_steps": 300, "relax_cell": True}
LONGEST_A = 6.5
"""No jump longer than this is looked for."""


class Migration(Jumping):
    """Parameters of the recipe."""

    mechanisms: Annotated[OneOrMore, Field(min_length=1)] = Field(
        ("vacancy",), description=f"kinds of jumps: {', '.join(MECHANISMS)}"
    )
    max_length_A: PositiveFloat | Literal["percolating"] = Field(
        "percolating", description="the longest jump, or as long as it takes to get through the crystal"
    )
    min_image_A: PositiveFloat = Field(9.0, description="least distance between a defect and its images")

    @field_validator("mechanisms")
    @classmethod
    def _known_mechanism(cls, mechanisms: tuple[str, ...]) -> tuple[str, ...]:
        for mechanism in mechanisms:
            if mechanism not in MECHANISMS:
                raise ValueError(f"`mechanisms` names {mechanism!r} but must be one or more of: {', '.join(MECHANISMS)}")
        return tuple(dict.fromkeys(mechanisms))


def plan(parameters: Migration, _: Known = no_results) -> Plan:
    """Make every structure and step of the recipe; computes nothing.

    What cannot be had of one host (no site for a vacancy, no void, no such compound of a metal) is a warning, and the
    others go on.

    Raises
    ------
    ValueError
        If nothing is left.
    """
    jumps: dict[tuple[str, str, str], Sequence[Step]] = {}
    networks: dict[tuple[str, str, str], Step] = {}
    warnings = []
    for name in parameters.hosts:
        for metal in parameters.metal:
            for mechanism in parameters.mechanisms:
                try:
                    key = metal, name, mechanism
                    jumps[key], networks[key] = _of_crystal(parameters, metal, name, mechanism)
                except ValueError as error:
                    warnings.append(f"{metal} in {name} by {mechanism} is left out: {error}")
    if not jumps:
        raise ValueError("there is no jump to compute: " + "; ".join(warnings))
    return Plan(Flow([*networks.values()]), jumps, networks, warnings)


def _of_crystal(parameters: Migration, metal: str, name: str, mechanism: str) -> tuple[list[Step], Step]:
    crystal = host_atoms(name, metal)
    for potential in parameters.potentials:
        card(potential).check_elements({*crystal.symbols, metal})
    found = _hops(crystal, metal, mechanism, parameters.max_length_A)
    min_image_A = max(parameters.min_image_A, 2.05 * found[-1].length_A)
    ends = [end_points(crystal, hop, min_image_A=min_image_A) for hop in found]

    def planned(potential: str) -> list[Planned]:
        about = {"metal": metal, "host": name}
        bulk = Step("relax", TIGHT, crystal, potential=potential, about=about | {"site": "the crystal"})
        return [
            _planned(crystal, bulk, hop, pair, about | {"mechanism": mechanism, "site": hop.label})
            for hop, pair in zip(found, ends, strict=True)
        ]

    return judged(parameters, supercell_for(crystal, min_image_A), planned, jump_network(crystal, found))


def _hops(crystal: Atoms, metal: str, mechanism: str, max_length_A: float | str) -> list[Hop]:
    """Find the jumps up to a length; or the shortest ones that lead through in as many directions as any do."""
    if not isinstance(max_length_A, str):
        return hops(crystal, metal, max_length_A, mechanism=mechanism)
    best: tuple[int, list[Hop]] = (-1, [])
    for longest_A in np.arange(2.5, LONGEST_A + 0.1, 0.5):
        try:
            found = hops(crystal, metal, float(longest_A), mechanism=mechanism)
        except ValueError:
            if longest_A + 0.5 > LONGEST_A and not best[1]:
                raise
            continue
        network = jump_network(crystal, found)
        lengths = sorted({round(hop.length_A, 3) for hop in found})
        for length in lengths:
            shorter = [index for index, hop in enumerate(found) if hop.length_A <= length + 1e-3]
            dimension = percolation(network, shorter)[0].dimension
            if dimension > best[0]:
                best = dimension, found[: len(shorter)]
        if best[0] == 3:
            break
    return best[1]


def _planned(crystal: Atoms, bulk: Step, hop: Hop, ends: tuple[Atoms, Atoms], about: dict[str, str]) -> Planned:
    built = ends[0].info["philic"]
    way = {
        "metal": hop.metal,
        "mechanism": hop.mechanism,
        "path_scaled": np.linalg.solve(crystal.cell.array.T, np.transpose(hop.path_A)).T.round(9).tolist(),
        "supercell": built["supercell"],
    }
    start, end = (Derived(bulk, len(ends[0]), "hop_end", way | {"end": which}) for which in ("start", "end"))
    return Planned(
        ends, (start, end), built["moving"], {**about, "length_A": round(hop.length_A, 3)}, built["image_distance_A"]
    )
