"""Pictures of molecular dynamics: how far ions went, whether the run was long enough, and the Arrhenius line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..workflows.result import Result
from .hosts import check_new

COLOURS = ("#332288", "#117733", "#882255", "#ddaa33", "#44aa99", "#cc6677", "#88ccee", "#999933")
"""That colour-blind people tell apart (P. Tol, 2021)."""
SIZE_IN = (4.8, 3.8)


def draw_transport(results: Sequence[Result], path: Path) -> None:
    """Draw each run: mean squared displacement, and D against the length of the run.

    The runs of a host share a row, if size, length and potential are the same.
    Bands are the standard error of the line that was fitted, bars 68 % intervals; a run without a diffusivity has neither.

    Parameters
    ----------
    results
        Results of `transport` steps.
    path
        The picture to write; its ending says the format.

    Raises
    ------
    ValueError
        If the file is there already, or no run was analysed.
    """
    hosts = _by_host(results, "msd_A2")
    check_new(path)
    figure, rows = panels(len(hosts), 2, *SIZE_IN)
    for (title, members), (msd, growing) in zip(hosts.items(), rows, strict=True):
        for colour, result in zip(_colours(members), members, strict=True):
            _msd(msd, result, colour)
            _by_length(growing, result, colour)
        msd.set(title=title, xlabel="time (ps)", ylabel="mean squared displacement (Å²)")
        growing.set(title="D of growing parts of the run", xlabel="length of the part (ps)", ylabel="D (cm²/s)")
        msd.legend(fontsize=7, frameon=False)
        msd.set_ylim(bottom=0)
        growing.set_xlim(left=0)
        if growing.get_legend_handles_labels()[0]:
            growing.set_yscale("log")
        else:
            growing.text(0.5, 0.5, "no diffusivity: too few hops", transform=growing.transAxes, ha="center")
    figure.savefig(path, dpi=160)


def draw_arrhenius(results: Sequence[Result], path: Path) -> None:
    """Draw the diffusivities of each host against inverse temperature, and the line through them with its 68 % band.

    Takes results of `arrhenius` steps, and else what `draw_transport` takes.
    """
    hosts = _by_host(results, "line_cm2_per_s")
    check_new(path)
    figure, ((axis,),) = panels(1, 1, *SIZE_IN)
    for (title, members), colour in zip(hosts.items(), _colours(hosts), strict=True):
        for result in members:
            _line(axis, result, colour, title)
    axis.set(xlabel="1000 K / temperature", ylabel="D (cm²/s)", yscale="log")
    kelvins = axis.secondary_xaxis("top", functions=(_inverse, _inverse))
    kelvins.set_xticks([300, 400, 500, 600, 800, 1000])
    kelvins.set_xlabel("temperature (K)")
    axis.legend(fontsize=7, frameon=False)
    figure.savefig(path, dpi=160)


def _by_host(results: Sequence[Result], needed: str) -> dict[str, list[Result]]:
    hosts: dict[str, list[Result]] = {}
    for result in results:
        if len(result.arrays.get(needed, ())):
            hosts.setdefault(_title(result.about), []).append(result)
    if not hosts:
        raise ValueError("there is nothing to draw among these results: no run was analysed, or too few ions hopped")
    return hosts


def _title(about: Mapping[str, Any]) -> str:
    numbers = [f"{about[name]:g} {unit}" for name, unit in (("atoms", "atoms"), ("length_ps", "ps")) if name in about]
    details = ", ".join([*numbers, *filter(None, [about.get("potential")])])
    return f"{about['metal']} in {about['host']}\n{details}"


def panels(rows: int, columns: int, width_in: float, height_in: float) -> tuple[Any, Any]:
    """Make a figure for a file, and its axes, shape ``(rows, columns)``, each of a size in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in * columns, height_in * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _colours(things: Any) -> list[str]:
    return [COLOURS[index % len(COLOURS)] for index in range(len(things))]


def _msd(axis: Any, result: Result, colour: str) -> None:
    lags, msd, error = (result.arrays[name] for name in ("lags_ps", "msd_A2", "msd_error_A2"))
    axis.plot(lags, msd, color=colour, label=f"{result.about['site']}{_diffusivity(result)}")
    fitted = np.isfinite(error)
    axis.fill_between(lags[fitted], (msd - error)[fitted], (msd + error)[fitted], color=colour, alpha=0.25, linewidth=0)


def _by_length(axis: Any, result: Result, colour: str) -> None:
    ends = result.arrays["diffusivity_by_length_cm2_per_s"]
    known = np.isfinite(ends[:, 1])
    if not known.any():
        return
    low, middle, high = ends[known].T
    lengths = result.arrays["lengths_ps"][known]
    axis.errorbar(lengths, middle, (middle - low, high - middle), fmt="o-", ms=3.5, lw=1, color=colour, label="D")


def _line(axis: Any, result: Result, colour: str, title: str) -> None:
    low, middle, high = result.arrays["diffusivities_cm2_per_s"].T
    inverse = _inverse(result.arrays["temperatures_K"])
    axis.errorbar(inverse, middle, (middle - low, high - middle), fmt="o", ms=4, color=colour)
    inverse, (low, middle, high) = _inverse(result.arrays["line_temperatures_K"]), result.arrays["line_cm2_per_s"].T
    scalars = result.scalars
    ends = f"{scalars['activation_energy_low_eV']:.2f} to {scalars['activation_energy_high_eV']:.2f}"
    axis.plot(inverse, middle, color=colour, label=f"{title}\nEa = {scalars['activation_energy_eV']:.2f} eV ({ends})")
    axis.fill_between(inverse, low, high, color=colour, alpha=0.2, linewidth=0)


def _diffusivity(result: Result) -> str:
    value = result.scalars.get("diffusivity_cm2_per_s")
    return ": D refused" if value is None else f": D = {value:.1e} cm²/s"


def _inverse(value: Any) -> Any:
    """Turn kelvins into thousandths of inverse ones, and back."""
    return 1000 / np.maximum(value, 1e-9)
