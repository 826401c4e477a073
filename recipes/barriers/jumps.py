"""What recipes of migration barriers share: end points relaxed once, bands between them, and what follows from all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Self

import numpy as np
from ase import Atoms
from pydantic import AfterValidator, BeforeValidator, Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from ...structures.defects.freezing import atoms_near
from ...structures.jumps.network import Network, to_parameters
from ...structures.symmetry.equivalents import image_of
from ...structures.symmetry.orbits import Position
from ...workflows.engine.flow import Derived, Flow, Step
from ...workflows.neb.path import SETTLED_eV_PER_A
from ..parts.kinds import OneOrMore, Parameters, PotentialName, number_as_list
from ..parts.lattices import Substrate

_DECIMALS = 6  # of lengths in keys: the last bits differ between machines


def _two_at_least(temperatures_K: tuple[float, ...]) -> tuple[float, ...]:
    different = tuple(dict.fromkeys(temperatures_K))
    if len(different) < 2:
        raise ValueError(
            f"`temperatures_K` is {list(temperatures_K)} but an activation energy needs two different ones: add another"
        )
    return different


def _settled(fmax_eV_per_A: float) -> float:
    if fmax_eV_per_A > SETTLED_eV_PER_A:
        raise ValueError(
            f"`fmax_eV_per_A` is {fmax_eV_per_A:g} but must be at most {SETTLED_eV_PER_A:g}: a saddle is tested for a ridge "
            "only when its forces are that small"
        )
    return fmax_eV_per_A


BandForce = Annotated[PositiveFloat, AfterValidator(_settled)]
Temperatures = Annotated[tuple[PositiveFloat, ...], BeforeValidator(number_as_list), AfterValidator(_two_at_least)]


class Jumping(Parameters):
    """What every recipe of migration barriers takes."""

    hosts: Annotated[OneOrMore, Field(min_length=1, description="names of `philic structures list`, or structure files")]
    cross_check: PotentialName | None = Field(None, description="a second potential, to see how far the two agree")
    endpoint_fmax_eV_per_A: PositiveFloat = Field(0.01, description="largest force at the end of an end point's relaxation")
    max_steps: PositiveInt = Field(300, description="largest number of optimiser steps of an end point")
    fmax_eV_per_A: BandForce = Field(0.02, description="largest projected force on a band at its end")
    max_iterations: PositiveInt = Field(100, description="largest number of optimiser steps of a band")
    image_spacing_A: PositiveFloat = Field(0.75, description="largest step of the metal from image to image")
    attempt_frequency_THz: PositiveFloat = Field(10.0, description="attempt frequency of every jump")
    modes_within_A: NonNegativeFloat | None = Field(
        None,
        description="compute them from the vibrations of atoms within this distance of the moving ones; 0 for those alone",
    )
    temperatures_K: Temperatures = Field((300.0, 400.0, 600.0), description="temperatures of the diffusivities")

    @model_validator(mode="after")
    def _checked_by_another(self) -> Self:
        if self.cross_check == self.potential:
            raise ValueError(f"`cross_check` is {self.cross_check!r} but must be another than `potential`")
        return self

    @property
    def potentials(self) -> tuple[str, ...]:
        """The potential, and the second one if there is one."""
        return (self.potential, *([self.cross_check] if self.cross_check else []))

    @property
    def relaxation(self) -> dict[str, Any]:
        """Parameters of the `relax` steps of end points."""
        return {"fmax_eV_per_A": self.endpoint_fmax_eV_per_A, "max_steps": self.max_steps}

    @property
    def band(self) -> dict[str, Any]:
        """Parameters of the `neb` steps."""
        return {
            "fmax_eV_per_A": self.fmax_eV_per_A,
            "max_iterations": self.max_iterations,
            "image_spacing_A": self.image_spacing_A,
        }


@dataclass(frozen=True)
class Plan:
    """The steps of a recipe of migration barriers.

    Attributes
    ----------
    flow
        Every step.
    jumps
        By metal, host and kind of jump: the `migration` step of each distinct jump.
    networks
        By the same: the `hopping` step, what follows from all of them; none where they are no random walk.
    warnings
        Sentences about what is left out or doubtful.
    complete
        Whether this is all; else the sites of adatoms, or the voids, are tried first.
    substrates
        By the same as the jumps: how a surface is built; none for a crystal.
    """

    flow: Flow
    jumps: Mapping[tuple[str, str, str], Sequence[Step]]
    networks: Mapping[tuple[str, str, str], Step]
    warnings: Sequence[str]
    complete: bool = True
    substrates: Mapping[tuple[str, str, str], Substrate] = field(default_factory=dict)


def merged(plans: Sequence[Plan]) -> Plan:
    """Make one plan of several.

    Raises
    ------
    ValueError
        If nothing is left to compute.
    """
    whole = Plan(
        Flow([step for one in plans for step in one.flow]),
        {key: steps for one in plans for key, steps in one.jumps.items()},
        {key: step for one in plans for key, step in one.networks.items()},
        [sentence for one in plans for sentence in one.warnings],
        all(one.complete for one in plans),
        {key: substrate for one in plans for key, substrate in one.substrates.items()},
    )
    if whole.complete and not whole.jumps:
        raise ValueError("there is no jump to compute: " + "; ".join(whole.warnings))
    return whole


@dataclass(frozen=True)
class Planned:
    """A jump to be computed.

    Attributes
    ----------
    ends
        Start and end as built.
    derived
        How to build the two from what is relaxed.
    moving
        Indices of the atoms that move.
    about
        What the jump is about, for people.
    step_A
        How the atom that moves farthest goes, in the host as built.
    """

    ends: tuple[Atoms, Atoms]
    derived: tuple[Derived, Derived]
    moving: Sequence[int]
    about: Mapping[str, Any]
    step_A: Position


@dataclass(frozen=True)
class Cell:
    """One periodic cell that jumps are computed in.

    Attributes
    ----------
    perfect
        The host without the defect, as built.
    jumps
        From a potential's name to its jumps; they are the same for each potential but for what they are derived from.
    """

    perfect: Atoms
    jumps: Callable[[str], Sequence[Planned]]


def judged(
    parameters: Jumping, cells: Sequence[Cell], network: Network, crystal: Step | None = None
) -> tuple[list[Step], Step]:
    """Make the steps of a set of jumps as `verdicts` does, and the network of all."""
    steps = verdicts(parameters, cells, crystal)
    settings = {
        "network": to_parameters(network),
        "attempt_frequency_THz": parameters.attempt_frequency_THz,
        "temperatures_K": list(parameters.temperatures_K),
    }
    parents = {f"hop.{index}": step for index, step in enumerate(steps)} | ({"crystal": crystal} if crystal else {})
    about = {name: steps[0].about[name] for name in ("metal", "host", "mechanism")}
    return steps, Step("hopping", settings, parents=parents, about=about)


def verdicts(parameters: Jumping, cells: Sequence[Cell], crystal: Step | None = None) -> list[Step]:
    """Make the steps of a set of jumps: end points, bands, and a verdict on each.

    Parameters
    ----------
    parameters
        The recipe's.
    cells
        The cell of the jumps and, where barriers are extrapolated to an infinite one, a larger cell of the same shape.
    crystal
        The relaxation that the jumps' lengths follow; None for a host whose cell stays as built.
    """
    first, *larger = cells
    main = parameters.potential
    jumps = first.jumps(main)
    bands = {"": _bands(parameters, main, first.perfect, jumps, parameters.modes_within_A)}
    if other := parameters.cross_check:
        bands["check_"] = _bands(parameters, other, first.perfect, first.jumps(other))
    if larger:
        bands["larger_"] = _bands(parameters, main, larger[0].perfect, larger[0].jumps(main))
    steps = []
    for index, jump in enumerate(jumps):
        parents = {f"{which}{role}": step for which, sets in bands.items() for role, step in sets[index].items()}
        parents |= {"crystal": crystal} if crystal else {}
        step_A = (np.round(jump.step_A, _DECIMALS) + 0.0).tolist()
        steps.append(Step("migration", {"step_A": step_A}, parents=parents, about=jump.about))
    return steps


def _bands(
    parameters: Jumping, potential: str, perfect: Atoms, jumps: Sequence[Planned], modes_within_A: float | None = None
) -> list[dict[str, Step]]:
    """Relax each distinct end point once, take the others from it by symmetry, and span a band between each pair."""
    relaxed: list[tuple[Atoms, Step]] = []
    found = []
    for jump in jumps:
        ends = {}
        for role, atoms, derived in zip(("start", "end"), jump.ends, jump.derived, strict=True):
            about = {**jump.about, "site": f"{role} of {jump.about['site']}"}
            ends[role] = _end(parameters, potential, perfect, atoms, derived, about, relaxed)
        (start, start_site), (end, end_site) = ends["start"], ends["end"]
        band = Step(
            "neb",
            parameters.band,
            Derived(start, len(jump.ends[0])),
            parents={"start": start, "end": end},
            potential=potential,
            about=jump.about,
        )
        steps = {"band": band, "start_site": start_site, "end_site": end_site}
        if modes_within_A is not None:
            steps |= _modes(jump, {"start": start, "saddle": band, "end": end}, modes_within_A)
        found.append(steps)
    return found


def _modes(jump: Planned, points: Mapping[str, Step], within_A: float) -> dict[str, Step]:
    """Make the steps that compute the vibrations of the same atoms at both ends and at the saddle of a jump."""
    free = sorted({index for atoms in jump.ends for index in atoms_near(atoms, jump.moving, within_A)})
    return {
        f"{role}_modes": Step(
            "vibrations",
            {},
            Derived(step, len(jump.ends[0]), "freeze_except", {"free": free}),
            potential=step.potential,
            about={**jump.about, "site": f"{role} of {jump.about['site']}"},
        )
        for role, step in points.items()
    }


def _end(
    parameters: Jumping,
    potential: str,
    perfect: Atoms,
    atoms: Atoms,
    derived: Derived,
    about: Mapping[str, Any],
    relaxed: list[tuple[Atoms, Step]],
) -> tuple[Step, Step]:
    """Relax an end point, or take it from one that symmetry makes equal; gives its step and that of the one relaxed."""
    for other, site in relaxed:
        one_defect = abs(len(atoms) - len(perfect)) == 1  # else two atoms have changed places, or are beside each other
        if one_defect and (image := image_of(perfect, other, atoms)):
            like = Derived(site, len(atoms), "imaged", image._asdict())
            return Step("relax", parameters.relaxation, like, potential=potential, about=about), site
    step = Step("relax", parameters.relaxation, derived, potential=potential, about=about)
    relaxed.append((atoms, step))
    return step, step
