"""The trajectory of a run that has ended: which part of it counts, and how hot that was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase.units import kB
from numpy.typing import NDArray

from ...structures.symmetry.fixed import fixed_atoms
from ..stores.result import Result
from ..stores.store import Problem, Store
from .integrators import degrees_of_freedom
from .trajectory import Trajectory, read

Array = NDArray[np.float64]

BLOCKS, FEWEST_FRAMES = 5, 10
"""Blocks from which the error of a mean is computed, and the fewest frames for which it is."""
STUDENT_t = 2.776
"""This many standard errors of five blocks contain the mean 95 times in 100 (four degrees of freedom)."""
OFF = 0.02
"""A run is off when its temperature differs from what was asked for by more than its error and by more than this."""


def run_of(run: Result, folder: Path) -> Trajectory:
    """Read a run up to the steps that were asked for.

    Raises
    ------
    ValueError
        The trajectory is gone, damaged or shorter than its run, so that the step is tried again once it is back.
    """
    mend = "put it back, or let `philic check --mend` forget the run, so that it is computed again"
    try:
        stored = read(folder)
    except ValueError as error:
        raise ValueError(f"{error}; {mend}") from error
    if stored.frames.steps[-1] < run.scalars["steps"]:
        raise ValueError(f"the trajectory in `{folder}` is shorter than its run; {mend}")
    return replace(stored, frames=stored.frames.until(run.scalars["steps"]))


def damaged(store: Store) -> Iterator[Problem]:
    """Yield the runs whose trajectory, where there is one, is not what was written."""
    for run in store.results("md") if store.work else ():
        if run.status.usable and (folder := store.folder(Path(run.scalars["folder"]).name)).is_dir():
            try:
                run_of(run, folder)
            except ValueError as error:
                yield Problem(f"{run.title}: {error}", "results", run.key)


def mobile_ions(symbols: list[str], mobile: str) -> NDArray[np.bool_]:
    """Return which atoms are mobile, shape ``(n_atoms,)``.

    Raises
    ------
    ValueError
        There are none.

    Examples
    --------
    >>> mobile_ions(["K", "S", "K"], "K").tolist()
    [True, False, True]
    """
    if mobile not in symbols:
        known = ", ".join(sorted(set(symbols)))
        raise ValueError(f"`mobile` is {mobile!r} but the structure holds {known}: choose one of these")
    is_mobile: NDArray[np.bool_] = np.array(symbols) == mobile
    return is_mobile


def temperatures_K(trajectory: Trajectory) -> Array:
    """Return the instantaneous temperature of each frame, shape ``(n_frames,)``."""
    freedom = degrees_of_freedom(fixed_atoms(trajectory.start))
    kelvins: Array = 2 * trajectory.frames.kinetic_eV / (freedom * kB)
    return kelvins


def standard_error(series: Array) -> float | None:
    """Return the standard error of the mean from the means of five blocks; None for a series of fewer than ten values.

    Blocks longer than the memory of the series make it right for frames that are correlated (H. Flyvbjerg and
    H. G. Petersen, J. Chem. Phys. 91, 461 (1989)).

    Examples
    --------
    >>> round(standard_error(np.repeat([1.0, 2.0, 3.0, 4.0, 5.0], 2)), 3), standard_error(np.ones(9))
    (0.707, None)
    """
    if len(series) < FEWEST_FRAMES:
        return None
    means = [block.mean() for block in np.array_split(series, BLOCKS)]
    return float(np.std(means, ddof=1) / np.sqrt(BLOCKS))


def off_temperature(mean_K: float, error_K: float | None, asked_K: float, *, thermostat: bool = True) -> str:
    """Say that a run was hotter or colder than asked for, or too short to tell; nothing where neither is so.

    Examples
    --------
    >>> off_temperature(760.0, 10.0, 800.0)
    'it ran at 760 ± 10 K, 5 % colder than the 800 K asked for: run longer'
    >>> off_temperature(778.0, 1.0, 800.0)
    'it ran at 778 ± 1 K, 3 % colder than the 800 K asked for: run longer'
    >>> off_temperature(790.0, 1.0, 800.0), off_temperature(760.0, 20.0, 800.0)
    ('', '')
    """
    if error_K is None:
        return f"fewer than {FEWEST_FRAMES} frames are left, too few to judge its temperature: run longer"
    if abs(mean_K - asked_K) <= max(STUDENT_t * error_K, OFF * asked_K):
        return ""
    word, mend = "hotter" if mean_K > asked_K else "colder", "run longer" + ("" if thermostat else ", or take a thermostat")
    off = f"{100 * abs(mean_K / asked_K - 1):.0f} % {word} than the {asked_K:g} K asked for"
    return f"it ran at {mean_K:.0f} ± {error_K:.0f} K, {off}: {mend}"


def equilibrated(series: NDArray[np.float64]) -> int:
    """Return the entry from which a series fluctuates about a mean.

    Leaves out the start without which the standard error of the mean is least (MSER: K. P. White, Simulation 69, 323
    (1997)), at most half of the series.

    Examples
    --------
    >>> equilibrated(np.array([9.0, 5.0, 2.0, 1.0, 1.1, 0.9, 1.0, 1.1, 0.9, 1.0]))
    3
    """
    n = np.arange(len(series), 0, -1)
    centred = (series - series.mean())[::-1]
    mean, square = np.cumsum(centred)[::-1] / n, np.cumsum(centred**2)[::-1] / n
    return int(np.argmin(((square - mean**2) / n)[: max(1, len(series) // 2)]))
