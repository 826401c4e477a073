"""Report cards of potentials, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...workflows.analyses.report_card import SECTIONS
from ...workflows.engine.flow import Flow, Step
from ...workflows.stores.result import Result
from ..parts.kinds import METALS, Known, Metals, OtherPotentials, Parameters, no_results
from ..parts.styles import new_table
from .card import report_card

QUESTION = "How well does a potential reproduce reference numbers?"


class Verification(Parameters):
    """Parameters: the potentials. References exist for Li, Na and K, and all are used."""

    metal: Metals = Field(METALS, description="always all three")
    beside: OtherPotentials = Field((), description="potentials whose cards are shown beside it")


@dataclass(frozen=True)
class Plan:
    """The steps of some report cards.

    Attributes
    ----------
    flow
        Every step.
    cards
        The `report_card` step of each potential.
    warnings, complete
        Nothing to warn of, and nothing to come.
    """

    flow: Flow
    cards: Sequence[Step]
    warnings: Sequence[str] = ()
    complete: bool = True


def plan(parameters: Verification, _: Known = no_results) -> Plan:
    """Make the steps of each potential's card; computes nothing.

    Raises
    ------
    ValueError
        If a potential knows the elements of no reference.
    """
    cards = [report_card(name) for name in dict.fromkeys([parameters.potential, *parameters.beside])]
    return Plan(Flow(cards), cards)


def headline(_: Verification, plan: Plan) -> str:
    """Say in a few words what is compared."""
    entries = plan.cards[0].parameters["entries"]
    return f"{len(entries)} references of {len({entry['section'] for entry in entries})} kinds"


def overview(_: Verification, plan: Plan) -> RenderableType:
    """Table of the kinds of numbers, with the limits of the grades."""
    table = new_table(
        "kinds of numbers, and mean absolute errors up to which they are good and fair", ("kind",), ("good", "fair")
    )
    table.add_column("because")
    counted = {entry["section"] for entry in plan.cards[0].parameters["entries"]}
    for name, section in SECTIONS.items():
        if name in counted:
            table.add_row(name, f"{section.good:g} {section.unit}", f"{section.fair:g} {section.unit}", section.why)
    return table


def tables(plan: Plan, results: Mapping[str, Result]) -> Iterator[RenderableType]:
    """A card for each potential, and where there are several their errors side by side."""
    found = [results[step.key] for step in plan.cards]
    for result, name in zip(found, _names(found), strict=True):
        yield _card(result, name)
    if len(found) > 1:
        yield _beside(found)


def _card(result: Result, name: str) -> RenderableType:
    if "sections" not in result.scalars:
        return Text(f"{name}: {result.message}")
    table = new_table(
        f"report card of {name}",
        ("kind",),
        ("n", "mean error", "constant", "bias", "slope", "Kendall"),
        ("grade", "worst"),
        folds=("worst",),
    )
    for kind, s in result.scalars["sections"].items():
        bias = "" if s["unit"] == "eV/Å" else f"{s['bias']:+.3g}"  # forces of a structure add up to nothing
        constant = "" if s["constant_mae"] is None else f"{s['constant_mae']:.3g}"
        numbers = (f"{s['mae']:.3g} {s['unit']}", constant, bias, _number(s["slope"]), _number(s["tau"]))
        table.add_row(kind, str(s["n"]), *numbers, s["grade"], s["worst"])
    functional = result.about["functional"]
    lines = [
        "References are PBE; docs/trust.md has their sources and the limits of the grades. constant: the error of one number"
        " for all, the references' median (no force at all for forces); what is hardly better is poor."
    ]
    if not functional.startswith("PBE"):
        lines.append(f"{name} was trained on {functional}: what functionals differ by counts as an error here.")
    lines += [f"not judged: {sentence}." for sentence in result.scalars["not_judged"]]
    return Group(table, Text("\n".join(lines)))


def _names(results: Sequence[Result]) -> list[str]:
    """Names of potentials, without the folders of their files unless they are needed to tell them apart."""
    short = [str((r.provenance.get("fingerprint") or {}).get("name") or r.about["potential"]) for r in results]
    return [
        str(result.about["potential"]) if short.count(name) > 1 else name
        for result, name in zip(results, short, strict=True)
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _beside(results: Sequence[Result]) -> Table:
    table = new_table("mean errors side by side", ("kind",), _names(results))
    for kind, section in SECTIONS.items():
        cells = [_cell(result, kind) for result in results]
        if any(cells):
            table.add_row(f"{kind} ({section.unit})", *cells)
    return table


def _cell(result: Result, kind: str) -> str:
    s: Mapping[str, Any] = result.scalars.get("sections", {}).get(kind, {})
    return f"{s['mae']:.3g} {s['grade']}" if s else ""
