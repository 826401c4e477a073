"""Which structures are worth a label: those that differ, and those that a model is unsure of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

CUTOFF_A, SPACING_A, WIDTH_A = 6.0, 0.25, 0.25


def descriptors(structures: Sequence[Atoms]) -> NDArray[np.float64]:
    """Describe structures by the distances from each element to each other, smoothed, shape ``(n, n_pairs * n_distances)``.

    The mean is taken over the atoms of the first element, so that one metal atom counts as much as the sheet it lies on;
    a mean over all atoms would hardly see it, nor would features of a network that are averaged so.
    """
    elements = sorted({element for atoms in structures for element in atoms.symbols})
    grid = np.arange(SPACING_A, CUTOFF_A, SPACING_A)
    return np.array([_described(atoms, elements, grid) for atoms in structures])


def _described(atoms: Atoms, elements: Sequence[str], grid: NDArray[np.float64]) -> NDArray[np.float64]:
    first, second, distance_A = neighbor_list("ijd", atoms, CUTOFF_A)
    symbols = np.array(atoms.get_chemical_symbols())
    weight = (1 + np.cos(np.pi * distance_A / CUTOFF_A)) / 2 / distance_A**2
    smooth = weight[:, None] * np.exp(-(((grid - distance_A[:, None]) / WIDTH_A) ** 2) / 2)
    parts = [
        smooth[(symbols[first] == one) & (symbols[second] == other)].sum(axis=0) / max(1, int((symbols == one).sum()))
        for one in elements
        for other in elements
    ]
    return np.concatenate(parts)


def choose(features: NDArray[np.float64], n: int, uncertainty: NDArray[np.float64] | None = None) -> list[int]:
    """Choose `n` structures by farthest points: each is as far as can be from those chosen before it.

    Parameters
    ----------
    features
        Of every structure, shape ``(n_structures, n_features)``.
    n
        How many; all where there are fewer.
    uncertainty
        Of a model, by structure: only the more uncertain half is chosen from, as long as it has `n`, and the most
        uncertain comes first.
    """
    pool = np.arange(len(features))
    if uncertainty is not None:
        pool = np.argsort(-uncertainty, kind="stable")[: max(n, (len(features) + 1) // 2)]
    chosen = [int(pool[0])] if len(pool) else []
    distance = np.full(len(pool), np.inf)
    while len(chosen) < min(n, len(pool)):
        distance = np.minimum(distance, np.linalg.norm(features[pool] - features[chosen[-1]], axis=1))
        distance[np.isin(pool, chosen)] = -1.0
        chosen.append(int(pool[int(distance.argmax())]))
    return chosen
