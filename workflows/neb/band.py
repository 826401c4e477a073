"""The forces on a band of images, and the energy along it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SPRING_eV_PER_A2 = 1.0
"""Keeps images apart along the band; it does not change where the band lies."""


def tangents(path_A: Floats, energies_eV: Floats) -> Floats:
    """Give the direction of the band at each image: towards the neighbour that is higher.

    The improved tangent of G. Henkelman and H. Jónsson, J. Chem. Phys. 113, 9978 (2000), equations 8 to 11. The ends' point
    to their neighbour.

    Parameters
    ----------
    path_A
        Positions of the images, (n_images, n_atoms, 3).
    energies_eV
        Their energies, (n_images,).

    Returns
    -------
        Directions of length one, (n_images, n_atoms, 3).
    """
    steps = np.diff(path_A, axis=0)
    rises = np.diff(energies_eV)
    directions = np.concatenate([steps[:1], steps])
    for i in range(1, len(path_A) - 1):
        behind, ahead = rises[i - 1], rises[i]
        if behind * ahead > 0:
            directions[i] = steps[i] if ahead > 0 else steps[i - 1]
        else:
            small, large = sorted((abs(behind), abs(ahead)))
            upward = energies_eV[i + 1] > energies_eV[i - 1]
            weights = (large, small) if upward else (small, large)
            directions[i] = weights[0] * steps[i] + weights[1] * steps[i - 1] if large else steps[i] + steps[i - 1]
    lengths = np.linalg.norm(directions, axis=(1, 2), keepdims=True)
    return np.asarray(directions / lengths)


def along(forces_eV_per_A: Floats, directions: Floats) -> Floats:
    """Give each image's force along the band, (n_images,)."""
    return np.asarray((forces_eV_per_A * directions).sum(axis=(1, 2)))


def projected(forces_eV_per_A: Floats, directions: Floats, climbing: int | None) -> Floats:
    """Give the forces that vanish on a converged band, (n_images, n_atoms, 3).

    Across the band for each image; the climbing one's is turned round along the band (G. Henkelman, B. P. Uberuaga and
    H. Jónsson, J. Chem. Phys. 113, 9901 (2000), equation 5).
    """
    times = np.ones(len(directions))
    if climbing is not None:
        times[climbing] = 2.0
    return np.asarray(forces_eV_per_A - (times * along(forces_eV_per_A, directions))[:, None, None] * directions)


def springs(path_A: Floats, directions: Floats, climbing: int | None) -> Floats:
    """Give the forces along the band that space its images evenly, (n_images, n_atoms, 3); none on a climbing image."""
    gaps = np.linalg.norm(np.diff(path_A, axis=0), axis=(1, 2))
    pull = np.zeros(len(path_A))
    pull[1:-1] = SPRING_eV_PER_A2 * np.diff(gaps)
    if climbing is not None:
        pull[climbing] = 0.0
    return np.asarray(pull[:, None, None] * directions)


def profile(
    path_A: Floats, energies_eV: Floats, tangent_forces_eV_per_A: Floats, points: int = 201
) -> tuple[Floats, Floats]:
    """Draw the energy along a band: a cubic through each image with the slope that its force gives.

    Parameters
    ----------
    path_A
        How far along the band each image is, (n_images,).
    energies_eV, tangent_forces_eV_per_A
        Of each image, (n_images,).
    points
        Number of points, evenly from start to end.

    Returns
    -------
        Lengths in Å and energies in eV, (points,) each.

    Examples
    --------
    >>> lengths, energies = profile([0, 1, 2], [0, 1, 0], [0, 0, 0], points=5)
    >>> energies.tolist()
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    from scipy.interpolate import CubicHermiteSpline  # type: ignore[import-untyped]

    lengths = np.linspace(path_A[0], path_A[-1], points)
    return lengths, CubicHermiteSpline(path_A, energies_eV, -np.asarray(tangent_forces_eV_per_A))(lengths)
