"""The tables of molecular dynamics: how ions moved in each run, and what all runs of a host add up to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..workflows.conduction import ROOM_K
from ..workflows.order import MELTED
from ..workflows.result import Result
from . import expansion
from .molecular_dynamics import MolecularDynamics, Plan

CAUTION = (
    "Intervals are of 68 % and hold the length of the runs alone. Not in them: the cell's size, its fixed volume, and the "
    "potential. Universal machine-learned potentials are too soft away from equilibrium, so ions tend to move too fast "
    "(B. Deng et al., npj Comput. Mater. 11, 9, 2025)."
)

_WORDS = {True: "yes", False: "no"}


def headline(parameters: MolecularDynamics, plan: Plan) -> str:
    """Say in a few words what is asked: ``K in 2 hosts, 6 runs of 20 ps``."""
    metals = ", ".join(dict.fromkeys(metal for metal, _ in plan.lines))
    runs = sum(map(len, plan.runs.values()))
    return f"{metals} in {len(plan.lines)} hosts, {runs} runs of {parameters.length_ps:g} ps"


def overview(_: MolecularDynamics, plan: Plan) -> RenderableType:
    """Table of the hosts with their runs."""
    table = Table("metal", "host", "atoms", "runs", title="hosts, and the runs of each", box=box.SIMPLE_HEAD)
    for (metal, host), steps in plan.runs.items():
        atoms = str(steps[0].parents["run"].n_atoms)
        table.add_row(metal, host, atoms, "; ".join(str(step.about["site"]) for step in steps))
    return table


def tables(plan: Plan, results: Mapping[str, Result]) -> Iterator[RenderableType]:
    """Every run with what was found in it; then the activation energy of each host."""
    yield runs(plan, results)
    yield from expansion.tables(plan, results)
    yield lines(plan, results)


def runs(plan: Plan, results: Mapping[str, Result]) -> RenderableType:
    """Table of the runs: diffusivity, conductivity, and whether the run was long enough."""
    numbers = ("ps", "hops", "D 1e-6 cm²/s", "σ mS/cm", "solid", "settled")
    table = _table("what each run shows: is the framework solid, and has D settled?", ("ions", "run"), numbers)
    notes = []
    for (metal, host), steps in plan.runs.items():
        for step in steps:
            if result := results.get(step.key):
                table.add_row(f"{metal} in {host}", str(step.about["site"]), *_numbers(result.scalars))
                notes.append(f"{metal} in {host}, {step.about['site']}: {result.message}.")
    return Group(table, Text("\n".join(notes)))


def lines(plan: Plan, results: Mapping[str, Result]) -> RenderableType:
    """Table of the hosts: activation energy, and what it means at room temperature."""
    room = f"{ROOM_K:g} K"
    table = _table("the line through the runs of a host", ("ions",), ("Ea eV", f"D {room} cm²/s", f"σ {room} mS/cm"))
    notes = []
    for (metal, host), step in plan.lines.items():
        if result := results.get(step.key):
            units = (("activation_energy", "_eV"), ("diffusivity_300K", "_cm2_per_s"), ("conductivity_300K", "_mS_per_cm"))
            cells = [_range(result.scalars, *unit) for unit in units]
            table.add_row(f"{metal} in {host}", *cells)
            notes.append(f"{metal} in {host}: {result.message}.")
    sigma = "σ at room temperature is of ions that move alone (Nernst-Einstein)."
    return Group(table, Text("\n".join([*notes, sigma, CAUTION])))


def _table(title: str, words: tuple[str, ...], numbers: tuple[str, ...]) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for word in words:
        table.add_column(word, no_wrap=word != "ions")
    for number in numbers:
        table.add_column(number, justify="right", no_wrap=True)
    return table


def _numbers(scalars: Mapping[str, Any]) -> list[str]:
    if "hops" not in scalars:
        return ["failed"]
    return [
        f"{scalars['analysed_ps']:.3g}",
        str(scalars["hops"]),
        _range(scalars, "diffusivity", "_cm2_per_s", 1e6),
        _range(scalars, "conductivity", "_mS_per_cm"),
        _WORDS[scalars["lindemann"] < MELTED] if "lindemann" in scalars else "",
        _WORDS[scalars["settled"]],
    ]


def _range(scalars: Mapping[str, Any], name: str, unit: str, times: float = 1.0) -> str:
    """Median and 68 % interval to two digits: ``11 (9.8 to 13)``; nothing where there is none."""
    if f"{name}{unit}" not in scalars:
        return ""
    ends = (times * float(scalars[f"{name}{end}{unit}"]) for end in ("", "_low", "_high"))
    middle, low, high = (f"{float(f'{value:.2g}'):g}" for value in ends)
    return f"{middle} ({low} to {high})"
