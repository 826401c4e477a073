"""How far each number of a ranking is to be trusted, and which hosts it can tell apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import hypot

AGREED_eV = 0.15
"""Doubts up to this: hosts a few tenths of an eV apart can be told apart."""
UNCERTAIN_eV = 0.5
"""Doubts above this: as large as most differences between hosts."""


@dataclass(frozen=True)
class Judged:
    """What speaks against one host's energy.

    Attributes
    ----------
    doubt_eV
        How far off it may be; None where nothing is known.
    flag
        ``agreed``, ``uncertain``, ``do not trust``; empty where nothing is known.
    reason
        Why, in words.
    """

    doubt_eV: float | None
    flag: str
    reason: str


NOTHING_KNOWN = Judged(None, "", "")


def judge(raw_eV: float, others_eV: Mapping[str, float], reference_eV: float | None, typical_eV: float | None) -> Judged:
    """Judge one host's energy.

    A reference for this very host decides. Else the doubt is the larger of the spread between potentials and the error that
    the potential has on the average of hosts with references: potentials trained on alike data agree with each other where
    all of them are wrong, so agreement alone proves nothing.

    Parameters
    ----------
    raw_eV
        Adsorption energy, relative to pristine carbon where there is a pristine form.
    others_eV
        The same by other potentials.
    reference_eV
        The same by density functional theory, None where it is unknown.
    typical_eV
        Mean absolute error of the potential on hosts with references.
    """
    if reference_eV is not None:
        doubt = abs(raw_eV - reference_eV)
        return Judged(doubt, _flag(doubt), f"DFT gives {reference_eV:+.2f} eV")
    reasons = {}
    if others_eV:
        values = [raw_eV, *others_eV.values()]
        farthest = max(others_eV, key=lambda name: abs(others_eV[name] - raw_eV))
        reasons[f"{farthest} gives {others_eV[farthest]:+.2f} eV"] = max(values) - min(values)
    if typical_eV is not None:
        reasons[f"mean error of {typical_eV:.2f} eV where DFT is known"] = typical_eV
    if not reasons:
        return NOTHING_KNOWN
    reason = max(reasons, key=lambda words: reasons[words])
    return Judged(reasons[reason], _flag(reasons[reason]), reason)


def _flag(doubt_eV: float) -> str:
    return "agreed" if doubt_eV <= AGREED_eV else "uncertain" if doubt_eV <= UNCERTAIN_eV else "do not trust"


def classes(energies_eV: Sequence[float], doubts_eV: Sequence[float | None]) -> list[int]:
    """Number the classes of hosts, which are sorted by energy: the place of each class's first host, 1, 1, 3, ….

    A new class begins where a host differs from the first of the class by more than the two doubts together, in quadrature.
    Where nothing is known of doubts each host is a class of its own.

    Parameters
    ----------
    energies_eV
        In ascending order.
    doubts_eV
        How far off each may be.

    Examples
    --------
    >>> classes([-1.0, -0.9, -0.2, 0.0], [0.1, 0.1, 0.1, 0.1])
    [1, 1, 3, 4]
    """
    places: list[int] = []
    first = 0
    for place, (energy, doubt) in enumerate(zip(energies_eV, doubts_eV, strict=True)):
        if place and energy - energies_eV[first] > hypot(doubt or 0.0, doubts_eV[first] or 0.0):
            first = place
        places.append(first + 1)
    assert all(a <= b for a, b in pairwise(places))
    return places
