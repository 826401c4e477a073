"""The trajectory of a run that has ended, for what is analysed after it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..stores.result import Result
from .trajectory import Trajectory, read


def run_of(run: Result, folder: Path) -> Trajectory:
    """Read a run as far as it was asked for.

    Raises
    ------
    ValueError
        The trajectory is gone or shorter than its run, so that the step is tried again once it is back.
    """
    stored = read(folder)
    if stored.frames.steps[-1] < run.scalars["steps"]:
        raise ValueError(f"the trajectory in `{folder}` is shorter than its run: put it back, or run with another seed")
    return replace(stored, frames=stored.frames.until(run.scalars["steps"]))


def mobile_ions(symbols: list[str], mobile: str) -> NDArray[np.bool_]:
    """Return which atoms are the mobile ones, shape ``(n_atoms,)``.

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


def equilibrated(series: NDArray[np.float64]) -> int:
    """Return from which entry on a series fluctuates about a mean.

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
