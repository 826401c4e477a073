"""Common cells of two planes: every pair of superlattices, and how much one is strained to fit the other."""

from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FAR_STRAIN = 0.3
"""No match more strained than this is looked for."""

_WIDER = 4.0  # how much larger than allowed a cell is looked for, to say by how much to relax the limit
_SMALL_A2 = 25.0


class Match(NamedTuple):
    """Integer rows that take two in-plane cells to a common one, and the largest strain of the film's."""

    film: NDArray[np.int64]
    substrate: NDArray[np.int64]
    area_A2: float
    strain: float


def best_matches(film: Floats, substrate: Floats, max_area_A2: float, max_strain: float) -> list[Match]:
    """
    Keep each match of two in-plane cells, rows of shape ``(2, 2)``, that no smaller one equals.

    Superlattices are paired as Zur and McGill did (J. Appl. Phys. 55, 378, 1984), but over every reduced
    basis and by principal strain, not by lengths and angle of one basis. The smallest comes first.
    """
    best: list[Match] = []
    matches = all_matches(film, substrate, max_area_A2, max_strain)
    for match in sorted(matches, key=lambda match: match.area_A2):
        if match.strain <= max_strain and (not best or match.strain < best[-1].strain - 1e-6):
            best.append(match)
    return best


def all_matches(film: Floats, substrate: Floats, max_area_A2: float, max_strain: float) -> list[Match]:
    """Give the least strained match of each pair of multiples whose areas are near enough."""
    areas = [abs(float(np.linalg.det(cell))) for cell in (film, substrate)]
    counts = [int(max_area_A2 * (1 + 1e-9) // area) for area in areas]
    matches = []
    for n_film, n_substrate in product(range(1, int(counts[0] * (1 + max_strain) ** 2) + 2), range(1, counts[1] + 1)):
        stretch = n_substrate * areas[1] / (n_film * areas[0])
        if (1 - max_strain) ** 2 - 1e-9 <= stretch <= (1 + max_strain) ** 2 + 1e-9:
            matches.append(_best_match(film, substrate, n_film, n_substrate))
    return matches


def smallest_area_A2(film: Floats, substrate: Floats, max_area_A2: float, max_strain: float) -> float | None:
    """Give the area of the smallest match up to four times the area allowed, None when there is none."""
    wider = max(max_area_A2, *(abs(float(np.linalg.det(cell))) for cell in (film, substrate)))
    while wider < _WIDER * max(max_area_A2, _SMALL_A2):
        wider *= 1.3
        areas = [match.area_A2 for match in all_matches(film, substrate, wider, max_strain) if match.strain <= max_strain]
        if areas:
            return min(areas)
    return None


def biot_strain(before: Floats, after: Floats) -> Floats:
    """
    Give the strain of an in-plane cell, shape ``(2, 2)``, in the frame of the strained one.

    It is the left stretch ``V - 1`` of ``F = V R``: its eigenvalues are the relative changes of length, and
    a rotation is no strain.
    """
    deformation = np.linalg.solve(before, after)
    values, vectors = np.linalg.eigh(deformation.T @ deformation)
    return np.asarray((vectors * np.sqrt(values)) @ vectors.T - np.eye(2))


def _best_match(film: Floats, substrate: Floats, n_film: int, n_substrate: int) -> Match:
    films = _reduced(_sublattices(n_film), film)
    substrates = _reduced(_sublattices(n_substrate), substrate)
    substrates = (_turns() @ substrates[:, None]).reshape(-1, 2, 2)
    inverse = np.linalg.inv(films @ film)
    deformation = inverse[:, None] @ (substrates @ substrate)
    strains = np.abs(_principal_stretches(deformation) - 1).max(axis=-1).round(9)
    one, other = np.unravel_index(int(strains.argmin()), strains.shape)
    area = n_substrate * abs(float(np.linalg.det(substrate)))
    return Match(films[one], substrates[other], area, float(strains[one, other]))


def _principal_stretches(deformation: Floats) -> Floats:
    """Give the two singular values of 2 x 2 matrices, shape ``(..., 2)``."""
    squared = (deformation**2).sum(axis=(-2, -1))
    product_ = np.abs(np.linalg.det(deformation))
    plus = np.sqrt(squared + 2 * product_)
    minus = np.sqrt(np.maximum(squared - 2 * product_, 0))
    return np.stack([(plus + minus) / 2, (plus - minus) / 2], axis=-1)


@lru_cache(maxsize=512)
def _sublattices(n: int) -> NDArray[np.int64]:
    """Give the Hermite normal forms of determinant n, every sublattice of a plane: ``(m, 2, 2)``."""
    forms = [((i, j), (0, n // i)) for i in range(1, n + 1) if n % i == 0 for j in range(n // i)]
    return np.array(forms, dtype=np.int64)


@lru_cache(maxsize=1)
def _turns() -> NDArray[np.int64]:
    """Give the ways to write a reduced cell with nearly as short vectors, right-handed, up to half a turn."""
    matrices = np.array(list(product((-1, 0, 1), repeat=4)), dtype=np.int64).reshape(-1, 2, 2)
    proper = matrices[np.linalg.det(matrices).round() == 1]
    return np.asarray(proper[[tuple(matrix.ravel()) > tuple(-matrix.ravel()) for matrix in proper]])


def _reduced(matrices: NDArray[np.int64], cell: Floats) -> NDArray[np.int64]:
    """Shorten the vectors of in-plane supercells by Lagrange's and Gauss's rule, handedness kept."""
    rows = matrices.copy()
    for _ in range(64):
        vectors = rows @ cell
        squares = (vectors**2).sum(axis=2)
        swap = squares[:, 0] > squares[:, 1] * (1 + 1e-9)
        rows[swap] = np.stack([-rows[swap, 1], rows[swap, 0]], axis=1)
        vectors = rows @ cell
        overlap = (vectors[:, 0] * vectors[:, 1]).sum(axis=1) / (vectors[:, 0] ** 2).sum(axis=1)
        steps = np.where(np.abs(overlap) > 0.5 + 1e-9, overlap.round(), 0).astype(np.int64)
        if not steps.any() and not swap.any():
            break
        rows[:, 1] -= steps[:, None] * rows[:, 0]
    return rows
