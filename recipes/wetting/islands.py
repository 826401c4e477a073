"""The tables of metals on hosts, and their picture: from above, coloured by height, and how high the metal stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import covalent_radii
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...workflows.analyses.wetting import ISLANDS, WETS
from ...workflows.stores.result import Result
from ..adsorption.ranking import worth
from ..barriers.profiles import COLOURS
from ..parts.lattices import host_notes
from ..parts.structure_files import check_new
from ..parts.styles import new_table, panels, save
from ..parts.substrates import AdatomPlan
from .metal_on_host import MetalOnHost

RULE = (
    "touch: share of the metal's atoms that touch the host; area: share of it that they cover; θ: contact angle; vs bulk: "
    "eV per metal atom of the relaxed end against the bulk metal. "
    "spread: 1 for a flat layer, 0 for half a ball of as many atoms, by how many touch the host. From "
    f"{WETS:g} the metal wets, up to {ISLANDS:g} it forms islands. A verdict holds for this potential, so many atoms and so "
    "short a time, and is withheld where the gate does not call the potential fit; where two starts disagree, none is given."
)
LINES = {"scattered": "-", "island": "--"}
HEIGHT_A = 12.0
"""Top of the colour scale."""


def headline(parameters: MetalOnHost, plan: AdatomPlan) -> str:
    """Summarise the question: ``12 atoms of Li, Na on 2 hosts at 400 K, 8 runs of 4 ps``."""
    metals, hosts = ([*dict.fromkeys(key[i] for key in plan.answers)] for i in (0, 1))
    runs = sum(map(len, plan.answers.values()))
    what = f"{parameters.atoms} atoms of {', '.join(metals)} on {len(hosts)} host(s) at {parameters.temperature_K:g} K"
    return f"{what}, {runs} runs of {parameters.length_ps:g} ps"


def overview(_: MetalOnHost, plan: AdatomPlan) -> RenderableType:
    """Table of the hosts with their runs."""
    table = new_table("hosts, and the runs of each", ("host", "metal"), ("atoms",), ("runs",), folds=("runs",))
    for (metal, host), steps in plan.answers.items():
        runs = "; ".join(str(step.about["site"]) for step in steps)
        table.add_row(host, metal, str(steps[0].parents["run"].n_atoms), runs)
    return table


def tables(plan: AdatomPlan, results: Mapping[str, Result]) -> Iterator[RenderableType]:
    """Every run with its verdict; then the metals side by side."""
    title, words = "the metal in the later part of each run", ("host", "metal", "start", "verdict")
    numbers = ("spread", "touch", "area", "clusters", "largest", "layers", "Å high", "θ °", "vs bulk")
    table = new_table(title, words, numbers)
    notes = []
    for (metal, host), steps in plan.answers.items():
        for result in (results[step.key] for step in steps if step.key in results):
            table.add_row(host, metal, str(result.about["site"]), *_cells(result.scalars))
            notes.append(f"{metal} on {host}, {result.about['site']}: {result.message}.")
    gates = [worth(metal, results[gate.key], relative=False) for metal, gate in plan.gates.items() if gate.key in results]
    for metal, gate in plan.gates.items():
        notes += host_notes(plan.of(metal), gate.about["potential"], results)
    yield Group(table, Text("\n".join([*dict.fromkeys(notes), RULE, *gates])))
    yield side_by_side(plan, results)


def side_by_side(plan: AdatomPlan, results: Mapping[str, Result]) -> Table:
    """Compare the metals: what each does on each host, from every start."""
    metals, hosts = ([*dict.fromkeys(key[i] for key in plan.answers)] for i in (0, 1))
    table = new_table("does the metal wet?", ("host", *metals), folds=metals)
    for host in hosts:
        runs = [plan.answers.get((metal, host), ()) for metal in metals]
        found = [[results[step.key].scalars for step in steps if step.key in results] for steps in runs]
        verdicts = [[scalars.get("verdict", "failed") for scalars in of_metal] for of_metal in found]
        table.add_row(host, *map(together, verdicts))
    return table


def together(verdicts: Sequence[str]) -> str:
    """Join the verdicts of several starts and seeds: one they all share, or that it depends on them; and how many failed.

    Examples
    --------
    >>> together(["wets", "wets"]), together(["wets", "islands"]), together(["wets", "failed"]), together([])
    ('wets', 'undecided: depends on the run', 'wets, 1 failed', '')
    """
    whole = [verdict for verdict in verdicts if verdict != "failed"]
    failed = [f"{len(verdicts) - len(whole)} failed"] if len(whole) < len(verdicts) else []
    joined = whole[:1] if len(set(whole)) <= 1 else ["undecided: depends on the run"]
    return ", ".join(joined + failed)


def draw_wetting(results: Sequence[Result], path: Path) -> None:
    """Draw the end of each run from above, the metal coloured by its height, and beside them the heights of the whole run.

    Hosts share a row, with each metal's runs side by side.

    Parameters
    ----------
    results
        Results of `wetting` steps.
    path
        The picture to write; its ending sets the format.

    Raises
    ------
    ValueError
        If the file is there already, or no run was judged.
    """
    check_new(path)
    hosts: dict[str, list[Result]] = {}
    for result in results:
        if "heights_A" in result.arrays:
            hosts.setdefault(str(result.about["host"]), []).append(result)
    if not hosts:
        raise ValueError("there is nothing to draw among these results: no run was judged")
    columns = max(map(len, hosts.values())) + 1
    figure, rows = panels(len(hosts), columns, 3.8, 3.8)
    for row, (host, members) in zip(rows, hosts.items(), strict=True):
        for axis in row[len(members) : -1]:
            axis.set_axis_off()
        for axis, result in zip(row, members, strict=False):
            discs = _from_above(axis, result)
        _heights(row[-1], host, members)
        figure.colorbar(discs, ax=row[len(members) - 1], label="height over the host (Å)", shrink=0.8)
    save(figure, path, dpi=160)


def _from_above(axis: Any, result: Result) -> Any:
    """Draw the last frame with the images round its cell, lower atoms first."""
    from matplotlib.collections import EllipseCollection
    from matplotlib.patches import Polygon

    atoms, n_metal = result.structures["final"].copy(), result.scalars["n_metal"]
    atoms.pbc = (True, True, False)
    atoms.wrap()
    top_A = atoms.positions[:-n_metal, 2].max()
    plane = atoms.cell.array[:2, :2]
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) @ plane
    shifts = np.array(list(product((-1, 0, 1), repeat=2))) @ plane
    for chosen, scale, heights in (
        (np.arange(len(atoms) - n_metal), 0.8, None),
        (np.arange(len(atoms) - n_metal, len(atoms)), 1.7, atoms.positions[-n_metal:, 2] - top_A),
    ):
        order = chosen[np.argsort(atoms.positions[chosen, 2])]
        middles = (atoms.positions[order, :2] + shifts[:, None]).reshape(-1, 2)
        widths = np.tile(scale * covalent_radii[atoms.numbers[order]], len(shifts))
        discs = EllipseCollection(
            widths, widths, np.zeros_like(widths), units="xy", offsets=middles, transOffset=axis.transData,
            facecolor="0.85", edgecolor="0.3" if heights is not None else "0.65", linewidth=0.5,
        )  # fmt: skip
        if heights is not None:
            discs.set(array=np.tile(np.sort(heights), len(shifts)), cmap="viridis", clim=(0, HEIGHT_A))
        axis.add_collection(discs)
    axis.add_patch(Polygon(corners, fill=False, ls="--", ec="0.2", lw=0.8))
    low, high = corners.min(axis=0) - 1, corners.max(axis=0) + 1
    about, scalars = result.about, result.scalars
    title = f"{about['metal']} on {about['host']}, {about['site']}\n{scalars['verdict']}, {scalars['touching']:.0%} touch it"
    axis.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal", xlabel="Å")
    axis.set_title(title, fontsize=9)
    return discs


def _heights(axis: Any, host: str, results: Sequence[Result]) -> None:
    for result in results:
        metal, site = str(result.about["metal"]), str(result.about["site"])
        counts, heights = (result.arrays[name] for name in ("atoms_per_A", "heights_A"))
        line = LINES.get(site.split(",")[0], "-")
        axis.plot(counts, heights, line, color=COLOURS[metal], lw=1.2, label=f"{metal}, {site}")
    axis.set_title(f"{host}: the later part of each run", fontsize=9)
    axis.set(xlabel="metal atoms per Å of height", ylabel="height over the host (Å)")
    axis.set_xlim(left=0)
    axis.legend(fontsize=7, frameon=False)


def _cells(scalars: Mapping[str, Any]) -> list[str]:
    if "verdict" not in scalars:
        return ["failed"]
    angle_deg, vs_bulk_eV = scalars["contact_angle_deg"], scalars["vs_bulk_eV"]
    return [
        scalars["verdict"],
        "" if scalars["spread"] is None else f"{scalars['spread']:.2f}",
        f"{scalars['touching']:.0%}",
        f"{scalars['coverage']:.0%}",
        f"{scalars['clusters']:.1f}",
        f"{scalars['largest']:.1f}",
        str(scalars["layers"]),
        "" if scalars["height_A"] is None else f"{scalars['height_A']:.1f}",
        "" if angle_deg is None else f"{angle_deg:.0f}",
        "" if vs_bulk_eV is None else f"{vs_bulk_eV:+.2f}",
    ]
