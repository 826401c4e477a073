"""How fast do ions move, and with what activation energy? Molecular dynamics of crystals at several temperatures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, product
from typing import Annotated, Any, Literal

import numpy as np
from ase import Atoms
from pydantic import BeforeValidator, Field, NonNegativeFloat, NonNegativeInt

from ...potentials import card
from ...structures.crystals.charges import formal_charge
from ...structures.crystals.orderings import halogenated, with_vacancies
from ...structures.crystals.supercells import check_holds, supercell_for
from ...workflows.dynamics.conditions import thin_cell
from ...workflows.engine.flow import Derived, Flow, Step
from ..parts.hosts import host_atoms
from ..parts.kinds import Angstrom, Gigapascal, Kelvin, Known, OneOrMore, no_results, number_as_list
from .md_steps import AveragedDynamics, md_parameters

RELAXED = {"fmax_eV_per_A": 0.05, "max_steps": 300, "relax_cell": True}
"""Without a pressure thermal expansion is left out: a run keeps the cell that is relaxed at 0 K."""


class MolecularDynamics(AveragedDynamics):
    """Parameters of the recipe."""

    hosts: Annotated[OneOrMore, Field(min_length=1, description="names of `philic structures list`, or structure files")]
    x: Annotated[tuple[NonNegativeFloat, ...], Field(min_length=1), BeforeValidator(number_as_list)] = Field(
        (0.0,), description="halogen atoms per formula unit for sulfur, a metal vacancy with each; several to compare"
    )
    halogen: Literal["F", "Cl", "Br", "I"] = Field("Cl", description="which halogen")
    vacancies: NonNegativeInt = Field(0, description="metal atoms removed from each cell in addition to those")
    temperatures_K: Annotated[tuple[Kelvin, ...], Field(min_length=1), BeforeValidator(number_as_list)] = Field(
        (600.0, 800.0, 1000.0), description="one run at each"
    )
    thermostat: str = Field("bussi", description="bussi, nose-hoover, langevin or none (constant energy)")
    pressure_GPa: Gigapascal | None = Field(None, description="lets the cell change; without one it stays as relaxed at 0 K")
    min_image_A: Annotated[tuple[Angstrom, ...], Field(min_length=1), BeforeValidator(number_as_list)] = Field(
        (9.0,), description="least distance between an atom and its images; several to compare cells"
    )


@dataclass(frozen=True)
class Plan:
    """The steps of molecular dynamics of several hosts.

    Attributes
    ----------
    flow
        Every step.
    runs
        By metal and host (and atoms, where several cells are compared): the `transport` step of each temperature and seed.
    sites
        By the same, the `sites` step of each.
    lines
        By the same: the `arrhenius` step through them.
    warnings
        Sentences about what is left out or doubtful.
    complete
        Always: this is all.
    """

    flow: Flow
    runs: Mapping[tuple[str, str], Sequence[Step]]
    sites: Mapping[tuple[str, str], Sequence[Step]]
    lines: Mapping[tuple[str, str], Step]
    warnings: Sequence[str]
    complete: bool = True


def plan(parameters: MolecularDynamics, _: Known = no_results) -> Plan:
    """Make every structure and step of the recipe; computes nothing.

    A host that cannot be built (the metal is not in it, x gives part of an atom) is a warning, and the others go on.

    Raises
    ------
    ValueError
        If nothing is left.
    """
    lines: dict[tuple[str, str], Step] = {}
    warnings = []
    for name, metal, x, size_A in product(parameters.hosts, parameters.metal, parameters.x, parameters.min_image_A):
        host = f"{name} + {x:g} {parameters.halogen}" if x else name
        label = host
        try:
            atoms = _cell(parameters, name, metal, x, size_A)
            label = f"{host}, {len(atoms)} atoms" if len(parameters.min_image_A) > 1 else host
            lines[metal, label] = _line(parameters, atoms, metal, host)
        except ValueError as error:
            warnings.append(f"{metal} in {label} is left out: {error}")
        else:
            warnings += [f"{metal} in {label}: {said}" for said in _doubts(parameters, atoms, metal)]
    if not lines:
        raise ValueError("there is nothing to run: " + "; ".join(warnings))
    runs = {key: [*line.parents.values()] for key, line in lines.items()}
    sites = {key: [_sites(step) for step in steps] for key, steps in runs.items()}
    return Plan(Flow([*lines.values(), *chain(*sites.values())]), runs, sites, lines, warnings)


def _sites(transport: Step) -> Step:
    """Make the step that finds where the ions of a run sat."""
    return Step("sites", transport.parameters, parents=transport.parents, about=transport.about)


def _cell(parameters: MolecularDynamics, name: str, metal: str, x: float, size_A: float) -> Atoms:
    """Build the supercell, with the halogens and vacancies asked for."""
    crystal = host_atoms(name, metal)
    check_holds(crystal, metal)
    atoms = supercell_for(crystal, size_A)
    if x:
        repeats = np.diag(atoms.info["philic"]["supercell"])
        entry = crystal.info["philic"].get("entry", name)
        atoms = halogenated(entry, metal, x, halogen=parameters.halogen, repeats=repeats.tolist())
    return with_vacancies(atoms, metal, parameters.vacancies)


def _line(parameters: MolecularDynamics, atoms: Atoms, metal: str, host: str) -> Step:
    """Make the steps of one host: relax it, run it at every temperature with every seed, and fit a line through the runs."""
    about: dict[str, Any] = {"metal": metal, "host": host}
    relaxed = Step("relax", RELAXED, atoms, potential=parameters.potential, about=about)
    about = about | {"atoms": len(atoms), "length_ps": parameters.length_ps, "potential": parameters.potential}
    settings = {"mobile": metal, "equilibration_ps": parameters.equilibration_ps}
    transports = {}
    for kelvin in parameters.temperatures_K:
        for seed in parameters.seeds:
            site = f"{kelvin:g} K, seed {seed}"
            run = md_parameters(atoms, parameters.potential, temperature_K=kelvin, mobile=metal, **_asked(parameters))
            step = Step(
                "md",
                run | {"seed": seed},
                Derived(relaxed, len(atoms)),
                potential=parameters.potential,
                about=about | {"site": site},
            )
            transports[site] = Step("transport", settings, parents={"run": step}, about=about | {"site": site})
    return Step("arrhenius", {}, parents=transports, about=about)


def _asked(parameters: MolecularDynamics) -> dict[str, Any]:
    return {name: getattr(parameters, name) for name in ("length_ps", "timestep_fs", "thermostat", "pressure_GPa")}


def _doubts(parameters: MolecularDynamics, atoms: Atoms, metal: str) -> list[str]:
    """Say what is doubtful about a cell before it is run."""
    doubts = [thin_cell(atoms, card(parameters.potential).cutoff_A)]
    if parameters.vacancies and formal_charge(atoms, metal):
        doubts.append(
            f"`vacancies` is {parameters.vacancies}, which leaves a charge of {-parameters.vacancies:+d} in each cell that "
            "the potential ignores: balance it with a halogen (`x`), or read the result as that of a lone vacancy"
        )
    return [doubt for doubt in doubts if doubt]
