"""Transport from runs of molecular dynamics: how ions moved in one, and the Arrhenius line through several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ase.units import kB
from numpy.typing import NDArray

from ..dynamics.runs import equilibrated, mobile_ions, off_temperature, run_of, standard_error, temperatures_K
from ..dynamics.trajectory import Trajectory
from ..stores.result import Outcome, Result, Status
from .arrhenius import agreement, fit_arrhenius
from .diffusivity import Diffusivity, interval
from .lindemann import MELTED, lindemann
from .sites import density_counts, find_sites, follow
from .transport import convergence, displacements, nernst_einstein_mS_per_cm, placed, transport

Array = NDArray[np.float64]

ROOM_K = 300.0
"""Where the Arrhenius line is read off."""


def transport_of_run(
    parents: Mapping[str, Result], *, folders: Mapping[str, Path], mobile: str, equilibration_ps: float
) -> Outcome:
    """Analyse how ions moved in one run of molecular dynamics.

    Parameters
    ----------
    parents
        ``run``, the molecular dynamics.
    folders
        By the same role, where its trajectory is.
    mobile
        Symbol of the ions.
    equilibration_ps
        At least this much of the start is left out; more where the potential energy still falls.

    Returns
    -------
    Outcome
        ``temperature_K``, the mean over what is analysed, with ``temperature_error_K``: D and conductivity belong to it, not
        to ``asked_K``, because a short run of few atoms samples the energies that it happens to have.
        Median and ends of the 68 % interval (``_low``, ``_high``; ``_low95``, ``_high95`` for D) of
        ``diffusivity_cm2_per_s`` and, for ions in a host, ``charge_diffusivity_cm2_per_s``, ``haven_ratio``,
        ``nernst_einstein_mS_per_cm`` and ``conductivity_mS_per_cm``; none of them where the ions have not hopped.
        ``hops``, ``settled``, ``relative_error`` of D, ``framework_rmsd_A`` and ``lindemann``. Arrays: the mean squared
        displacement against lag, D against the length of the run (68 %, shape ``(n_lengths, 3)``), and draws of D.
        Unconverged where the run is too short or off its temperature, crashed where its trajectory is gone.
    """
    run = parents["run"]
    trajectory = _analysed(run, folders["run"], equilibration_ps)
    if isinstance(trajectory, Outcome):
        return trajectory
    kelvins = temperatures_K(trajectory)
    mean_K, error_K = float(kelvins.mean()), standard_error(kelvins)
    found = transport(trajectory, mobile, mean_K)
    ions = mobile_ions(trajectory.start.get_chemical_symbols(), mobile)
    moved = displacements(trajectory, ~ions)
    verdict = convergence(moved[:, ions], trajectory.frame_ps, mobile)
    order, solid = _framework(trajectory, moved, ~ions)
    scalars: dict[str, Any] = {
        "asked_K": run.scalars["asked_K"],
        "temperature_K": mean_K,
        "temperature_error_K": error_K,
        "analysed_ps": float(trajectory.times_ps[-1] - trajectory.times_ps[0]),
        "left_out_ps": float(trajectory.times_ps[0]),
        "n_mobile": int(ions.sum()),
        "volume_A3": run.scalars["volume_A3"],
        "hops": found.tracer.hops,
        **_ends("diffusivity", "_cm2_per_s", found.tracer.samples_cm2_per_s),
        **_ends95("diffusivity", "_cm2_per_s", found.tracer.samples_cm2_per_s),
        **_ends("charge_diffusivity", "_cm2_per_s", found.charge.samples_cm2_per_s if found.charge else np.empty(0)),
        **_ends("haven_ratio", "", found.haven_ratio),
        **_ends("nernst_einstein", "_mS_per_cm", found.nernst_einstein_mS_per_cm),
        **_ends("conductivity", "_mS_per_cm", found.conductivity_mS_per_cm),
        "settled": verdict.settled,
        **({"relative_error": verdict.relative_error} if found.tracer.known else {}),
        **order,
        "folder": run.scalars["folder"],
    }
    kept = trajectory.about.get("thermostat") != "none"
    off = off_temperature(mean_K, error_K, run.scalars["asked_K"], thermostat=kept)
    doubts = [run.message] if run.status is not Status.CONVERGED else [off] if off else []
    status = Status.CONVERGED if verdict.settled and not doubts else Status.UNCONVERGED
    sentences = list(dict.fromkeys([*found.messages, verdict.message, *solid, *doubts]))
    curves = _curves(found.tracer, verdict.lengths_ps, verdict.ends_cm2_per_s)
    return Outcome(status, "; ".join(sentences), scalars, {}, curves)


def sites_of_run(
    parents: Mapping[str, Result], *, folders: Mapping[str, Path], mobile: str, equilibration_ps: float
) -> Outcome:
    """Find where ions sat in one run of molecular dynamics, how often they jumped and how long they stayed.

    Takes the same parameters as `transport_of_run`.

    Returns
    -------
    Outcome
        ``sites``, ``sites_found`` (not in the start), ``jumps``, ``jumps_back_share``, ``jump_length_A``, ``residence_ps``
        with the ends of its 68 % interval, and ``jump_dimensions``. Arrays: ``sites_A`` and ``occupancy`` of each,
        ``jump_graph`` (see `transport.sites.Sites`), ``density_counts`` of the ions, shape ``(n_a, n_b, n_c)``, and
        the ``density_cell_A``. Structure ``initial``.
    """
    run = parents["run"]
    trajectory = _analysed(run, folders["run"], equilibration_ps)
    if isinstance(trajectory, Outcome):
        return trajectory
    ions = mobile_ions(trajectory.start.get_chemical_symbols(), mobile)
    fractional = placed(trajectory, ~ions)[:, ions]
    known = trajectory.start.get_scaled_positions()[ions]
    cell_A = trajectory.frames.cells_A.mean(axis=0)
    found = follow(fractional, find_sites(fractional, known, cell_A), len(known), cell_A, trajectory.frame_ps)
    scalars: dict[str, Any] = {
        "asked_K": run.scalars["asked_K"],
        "sites": len(found.fractional),
        "sites_found": found.n_found,
        "jumps": found.n_jumps,
        "jump_dimensions": found.dimensions,
    }
    if found.n_jumps:
        scalars |= {"jumps_back_share": found.n_back / found.n_jumps, "jump_length_A": found.length_A}
        scalars |= _ends("residence", "_ps", found.residence_ps)
    arrays = {
        "sites_A": found.fractional @ cell_A,
        "occupancy": found.occupancy,
        "jump_graph": found.graph,
        "density_counts": density_counts(fractional, cell_A),
        "density_cell_A": cell_A,
    }
    order, solid = _framework(trajectory, displacements(trajectory, ~ions), ~ions)
    firm = order.get("lindemann", 0.0) < MELTED
    sentences = [found.message, *([] if firm else [f"{solid[0]}: sites are doubtful"])]
    status = Status.CONVERGED if firm else Status.UNCONVERGED
    return Outcome(status, "; ".join(sentences), scalars, {"initial": trajectory.start}, arrays)


def arrhenius_of_runs(parents: Mapping[str, Result]) -> Outcome:
    """Fit an Arrhenius line through the diffusivities of runs at several temperatures, and read it off at `ROOM_K`.

    Each diffusivity belongs to the temperature that its run had, not to the one asked for. Runs without a diffusivity are
    left out and named: cold ones, in which ions have not hopped, so the rest looks a little faster than it is; and those
    that failed.

    Parameters
    ----------
    parents
        Transport of each run, in any roles; several at one temperature (seeds) count each.

    Returns
    -------
    Outcome
        Median and ends of the 68 % interval of ``activation_energy_eV``, ``diffusivity_300K_cm2_per_s`` and
        ``conductivity_300K_mS_per_cm`` (Nernst-Einstein: ions move independently); the points and the line as arrays.
        ``seeds_agree`` where a temperature has several runs, and a sentence for each such.
        Unconverged, with a sentence, where fewer than two temperatures have a diffusivity, or a run was too short or
        its framework not solid.
    """
    usable = {role: result for role, result in parents.items() if "diffusivity_cm2_per_s" in result.scalars}
    refused = [role for role in parents if role not in usable]
    left_out = [f"left out because they have no diffusivity: {', '.join(refused)}"] if refused else []
    asked_K = {result.scalars["asked_K"] for result in usable.values()}
    if len(asked_K) < 2:
        seeds, sentences = _seeds(list(usable.values()), 0.0)
        has = f"{len(asked_K)} temperature(s) have a diffusivity but a line needs at least 2"
        head = f"no activation energy: {has}: run longer or hotter"
        return Outcome(Status.UNCONVERGED, "; ".join([head, *left_out, *sentences]), seeds)
    kelvins = [float(result.scalars["temperature_K"]) for result in usable.values()]
    line = fit_arrhenius(kelvins, [result.arrays["diffusivity_samples_cm2_per_s"] for result in usable.values()])
    at_room = line.at(ROOM_K)
    seeds, of_seeds = _seeds(list(usable.values()), float(np.median(line.activation_eV)))
    sentences = [line.message, *left_out, *of_seeds]
    scalars = {
        "runs": len(usable),
        **_ends("activation_energy", "_eV", line.activation_eV),
        **_ends("diffusivity_300K", "_cm2_per_s", at_room),
        **_ends("conductivity_300K", "_mS_per_cm", _conductivities(list(usable.values()), at_room)),
        **seeds,
    }
    short = [role for role, result in usable.items() if not result.scalars["settled"]]
    melted = [role for role, result in usable.items() if not result.scalars.get("lindemann", 0.0) < MELTED]
    sentences += [f"{what}: {', '.join(roles)}" for what, roles in (("too short", short), ("not solid", melted)) if roles]
    status = Status.CONVERGED if line.straight and not short + melted else Status.UNCONVERGED
    grid_K = 1 / np.linspace(1 / ROOM_K, 1 / max(kelvins), 60)
    arrays = {
        "temperatures_K": np.array(kelvins),
        "diffusivities_cm2_per_s": np.array([_points(result) for result in usable.values()]),
        "line_temperatures_K": grid_K,
        "line_cm2_per_s": np.array([interval(line.at(kelvin)) for kelvin in grid_K]),
    }
    return Outcome(status, "; ".join(sentences), scalars, {}, arrays)


def _analysed(run: Result, folder: Path, equilibration_ps: float) -> Trajectory | Outcome:
    """Read a run's trajectory without its start and what follows its last step; or return why there is none."""
    if not run.status.usable:
        return Outcome(Status.FAILED, run.message)
    stored = run_of(run, folder)
    frames = stored.frames
    cut = equilibrated(frames.potential_eV)
    at_least = int(np.searchsorted(stored.times_ps, equilibration_ps - 1e-9))
    first = min(max(cut, at_least), len(frames) - 2)
    return replace(stored, frames=frames.since(int(frames.steps[first])))


