"""The outcome of a melt and quench: a glass or a crystal, its neighbours, its energy above the crystal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray

from ...structures.measures.bragg import sharpest_peak
from ...structures.measures.rdf import Pair, RadialDistribution, first_shell, radial_distribution
from ..dynamics.runs import equilibrated, run_of
from ..dynamics.trajectory import Trajectory
from ..stores.result import Outcome, Result, Status, check_one_potential
from ..transport.transport import displacements

Array = NDArray[np.float64]

AMORPHOUS, CRYSTALLINE = 0.4, 0.7
"""The sharpest Bragg peak over the crystal's: below the first it is a glass, above the second it has crystallised."""
COLD = 1.2
"""It has cooled when its temperature at the end is below this many times the one asked for."""
REACH_A = 8.0
FRAMES = 50
"""Frames, spread over the time at the end temperature, that distances are averaged over."""


def glass(parents: Mapping[str, Result], *, folders: Mapping[str, Path]) -> Outcome:
    """Judge the end of a melt and quench.

    Parameters
    ----------
    parents
        ``crystal`` and ``relaxed``, relaxations with the cell; ``melt``, ``quench.0`` … and ``hold``, the runs before.
    folders
        By the same roles, where the trajectories are.

    Returns
    -------
    Outcome
        ``state`` (amorphous, partly ordered, crystalline), by the ``order``: the sharpest Bragg peak over the crystal's;
        whether it ``melted``: the atoms of the slowest element (``melt_slowest``) went farther than the mean spacing of
        atoms; ``density_g_cm3``, ``energy_vs_crystal_eV`` per atom; for each pair, peak and neighbours of the first shell at
        the end temperature (``peak_Li_O_A``, ``neighbours_Li_O``), and those of the crystal, its neighbours counted at least
        as far as the glass's (``crystal_peak_Li_O_A`` …).
        Arrays: g of each pair, and mean energy per atom of each stage. Unconverged, with a sentence, where it did not melt,
        is not amorphous, or a relaxation was given up.
    """
    for result in parents.values():
        if not result.status.usable:
            return Outcome(Status.FAILED, f"{result.title}: {result.message}")
    crystal, relaxed = parents["crystal"], parents["relaxed"]
    check_one_potential({"crystal": crystal, "glass": relaxed})
    reference, final = crystal.structures["final"], relaxed.structures["final"]
    melt, hold = (run_of(parents[role], folders[role]) for role in ("melt", "hold"))
    peak, sharp = sharpest_peak(final), sharpest_peak(reference)
    state = _state(peak / sharp)
    slowest, went_A, spacing_A = _slowest(melt)
    melted = went_A > spacing_A
    around, before = (radial_distribution(frames, reach_A=REACH_A) for frames in (_spread(hold), [reference]))
    scalars: dict[str, Any] = {
        "state": state,
        "melted": melted,
        "energy_vs_crystal_eV": _per_atom(relaxed) - _per_atom(crystal),
        "density_g_cm3": _density_g_cm3(final),
        "crystal_density_g_cm3": _density_g_cm3(reference),
        "order": peak / sharp,
        "crystal_order": sharp,
        "melt_slowest": slowest,
        "melt_moved_A": went_A,
        "melt_K": parents["melt"].scalars["temperature_K"],
        "hold_K": parents["hold"].scalars["temperature_K"],
        "n_atoms": len(final),
        **_shells(around, before),
    }
    sentences = [
        _say_melted(melted, slowest, went_A, spacing_A, parents["melt"].scalars["time_ps"]),
        f"it is {state}: its sharpest Bragg peak has {peak / sharp:.2f} of the crystal's height (below {AMORPHOUS:g} is "
        f"amorphous, above {CRYSTALLINE:g} crystalline)",
    ]
    hot = _not_cold(parents["hold"])
    late = [result for result in (crystal, relaxed) if result.status is not Status.CONVERGED]
    sentences += [*hot, *(f"{result.title}: {result.message}" for result in late)]
    good = melted and state == "amorphous" and not hot and not late
    arrays = {"distances_A": next(iter(around.values())).distances_A, **_curves(around), **_stages(parents)}
    status = Status.CONVERGED if good else Status.UNCONVERGED
    return Outcome(status, "; ".join(sentences), scalars, {"final": final}, arrays)


