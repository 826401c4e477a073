"""What a person reads: the plan before, the ranked table after, and what the potential is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..workflows.export import columns_of, row
from ..workflows.result import Result, Status
from .adsorption import Row
from .run import Prepared

HIDDEN = {
    "function", "kind", "adatoms", "shift_A", "n_metal", "nearest_element", "atom_reference", "force_calls", "wall_s", "created",
    "cutoff_A", "source", "n_atoms",
}  # fmt: skip
"""Columns that are exported, but too many for a screen."""


def plan_lines(prepared: Prepared) -> list[str]:
    """Say what a run would do: structures, steps, what is stored, how long it takes."""
    flow = prepared.plan.flow
    structures = sum(1 for step in flow if step.structure is not None)
    hosts = len({host for _, host in prepared.plan.answers})
    sites = sum(len(steps) for steps in prepared.plan.answers.values())
    minutes = sum(prepared.seconds(step) for step in prepared.missing) / 60
    metals = ", ".join(prepared.recipe.parameters.metal)
    return [
        f"{prepared.recipe.question}",
        f"{metals} on {hosts} hosts, {sites} sites; potential {prepared.potential.name} "
        f"({prepared.potential.functional})",
        f"{structures} structures in {len(flow)} steps, {len(prepared.finished)} already stored; "
        + (f"about {max(minutes, 0.1):.1f} min on 2 cores" if prepared.missing else "nothing to compute"),
        *(f"warning: {sentence}" for sentence in prepared.plan.warnings),
    ]


def ranking(rows: Sequence[Row], metal: str, gate: Result) -> RenderableType:
    """Table of one metal's hosts, best site each, strongest adsorption first; eV per metal atom, negative is bound."""
    fit = gate.scalars.get("verdict") == "fit"
    table = Table(title=f"{metal} on carbon, best site of each host (eV per {metal} atom, negative = bound)")
    for column in ("#", "host", "best site"):
        table.add_column(column, no_wrap=True)
    for column in ("E vs pristine", "E vs bulk", "E vs atom", "height Å", "nearest Å"):
        table.add_column(column, justify="right")
    table.add_column("stayed")
    table.add_column("converged")
    if fit:
        table.add_column("verdict")
    for row in rows:
        if row.metal == metal:
            table.add_row(*_cells(row, fit))
    return Group(table, Text(worth(metal, gate)))


def worth(metal: str, gate: Result) -> str:
    """Say what a potential is worth for a metal, and so what its table may be used for."""
    if "verdict" not in gate.scalars:
        return f"The gate of {metal} could not be computed: {gate.message}. Trust nothing in this table."
    potential, verdict = gate.about["potential"], gate.scalars["verdict"]
    head = f"{potential} is {verdict} for {metal}: {gate.scalars['sentence']}."
    advice = {
        "fit": "",
        "doubtful": " Its errors largely cancel in `E vs pristine`: rank on that. No verdict is given on whether a host "
        f"holds {metal} better than bulk {metal} does (`E vs bulk`).",
        "unfit": " Use none of these numbers.",
    }
    return head + advice[verdict]


def side_by_side(rows: Sequence[Row], metals: Sequence[str]) -> Table:
    """Compare the metals: `E vs pristine` of each host."""
    table = Table(title="E vs pristine of the best site (eV per metal atom, negative = bound more than by pristine)")
    table.add_column("host", no_wrap=True)
    for metal in metals:
        table.add_column(metal, justify="right")
    energies: dict[str, dict[str, str]] = {}
    for row in rows:
        energies.setdefault(row.host, {})[row.metal] = _energy(row.best.scalars, "vs_pristine_eV")
    for host, by_metal in energies.items():
        table.add_row(host, *(by_metal.get(metal, "") for metal in metals))
    return table


def recipe_tables(prepared: Prepared) -> RenderableType:
    """Show a recipe: question, parameters with their meaning, hosts with their sites, and what a run would do."""
    parameters = prepared.recipe.parameters
    settings = Table(title=f"{prepared.recipe.name}: parameters (change one with --set KEY=VALUE)")
    for column in ("key", "value", "meaning"):
        settings.add_column(column)
    for name, field in type(parameters).model_fields.items():
        value = getattr(parameters, name)
        words = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        settings.add_row(name, words, field.description)
    hosts = Table(title="hosts and the sites that a metal atom starts from")
    for column in ("host", "atoms", "sites"):
        hosts.add_column(column)
    for (metal, host), steps in prepared.plan.answers.items():
        if metal == parameters.metal[0]:
            n_host = steps[0].parents["host"].n_atoms
            hosts.add_row(host, str(n_host), ", ".join(str(step.about["site"]) for step in steps))
    return Group(settings, hosts, Text("\n".join(plan_lines(prepared))))


def results_table(results: Sequence[Result]) -> Table:
    """Table of stored results, the columns that matter to a person."""
    table = Table()
    rows = [row(result) for result in results]
    columns = [name for name in columns_of(results) if name not in HIDDEN]
    for name in columns:
        table.add_column(name, overflow="fold")
    for values in rows:
        table.add_row(*(_plain(values.get(name)) for name in columns))
    return table


def _plain(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def cost_line(results: Mapping[str, Result], computed: Sequence[str], wall_s: float) -> str:
    """Say what this run cost, and how the steps ended."""
    new = [results[key] for key in computed if key in results]
    calls = sum(result.force_calls for result in new)
    ends = [f"{n} {status.value}" for status in Status if (n := sum(r.status is status for r in results.values()))]
    return f"{calls} force calls, {len(new)} steps computed in {wall_s:.0f} s; of {len(results)} steps {', '.join(ends)}."


def _cells(row: Row, fit: bool) -> list[str]:
    scalars = row.best.scalars
    converged = "yes" if row.best.status is Status.CONVERGED else f"no: {row.best.message}"
    stayed = {True: "yes", False: f"no, {scalars.get('shift_A', 0):.1f} Å"}.get(scalars.get("stayed"), "")  # type: ignore[call-overload]
    nearest = f"{scalars['nearest_A']:.2f} {scalars['nearest_element']}" if "nearest_A" in scalars else ""
    cells = [
        str(row.rank or ""),
        row.host,
        str(row.best.about["site"]),
        *(_energy(scalars, name) for name in ("vs_pristine_eV", "vs_bulk_eV", "vs_atom_eV")),
        f"{scalars['height_A']:.2f}" if "height_A" in scalars else "",
        nearest,
        stayed,
        converged,
    ]
    if fit:
        cells.append("philic" if scalars.get("vs_bulk_eV", 0.0) < 0 else "phobic")
    return cells


def _energy(scalars: Mapping[str, float | None], name: str) -> str:
    value = scalars.get(name)
    return "" if value is None else f"{value:+.3f}"
