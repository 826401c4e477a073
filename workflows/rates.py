"""How often a barrier is crossed: attempt frequencies, rates and Arrhenius laws."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase.units import kB, second

_HZ_PER_THZ = 1e12


def rate_per_s(barrier_eV: float, attempt_frequency_THz: float, temperature_K: float) -> float:
    """Rate of crossing a barrier by harmonic transition state theory, ``nu exp(-E / kT)``.

    Source: G. H. Vineyard, J. Phys. Chem. Solids 3, 121 (1957).

    Raises
    ------
    ValueError
        If frequency or temperature is not above 0.

    Examples
    --------
    >>> f"{rate_per_s(0.5, 10.0, 300.0):.3g}"
    '3.98e+04'
    """
    for name, value in (("attempt_frequency_THz", attempt_frequency_THz), ("temperature_K", temperature_K)):
        if not value > 0:
            raise ValueError(f"`{name}` is {value} but must be above 0")
    return float(_HZ_PER_THZ * attempt_frequency_THz * np.exp(-barrier_eV / (kB * temperature_K)))


def moving_atom_THz(hessian_eV_per_A2: np.ndarray, mass_u: float) -> np.ndarray:
    """Frequencies of one atom that moves while all others stand still, the lowest first.

    With those at the minimum and at the saddle `vineyard_THz` gives the attempt frequency of the moving atom; the rest of
    the crystal is taken to vibrate alike at both.

    Parameters
    ----------
    hessian_eV_per_A2
        Second derivatives of the energy by the atom's position, shape ``(3, 3)``.
    mass_u
        The atom's mass.

    Returns
    -------
    numpy.ndarray
        Shape ``(3,)``, in THz; an imaginary frequency is given as a negative number.
    """
    squared = np.linalg.eigvalsh((hessian_eV_per_A2 + hessian_eV_per_A2.T) / 2) / mass_u
    frequencies: np.ndarray = np.sign(squared) * np.sqrt(abs(squared)) / (2 * np.pi) * second / _HZ_PER_THZ
    return frequencies


def vineyard_THz(minimum_THz: Sequence[float] | np.ndarray, saddle_THz: Sequence[float] | np.ndarray) -> float:
    """Attempt frequency: the product of the frequencies at the minimum over that of the real ones at the saddle.

    Source: G. H. Vineyard, J. Phys. Chem. Solids 3, 121 (1957).

    Parameters
    ----------
    minimum_THz, saddle_THz
        Frequencies of the same modes, translations left out, an imaginary one as a negative number.

    Raises
    ------
    ValueError
        If the numbers of modes differ, the minimum has a mode that is not above 0, or the saddle has not exactly one below
        0 and all others above.

    Examples
    --------
    >>> round(vineyard_THz([4.0, 5.0, 6.0], [-3.0, 4.0, 10.0]), 6)
    3.0
    """
    minimum, saddle = np.asarray(minimum_THz), np.asarray(saddle_THz)
    if len(minimum) != len(saddle):
        raise ValueError(f"`saddle_THz` has {len(saddle)} modes but must have the {len(minimum)} of the minimum")
    if minimum.min() <= 0:
        raise ValueError(
            f"`minimum_THz` has {minimum.min():g} but must be above 0 throughout: relax further, leave out translations"
        )
    real = saddle[saddle > 0]
    if np.count_nonzero(saddle < 0) != 1 or len(real) != len(saddle) - 1:
        raise ValueError(
            f"`saddle_THz` has {np.count_nonzero(saddle < 0)} imaginary of {len(saddle)} modes but must have 1 and no zero:"
            " converge the saddle further, leave out translations"
        )
    return float(np.exp(np.log(minimum).sum() - np.log(real).sum()))


def arrhenius(
    temperatures_K: Sequence[float] | np.ndarray, diffusivities_cm2_per_s: Sequence[float] | np.ndarray
) -> tuple[float, float]:
    """Fit ``D = D0 exp(-E / kT)`` to diffusivities.

    Returns
    -------
    tuple of float
        Activation energy in eV and prefactor in cm²/s.

    Raises
    ------
    ValueError
        If there are fewer than two temperatures, or a diffusivity is not above 0.

    Examples
    --------
    >>> energy_eV, prefactor = arrhenius([300, 600], [1e-12, 1e-8])
    >>> round(energy_eV, 3), round(prefactor, 6)
    (0.476, 0.0001)
    """
    if len(set(temperatures_K)) < 2:
        raise ValueError(f"`temperatures_K` is {list(temperatures_K)} but an Arrhenius law needs at least 2 temperatures")
    if not np.min(diffusivities_cm2_per_s) > 0:
        raise ValueError(
            f"`diffusivities_cm2_per_s` has {np.min(diffusivities_cm2_per_s)} but an Arrhenius law needs all above 0:"
            " raise the temperatures"
        )
    slope, intercept = np.polyfit(1 / (kB * np.asarray(temperatures_K)), np.log(diffusivities_cm2_per_s), 1)
    return float(-slope), float(np.exp(intercept))
