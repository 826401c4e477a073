"""Whether the framework of a trajectory is a solid or a melt."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...structures.crystals.supercells import shortest_vector_A
from ..dynamics.trajectory import Trajectory
from .transport import displacements

Array = NDArray[np.float64]

MELTED = 0.15
"""Lindemann ratio above which a framework is not solid: 0.1 to 0.15 at the melting point of most crystals."""


def lindemann(trajectory: Trajectory, chosen: NDArray[np.bool_]) -> tuple[float, str]:
    """Judge whether some atoms form a solid.

    For each element, the root mean square displacement from the mean place over the distance to the nearest atom of the same
    element (F. A. Lindemann, Phys. Z. 11, 609 (1910)). They are a solid while one element stays in its places: in a crystal
    of groups, SbS4 or PS4, the middles do while the outer atoms turn.

    Parameters
    ----------
    trajectory
        Equilibrated.
    chosen
        Which atoms (a framework), shape ``(n_atoms,)``; at least two.

    Returns
    -------
        The least ratio, and a sentence.
    """
    moved = displacements(trajectory, chosen)
    squared = ((moved - moved.mean(axis=0)) ** 2).sum(axis=-1).mean(axis=0)
    symbols = np.where(chosen, trajectory.start.get_chemical_symbols(), "")
    ratios = {}
    for symbol in sorted({*symbols[chosen]}):
        distances = trajectory.start[symbols == symbol].get_all_distances(mic=True)
        np.fill_diagonal(distances, shortest_vector_A(trajectory.start))
        ratios[symbol] = float(np.sqrt(squared[symbols == symbol].mean()) / distances.min(axis=1).mean())
    least = float(np.min([*ratios.values()]))
    loose = [symbol for symbol, ratio in ratios.items() if not ratio < MELTED]
    state = "not solid" if not least < MELTED else f"solid, but {', '.join(loose)} turn or move" if loose else "solid"
    of_each = ", ".join(f"{symbol} {ratio:.2f}" for symbol, ratio in ratios.items())
    return least, f"the framework is {state} (Lindemann ratio {of_each}; crystals melt near {MELTED:g})"
