"""The parameters of every recipe that runs molecular dynamics, and of its `md` steps."""

from __future__ import annotations

from typing import Annotated, Any, Self

from ase import Atoms
from pydantic import Field, NonNegativeFloat, model_validator

from ...potentials import card
from ...workflows.dynamics.conditions import check, default_timestep_fs, stride
from ..parts.kinds import Femtoseconds, Parameters, Picoseconds, Seeds

Length = Annotated[Picoseconds, Field(description="length of each run; a longer run continues a shorter one")]
Equilibration = Annotated[NonNegativeFloat, Field(description="at least this much of the start is left out of the analysis")]


class Dynamics(Parameters):
    """Parameters of every recipe that runs molecular dynamics."""

    seeds: Seeds = Field((0,), description="seeds of random starts, momenta and thermostat: one run with each")
    timestep_fs: Femtoseconds | None = Field(None, description="2 where none is given, 1 with B or C, 0.5 with H")


class AveragedDynamics(Dynamics):
    """Parameters of a recipe that averages over the later part of each run."""

    length_ps: Length = 20.0
    equilibration_ps: Equilibration = 2.0

    @model_validator(mode="after")
    def _long_enough(self) -> Self:
        if self.equilibration_ps > self.length_ps / 2:
            raise ValueError(
                f"`equilibration_ps` is {self.equilibration_ps:g} but must be at most half of `length_ps`, "
                f"{self.length_ps / 2:g}: run longer"
            )
        return self


def md_parameters(
    atoms: Atoms,
    potential: str,
    *,
    temperature_K: float,
    length_ps: float,
    timestep_fs: float | None,
    mobile: str | None = None,
    thermostat: str = "bussi",
    pressure_GPa: float | None = None,
) -> dict[str, Any]:
    """Give the parameters of an `md` step: whole frames, at least one; a cell under pressure may change its shape.

    Raises
    ------
    ValueError
        If it cannot be run: see `philic.workflows.dynamics.conditions.check`.
    """
    timestep_fs = timestep_fs or default_timestep_fs(atoms)
    between = stride(timestep_fs)
    asked: dict[str, Any] = {
        "temperature_K": temperature_K,
        "steps": max(1, round(length_ps * 1e3 / timestep_fs / between)) * between,
        "timestep_fs": timestep_fs,
        "thermostat": thermostat,
    }
    check(atoms, card(potential), None, pressure_GPa=pressure_GPa, mobile=mobile, **asked)
    pressed = {} if pressure_GPa is None else {"pressure_GPa": pressure_GPa, "isotropic": False}
    return asked | pressed | ({"mobile": mobile} if mobile else {})
