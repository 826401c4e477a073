"""What a metal does on a host at a temperature: does it wet, or ball up?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...structures.measures.wetting import Deposit, contact_angle_deg, deposit, layers, surface_area_A2
from ...structures.sites.adatoms import image_distance_A
from ...structures.sites.islands import area_A2, half_ball
from ..dynamics.runs import FEWEST_FRAMES, equilibrated, run_of
from ..dynamics.trajectory import Trajectory
from ..stores.result import Outcome, Result, Status
from .adsorption import adsorption_from

Array = NDArray[np.float64]

WETS, ISLANDS = 0.75, 0.4
"""Spread above which a metal wets, and below which it stands in islands; between them it is undecided. The spread is 1 where
as many atoms touch the host as can, and 0 where as few do as in half a ball of the same number."""
ROOM = 0.25
"""A layer and half a ball must differ by at least this share of the atoms, or a single atom would decide."""
STEADY = 0.2
"""The spreads of the two halves of the analysed part must differ by at most this."""
FLAT = 0.9
"""Of the atoms that can touch: where more do, the metal lies flat and has no contact angle."""
FRAMES = 60
BIN_A = 0.25
LAYER = 0.05
"""A layer counts from this share of the metal's atoms."""


def wetting(
    parents: Mapping[str, Result], *, folders: Mapping[str, Path], metal: str, n_metal: int, equilibration_ps: float
) -> Outcome:
    """Judge from the later part of a run whether a metal wets its host.

    Parameters
    ----------
    parents
        ``run``, the molecular dynamics; ``relaxed``, the relaxation of its end; ``host`` and ``bulk``, those of the clean
        host and the bulk metal; ``gate``, the gate of the potential for the metal.
    folders
        By the same roles, where the run's trajectory is.
    metal, n_metal
        The metal, and how many atoms of it; they are the last of the structure.
    equilibration_ps
        At least this much of the start is left out; more where the potential energy still falls, at most half of the run.

    Returns
    -------
    Outcome
        ``verdict`` (wets, islands, undecided) and the ``spread`` it is made by; where the potential is not fit, what the
        gate calls it is in the verdict's place. ``touching``, the share of the metal's atoms that touch the host;
        ``coverage``; mean ``clusters`` and ``largest``; ``layers``; ``height_A``; ``left``, how many left the host: they
        count in none of those but clusters. ``contact_angle_deg`` of the largest cluster where it is large enough;
        ``vs_bulk_eV`` per metal atom, once relaxed, where none left. Arrays: the share of each layer, the distribution of
        heights, and the share that touches against time. Unconverged where nothing is decided, or a run or relaxation is.
    """
    run, relaxed = parents["run"], parents["relaxed"]
    if not run.status.usable:
        return Outcome(Status.FAILED, run.message)
    stored = run_of(run, folders["run"])
    frames = _frames(stored, equilibration_ps)
    seen = [_without_away(deposit(stored.atoms(frame), metal, n_metal)) for frame in frames]
    left = int(np.median([one.away.sum() for one in seen]))
    touching = np.array([one.touching.sum() / max(1, len(one.touching)) for one in seen])
    last, n_on = stored.atoms(frames[-1]), max(1, n_metal - left)
    most = min(1.0, surface_area_A2(last) / area_A2(metal) / n_on)
    verdict, spread, said = _verdict(touching, _least(metal, n_on), most)
    worth = parents["gate"].scalars.get("verdict", "not judged")
    angle_deg, why = _angle(seen, metal, image_distance_A(last), touching.mean() > FLAT * most)
    shares = _shares(seen, metal)
    scalars: dict[str, Any] = {
        "verdict": verdict if worth == "fit" else worth,
        "spread": spread,
        "touching": float(touching.mean()),
        "coverage": float(np.mean([one.coverage for one in seen])),
        "clusters": float(np.mean([len(one.sizes) for one in seen])),
        "largest": float(np.mean([one.sizes[0] for one in seen])),
        "layers": int((shares >= LAYER).sum()),
        "height_A": float(np.concatenate([one.heights_A for one in seen]).mean()) if left < n_metal else None,
        "left": left,
        "contact_angle_deg": angle_deg,
        "vs_bulk_eV": None if left else _vs_bulk_eV(parents, n_metal),
        "temperature_K": run.scalars["temperature_K"],
        "analysed_ps": float(stored.times_ps[frames[-1]] - stored.times_ps[frames[0]]),
        "n_metal": n_metal,
    }
    head = verdict if worth == "fit" else f"no verdict, because the potential is {worth} for {metal}"
    late = [result for result in (run, relaxed, parents["host"]) if result.status is not Status.CONVERGED]
    sentences = [f"{head}: {said}", *_lost(seen, left), *([why] if why else [])]
    sentences += [f"{result.title}: {result.message}" for result in late]
    arrays = {
        "layer_shares": shares,
        **_profile(seen),
        "times_ps": stored.times_ps[frames],
        "touching": touching,
    }
    status = Status.UNCONVERGED if verdict == "undecided" or late else Status.CONVERGED
    return Outcome(status, "; ".join(sentences), scalars, {"final": last}, arrays)


