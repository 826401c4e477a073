"""What the periodic cell does to a defect: barriers extrapolated to an infinite cell, lengths in a relaxed one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..stores.result import Result

ENERGIES = (
    "barrier_forward_eV",
    "barrier_reverse_eV",
    "reaction_energy_eV",
    "closure_eV",
    "climb_forward_eV",
    "climb_reverse_eV",
)
"""The scalars of a band that depend on the cell's size."""
LARGEST_eV_A3 = 120.0
"""The largest error of a barrier times the volume of its cell, among vacancies in halides of Li, Na and K with CHGNet (KF):
`docs/migration-barriers.md`."""


def at_infinity(small: ArrayLike, large: ArrayLike, growth: float) -> NDArray[np.float64]:
    """Extrapolate energies of a neutral defect in two cells of one shape to an infinite cell.

    Images of a defect interact through the strain they cause, with an energy that falls with the cube of their distance:
    the error of a cell is inversely proportional to its volume (C. Varvenne, F. Bruneval, M.-C. Marinica and E. Clouet,
    Phys. Rev. B 88, 134102, 2013).

    Parameters
    ----------
    small, large
        Energies in the two cells.
    growth
        The volume of the large cell over that of the small one.

    Examples
    --------
    >>> float(at_infinity(1.0 + 0.8 / 8, 1.0 + 0.8 / 27, 27 / 8).round(9))
    1.0
    """
    return np.asarray((growth * np.asarray(large) - np.asarray(small)) / (growth - 1.0))


def extrapolated(small: Result, large: Result) -> tuple[dict[str, float], NDArray[np.float64]]:
    """Extrapolate the energies of a band (`ENERGIES`), and the barriers of its parts, to an infinite cell.

    A saddle does not fall below either of its ends. Where the path has another number of minima in the two cells, its parts
    are those of the larger cell, unchanged.
    """
    growth = large.structures["final"].get_volume() / small.structures["final"].get_volume()
    energies = {name: float(at_infinity(small.scalars[name], large.scalars[name], growth)) for name in ENERGIES}
    whole = np.array([energies["barrier_forward_eV"], energies["barrier_reverse_eV"]])
    energies["barrier_forward_eV"], energies["barrier_reverse_eV"] = _above_ends(whole).tolist()
    fewer, more = (result.arrays["part_barriers_eV"] for result in (small, large))
    return energies, _above_ends(at_infinity(fewer, more, growth)) if len(fewer) == len(more) else more


def size_error_eV(band: Result, limit: Mapping[str, float] | None) -> float:
    """Estimate the error that the size of the cell leaves in a barrier.

    Parameters
    ----------
    band
        In the larger cell, or in the only one.
    limit
        Its energies extrapolated to an infinite cell: the error is about as large as the step from the larger cell to that.
        None for a barrier in one cell: the error is up to `LARGEST_eV_A3` over the cell's volume.
    """
    if limit is None:
        return LARGEST_eV_A3 / float(band.structures["final"].get_volume())
    return max(abs(limit[name] - float(band.scalars[name])) for name in ("barrier_forward_eV", "barrier_reverse_eV"))


def _above_ends(barriers_eV: NDArray[np.float64]) -> NDArray[np.float64]:
    """Raise saddles that are below an end to it: forward and reverse barriers, shape ``(..., 2)``."""
    return np.asarray(barriers_eV - np.minimum(barriers_eV.min(axis=-1, keepdims=True), 0.0))


def strain_of(parents: Mapping[str, Result]) -> NDArray[np.float64]:
    """Give the matrix that takes vectors of the crystal as built to those of the relaxed one, shape ``(3, 3)``.

    Unity where no ``crystal`` was relaxed.
    """
    crystal = parents.get("crystal")
    if crystal is None or "final" not in crystal.structures:
        return np.eye(3)
    built, relaxed = (crystal.structures[name].cell.array for name in ("initial", "final"))
    return np.linalg.solve(built, relaxed)
