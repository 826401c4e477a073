"""The ranked table of adsorption energies, and what the potential is worth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...workflows.stores.result import Result, Status
from ..parts.lattices import host_notes
from ..parts.styles import new_table
from .adsorption import Adsorption, Row, analyse
from .evidence import AdsorptionPlan
from .notes import evidence_notes

SCREEN = (
    "The ranking by `vs pristine` is a first screen, not evidence: a potential's errors cancel only in part between hosts. "
    "Confirm it with density functional theory (`--confirm ase:gpaw`)."
)


def headline(parameters: Adsorption, plan: AdsorptionPlan) -> str:
    """Say in a few words what is asked: ``K on 18 hosts, 63 sites``."""
    hosts = len({host for _, host in plan.answers})
    sites = sum(len(steps) for steps in plan.answers.values())
    return f"{', '.join(parameters.metal)} on {hosts} hosts, {sites} sites"


def overview(parameters: Adsorption, plan: AdsorptionPlan) -> RenderableType:
    """Table of the hosts with their sites."""
    hosts = new_table("hosts, and the sites a metal atom starts from", ("host",), ("atoms",), ("sites",), folds=("sites",))
    for (metal, host), steps in plan.answers.items():
        if metal == parameters.metal[0]:
            n_host = steps[0].parents["host"].n_atoms
            hosts.add_row(host, str(n_host), ", ".join(str(step.about["site"]) for step in steps))
    return hosts


def tables(plan: AdsorptionPlan, results: Mapping[str, Result]) -> Iterator[RenderableType]:
    """One ranked table for each metal, and the metals side by side."""
    rows = analyse(plan, results)
    for metal, gate in plan.gates.items():
        notes = [*evidence_notes(plan, results, rows, metal), *host_notes(plan.of(metal), gate.about["potential"], results)]
        yield ranking(rows, metal, results[gate.key], notes)
    if len(plan.gates) > 1:
        yield side_by_side(rows, list(plan.gates))


def ranking(rows: Sequence[Row], metal: str, gate: Result, notes: Sequence[str] = ()) -> RenderableType:
    """Table of one metal's hosts, best site each, strongest adsorption first; eV per metal atom, negative is bound."""
    ours = [row for row in rows if row.metal == metal]
    columns = _columns(ours, fit=gate.scalars.get("verdict") == "fit")
    table = new_table(
        f"{metal} at the best site of each host: adsorption energy (eV per {metal} atom, negative = bound)",
        *([column.title for column in columns if column.group == group] for group in ("host", "number", "word")),
    )
    for row in ours:
        table.add_row(*(column.cell(row) for column in columns))
    lines = [worth(metal, gate, _relative(ours)), *notes, *(note for row in ours for note in _notes(row))]
    return Group(table, Text("\n".join(lines)))


class _Column(NamedTuple):
    title: str
    group: str
    cell: Callable[[Row], str]


def _columns(rows: Sequence[Row], fit: bool) -> list[_Column]:
    """Choose the columns: with evidence it takes the place of what a site's geometry says."""
    judged = any(row.judged.flag for row in rows)
    late = any(row.best.status is not Status.CONVERGED for row in rows)
    found = [
        _Column("#", "host", lambda row: str(row.rank or "")),
        _Column("host", "host", lambda row: row.host),
        _Column("best site", "host", lambda row: str(row.best.scalars.get("ended_at", ""))),
        _Column("vs pristine", "number", partial(_scalar, "vs_pristine_eV")),
        _Column(
            "DFT" if _relative(rows) else "DFT vs bulk",
            "number",
            lambda row: "" if row.dft_eV is None else f"{row.dft_eV:+.3f}",
        ),
        _Column("vs bulk", "number", partial(_scalar, "vs_bulk_eV")),
        _Column("calibrated", "number", _calibrated),
        _Column("vs atom", "number", partial(_scalar, "vs_atom_eV")),
        _Column("height Å", "number", lambda row: f"{row.best.scalars['height_A']:.2f}" if _bound(row) else ""),
        _Column("nearest Å", "word", _nearest),
        _Column("stayed", "word", _stayed),
        _Column("converged", "word", lambda row: "yes" if row.best.status is Status.CONVERGED else row.best.status.value),
        _Column("verdict", "word", _verdict),
        _Column("trust", "word", lambda row: row.judged.flag),
    ]
    hidden = {"vs atom", "stayed", "nearest Å"} if judged else {"trust", "DFT", "DFT vs bulk", "calibrated"}
    hidden |= set() if fit else {"verdict"}
    hidden |= {"converged"} if judged and not late else set()
    return [column for column in found if column.title not in hidden]


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
    named = gate.provenance.get("fingerprint") or {}
    potential, verdict = named.get("name", gate.about["potential"]), gate.scalars["verdict"]
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
    return all(row.column == "vs_pristine_eV" for row in rows)


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


def _bound(row: Row) -> bool:
    return "vs_bulk_eV" in row.best.scalars


def _scalar(name: str, row: Row) -> str:
    return _energy(row.best.scalars, name)


def _calibrated(row: Row) -> str:
    """Calibrated energy against the bulk metal and half the width of its interval."""
    scalars = row.calibrated.scalars if row.calibrated else {}
    if "calibrated_vs_bulk_eV" not in scalars:
        return ""
    return f"{scalars['calibrated_vs_bulk_eV']:+.1f} ± {scalars['calibrated_interval_eV']:.1f}"


def _nearest(row: Row) -> str:
    scalars = row.best.scalars
    return f"{scalars['nearest_A']:.2f} to {scalars['nearest_element']}" if _bound(row) else ""


def _stayed(row: Row) -> str:
    scalars = row.best.scalars
    return "" if not _bound(row) else "yes" if scalars["stayed"] else f"no, {scalars['shift_A']:.1f} Å"


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