def diffusivity_as_asked(result: Result, activation_eV: float) -> Array:
    """Move the draws of a run's D along an Arrhenius line, from the temperature it had to the one asked for.

    Otherwise runs that differ only in how hot they happened to be would seem to disagree.
    """
    asked_K, had_K = result.scalars["asked_K"], result.scalars["temperature_K"]
    moved: Array = np.exp(activation_eV / kB * (1 / had_K - 1 / asked_K))
    return result.arrays["diffusivity_samples_cm2_per_s"] * moved


def _seeds(results: list[Result], activation_eV: float) -> tuple[dict[str, bool], list[str]]:
    """Whether the runs of each temperature agree, and a sentence for each that has several; nothing where none has."""
    by_temperature: dict[float, list[Array]] = {}
    for result in results:
        by_temperature.setdefault(result.scalars["asked_K"], []).append(diffusivity_as_asked(result, activation_eV))
    found = {kelvin: agreement(draws) for kelvin, draws in by_temperature.items() if len(draws) > 1}
    otherwise = "the runs are too short for their intervals to be believed, run longer"
    runs = {kelvin: f"the {len(by_temperature[kelvin])} seeds at {kelvin:g} K" for kelvin in found}
    sentences = [one.sentence(runs[kelvin], otherwise) for kelvin, one in found.items()]
    return ({"seeds_agree": all(one.agree for one in found.values())} if found else {}), sentences


