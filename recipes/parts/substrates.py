"""What recipes of adatoms share: carbons, slabs and sheets as hosts, by name or by file, and the plan of their steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self, get_args

from pydantic import Field, PositiveInt, field_validator, model_validator

from ...structures.carbons.carbon import carbon_host, graphene
from ...structures.sites.slab_sites import Kind
from ...workflows.engine.flow import Flow, Step
from .hosts import is_surface, surface
from .kinds import Angstrom, Parameters
from .lattices import Lattice, Substrate, bulk_steps, on_unit

PRISTINE = "pristine"
KINDS = get_args(Kind)


class Substrates(Parameters):
    """How hosts of adatoms are built."""

    size: tuple[PositiveInt, PositiveInt] = Field((4, 4), description="cells of a carbon sheet along each axis")
    lattice: Lattice = Field(
        "relaxed", description="of crystals and sheets: as the potential relaxes it, or as listed or in the file (`given`)"
    )
    lattice_constant_A: float = Field(2.46, ge=2.3, le=2.6, description="of graphene, where `lattice` is given")
    vacuum_A: float = Field(15.0, ge=8.0, le=500, description="empty height over a sheet or slab")
    thickness_A: Angstrom = Field(8.0, description="least thickness of a slab; its lower half is fixed")
    min_image_A: Angstrom = Field(9.0, description="a slab is repeated until adatoms' images are this far apart")

    @field_validator("sites", check_fields=False)
    @classmethod
    def _known_kind(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        for kind in kinds:
            if kind not in KINDS:
                raise ValueError(f"`sites` names {kind!r} but must be one or more of: {', '.join(KINDS)}")
        return kinds

    @field_validator("hosts", check_fields=False)
    @classmethod
    def _known_hosts(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(_host_name(name) for name in names))

    @model_validator(mode="after")
    def _one_lattice(self) -> Self:
        if self.lattice == "relaxed" and self.lattice_constant_A != type(self).model_fields["lattice_constant_A"].default:
            raise ValueError(
                f"`lattice_constant_A` is {self.lattice_constant_A:g} but `lattice` is 'relaxed', so the potential decides: "
                "set `lattice` to given, or leave the constant out"
            )
        return self

    def substrate(self, name: str, metal: str) -> Substrate:
        """Build a host of adatoms, M in its name replaced by the metal."""
        if is_carbon(name):
            sheet = carbon_host(name, self.size, lattice_constant_A=self.lattice_constant_A, vacuum_A=self.vacuum_A)
            return on_unit(name, sheet, graphene((1, 1), lattice_constant_A=self.lattice_constant_A), self.lattice)
        lengths = {key: getattr(self, key) for key in ("thickness_A", "vacuum_A", "min_image_A")}
        return surface(name, metal, **lengths, lattice=self.lattice)


@dataclass(frozen=True)
class AdatomPlan:
    """The steps of a recipe that puts a metal on several hosts.

    Attributes
    ----------
    flow
        Every step.
    answers
        By metal and host: the steps that answer the question, one for each site, or each start and seed.
    gates
        The gate step of each metal.
    substrates
        By metal and host: how it is built.
    warnings
        Sentences about what is left out or doubtful before anything is computed.
    complete
        Always: this is all.
    """

    flow: Flow
    answers: Mapping[tuple[str, str], Sequence[Step]]
    gates: Mapping[str, Step]
    substrates: Mapping[tuple[str, str], Substrate]
    warnings: Sequence[str]
    complete: bool = True

    def of(self, metal: str) -> list[Substrate]:
        """List the hosts of a metal."""
        return [substrate for (one, _), substrate in self.substrates.items() if one == metal]


def adatom_plan(
    answers: Mapping[tuple[str, str], Sequence[Step]],
    gates: Mapping[str, Step],
    substrates: Mapping[tuple[str, str], Substrate],
    potential: str,
    warnings: Sequence[str],
) -> AdatomPlan:
    """Make the plan of a recipe: the gates, the bulks of the hosts, and what answers the question."""
    bulks = bulk_steps(substrates.values(), potential)
    flow = Flow([*gates.values(), *bulks, *(step for steps in answers.values() for step in steps)])
    caveats = [sentence for substrate in substrates.values() for sentence in substrate.caveats]
    return AdatomPlan(flow, answers, gates, substrates, list(dict.fromkeys([*warnings, *caveats])))


def is_carbon(name: str) -> bool:
    """Tell whether a host is a sheet of carbon, which is compared with the pristine one."""
    try:
        carbon_name(name)
    except ValueError:
        return False
    return True


def carbon_name(name: str) -> str:
    """Write a carbon's name the one way.

    Raises
    ------
    ValueError
        If it is none.
    """
    return str(carbon_host(name).info["philic"]["host"])


def _host_name(name: str) -> str:
    """Check a host's name; a carbon's is written the one way."""
    try:
        return carbon_name(name)
    except ValueError as error:
        carbons = str(error).replace("`name`", "`hosts`")
    if not is_surface(name):
        raise ValueError(f"{carbons}; a face, such as Cu(111); a sheet of `philic structures list`; or a file")
    try:
        surface(name, thickness_A=1.0, vacuum_A=10.0, min_image_A=1.0)
    except ValueError as error:
        raise ValueError(f"`hosts` names {name!r}: {error}") from error
    return name
