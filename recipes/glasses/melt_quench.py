"""What does a compound look like without a crystal's order? Melt it, quench it, and compare with the crystal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from ase import Atoms, units
from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from ...potentials import card
from ...structures.crystals.packing import random_packing
from ...structures.crystals.supercells import supercell_for
from ...structures.symmetry.periodic import VACUUM_A, gaps_A
from ...structures.symmetry.species import MASSES, own_arrays
from ...workflows.dynamics.conditions import thin_cell
from ...workflows.engine.flow import Derived, Flow, Step
from ..dynamics.md_steps import Dynamics, md_parameters
from ..parts.hosts import host_atoms
from ..parts.kinds import Kelvin, Known, OneOrMore, Picoseconds, no_results

RELAXED = {"fmax_eV_per_A": 0.05, "max_steps": 500, "relax_cell": True}
UNPACKED = {"fmax_eV_per_A": 1.0, "max_steps": 100}
"""Of a random packing before it is melted: its atoms touch, and would fly apart."""
STAGE_K = 250.0
STAGE_PS = 0.1
"""Height and least length of a step of the quench; frames are whole, so shorter steps would miss the rate."""


class MeltQuench(Dynamics):
    """Parameters of the recipe."""

    hosts: Annotated[OneOrMore, Field(min_length=1, description="crystals of `philic structures list`, or files of them")]
    start: Literal["random", "crystal"] = Field("random", description="a random packing of the same atoms, or the crystal")
    atoms: PositiveInt = Field(60, description="about how many atoms, in whole formula units (whole cells from a crystal)")
    density: float = Field(0.95, ge=0.3, le=1.5, description="density of the melt as a fraction of the listed crystal's")
    melt_K: Kelvin = Field(2500.0, description="temperature of the melt")
    melt_ps: Picoseconds = Field(2.0, description="time at `melt_K`")
    quench_K_per_ps: PositiveFloat = Field(500.0, description="cooling rate")
    end_K: Kelvin = Field(300.0, description="temperature after the quench, where neighbours are counted")
    hold_ps: Picoseconds = Field(1.0, description="time at `end_K`")

    @model_validator(mode="after")
    def _cooled(self) -> MeltQuench:
        if self.melt_K <= self.end_K:
            raise ValueError(f"`melt_K` is {self.melt_K:g} but must be above `end_K`, {self.end_K:g}: melt hotter")
        return self


@dataclass(frozen=True)
class Plan:
    """The steps of melting and quenching several compounds.

    Attributes
    ----------
    flow
        Every step.
    glasses
        By compound: the `glass` step of each seed.
    warnings
        Sentences about what is left out or doubtful.
    complete
        Always: this is all.
    """

    flow: Flow
    glasses: Mapping[str, Sequence[Step]]
    warnings: Sequence[str]
    complete: bool = True


def plan(parameters: MeltQuench, _: Known = no_results) -> Plan:
    """Make every structure and step of the recipe; computes nothing.

    A compound that cannot be built is a warning, and the others go on. One without an alkali metal is run once.

    Raises
    ------
    ValueError
        If nothing is left.
    """
    glasses: dict[str, list[Step]] = {}
    warnings = []
    for name in parameters.hosts:
        for metal in parameters.metal:
            try:
                crystal = host_atoms(name, metal)
                crystal.set_constraint()
                label = f"{metal} in {name}" if metal in crystal.symbols and name.startswith("M") else name
                if label not in glasses:
                    starts = {seed: _start(parameters, crystal, seed) for seed in parameters.seeds}
                    about = {"metal": metal if metal in crystal.symbols else "", "host": name}
                    glasses[label] = [_glass(parameters, crystal, atoms, seed, about) for seed, atoms in starts.items()]
                    thin = thin_cell(starts[parameters.seeds[0]], card(parameters.potential).cutoff_A)
                    warnings += [f"{label}: {thin}"] if thin else []
            except ValueError as error:
                warnings.append(f"{metal} in {name} is left out: {error}")
    if not glasses:
        raise ValueError("there is nothing to melt: " + "; ".join(warnings))
    return Plan(Flow([step for steps in glasses.values() for step in steps]), glasses, warnings)


def _start(parameters: MeltQuench, crystal: Atoms, seed: int) -> Atoms:
    """Build what is melted, at its density."""
    if crystal.cell.rank < 3 or max(gaps_A(crystal)) > VACUUM_A:
        raise ValueError(f"`hosts` names {crystal.symbols}, which is no crystal: there is vacuum in its cell")
    if not crystal.pbc.all():
        raise ValueError(f"`hosts` names {crystal.symbols}, which is no crystal: it is not periodic in three directions")
    if parameters.start == "crystal":
        volume_A3 = parameters.atoms / len(crystal) * crystal.get_volume()
        atoms = supercell_for(crystal, 0.9 * volume_A3 ** (1 / 3))
        atoms.set_cell(atoms.cell.array * parameters.density ** (-1 / 3), scale_atoms=True)
        return atoms
    unit, _ = crystal.symbols.formula.reduce()
    times = max(1, round(parameters.atoms / len(unit)))
    density_g_cm3 = parameters.density * crystal.get_masses().sum() / crystal.get_volume() / units.mol * 1e24
    composition = {symbol: times * n for symbol, n in unit.count().items()}
    own = own_arrays(crystal).get(MASSES)
    isotopes = {} if own is None else {symbol: float(own[crystal.symbols == symbol].mean()) for symbol in composition}
    try:
        return random_packing(composition, density_g_cm3=density_g_cm3, seed=seed, masses_u=isotopes)
    except ValueError as error:
        raise ValueError(str(error).replace("`density_g_cm3`", f"`density` of {parameters.density:g}")) from error


def _glass(parameters: MeltQuench, crystal: Atoms, start: Atoms, seed: int, about: Mapping[str, Any]) -> Step:
    """Make the steps of one glass, each from where the one before ended."""
    potential = parameters.potential
    parents = {"crystal": Step("relax", RELAXED, crystal, potential=potential, about={**about, "site": "crystal"})}
    about = {**about, "site": f"seed {seed}", "atoms": len(start), "rate_K_per_ps": parameters.quench_K_per_ps}
    before: Step | None = None
    if parameters.start == "random":
        before = Step("relax", UNPACKED, start, potential=potential, about=about)
    for role, kelvin, time_ps in _stages(parameters):
        timestep_fs = parameters.timestep_fs
        run = md_parameters(start, potential, temperature_K=kelvin, length_ps=time_ps, timestep_fs=timestep_fs)
        run["seed"] = seed
        from_ = start if before is None else Derived(before, len(start))
        site = f"seed {seed}, {role.split('.')[0]} {kelvin:g} K"
        before = parents[role] = Step("md", run, from_, potential=potential, about={**about, "site": site})
    assert before is not None
    parents["relaxed"] = Step("relax", RELAXED, Derived(before, len(start)), potential=potential, about=about)
    return Step("glass", {}, parents=parents, about={**about, "potential": potential})


def _stages(parameters: MeltQuench) -> list[tuple[str, float, float]]:
    """List role, temperature and length (ps) of each run: the melt, steps down, and the hold."""
    span_K = parameters.melt_K - parameters.end_K
    time_ps = span_K / parameters.quench_K_per_ps
    count = max(1, min(round(span_K / STAGE_K), int(time_ps / STAGE_PS)))
    kelvins = np.linspace(parameters.melt_K, parameters.end_K, count + 1)[1:-1]
    step_ps = time_ps / count
    cooling = [(f"quench.{number}", round(float(kelvin), 3), step_ps) for number, kelvin in enumerate(kelvins)]
    return [
        ("melt", parameters.melt_K, parameters.melt_ps),
        *cooling,
        ("hold", parameters.end_K, step_ps + parameters.hold_ps),
    ]