def _state(order: float) -> str:
    return "amorphous" if order < AMORPHOUS else "crystalline" if order > CRYSTALLINE else "partly ordered"


def _slowest(melt: Trajectory) -> tuple[str, float, float]:
    """Give the element that moved least in the melt, how far (root mean square), and the mean spacing of atoms."""
    symbols = np.array(melt.start.get_chemical_symbols())
    moved = displacements(melt, np.zeros(len(symbols), dtype=bool))
    squared = (moved[-1] ** 2).sum(axis=1)
    went = {symbol: float(np.sqrt(squared[symbols == symbol].mean())) for symbol in sorted(set(symbols))}
    slowest = min(went, key=lambda symbol: went[symbol])
    return slowest, went[slowest], float((melt.start.get_volume() / len(symbols)) ** (1 / 3))


def _say_melted(melted: bool, slowest: str, went_A: float, spacing_A: float, time_ps: float) -> str:
    far = f"in {time_ps:.3g} ps {slowest}, the slowest, went {went_A:.1f} Å, {'more' if melted else 'less'} than the "
    word = "it melted" if melted else "it did not melt, or too briefly to forget its start"
    return f"{word}: {far}{spacing_A:.1f} Å between atoms" + ("" if melted else ": melt hotter or longer")


def _not_cold(hold: Result) -> list[str]:
    """Say that a glass has not cooled, or was held too briefly to judge."""
    held_K, error_K, asked_K = (hold.scalars[name] for name in ("temperature_K", "temperature_error_K", "asked_K"))
    if error_K is None:
        return ["it was held for too few frames to judge its temperature: hold longer"]
    return (
        []
        if held_K < COLD * asked_K
        else [f"it was still at {held_K:.0f} K, not at the {asked_K:g} K asked for: hold longer"]
    )


def _spread(trajectory: Trajectory) -> Sequence[Atoms]:
    """Choose frames after equilibration."""
    first, last = equilibrated(trajectory.frames.potential_eV), len(trajectory.frames) - 1
    return [trajectory.atoms(int(frame)) for frame in np.unique(np.linspace(first, last, FRAMES).astype(int))]


def _shells(glass: Mapping[Pair, RadialDistribution], crystal: Mapping[Pair, RadialDistribution]) -> dict[str, float]:
    """Give each pair's first shell, and the crystal's at least as far: at rest, one shell may be split in several."""
    scalars: dict[str, float] = {}
    for pair, distribution in glass.items():
        name, shell, other = "_".join(pair), first_shell(distribution), first_shell(crystal[pair])
        if shell:
            scalars |= {f"peak_{name}_A": shell.peak_A, f"neighbours_{name}": shell.neighbours}
        if other:
            end_A = max(other.end_A, shell.end_A if shell else 0.0)
            scalars |= {f"crystal_peak_{name}_A": other.peak_A, f"crystal_neighbours_{name}": crystal[pair].within(end_A)}
    return scalars


def _curves(around: Mapping[tuple[str, str], RadialDistribution]) -> dict[str, Array]:
    return {f"g_{first}_{second}": found.g for (first, second), found in around.items() if first <= second}


def _stages(parents: Mapping[str, Result]) -> dict[str, Array]:
    """Mean temperature and energy of every run on the way, in the order in which they were run."""
    runs = [result for role, result in parents.items() if role in ("melt", "hold") or role.startswith("quench.")]
    runs.sort(key=lambda run: -run.scalars["asked_K"])
    return {
        "stage_temperatures_K": np.array([run.scalars["temperature_K"] for run in runs]),
        "stage_energies_eV_per_atom": np.array([run.scalars["potential_eV"] / run.scalars["n_atoms"] for run in runs]),
        "crystal_energy_eV_per_atom": np.array([_per_atom(parents["crystal"])]),
    }


def _per_atom(result: Result) -> float:
    return float(result.scalars["energy_eV"]) / len(result.structures["final"])


def _density_g_cm3(atoms: Atoms) -> float:
    return float(atoms.get_masses().sum() / atoms.get_volume() / units.mol * 1e24)
