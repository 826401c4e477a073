"""Does a metal wet a host, or ball up? Molecular dynamics of metal atoms on carbons, slabs and sheets."""

from __future__ import annotations

from typing import Annotated, Any

from ase import Atoms
from pydantic import Field, PositiveInt, field_validator

from ...structures.sites.adatoms import place_adatoms
from ...structures.sites.faces import free_faces
from ...structures.sites.islands import place_island, scattered_anchors
from ...workflows.engine.flow import Derived, Step
from ..dynamics.md_steps import AveragedDynamics, Equilibration, Length, md_parameters
from ..parts.gate import MetalSteps, metal_steps
from ..parts.kinds import Angstrom, Kelvin, Known, OneOrMore, no_results
from ..parts.lattices import Substrate
from ..parts.substrates import AdatomPlan, Substrates, adatom_plan

STARTS = ("scattered", "island")
RELAXED = {"fmax_eV_per_A": 0.05, "max_steps": 300}


class MetalOnHost(Substrates, AveragedDynamics):
    """Parameters of the recipe."""

    hosts: Annotated[OneOrMore, Field(min_length=1)] = Field(
        description="carbons (pristine, N, vacancy, Co-N4 …), faces of crystals (Cu(111), MF(100)), sheets, files"
    )
    start: Annotated[OneOrMore, Field(min_length=1)] = Field(
        STARTS, description="scattered over sites in one layer, or an island, half a ball; both, to see whether it matters"
    )
    atoms: PositiveInt = Field(12, description="how many metal atoms")
    temperature_K: Kelvin = Field(400.0, description="the temperature")
    length_ps: Length = 4.0
    equilibration_ps: Equilibration = 1.0
    size: tuple[PositiveInt, PositiveInt] = Field((8, 8), description="cells of a carbon sheet along each axis")
    vacuum_A: float = Field(
        25.0, ge=8.0, description="vacuum over a sheet or slab, which an atom that leaves must not cross"
    )
    min_image_A: Angstrom = Field(18.0, description="least width of a slab's cell")

    @field_validator("start")
    @classmethod
    def _known_start(cls, starts: tuple[str, ...]) -> tuple[str, ...]:
        for start in starts:
            if start not in STARTS:
                raise ValueError(f"`start` names {start!r} but must be one or both of: {', '.join(STARTS)}")
        return tuple(dict.fromkeys(starts))


def plan(parameters: MetalOnHost, _: Known = no_results) -> AdatomPlan:
    """Make every structure and step of the recipe; computes nothing.

    A host that cannot be built is a warning, and the others go on.

    Raises
    ------
    ValueError
        If nothing is left.
    """
    references = {metal: metal_steps(metal, parameters.potential) for metal in parameters.metal}
    runs: dict[tuple[str, str], list[Step]] = {}
    substrates: dict[tuple[str, str], Substrate] = {}
    warnings = []
    for name in parameters.hosts:
        for metal in parameters.metal:
            try:
                substrate = parameters.substrate(name, metal)
                runs[metal, name] = _runs(parameters, substrate, metal, references[metal])
                substrates[metal, name] = substrate
            except ValueError as error:
                warnings.append(f"{metal} on {name} is left out: {str(error).replace('`n`', '`atoms`')}")
    if not runs:
        raise ValueError("there is nothing to run: " + "; ".join(warnings))
    gates = {metal: references[metal].gate for metal, _ in runs}
    return adatom_plan(runs, gates, substrates, parameters.potential, warnings)


def _runs(parameters: MetalOnHost, substrate: Substrate, metal: str, references: MetalSteps) -> list[Step]:
    """Make the steps of a metal on a host: from each start, run it, relax where it ended, and judge."""
    potential, name, host = parameters.potential, substrate.name, substrate.given
    n_atoms, clean = len(host) + parameters.atoms, substrate.clean(potential, RELAXED)
    settings = {"metal": metal, "n_metal": parameters.atoms, "equilibration_ps": parameters.equilibration_ps}
    found = []
    for start in parameters.start:
        for seed in parameters.seeds:
            about = {"metal": metal, "host": name, "site": f"{start}, seed {seed}"}
            builder, place, atoms = _start(parameters, host, metal, start, seed)
            asked = md_parameters(atoms, potential, mobile=metal, **_length(parameters)) | {"seed": seed}
            run = Step("md", asked, Derived(clean, n_atoms, builder, place), potential=potential, about=about)
            ended = Step("relax", RELAXED, Derived(run, n_atoms), potential=potential, about=about)
            parents = {"run": run, "relaxed": ended, "host": clean, "bulk": references.bulk, "gate": references.gate}
            found.append(Step("wetting", settings, parents=parents, about=about | {"potential": potential}))
    return found


def _start(parameters: MetalOnHost, host: Atoms, metal: str, start: str, seed: int) -> tuple[str, dict[str, Any], Atoms]:
    """Give the builder that puts the metal on the relaxed host, its parameters, and what it makes of the unrelaxed one."""
    if start == "island":
        place: dict[str, Any] = {"metal": metal, "n": parameters.atoms}
        return "place_island", place, place_island(host, **place)
    place = {"metal": metal, "anchors": scattered_anchors(host, metal, parameters.atoms, seed)}
    if free_faces(host)[0] < 0:
        place["face"] = -1
    return "place_adatoms", place, place_adatoms(host, **place)


def _length(parameters: MetalOnHost) -> dict[str, Any]:
    return {name: getattr(parameters, name) for name in ("temperature_K", "length_ps", "timestep_fs")}
