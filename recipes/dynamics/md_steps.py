"""What every recipe asks of a step of molecular dynamics, refused before it is run."""

from __future__ import annotations

from typing import Annotated, Any, Protocol, TypeVar

from ase import Atoms
from pydantic import Field, NonNegativeFloat, PositiveFloat

from ...potentials import card
from ...workflows.dynamics.conditions import check, default_timestep_fs, stride

Length = Annotated[PositiveFloat, Field(description="length of each run; a longer one goes on from a shorter")]
Equilibration = Annotated[NonNegativeFloat, Field(description="left out of the analysis at the least")]
Timestep = Annotated[PositiveFloat | None, Field(description="2 where none is given, 1 with B or C, 0.5 with H")]


class _Runs(Protocol):
    @property
    def length_ps(self) -> float: ...

    @property
    def equilibration_ps(self) -> float: ...


R = TypeVar("R", bound=_Runs)


def long_enough(parameters: R) -> R:
    """Refuse runs of which more than half would be left out: a validator for a recipe's parameters."""
    if parameters.equilibration_ps > parameters.length_ps / 2:
        raise ValueError(
            f"`equilibration_ps` is {parameters.equilibration_ps:g} but must be at most half of `length_ps`, "
            f"{parameters.length_ps / 2:g}: run longer"
        )
    return parameters


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
