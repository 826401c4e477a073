"""The trajectory of a run that has ended, for what is analysed after it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from .result import Result
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
