"""The tables of molecular dynamics: how ions moved in each run, and the Arrhenius line of each host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from ...workflows.stores.result import Result, Status
from ...workflows.transport.arrhenius import agreement
from ...workflows.transport.conduction import ROOM_K, diffusivity_as_asked
from ...workflows.transport.lindemann import MELTED
from ..parts.styles import new_table
from . import expansion
from .molecular_dynamics import MolecularDynamics, Plan

CAUTION = (
    "Each D belongs to the temperature that the run had, not to the one asked for. Intervals (68 %) cover the finite length "
    "of the runs alone, not the size of the cell, its fixed volume (unless `pressure_GPa` is given) or the potential. "
    "Universal machine-learned potentials are too soft away from equilibrium, so ions tend to move too fast "
    "(B. Deng et al., npj Comput. Mater. 11, 9, 2025)."
)

_WORDS = {True: "yes", False: "no"}


def headline(parameters: MolecularDynamics, plan: Plan) -> str:
    """Summarise the question: ``K in 2 hosts, 6 runs of 20 ps``."""
    metals = ", ".join(dict.fromkeys(metal for metal, _ in plan.lines))
    runs = sum(map(len, plan.runs.values()))
    return f"{metals} in {len(plan.lines)} hosts, {runs} runs of {parameters.length_ps:g} ps"


def overview(_: MolecularDynamics, plan: Plan) -> RenderableType:
    """Table of the hosts with their runs."""
    table = new_table("hosts, and the runs of each", ("metal", "host"), ("atoms",), ("runs",), folds=("runs",))
    for (metal, host), steps in plan.runs.items():
        atoms = str(steps[0].parents["run"].n_atoms)
        table.add_row(metal, host, atoms, "; ".join(str(step.about["site"]) for step in steps))
    return table


def tables(plan: Plan, results: Mapping[str, Result]) -> Iterator[RenderableType]:
    """Every run with what was found in it; then the activation energy of each host."""
    yield runs(plan, results)
    yield sites(plan, results)
    yield from expansion.tables(plan, results)
    yield lines(plan, results)


def runs(plan: Plan, results: Mapping[str, Result]) -> RenderableType:
    """Table of the runs: diffusivity, conductivity, and whether the run was long enough."""
    numbers = ("had K", "ps", "hops", "D 1e-6 cm²/s", "σ mS/cm", "solid", "settled")
    title = "what each run shows: is the framework solid, and has D settled?"
    table = new_table(title, ("ions", "run"), numbers, folds=("ions",))
    notes = []
    for (metal, host), steps in plan.runs.items():
        for step in steps:
            if result := results.get(step.key):
                table.add_row(f"{metal} in {host}", str(step.about["site"]), *_numbers(result.scalars))
                notes.append(f"{metal} in {host}, {step.about['site']}: {result.message}.")
    return Group(table, Text("\n".join(notes)))


def sites(plan: Plan, results: Mapping[str, Result]) -> RenderableType:
    """Table of the runs: where ions sat, how often they jumped, and how long they stayed."""
    numbers = ("sites", "not in start", "jumps", "back", "length Å", "residence ps", "dimensions")
    table = new_table("sites of the ions, and their jumps", ("ions", "run"), numbers, folds=("ions",))
    doubts = []
    for (metal, host), steps in plan.sites.items():
        for step in steps:
            if (result := results.get(step.key)) and "sites" in result.scalars:
                table.add_row(f"{metal} in {host}", str(step.about["site"]), *_jumps(result.scalars))
                if result.status is not Status.CONVERGED:
                    doubts.append(f"{metal} in {host}, {step.about['site']}: {result.message}.")
    return Group(table, Text("\n".join(doubts)))


def lines(plan: Plan, results: Mapping[str, Result]) -> RenderableType:
    """Table of the hosts: activation energy, and D and σ extrapolated to room temperature."""
    room = f"{ROOM_K:g} K"
    numbers = ("Ea eV", f"D {room} cm²/s", f"σ {room} mS/cm")
    table = new_table("Arrhenius line of each host", ("ions",), numbers, folds=("ions",))
    notes = []
    for (metal, host), step in plan.lines.items():
        if result := results.get(step.key):
            units = (("activation_energy", "_eV"), ("diffusivity_300K", "_cm2_per_s"), ("conductivity_300K", "_mS_per_cm"))
            table.add_row(f"{metal} in {host}", *[_range(result.scalars, *unit) for unit in units])
            notes.append(f"{metal} in {host}: {result.message}.")
    room_note = (
        f"D and σ at {room} are extrapolated: a change of phase or mechanism on the way is not in them. σ is that of ions "
        "that move independently (Nernst-Einstein)."
    )
    cells = [f"{sentence}." for sentence in _cells(plan, results)]
    return Group(table, Text("\n".join([*notes, *cells, room_note, CAUTION])))


def _numbers(scalars: Mapping[str, Any]) -> list[str]:
    if "hops" not in scalars:
        return ["failed"]
    return [
        _kelvins(scalars["temperature_K"], scalars["temperature_error_K"]),
        f"{scalars['analysed_ps']:.3g}",
        str(scalars["hops"]),
        _range(scalars, "diffusivity", "_cm2_per_s", 1e6),
        _range(scalars, "conductivity", "_mS_per_cm"),
        _WORDS[scalars["lindemann"] < MELTED] if "lindemann" in scalars else "",
        _WORDS[scalars["settled"]],
    ]


def _kelvins(mean_K: float, error_K: float | None) -> str:
    return f"{mean_K:.0f}" + ("" if error_K is None else f" ± {error_K:.0f}")


def _jumps(scalars: Mapping[str, Any]) -> list[str]:
    counts = [str(scalars[name]) for name in ("sites", "sites_found", "jumps")]
    if not scalars["jumps"]:
        return counts
    back, length = f"{scalars['jumps_back_share']:.0%}", f"{scalars['jump_length_A']:.1f}"
    return [*counts, back, length, _range(scalars, "residence", "_ps"), str(scalars["jump_dimensions"])]


def _cells(plan: Plan, results: Mapping[str, Result]) -> list[str]:
    """Say whether D agrees between the cells of each host and temperature that was run in several."""
    draws: dict[tuple[str, float], dict[int, list[Any]]] = {}
    for key, steps in plan.runs.items():
        line = results.get(plan.lines[key].key)
        activation_eV = line.scalars.get("activation_energy_eV", 0.0) if line else 0.0
        for step in steps:
            result = results.get(step.key)
            if result and "diffusivity_cm2_per_s" in result.scalars:
                ions = f"{step.about['metal']} in {step.about['host']}"
                of_cell = draws.setdefault((ions, result.scalars["asked_K"]), {})
                of_cell.setdefault(step.about["atoms"], []).append(diffusivity_as_asked(result, activation_eV))
    otherwise = "D depends on the cell, take a larger one, or the runs are too short"
    return [
        agreement([*chain(*of_cell.values())]).sentence(
            f"{ions} at {kelvin:g} K: cells of {' and '.join(map(str, sorted(of_cell)))} atoms", otherwise
        )
        for (ions, kelvin), of_cell in draws.items()
        if len(of_cell) > 1
    ]


def _range(scalars: Mapping[str, Any], name: str, unit: str, times: float = 1.0) -> str:
    """Median and 68 % interval to two digits: ``11 (9.8 to 13)``; nothing where there is none."""
    if f"{name}{unit}" not in scalars:
        return ""
    ends = (times * float(scalars[f"{name}{end}{unit}"]) for end in ("", "_low", "_high"))
    middle, low, high = (f"{float(f'{value:.2g}'):g}" for value in ends)
    return f"{middle} ({low} to {high})"
