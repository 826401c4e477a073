"""Whether the framework of a trajectory is a solid or a melt."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .trajectory import Trajectory
from .transport import displacements

Array = NDArray[np.float64]

MELTED = 0.15
"""Lindemann ratio above which a framework is not solid: 0.1 to 0.15 at the melting point of most crystals."""


def lindemann(trajectory: Trajectory, chosen: NDArray[np.bool_]) -> tuple[float, str]:
    """Tell whether some atoms form a solid.

    The root mean square displacement from the mean place over the distance to the nearest neighbour among them
    (F. A. Lindemann, Phys. Z. 11, 609 (1910)).

    Parameters
    ----------
    trajectory
        Equilibrated.
    chosen
        Which atoms (a framework), shape ``(n_atoms,)``; at least two.

    Returns
    -------
        The ratio, and a sentence.
    """
    moved = displacements(trajectory, chosen)[:, chosen]
    amplitude_A = float(np.sqrt(((moved - moved.mean(axis=0)) ** 2).sum(axis=-1).mean()))
    distances = trajectory.start[chosen].get_all_distances(mic=True)
    np.fill_diagonal(distances, np.inf)
    ratio = amplitude_A / float(distances.min(axis=1).mean())
    state = "solid" if ratio < MELTED else "not solid: it melted, or groups of it turn"
    return ratio, f"the framework is {state} (Lindemann ratio {ratio:.2f}, melting is near {MELTED:g})"
