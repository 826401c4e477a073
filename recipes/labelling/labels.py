"""Which structures should a potential learn from, and what are their energies and forces?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from ase import Atoms
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, field_validator
from rich.console import RenderableType

from ...potentials import card
from ...structures.sites.adatoms import place_adatoms
from ...structures.sites.sites import Site, adsorption_sites
from ...workflows.engine.flow import Derived, Flow, Step
from ...workflows.stores.result import Result
from ..dynamics.md_steps import Dynamics, md_parameters
from ..parts.gate import metal_steps
from ..parts.kinds import Kelvin, Known, OneOrMore, PotentialName, no_results
from ..parts.lattices import Substrate
from ..parts.styles import new_table
from ..parts.substrates import Substrates
from .choosing import choose, descriptors
from .sampling import Sampling, bare, named, sampled

RELAXED = {"fmax_eV_per_A": 0.05, "max_steps": 300}
COMMITTEE_SPREAD = "forces_spread_max_eV_per_A"


class Labels(Substrates, Dynamics):
    """Parameters of the recipe."""

    hosts: Annotated[OneOrMore, Field(min_length=1)] = Field(
        description="carbons (pristine, N, vacancy …), faces of crystals (Cu(111), MF(100)), sheets, files"
    )
    labeller: PotentialName = Field(description="the potential whose energies and forces are the labels")
    second: PotentialName | None = Field(
        None, description="a second potential: structures where its forces differ most from `potential` are chosen"
    )
    structures: PositiveInt = Field(20, description="how many structures with metal are chosen")
    heights_A: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)] = Field(
        (1.8, 2.4, 3.0, 4.0), description="heights of the metal over its site"
    )
    distorted: NonNegativeInt = Field(4, description="rattled and strained copies of each host")
    rattle_A: NonNegativeFloat = Field(0.06, description="standard deviation of each coordinate of a copy")
    strain: float = Field(0.02, ge=0, le=0.2, description="largest strain of a copy along a and b")
    temperature_K: Kelvin = Field(600.0, description="of the short runs whose ends are sampled")
    length_ps: NonNegativeFloat = Field(0.2, description="length of each short run; 0 for none")

    @field_validator("heights_A", mode="before")
    @classmethod
    def _one_height(cls, value: Any) -> Any:
        return [value] if isinstance(value, (int, float)) else value


@dataclass(frozen=True)
class LabelPlan:
    """The steps of the recipe.

    Attributes
    ----------
    flow
        Every step.
    labels
        The steps whose results are the labels; empty until the structures are chosen.
    n_candidates
        How many structures were sampled.
    warnings
        Sentences about what is left out.
    complete
        Whether the structures are chosen.
    """

    flow: Flow
    labels: Sequence[Step] = ()
    n_candidates: int = 0
    warnings: Sequence[str] = field(default_factory=list)
    complete: bool = False


@dataclass(frozen=True)
class _Host:
    name: str
    substrate: Substrate
    clean: Step
    runs: Mapping[str, Sequence[Step]]


def plan(parameters: Labels, known: Known = no_results) -> LabelPlan:
    """Sample as soon as hosts are relaxed, choose as soon as the model's doubt is known, then label.

    A host that cannot be built is a warning, and the others go on.

    Raises
    ------
    ValueError
        If nothing is left, or the labeller does not know an element.
    """
    hosts, warnings = _hosts(parameters)
    bulks = [metal_steps(metal, parameters.potential).bulk for metal in parameters.metal]
    first = Flow(
        [*bulks, *(step for host in hosts for step in (host.clean, *(s for runs in host.runs.values() for s in runs)))]
    )
    results = known(first.steps)
    if len(results) < len(first):
        return LabelPlan(first, warnings=warnings)
    candidates = [atoms for host in hosts for atoms in _samples(parameters, host, results)]
    if not candidates:
        raise ValueError("there is nothing to label: no host could be relaxed with this potential")
    doubts = [[_single_point(atoms, name) for name in _asked(parameters)] for atoms in candidates]
    second = Flow([*first, *(step for steps in doubts for step in steps)])
    results = known(second.steps)
    if len(results) < len(second):
        return LabelPlan(second, n_candidates=len(candidates), warnings=warnings)
    uncertainty = np.array([_difference([results[step.key] for step in steps]) for steps in doubts])
    chosen = choose(descriptors(candidates), parameters.structures, uncertainty if doubts[0] else None)
    labels = [_single_point(atoms, parameters.labeller) for atoms in _to_label([candidates[i] for i in chosen])]
    labels = [
        *(_bulk_label(step, results, parameters.labeller) for step in bulks if results[step.key].status.usable),
        *labels,
    ]
    labels = list({step.key: step for step in labels}.values())
    return LabelPlan(Flow([*second, *labels]), labels, len(candidates), warnings, complete=True)


def _hosts(parameters: Labels) -> tuple[list[_Host], list[str]]:
    """Give the steps of every host, and why some are left out."""
    hosts, warnings = [], []
    facts = card(parameters.labeller)
    for name in parameters.hosts:
        metals = parameters.metal if "M" in name else parameters.metal[:1]
        for metal in metals:
            try:
                substrate = parameters.substrate(name, metal)
                facts.check_elements([*substrate.given.symbols, *parameters.metal])
                card(parameters.potential).check_elements([*substrate.given.symbols, *parameters.metal])
                on = parameters.metal if len(metals) == 1 else (metal,)
                clean = substrate.clean(parameters.potential, RELAXED)
                runs = {one: _runs(parameters, substrate, clean, one) for one in on}
                hosts.append(_Host(name if len(metals) == 1 else f"{name} ({metal})", substrate, clean, runs))
            except ValueError as error:
                warnings.append(f"{name} is left out: {error}")
    if not hosts:
        raise ValueError("there is nothing to label: " + "; ".join(warnings))
    return hosts, warnings


def _runs(parameters: Labels, substrate: Substrate, clean: Step, metal: str) -> list[Step]:
    """Make the short runs of a metal on a host, each from a site of its own."""
    if not parameters.length_ps:
        return []
    sites = _sites(substrate)
    steps = []
    for seed in parameters.seeds:
        site = sites[seed % len(sites)]
        place: dict[str, Any] = {"metal": metal, "anchors": [site.anchors], "face": site.face}
        atoms = place_adatoms(substrate.given, **place)
        lengths = {name: getattr(parameters, name) for name in ("temperature_K", "length_ps", "timestep_fs")}
        asked = md_parameters(atoms, parameters.potential, **lengths) | {"seed": seed}
        about = {"metal": metal, "host": substrate.name, "site": f"{site.label}, seed {seed}"}
        start = Derived(clean, len(atoms), "place_adatoms", place)
        steps.append(Step("md", asked, start, potential=parameters.potential, about=about))
    return steps


def _sites(substrate: Substrate) -> list[Site]:
    return adsorption_sites(substrate.given)


def _samples(parameters: Labels, host: _Host, results: Mapping[str, Result]) -> Iterator[Atoms]:
    """Give the structures of a host, and the ends of its runs; nothing where it could not be relaxed."""
    clean = results[host.clean.key]
    if not clean.status.usable:
        return
    sampling = Sampling(parameters.heights_A, parameters.distorted, parameters.rattle_A, parameters.strain)
    yield from sampled(host.name, clean.structures["final"], _sites(host.substrate), list(host.runs), sampling)
    for metal, runs in host.runs.items():
        for run in runs:
            if results[run.key].status.usable:
                group = f"{host.name}-{metal}-hot{run.parameters['seed']}"
                yield named(results[run.key].structures["final"], group, metal, "hot", host.name, metal)


def _asked(parameters: Labels) -> list[str]:
    """Name the potentials that are asked how sure they are: a committee, or two."""
    if parameters.second:
        return [parameters.potential, parameters.second]
    return [parameters.potential] if parameters.potential.startswith("committee:") else []


def _difference(results: Sequence[Result]) -> float:
    """Return the largest difference of a force between two potentials, or in a committee; zero where one fails."""
    if not all(result.status.usable for result in results):
        return 0.0  # not worth a label: what no model can evaluate is an overlap or a lost atom
    if len(results) == 1:
        return float(results[0].scalars[COMMITTEE_SPREAD])
    if not results:
        return 0.0
    one, other = (result.arrays["forces_eV_per_A"] for result in results)
    return float(np.linalg.norm(one - other, axis=1).max())


def _single_point(atoms: Atoms, potential: str) -> Step:
    about = {**atoms.info, "kind": atoms.info["class"]}
    del about["class"]
    return Step("single_point", {}, atoms, potential=potential, about=about)


def _bulk_label(bulk: Step, results: Mapping[str, Result], labeller: str) -> Step:
    metal = bulk.about["metal"]
    return _single_point(
        named(results[bulk.key].structures["final"], f"{metal}-bcc", "bulk", "metal bcc", "none", metal), labeller
    )


def _to_label(chosen: Sequence[Atoms]) -> Iterator[Atoms]:
    """Put the clean host of every structure before it, once: adsorption energies are differences of the two."""
    for atoms in chosen:
        yield bare(atoms)
        yield atoms


def headline(parameters: Labels, plan: LabelPlan) -> str:
    """Summarise: ``20 structures of K on 3 hosts, labelled by chgnet:r2scan``."""
    told = f"{len(plan.labels)} of {plan.n_candidates} sampled" if plan.labels else f"up to {parameters.structures}"
    metals, hosts = ", ".join(parameters.metal), len(parameters.hosts)
    return f"{told} structures of {metals} on {hosts} host(s), labelled by {parameters.labeller}"


def overview(_: Labels, plan: LabelPlan) -> RenderableType:
    """Table of the chosen structures by host and kind, as far as they are chosen."""
    table = new_table("structures to label", ("host", "kind"), ("structures",))
    kinds = [(str(step.about["host"]), str(step.about["kind"])) for step in plan.labels]
    for host, kind in dict.fromkeys(kinds):
        table.add_row(host, kind, str(kinds.count((host, kind))))
    return table


def tables(plan: LabelPlan, results: Mapping[str, Result]) -> Iterator[RenderableType]:
    """Every label, largest force and energy."""
    table = new_table("labels", ("structure", "host", "metal", "status"), ("atoms", "energy eV", "force eV/Å"))
    for step in plan.labels:
        result, about = results[step.key], step.about
        numbers = [result.scalars.get(name, float("nan")) for name in ("energy_eV", "fmax_eV_per_A")]
        words = (str(about["name"]), str(about["host"]), str(about["metal"]), result.status.value)
        table.add_row(*words, str(step.n_atoms), *(f"{number:.3f}" for number in numbers))
    yield table