def _framework(trajectory: Trajectory, moved: Array, framework: NDArray[np.bool_]) -> tuple[dict[str, float], list[str]]:
    """Return how far the other atoms went, and whether they are a solid; nothing for fewer than two."""
    if framework.sum() < 2:
        return {}, []
    ratio, sentence = lindemann(trajectory, framework)
    squared = (moved[-1] ** 2).sum(axis=1)
    symbols = np.array(trajectory.start.get_chemical_symbols())
    went = {symbol: float(np.sqrt(squared[symbols == symbol].mean())) for symbol in sorted(set(symbols[framework]))}
    distances = ", ".join(f"{symbol} {far:.1f} Å" for symbol, far in went.items())
    said = f"{sentence}; root mean square distance from the start at the end: {distances}"
    return {"framework_rmsd_A": float(np.sqrt(squared[framework].mean())), "lindemann": ratio}, [said]


def _ends(name: str, unit: str, samples: Array) -> dict[str, float]:
    """Median and 68 % interval of draws as scalars; none where there are no draws."""
    if not len(samples):
        return {}
    low, middle, high = interval(samples)
    return {f"{name}{unit}": middle, f"{name}_low{unit}": low, f"{name}_high{unit}": high}


def _ends95(name: str, unit: str, samples: Array) -> dict[str, float]:
    if not len(samples):
        return {}
    low, _, high = interval(samples, 0.95)
    return {f"{name}_low95{unit}": low, f"{name}_high95{unit}": high}


def _curves(tracer: Diffusivity, lengths_ps: Array, ends_cm2_per_s: Array) -> dict[str, Array]:
    return {
        "lags_ps": tracer.lags_ps,
        "msd_A2": tracer.msd_A2,
        "msd_error_A2": tracer.error_A2,
        "lengths_ps": lengths_ps,
        "diffusivity_by_length_cm2_per_s": ends_cm2_per_s,
        "diffusivity_samples_cm2_per_s": tracer.samples_cm2_per_s,
    }


def _points(result: Result) -> list[float]:
    return [result.scalars[f"diffusivity{end}_cm2_per_s"] for end in ("_low", "", "_high")]


def _conductivities(results: list[Result], diffusivities_cm2_per_s: Array) -> Array:
    """Nernst-Einstein conductivity at `ROOM_K` and the mean density of the runs; none for a metal without a host."""
    if not all("nernst_einstein_mS_per_cm" in result.scalars for result in results):
        return np.empty(0)
    volume_A3 = float(np.mean([result.scalars["volume_A3"] for result in results]))
    n_mobile = results[0].scalars["n_mobile"]
    return diffusivities_cm2_per_s * nernst_einstein_mS_per_cm(1.0, n_mobile, volume_A3, ROOM_K)