def _without_away(one: Deposit) -> Deposit:
    """Leave out the heights of atoms that left: a metal that evaporates does not ball up."""
    return replace(one, touching=one.touching[~one.away], heights_A=one.heights_A[~one.away])


def _frames(stored: Trajectory, equilibration_ps: float) -> NDArray[np.int64]:
    """Choose frames of the later part of the run."""
    at_least = int(np.searchsorted(stored.times_ps, equilibration_ps - 1e-9))
    first = max(equilibrated(stored.frames.potential_eV), at_least)
    return np.unique(np.linspace(first, len(stored.frames) - 1, FRAMES).astype(int))


def _least(metal: str, n_metal: int) -> float:
    """Give the share of atoms on the flat side of half a ball."""
    return float((half_ball(metal, n_metal).positions[:, 2] < 0.1).mean())


def _verdict(touching: Array, least: float, most: float) -> tuple[str, float | None, str]:
    """Decide from the share that touches the host, between that of half a ball and the most there is room for."""
    if len(touching) < FEWEST_FRAMES:
        return "undecided", None, f"{len(touching)} frames are left but at least {FEWEST_FRAMES} are needed: run longer"
    if not most - least >= ROOM:
        why = f"half a ball of so few atoms has {least:.0%} on its flat side, and a layer {most:.0%}: put on more atoms"
        return "undecided", None, why
    spreads = np.minimum(1.0, (touching - least) / (most - least))
    spread = float(spreads.mean())
    halves = [float(half.mean()) for half in np.array_split(spreads, 2)]
    said = f"{touching.mean():.0%} of the metal's atoms touch the host (half a ball {least:.0%}, flat {most:.0%})"
    if not abs(halves[1] - halves[0]) <= STEADY:
        return "undecided", spread, f"{said}, which is still changing: run longer"
    verdict = "wets" if spread >= WETS else "islands" if spread <= ISLANDS else "undecided"
    return verdict, spread, said


def _angle(seen: Sequence[Deposit], metal: str, image_A: float, flat: bool) -> tuple[float | None, str]:
    """Give the contact angle of the largest cluster, or say why it has none."""
    n = round(float(np.mean([one.sizes[0] for one in seen])))
    if flat:
        return None, "no contact angle: the metal lies flat"
    heights = [one.centre_A for one in seen if np.isfinite(one.centre_A)]
    angle_deg = contact_angle_deg(metal, n, float(np.mean(heights)), image_A) if heights else None
    if angle_deg is None:
        return None, f"no contact angle: the largest cluster, of {n} atoms, is too small, too flat or too wide for one"
    return angle_deg, ""


def _shares(seen: Sequence[Deposit], metal: str) -> Array:
    found = [layers(one.heights_A, one.touching, metal) for one in seen]
    shares = np.zeros(max(map(len, found)))
    for one in found:
        shares[: len(one)] += one / len(found)
    return shares


def _profile(seen: Sequence[Deposit]) -> dict[str, Array]:
    """Count the metal's atoms at each height, per ångström and frame."""
    heights = np.concatenate([one.heights_A for one in seen])
    low, high = np.floor(heights.min(initial=0)), np.ceil(heights.max(initial=0)) + BIN_A
    counts, edges = np.histogram(heights, np.arange(low, high + BIN_A / 2, BIN_A))
    return {"heights_A": (edges[1:] + edges[:-1]) / 2, "atoms_per_A": counts / len(seen) / BIN_A}


def _lost(seen: Sequence[Deposit], left: int) -> list[str]:
    """Say how many atoms went into the host, or left it."""
    inside = int(np.median([(one.touching & (one.heights_A < 0)).sum() for one in seen]))
    sunk = [f"{inside} of them are in the host, or on its other face"] if inside else []
    return [*sunk, f"{left} of them left the host, so there is no energy against the bulk metal"] if left else sunk


def _vs_bulk_eV(parents: Mapping[str, Result], n_metal: int) -> float | None:
    relaxed, host, bulk = (parents[role] for role in ("relaxed", "host", "bulk"))
    if not all(result.status.usable for result in (relaxed, host, bulk)):
        return None
    return adsorption_from(relaxed, host, bulk, n_metal)
