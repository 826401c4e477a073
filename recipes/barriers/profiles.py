"""Pictures of migration barriers: the energy along each jump."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...workflows.neb.band import profile
from ...workflows.stores.result import Result
from ..parts.structure_files import check_new
from ..parts.styles import panels, save

PICTURES = (".png", ".pdf", ".svg")
COLOURS = {"Li": "#0072b2", "Na": "#e69f00", "K": "#882255"}
"""Of the metals: colours that colour-blind people tell apart (M. Okabe & K. Ito, 2008; P. Tol, 2021)."""
LINES = ("-", "--", "-.", ":")


def draw_profiles(results: Sequence[Result], path: Path) -> None:
    """Draw the energy along each jump, a panel for each host, the metals side by side in it, the shortest jumps first.

    The curve is a cubic through the images with the slopes that their forces give; the dots are the images.

    Parameters
    ----------
    results
        Results of `migration` steps.
    path
        The picture to write; its ending sets the format.

    Raises
    ------
    ValueError
        If the file is there already, or no result has a profile.
    """
    check_new(path)
    drawn = [result for result in results if "path_A" in result.arrays and "site" in result.about]
    if not drawn:
        raise ValueError("there is no energy profile among these results: choose --function migration")
    hosts: dict[str, list[Result]] = {}
    for result in drawn:
        hosts.setdefault(f"{result.about['host']}, {result.about.get('mechanism', '')}", []).append(result)
    columns = min(3, len(hosts))
    figure, grid = panels(-(-len(hosts) // columns), columns, 4.6, 3.6)
    axes = grid.ravel()
    for axis, (title, members) in zip(axes, hosts.items(), strict=False):
        _panel(axis, title, members)
    for axis in axes[len(hosts) :]:
        axis.set_axis_off()
    save(figure, path, dpi=160)


def _panel(axis: Any, title: str, results: Sequence[Result]) -> None:
    seen: dict[str, int] = {}
    for result in sorted(results, key=lambda result: (result.about.get("length_A", 0), result.about["site"])):
        metal = str(result.about["metal"])
        number = seen[metal] = seen.get(metal, -1) + 1
        colour, line = COLOURS.get(metal, "black"), LINES[number % len(LINES)]
        arrays = result.arrays
        lengths, energies = profile(arrays["path_A"], arrays["energies_eV"], arrays["tangent_forces_eV_per_A"])
        way = lengths[-1]
        label = f"{metal}, {result.about['site']}: {result.scalars['barrier_forward_eV']:.2f} eV"
        label += ", doubtful" if result.scalars.get("trust") == "doubtful" else ""
        axis.plot(lengths / way, energies, line, color=colour, label=label)
        axis.plot(arrays["path_A"] / way, arrays["energies_eV"], "o", color=colour, markersize=3.5)
    axis.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    axis.set(title=title, xlabel="part of the path", ylabel="energy above the start (eV)")
    low, high = axis.get_ylim()
    axis.set_ylim(low, high + (high - low) * 0.1 * (1 + len(results)))  # room for the legend
    axis.legend(fontsize=7, frameon=False, loc="upper center")
