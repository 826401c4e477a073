"""Pictures of molecular dynamics: how far ions went and where they were, whether it was long enough, the Arrhenius line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...workflows.stores.result import Result
from ..parts.structure_files import check_new
from ..parts.styles import COLOURS, SIZE_IN, panels, save


def draw_transport(results: Sequence[Result], path: Path) -> None:
    """Draw each run: mean squared displacement, and D against the length of the run.

    The runs of a host share a row, if size, length and potential are the same.
    Bands are the standard error of the line that was fitted, bars 68 % intervals; a run without a diffusivity has neither.

    Parameters
    ----------
    results
        Results of `transport` steps.
    path
        The picture to write; its ending sets the format.

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
            growing.set(xticks=[], yticks=[])
            growing.text(0.5, 0.5, "no diffusivity yet: the table says why", transform=growing.transAxes, ha="center")
    save(figure, path, dpi=160)


def draw_arrhenius(results: Sequence[Result], path: Path) -> None:
    """Draw the diffusivities of each host against inverse temperature, and the line through them with its 68 % band.

    Takes results of `arrhenius` steps and a path, as `draw_transport` does.
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
    save(figure, path, dpi=160)


def draw_density(results: Sequence[Result], path: Path) -> None:
    """Draw where the ions of each run were: their density averaged along each cell vector.

    Rings are sites of the start, crosses sites that were found besides, dots the other atoms of the start. Takes results of
    `sites` steps, and else what `draw_transport` takes.
    """
    hosts = _by_host(results, "density_counts")
    check_new(path)
    members = [(title, result) for title, some in hosts.items() for result in some]
    figure, rows = panels(len(members), 3, *SIZE_IN)
    figure.set_layout_engine("compressed")
    for (title, result), axes in zip(members, rows, strict=True):
        flat = [_averaged(result, along) for along in range(3)]
        top = max(values.max() for values in flat)
        for along, (axis, values) in enumerate(zip(axes, flat, strict=True)):
            mesh = _map(axis, result, along, values, top)
        key = "○ site of the start   × found in the run"
        axes[0].set_title(f"{title}, {result.about['site']}\n{key}", fontsize=9, loc="left")
        figure.colorbar(mesh, ax=list(axes), label=f"{result.about['metal']} per Å³", pad=0.01)
        elements, _ = axes[-1].get_legend_handles_labels()  # none in a pure metal
        axes[-1].legend(handles=elements, fontsize=8, ncols=4, frameon=False, loc="lower right", bbox_to_anchor=(1, 1))
    save(figure, path, dpi=160, bbox_inches="tight")


def _averaged(result: Result, along: int) -> Any:
    """Density of ions averaged along a cell vector, per Å³, shape of the other two."""
    counts = result.arrays["density_counts"]
    volume_A3 = abs(np.linalg.det(result.arrays["density_cell_A"]))
    n_ions = sum(symbol == result.about["metal"] for symbol in result.structures["initial"].symbols)
    return counts.mean(axis=along) * counts.size / counts.sum() * n_ions / volume_A3


def _map(axis: Any, result: Result, along: int, values: Any, top: float) -> Any:
    """Paint a density in the plane of two cell vectors, the first to the right; sites and other atoms over it."""
    cell, start = result.arrays["density_cell_A"], result.structures["initial"]
    right, up = (vector for vector in range(3) if vector != along)
    lengths = np.linalg.norm(cell, axis=1)
    cosine = cell[right] @ cell[up] / lengths[right] / lengths[up]
    plane = np.array([[lengths[right], 0], [lengths[up] * cosine, lengths[up] * np.sqrt(1 - cosine**2)]])
    corners = np.stack(np.meshgrid(*[np.linspace(0, 1, n + 1) for n in values.shape], indexing="ij"), axis=-1) @ plane
    mesh = axis.pcolormesh(corners[..., 0], corners[..., 1], values, cmap="viridis", vmin=0, vmax=top)
    inverse, n_start = np.linalg.inv(cell), result.scalars["sites"] - result.scalars["sites_found"]
    sites = (result.arrays["sites_A"] @ inverse % 1.0)[:, [right, up]] @ plane
    axis.plot(*sites[:n_start].T, "o", mfc="none", mec="white", ms=6, mew=0.8)
    axis.plot(*sites[n_start:].T, "x", color="white", ms=5, mew=0.9)
    others = start[[symbol != result.about["metal"] for symbol in start.symbols]]
    for symbol, colour in zip(dict.fromkeys(others.symbols), COLOURS[3:], strict=False):
        spots = others[[other == symbol for other in others.symbols]].get_scaled_positions()[:, [right, up]] @ plane
        axis.plot(*spots.T, ".", color=colour, ms=5, label=symbol)
    axis.set(aspect="equal", xlabel=f"{'abc'[right]} (Å)", ylabel=f"{'abc'[up]} (Å), averaged along {'abc'[along]}")
    return mesh


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
