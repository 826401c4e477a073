"""One jump of a metal, judged: its barriers, what they can be trusted for, and why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.geometry import find_mic

from ...structures.crystals.supercells import shortest_vector_A
from ...structures.sites.adatoms import image_distance_A
from ..neb.neb import CLOSED_eV
from ..steps.vibrations import vineyard_THz
from ..stores.result import CHECK, Outcome, Result, Status, check_one_potential
from .cell_size import ENERGIES, extrapolated, size_error_eV, strain_of

REARRANGED_A = 1.0
"""An end point in which an atom moves farther than this in the relaxation is another end point."""
AGREE_eV = 0.1
"""Two potentials agree on a barrier when they are nearer than this."""
NEAR_IMAGE_A = 8.0
"""A defect nearer to its own image than this feels it."""
SIZE_eV = 0.05
"""A barrier whose error by the size of its cell may be larger is doubtful."""
TAKEN = ("path_length_A", "clearance_A", "collision", "n_images", "n_parts", "mirror", "climbing", "n_atoms")
"""What a band says that goes into the verdict as it is."""


def migration(parents: Mapping[str, Result], *, step_A: Sequence[float]) -> Outcome:
    """Judge the barriers of one jump.

    Parameters
    ----------
    parents
        ``band``, the relaxations ``start_site`` and ``end_site`` of its end points, and, where a second potential is
        asked, the same of it: ``check_band``, ``check_start_site`` and ``check_end_site``; where the barrier is
        extrapolated, the same in a larger cell: ``larger_band``, ``larger_start_site`` and ``larger_end_site``; where
        attempt frequencies are asked, ``start_modes``, ``saddle_modes`` and ``end_modes``; ``crystal``, the relaxation of
        the cell, where the host is one.
    step_A
        How the atom that moves farthest goes in the host as built, shape ``(3,)``.

    Returns
    -------
    Outcome
        The energies of the band (`philic.workflows.analyses.cell_size.ENERGIES`), extrapolated to an infinite cell where
        there is a larger one; the rest is that of the larger cell: what the band says (`TAKEN`) and its arrays.
        ``size_error_eV``, of a crystal: see `philic.workflows.analyses.cell_size.size_error_eV`. ``length_A`` of the jump in
        the relaxed crystal; ``start_moved_A`` and ``end_moved_A`` (how far any atom of an end point moved as it relaxed),
        ``image_distance_A`` (how far the defect is from its own image), ``potential``, and of a second potential
        ``check_forward_eV`` and ``spread_eV``, in the same cell, from the vibrations ``n_imaginary`` at the saddle,
        ``attempt_frequency_THz`` and ``attempt_frequency_reverse_THz``;
        ``trust``: ``agreed`` by two potentials, ``plain`` (of one, with nothing to say against it), or ``doubtful``, and
        the ``doubts`` in words.
    """
    band, other, unsized = _by_size(parents)
    if not band.status.usable:
        return Outcome(Status.FAILED, band.message)
    check_one_potential({role: result for role, result in parents.items() if not role.startswith(CHECK)})
    scalars: dict[str, Any] = {name: band.scalars[name] for name in (*ENERGIES, *TAKEN)}
    arrays = dict(band.arrays)
    limit, arrays["part_barriers_eV"] = extrapolated(other, band) if other else (None, band.arrays["part_barriers_eV"])
    scalars |= limit or {}
    if "crystal" in parents:
        scalars["size_error_eV"] = size_error_eV(band, limit)
    sites = {role: parents[f"{'' if band is parents['band'] else 'larger_'}{role}_site"] for role in ("start", "end")}
    scalars |= {f"{role}_moved_A": _moved_A(site) for role, site in sites.items()}
    scalars |= {
        "length_A": float(np.linalg.norm(step_A @ strain_of(parents))),
        "image_distance_A": _image_distance_A(band.structures["final"], "crystal" in parents),
        "potential": band.provenance["fingerprint"]["name"],
    }
    scalars |= _checked(parents["band"], parents.get("check_band"))
    modes, doubts_of_modes = _modes(parents)
    scalars |= modes
    doubts = [*_doubts(band, scalars), *unsized, *_doubts_of_check(parents, scalars), *doubts_of_modes]
    agreed = "check_forward_eV" in scalars
    scalars |= {"trust": "doubtful" if doubts else "agreed" if agreed else "plain", "doubts": "; ".join(doubts)}
    return Outcome(band.status, band.message, scalars, {"final": band.structures["final"]}, arrays)


def _by_size(parents: Mapping[str, Result]) -> tuple[Result, Result | None, list[str]]:
    """Give the band of the largest cell that is sound, the one to extrapolate with, and why there is none of these."""
    small, large = parents["band"], parents.get("larger_band")
    if large is None:
        return small, None, []
    sound = [band for band in (large, small) if band.status is Status.CONVERGED]
    if len(sound) < 2:
        lost = small if sound == [large] else large
        which = "smaller" if lost is small else "larger"
        return (sound or [small])[0], None, [f"the barrier is that of one cell: in the {which} one, {lost.message}"]
    parts = [band.scalars["n_parts"] for band in (small, large)]
    unlike = f"the path has {parts[0]} parts in the smaller cell and {parts[1]} in the larger one"
    return large, small, [unlike] if parts[0] != parts[1] else []


def _image_distance_A(atoms: Atoms, in_crystal: bool) -> float:
    """How far a defect is from its image: along any lattice vector of a crystal, or within a surface."""
    return shortest_vector_A(atoms) if in_crystal else image_distance_A(atoms)


def _moved_A(relaxation: Result) -> float:
    """How far any atom went in a relaxation."""
    before, after = relaxation.structures["initial"], relaxation.structures["final"]
    displacements = find_mic(after.positions - before.positions, after.cell, after.pbc)[0]
    displacements = displacements if after.constraints else displacements - displacements.mean(axis=0)
    return float(np.linalg.norm(displacements, axis=1).max())


def _modes(parents: Mapping[str, Result]) -> tuple[dict[str, Any], list[str]]:
    """What the vibrations say: imaginary modes at the saddle, the attempt frequencies forward and back, and doubts."""
    vibrations = {role: parents[f"{role}_modes"] for role in ("start", "saddle", "end") if f"{role}_modes" in parents}
    lost = dict.fromkeys(result.message for result in vibrations.values() if not result.status.usable)
    if not vibrations or lost:
        return {}, [f"no attempt frequency: {message}" for message in lost]
    start, saddle, end = (vibrations[role].arrays["frequencies_THz"] for role in ("start", "saddle", "end"))
    scalars: dict[str, Any] = {"n_imaginary": vibrations["saddle"].scalars["n_imaginary"]}
    try:
        scalars["attempt_frequency_THz"] = vineyard_THz(start, saddle)
        return scalars | {"attempt_frequency_reverse_THz": vineyard_THz(end, saddle)}, []
    except ValueError as error:
        which = " of the reverse" if "attempt_frequency_THz" in scalars else ""
        return scalars, [f"no attempt frequency{which}: {error}"]


def _checked(band: Result, check: Result | None) -> dict[str, Any]:
    """The barriers of a second potential for the same band."""
    if check is None:
        return {}
    theirs = {"check_potential": check.provenance["fingerprint"]["name"]}
    if not (check.status.usable and band.status.usable):
        return theirs
    other_eV = check.scalars["barrier_forward_eV"]
    return {**theirs, "check_forward_eV": other_eV, "spread_eV": abs(other_eV - band.scalars["barrier_forward_eV"])}


def _doubts(band: Result, scalars: Mapping[str, Any]) -> list[str]:
    """List the caveats of a barrier."""
    doubts = {
        band.message: band.status is not Status.CONVERGED,
        **{
            f"the {role} rearranged: an atom moved {scalars[f'{role}_moved_A']:.1f} Å in the relaxation": (
                scalars[f"{role}_moved_A"] > REARRANGED_A
            )
            for role in ("start", "end")
        },
        f"the defect is {scalars['image_distance_A']:.1f} Å from its image: enlarge the cell": (
            scalars["image_distance_A"] < NEAR_IMAGE_A
        ),
        f"forward minus reverse misses the end points' difference by {1e3 * scalars['closure_eV']:.0f} meV": (
            abs(scalars["closure_eV"]) > CLOSED_eV
        ),
        f"the path dips below its start; the climb from there is {scalars['climb_forward_eV']:.3f} eV": (
            scalars["climb_forward_eV"] > scalars["barrier_forward_eV"] + CLOSED_eV
        ),
        "no saddle between the end points: one of them is the highest point": not scalars["climbing"],
        f"the size of the cell may change the barrier by {scalars.get('size_error_eV', 0.0):.2f} eV: enlarge it": (
            scalars.get("size_error_eV", 0.0) > SIZE_eV
        ),
    }
    return [sentence for sentence, so in doubts.items() if so]


def _doubts_of_check(parents: Mapping[str, Result], scalars: Mapping[str, Any]) -> list[str]:
    """List what a second potential disagrees with, and its own caveats."""
    check = parents.get("check_band")
    if check is None:
        return []
    theirs = scalars["check_potential"]
    if "spread_eV" not in scalars:
        return [f"{theirs} gave no barrier"]
    doubts = [] if check.status is Status.CONVERGED else [f"the band of {theirs} is not converged"]
    for role in ("start", "end"):
        moved_A = _moved_A(parents[f"check_{role}_site"])
        if moved_A > REARRANGED_A:
            doubts.append(f"with {theirs} the {role} rearranged: an atom moved {moved_A:.1f} Å in the relaxation")
    if scalars["spread_eV"] > AGREE_eV:
        doubts.append(f"{theirs} gives {scalars['check_forward_eV']:.3f} eV, a difference of {scalars['spread_eV']:.2f} eV")
    return doubts
