"""What every recipe asks of a step of molecular dynamics, refused before it is run."""

from __future__ import annotations

from typing import Any

from ase import Atoms

from ..potentials import card
from ..workflows.md_conditions import check, default_timestep_fs, stride


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
        If it cannot be run: see `philic.workflows.md_conditions.check`.
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
