"""One jump of a metal, judged: its barriers, what they can be trusted for, and why not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase.geometry import find_mic

from ..neb.neb import CLOSED_eV
from ..steps.vibrations import vineyard_THz
from ..stores.one_potential import CHECK, check_one_potential
from ..stores.result import Outcome, Result, Status

REARRANGED_A = 1.0
"""An end point in which an atom went farther than this as it relaxed is another end point."""
AGREE_eV = 0.1
"""Two potentials agree on a barrier when they are nearer than this."""
NEAR_IMAGE_A = 8.0
"""A defect nearer to its own image than this feels it."""
TAKEN = (
    "barrier_forward_eV",
    "barrier_reverse_eV",
    "reaction_energy_eV",
    "closure_eV",
    "climb_forward_eV",
    "climb_reverse_eV",
    "path_length_A",
    "clearance_A",
    "collision",
    "n_images",
    "n_parts",
    "mirror",
)
"""What a band says that goes into the verdict as it is."""


def migration(parents: Mapping[str, Result], *, image_distance_A: float) -> Outcome:
    """Judge the barriers of one jump.

    Parameters
    ----------
    parents
        ``band``, the relaxations ``start_site`` and ``end_site`` of its end points, and, where a second potential is
        asked, the same of it: ``check_band``, ``check_start_site`` and ``check_end_site``; where attempt frequencies are
        asked, ``start_modes``, ``saddle_modes`` and ``end_modes``.
    image_distance_A
        How far the defect is from its own image.

    Returns
    -------
    Outcome
        What the band says (`TAKEN`), ``start_moved_A`` and ``end_moved_A`` (how far any atom of an end point went as it
        relaxed), ``image_distance_A``, ``potential``, and of a second potential ``check_forward_eV`` and ``spread_eV``,
        from the vibrations ``n_imaginary`` at the saddle, ``attempt_frequency_THz`` and
        ``attempt_frequency_reverse_THz``;
        ``trust``: ``agreed`` by two potentials, ``plain`` (of one, with nothing to say against it), or ``doubtful``, and
        the ``doubts`` in words.
    """
    band = parents["band"]
    if not band.status.usable:
        return Outcome(Status.FAILED, band.message)
    check_one_potential({role: result for role, result in parents.items() if not role.startswith(CHECK)})
    scalars: dict[str, Any] = {name: band.scalars[name] for name in TAKEN}
    moved = {f"{role}_moved_A": _moved_A(parents[f"{role}_site"]) for role in ("start", "end")}
    scalars |= {**moved, "image_distance_A": image_distance_A, "potential": band.provenance["fingerprint"]["name"]}
    scalars |= _checked(scalars["barrier_forward_eV"], parents.get("check_band"))
    modes, doubts_of_modes = _modes(parents)
    scalars |= modes
    doubts = [*_doubts(band, scalars), *_doubts_of_check(parents, scalars), *doubts_of_modes]
    agreed = "check_forward_eV" in scalars
    scalars |= {"trust": "doubtful" if doubts else "agreed" if agreed else "plain", "doubts": "; ".join(doubts)}
    return Outcome(band.status, band.message, scalars, {"final": band.structures["final"]}, band.arrays)


def _moved_A(relaxation: Result) -> float:
    """How far any atom went in a relaxation."""
    before, after = relaxation.structures["initial"], relaxation.structures["final"]
    ways = find_mic(after.positions - before.positions, after.cell, after.pbc)[0]
    ways = ways if after.constraints else ways - ways.mean(axis=0)
    return float(np.linalg.norm(ways, axis=1).max())


def _modes(parents: Mapping[str, Result]) -> tuple[dict[str, Any], list[str]]:
    """What the vibrations say: imaginary modes at the saddle, the attempt frequencies of both ways, and doubts."""
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


def _checked(forward_eV: float, check: Result | None) -> dict[str, Any]:
    """What a second potential says."""
    if check is None:
        return {}
    theirs = {"check_potential": check.provenance["fingerprint"]["name"]}
    if not check.status.usable:
        return theirs
    other_eV = check.scalars["barrier_forward_eV"]
    return {**theirs, "check_forward_eV": other_eV, "spread_eV": abs(other_eV - forward_eV)}


def _doubts(band: Result, scalars: Mapping[str, Any]) -> list[str]:
    """Say what speaks against a barrier."""
    said = {
        band.message: band.status is not Status.CONVERGED,
        **{
            f"the {role} rearranged: an atom went {scalars[f'{role}_moved_A']:.1f} Å as it relaxed": (
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
        f"the path dips below its start, and from there {scalars['climb_forward_eV']:.3f} eV have to be climbed": (
            scalars["climb_forward_eV"] > scalars["barrier_forward_eV"] + CLOSED_eV
        ),
        "no saddle between: the highest point is an end": not band.scalars["climbing"],
    }
    return [sentence for sentence, so in said.items() if so]


def _doubts_of_check(parents: Mapping[str, Result], scalars: Mapping[str, Any]) -> list[str]:
    """Say what a second potential speaks against, and what speaks against it."""
    check = parents.get("check_band")
    if check is None:
        return []
    theirs = scalars["check_potential"]
    if not check.status.usable:
        return [f"{theirs} gave no barrier"]
    doubts = [] if check.status is Status.CONVERGED else [f"the band of {theirs} is not converged"]
    for role in ("start", "end"):
        moved_A = _moved_A(parents[f"check_{role}_site"])
        if moved_A > REARRANGED_A:
            doubts.append(f"with {theirs} the {role} rearranged: an atom went {moved_A:.1f} Å as it relaxed")
    if scalars["spread_eV"] > AGREE_eV:
        doubts.append(f"{theirs} says {scalars['check_forward_eV']:.3f} eV, {scalars['spread_eV']:.2f} eV away")
    return doubts
