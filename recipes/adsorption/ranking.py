"""The ranked table of adsorption energies, and what the potential is worth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...workflows.stores.result import Result, Status
from ..parts.lattices import host_notes
from ..parts.substrates import AdatomPlan
from ..parts.tables import new_table
from .adsorption import Adsorption, Row, analyse

SCREEN = (
    "The ranking by `vs pristine` is a first screen, not evidence: a potential's errors cancel only in part between hosts. "
    "Confirm it with density functional theory."
)


def headline(parameters: Adsorption, plan: AdatomPlan) -> str:
    """Say in a few words what is asked: ``K on 18 hosts, 63 sites``."""
    hosts = len({host for _, host in plan.answers})
    sites = sum(len(steps) for steps in plan.answers.values())
    return f"{', '.join(parameters.metal)} on {hosts} hosts, {sites} sites"


def overview(parameters: Adsorption, plan: AdatomPlan) -> RenderableType:
    """Table of the hosts with their sites."""
    hosts = new_table("hosts, and the sites a metal atom starts from", ("host",), ("atoms",), ("sites",), folds=("sites",))
    for (metal, host), steps in plan.answers.items():
        if metal == parameters.metal[0]:
            n_host = steps[0].parents["host"].n_atoms
            hosts.add_row(host, str(n_host), ", ".join(str(step.about["site"]) for step in steps))
    return hosts


def tables(plan: AdatomPlan, results: Mapping[str, Result]) -> Iterator[RenderableType]:
    """One ranked table for each metal, and the metals side by side."""
    rows = analyse(plan, results)
    for metal, gate in plan.gates.items():
        notes = host_notes(plan.of(metal), gate.about["potential"], results)
        yield ranking(rows, metal, results[gate.key], notes)
    if len(plan.gates) > 1:
        yield side_by_side(rows, list(plan.gates))


def ranking(rows: Sequence[Row], metal: str, gate: Result, notes: Sequence[str] = ()) -> RenderableType:
    """Table of one metal's hosts, best site each, strongest adsorption first; eV per metal atom, negative is bound."""
    ours = [row for row in rows if row.metal == metal]
    fit = gate.scalars.get("verdict") == "fit"
    table = new_table(
        f"{metal} at the best site of each host: adsorption energy (eV per {metal} atom, negative = bound)",
        ("#", "host", "best site"),
        ("vs pristine", "vs bulk", "vs atom", "height Å"),
        ("nearest Å", "stayed", "converged", *(["verdict"] if fit else [])),
    )
    for row in ours:
        table.add_row(*_cells(row), *([_verdict(row)] if fit else []))
    lines = [worth(metal, gate, _relative(ours)), *notes, *(note for row in ours for note in _notes(row))]
    return Group(table, Text("\n".join(lines)))


def worth(metal: str, gate: Result, relative: bool = True) -> str:
    """Say what a potential is worth for a metal, and so what its table may be used for.

    Parameters
    ----------
    metal
        The metal.
    gate
        The gate's result.
    relative
        Whether the hosts have a pristine form, and are ranked against it.
    """
    if "verdict" not in gate.scalars:
        return f"The gate of {metal} could not be computed: {gate.message}. Trust nothing in this table."
    potential, verdict = gate.about["potential"], gate.scalars["verdict"]
    head = f"{potential} is {verdict} for {metal}: {gate.scalars['sentence']}."
    advice = {
        "fit": f" {SCREEN}" if relative else "",
        "doubtful": f" {SCREEN if relative else 'Compare like with like.'} "
        f"It cannot tell whether a host holds {metal} better than bulk {metal} does (`vs bulk`).",
        "unfit": " Use none of these numbers.",
    }
    return head + advice[verdict]


def _relative(rows: Sequence[Row]) -> bool:
    """Whether every ranked host is compared with its pristine form."""
    return all(row.best.scalars.get("vs_pristine_eV") is not None for row in rows if row.rank)


def side_by_side(rows: Sequence[Row], metals: Sequence[str]) -> Table:
    """Compare the metals: adsorption energy of each host relative to the pristine one, or to the bulk metal."""
    column, words = ("vs_pristine_eV", "pristine") if _relative(rows) else ("vs_bulk_eV", "the bulk metal")
    table = new_table(f"best site of each host vs {words} (eV per metal atom)", ("host",), metals)
    energies: dict[str, dict[str, str]] = {}
    for row in rows:
        energies.setdefault(row.host, {})[row.metal] = _energy(row.best.scalars, column)
    for host, by_metal in energies.items():
        table.add_row(host, *(by_metal.get(metal, "") for metal in metals))
    return table


def _cells(row: Row) -> list[str]:
    scalars = row.best.scalars
    if "vs_bulk_eV" not in scalars:
        return [str(row.rank or ""), row.host, *[""] * 7, _converged(row)]
    return [
        str(row.rank or ""),
        row.host,
        scalars["ended_at"],
        *(_energy(scalars, name) for name in ("vs_pristine_eV", "vs_bulk_eV", "vs_atom_eV")),
        f"{scalars['height_A']:.2f}",
        f"{scalars['nearest_A']:.2f} to {scalars['nearest_element']}",
        "yes" if scalars["stayed"] else f"no, {scalars['shift_A']:.1f} Å",
        _converged(row),
    ]


def _converged(row: Row) -> str:
    return "yes" if row.best.status is Status.CONVERGED else row.best.status.value


def _verdict(row: Row) -> str:
    """Whether the host holds the metal better than the metal holds itself."""
    return "" if row.rank is None else "philic" if row.best.scalars["vs_bulk_eV"] < 0 else "phobic"


def _notes(row: Row) -> list[str]:
    """What a reader must know of a row that its cells do not say."""
    notes = []
    if row.best.status is not Status.CONVERGED:
        notes.append(f"{row.host}: {row.best.message}.")
    if row.best.scalars.get("host_kept_bonds") is False:
        notes.append(f"{row.host}: bonds of the host broke or formed under the metal, so this is more than adsorption.")
    return notes


def _energy(scalars: Mapping[str, float | None], name: str) -> str:
    value = scalars.get(name)
    return "" if value is None else f"{value:+.3f}"
