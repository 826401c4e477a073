"""How easily does the metal move through a crystal? Barriers of every distinct jump, and the diffusivity they add up to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Annotated, Literal, get_args

import numpy as np
from ase import Atoms
from pydantic import BeforeValidator, Field, NonNegativeInt, field_validator, model_validator

from ...potentials import card
from ...structures.crystals.supercells import repeated, supercell_for
from ...structures.defects.defects import DefectSite, interstitial_sites
from ...structures.defects.voids import fill_void, void_near
from ...structures.jumps.hops import Hop, Mechanism, end_points, hops
from ...structures.jumps.network import jump_network, percolation
from ...structures.jumps.second_void import second_void
from ...structures.symmetry.orbits import Position, as_position
from ...workflows.engine.flow import Derived, Flow, Step
from ..parts.hosts import host_atoms
from ..parts.kinds import Angstrom, Known, OneOrMore, no_results, number_as_list
from .jumps import Cell, Jumping, Plan, Planned, judged, merged, verdicts
from .voids import filled, void_trials, voids_that_hold

MECHANISMS = get_args(Mechanism)
TIGHT = {"fmax_eV_per_A": 0.005, "max_steps": 300, "relax_cell": True}
LONGEST_A = 6.5
"""No jump longer than this is looked for."""


class Migration(Jumping):
    """Parameters of the recipe."""

    mechanisms: Annotated[OneOrMore, Field(min_length=1)] = Field(
        ("vacancy",), description=f"kinds of jumps: {', '.join(MECHANISMS)}"
    )
    metal_atoms: Annotated[tuple[Literal[1, 2], ...], Field(min_length=1), BeforeValidator(number_as_list)] = Field(
        (1,),
        description="metal atoms in an interstitial's jump: 1 alone, 2 with another in a void beside its start",
    )
    max_length_A: Angstrom | Literal["percolating"] = Field(
        "percolating", description="the longest jump, or as long as percolation through the crystal needs"
    )
    min_image_A: Angstrom = Field(8.0, description="least distance between a defect and its images")
    larger_cell_atoms: NonNegativeInt = Field(
        400, description="most atoms of the second cell from which barriers are extrapolated; 0 for one cell only"
    )

    @field_validator("mechanisms")
    @classmethod
    def _known_mechanism(cls, mechanisms: tuple[str, ...]) -> tuple[str, ...]:
        for mechanism in mechanisms:
            if mechanism not in MECHANISMS:
                raise ValueError(f"`mechanisms` names {mechanism!r} but must be one or more of: {', '.join(MECHANISMS)}")
        return tuple(dict.fromkeys(mechanisms))

    @model_validator(mode="after")
    def _two_are_interstitials(self) -> Migration:
        if 2 in self.metal_atoms and "interstitial" not in self.mechanisms:
            raise ValueError("`metal_atoms` is 2 but only an interstitial jumps beside another: add it to `mechanisms`")
        return self


def plan(parameters: Migration, known: Known = no_results) -> Plan:
    """Make the steps of the recipe; computes nothing.

    Which voids hold an interstitial is computed first; its jumps are those between them. What cannot be had of one host
    (no site for a vacancy, no void, no such compound of a metal) is a warning, and the others go on.

    Raises
    ------
    ValueError
        If nothing is left.
    """
    plans = []
    for name, metal, mechanism in product(parameters.hosts, parameters.metal, parameters.mechanisms):
        try:
            plans.append(_of_crystal(parameters, metal, name, mechanism, known))
        except ValueError as error:
            plans.append(Plan(Flow([]), {}, {}, [f"{metal} in {name} by {mechanism} is left out: {error}"]))
    return merged(plans)


def _of_crystal(parameters: Migration, metal: str, name: str, mechanism: str, known: Known) -> Plan:
    crystal = host_atoms(name, metal)
    for potential in parameters.potentials:
        card(potential).check_elements({*crystal.symbols, metal})
    if mechanism == "interstitial":
        return _of_voids(parameters, metal, name, crystal, known)
    found = _hops(crystal, metal, mechanism, parameters.max_length_A)
    supercells = _supercells(parameters, crystal, found[-1].length_A)
    cells = [Cell(supercell, _of_lattice(name, crystal, supercell, found)) for supercell in supercells]
    bulk = _bulk(crystal, metal, name, parameters.potential)
    steps, network = judged(parameters, cells, jump_network(crystal, found), bulk)
    key = metal, name, mechanism
    return Plan(Flow([network]), {key: steps}, {key: network}, [])


def _supercells(parameters: Migration, crystal: Atoms, length_A: float) -> list[Atoms]:
    """Give the cell of the jumps up to a length, and the next larger one of the same shape if that is not too large.

    A band takes the shortest way to an image of its end: images are more than twice a jump's length apart.
    """
    first = supercell_for(crystal, max(parameters.min_image_A, 2.05 * length_A))
    matrix = np.array(first.info["philic"]["supercell"])
    parts = int(np.gcd.reduce(matrix, axis=None))
    n_atoms = len(first) * (parts + 1) ** 3 // parts**3
    larger = n_atoms <= parameters.larger_cell_atoms
    return [first, *([repeated(crystal, matrix // parts * (parts + 1))] if larger else [])]


def _of_voids(parameters: Migration, metal: str, name: str, crystal: Atoms, known: Known) -> Plan:
    """Try the voids; then plan the jumps of a lone interstitial, of one beside another, or both."""
    bulk = _bulk(crystal, metal, name, parameters.potential)
    trials = void_trials(bulk, metal, parameters.relaxation, supercell_for(crystal, parameters.min_image_A))
    results = known([step.key for step in trials.values()])
    tried = {label: results[step.key] for label, step in trials.items() if step.key in results}
    if len(tried) < len(trials) or not all(result.status.final for result in tried.values()):
        return Plan(Flow([*trials.values()]), {}, {}, [], complete=False)
    voids, notes = voids_that_hold(crystal, metal, tried)
    found = _hops(crystal, metal, "interstitial", parameters.max_length_A, voids)
    supercells = _supercells(parameters, crystal, found[-1].length_A)
    steps = [*trials.values()]
    jumps, networks = {}, {}
    if 1 in parameters.metal_atoms:
        key = metal, name, "interstitial"
        alone = [(hop, None) for hop in found]
        cells = [Cell(supercell, _in_voids(name, crystal, supercell, alone)) for supercell in supercells]
        jumps[key], networks[key] = judged(parameters, cells, jump_network(crystal, found), bulk)
        steps.append(networks[key])
    pairs, alone_only = _pairs(crystal, found, voids) if 2 in parameters.metal_atoms else ([], [])
    if pairs:
        key = metal, name, "interstitial beside another"
        cells = [Cell(supercell, _in_voids(name, crystal, supercell, pairs)) for supercell in supercells]
        jumps[key] = verdicts(parameters, cells, bulk)
        steps += jumps[key]
    return Plan(Flow(steps), jumps, networks, [f"{metal} in {name}: {sentence}" for sentence in [*notes, *alone_only]])


def _pairs(
    crystal: Atoms, found: Sequence[Hop], voids: Sequence[DefectSite]
) -> tuple[list[tuple[Hop, Position]], list[str]]:
    """Give each jump a place for another atom beside it; and say of which there is none."""
    pairs, notes = [], []
    for hop in found:
        try:
            pairs.append((hop, second_void(crystal, hop, voids)))
        except ValueError as error:
            notes.append(str(error))
    return pairs, notes


def _bulk(crystal: Atoms, metal: str, name: str, potential: str) -> Step:
    return Step("relax", TIGHT, crystal, potential=potential, about={"metal": metal, "host": name})


def _hops(
    crystal: Atoms, metal: str, mechanism: str, max_length_A: float | str, voids: Sequence[DefectSite] | None = None
) -> list[Hop]:
    """Find the jumps up to a length; or the shortest ones that percolate in as many dimensions as any do.

    Where voids are given, only the jumps between those.
    """
    if not isinstance(max_length_A, str):
        return _between(crystal, hops(crystal, metal, max_length_A, mechanism=mechanism), voids)
    best: tuple[int, list[Hop]] = (-1, [])
    for longest_A in np.arange(2.5, LONGEST_A + 0.1, 0.5):
        try:
            found = _between(crystal, hops(crystal, metal, float(longest_A), mechanism=mechanism), voids)
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


def _between(crystal: Atoms, found: list[Hop], voids: Sequence[DefectSite] | None) -> list[Hop]:
    """Keep the jumps from one of some voids to another."""
    if voids is None:
        return found
    metal, longest_A = found[0].metal, found[-1].length_A
    every, held = interstitial_sites(crystal, metal), {void.label for void in voids}
    kept = [hop for hop in found if held.issuperset(void_near(crystal, every, place)[0] for place in hop.path_A)]
    if not kept:
        raise ValueError(f"no jump up to {longest_A:.2f} Å is between voids that hold {metal}: raise `max_length_A`")
    return kept


def _of_lattice(name: str, crystal: Atoms, supercell: Atoms, found: Sequence[Hop]) -> Callable[[str], list[Planned]]:
    """Plan the jumps of atoms of the crystal, or of one more that pushes them."""
    built = [end_points(supercell, hop) for hop in found]

    def planned(hop: Hop, ends: tuple[Atoms, Atoms], potential: str) -> Planned:
        bulk = _bulk(crystal, hop.metal, name, potential)
        way = {
            "metal": hop.metal,
            "mechanism": hop.mechanism,
            "path_scaled": np.linalg.solve(crystal.cell.array.T, np.transpose(hop.path_A)).T.round(9).tolist(),
            "supercell": supercell.info["philic"]["supercell"],
        }
        start, end = (Derived(bulk, len(ends[0]), "hop_end", way | {"end": which}) for which in ("start", "end"))
        return Planned(ends, (start, end), ends[0].info["philic"]["moving"], _about(bulk, hop, hop.label), _step_A(hop))

    return lambda potential: [planned(hop, ends, potential) for hop, ends in zip(found, built, strict=True)]


def _in_voids(
    name: str, crystal: Atoms, supercell: Atoms, found: Sequence[tuple[Hop, Position | None]]
) -> Callable[[str], list[Planned]]:
    """Plan an interstitial's jumps, each beside another metal atom where a place for that is given."""

    def planned(hop: Hop, beside_A: Position | None, potential: str) -> Planned:
        bulk = _bulk(crystal, hop.metal, name, potential)
        about = _about(bulk, hop, hop.label if beside_A is None else f"{hop.label} beside {hop.metal}")
        if beside_A is not None:
            away_A = np.linalg.norm(np.subtract(beside_A, hop.path_A), axis=1).round(3).tolist()
            about |= {"beside_A": away_A[0], "beside_end_A": away_A[-1]}
        one, other = (filled(bulk, crystal, supercell, hop.metal, place, beside_A) for place in hop.path_A)
        start, end = (fill_void(crystal, **{**derived.parameters, "aside_A": (0, 0, 0)}) for derived in (one, other))
        return Planned((start, end), (one, other), [len(start) - 1], about, _step_A(hop))

    return lambda potential: [planned(hop, beside_A, potential) for hop, beside_A in found]


def _about(bulk: Step, hop: Hop, site: str) -> dict[str, str | float]:
    return {**bulk.about, "mechanism": hop.mechanism, "site": site, "length_A": round(hop.length_A, 3)}


def _step_A(hop: Hop) -> Position:
    """How the atom that moves farthest goes."""
    steps = [np.subtract(target, origin) for origin, target in hop.moves]
    return as_position(max(steps, key=lambda step: float(np.linalg.norm(step))))
