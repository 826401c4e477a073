"""The tables of melt and quench, and their picture: the neighbours in each glass, and its energy above the crystal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from ...workflows.stores.result import Result
from ..parts.structure_files import check_new
from ..parts.styles import COLOURS, SIZE_IN, new_table, panels, save
from .melt_quench import MeltQuench, Plan

CAUTION = (
    "A computed quench is many orders of magnitude faster than a real one, so a real glass is lower in energy than `above "
    "crystal`; compare glasses of one rate, and try slower rates. `order` is the sharpest Bragg peak over the crystal's."
)


def headline(parameters: MeltQuench, plan: Plan) -> str:
    """Summarise the question: ``2 compounds from 2500 to 300 K at 500 K/ps``."""
    ends = f"from {parameters.melt_K:g} to {parameters.end_K:g} K at {parameters.quench_K_per_ps:g} K/ps"
    return f"{len(plan.glasses)} compound(s) {ends}, {len(parameters.seeds)} glass(es) of each"


def overview(parameters: MeltQuench, plan: Plan) -> RenderableType:
    """Table of the compounds with their runs."""
    table = new_table("what is melted and quenched", ("compound",), ("atoms", "runs", "ps"))
    for label, steps in plan.glasses.items():
        runs = [step for step in steps[0].parents.values() if step.function == "md"]
        length_ps = sum(run.parameters["steps"] * run.parameters["timestep_fs"] for run in runs) / 1e3
        table.add_row(label, str(runs[0].n_atoms), f"{len(runs)} for each of {len(parameters.seeds)}", f"{length_ps:g}")
    return table


def tables(plan: Plan, results: Mapping[str, Result]) -> Iterator[RenderableType]:
    """Every glass with its verdict; then the neighbours in it."""
    found = [(label, results[step.key]) for label, steps in plan.glasses.items() for step in steps if step.key in results]
    numbers = ("order", "g/cm³", "crystal", "above crystal eV/atom")
    glasses = new_table("quenched structures", ("compound", "glass", "state", "melted"), numbers)
    for label, result in found:
        glasses.add_row(label, str(result.about["site"]), *_cells(result.scalars))
    notes = [f"{label}, {result.about['site']}: {result.message}." for label, result in found]
    yield Group(glasses, Text("\n".join([*notes, CAUTION])))
    yield neighbours(found)


def neighbours(found: Sequence[tuple[str, Result]]) -> RenderableType:
    """Table of the first shells: where its peak is, and how many neighbours it holds, beside the crystal's."""
    title, numbers = "neighbours up to the first minimum of g(r)", ("peak Å", "neighbours", "crystal: Å", "neighbours")
    table = new_table(title, ("compound", "glass", "around", "of"), numbers)
    for label, result in found:
        for name in result.scalars:
            if name.startswith("neighbours_"):
                first, second = name.split("_")[1:]
                cells = [_shell(result.scalars, prefix, first, second) for prefix in ("", "crystal_")]
                table.add_row(label, str(result.about["site"]), first, second, *cells[0], *cells[1])
    return table


def draw_glasses(results: Sequence[Result], path: Path) -> None:
    """Draw g(r) of every pair in each glass, and its energy on the way down in temperature.

    Parameters
    ----------
    results
        Results of `glass` steps.
    path
        The picture to write; its ending sets the format.

    Raises
    ------
    ValueError
        If the file is there already, or no glass was made.
    """
    check_new(path)
    drawn = [result for result in results if "distances_A" in result.arrays]
    if not drawn:
        raise ValueError("there is nothing to draw among these results: no glass was made")
    figure, rows = panels(len(drawn), 2, *SIZE_IN)
    for (around, cooling), result in zip(rows, drawn, strict=True):
        _around(around, result)
        _cooling(cooling, result)
    save(figure, path, dpi=160)


def _around(axis: Any, result: Result) -> None:
    pairs = [name for name in result.arrays if name.startswith("g_")]
    for colour, name in zip(COLOURS * len(pairs), pairs, strict=False):
        first, second = name.split("_")[1:]
        peak = result.scalars.get(f"peak_{first}_{second}_A")
        label = f"{first}-{second}" + (f": {peak:.2f} Å" if peak else "")
        axis.plot(result.arrays["distances_A"], result.arrays[name], color=colour, lw=1.2, label=label)
    half_A = result.structures["final"].get_volume() ** (1 / 3) / 2
    axis.axvline(half_A, color="0.6", lw=0.8, ls=":")
    axis.text(
        half_A,
        0.98,
        " half the cell: periodic images beyond",
        fontsize=7,
        color="0.4",
        va="top",
        transform=axis.get_xaxis_transform(),
    )
    axis.axhline(1, color="0.8", lw=0.8, zorder=0)
    about, scalars = result.about, result.scalars
    title = f"{about['metal']} in {about['host']}".removeprefix(" in ") + f", {about['site']}: {scalars['state']}\n"
    axis.set(title=f"{title}{about['atoms']} atoms at {scalars['hold_K']:.0f} K", xlabel="distance (Å)", ylabel="g(r)")
    axis.set_xlim(left=0.8)
    axis.set_ylim(bottom=0)
    axis.legend(fontsize=8, frameon=False)


def _cooling(axis: Any, result: Result) -> None:
    (crystal_eV,) = result.arrays["crystal_energy_eV_per_atom"]
    above_eV = result.arrays["stage_energies_eV_per_atom"] - crystal_eV
    axis.plot(result.arrays["stage_temperatures_K"], above_eV, "o-", color=COLOURS[0], ms=4, label="mean of each run")
    ended_eV = result.scalars["energy_vs_crystal_eV"]
    axis.plot([0], [ended_eV], "s", color=COLOURS[2], ms=5, label=f"relaxed: {ended_eV:+.3f} eV/atom")
    axis.axhline(0, color="0.6", lw=0.8, zorder=0)
    axis.set(title=f"cooled at {result.about['rate_K_per_ps']:g} K/ps", xlabel="temperature (K)")
    axis.set_ylabel("potential energy above the crystal (eV/atom)")
    axis.set_xlim(left=-50)
    axis.legend(fontsize=8, frameon=False)


def _cells(scalars: Mapping[str, Any]) -> list[str]:
    if "state" not in scalars:
        return ["failed"]
    return [
        scalars["state"],
        "yes" if scalars["melted"] else "no",
        f"{scalars['order']:.2f}",
        f"{scalars['density_g_cm3']:.2f}",
        f"{scalars['crystal_density_g_cm3']:.2f}",
        f"{scalars['energy_vs_crystal_eV']:+.3f}",
    ]


def _shell(scalars: Mapping[str, Any], prefix: str, first: str, second: str) -> list[str]:
    peak_A, count = (scalars.get(f"{prefix}{name}") for name in (f"peak_{first}_{second}_A", f"neighbours_{first}_{second}"))
    return ["", ""] if peak_A is None else [f"{peak_A:.2f}", f"{count:.1f}"]
