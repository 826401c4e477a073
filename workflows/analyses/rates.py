"""How often a barrier is crossed: rates and Arrhenius laws."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase.units import kB

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


def arrhenius_law(
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
    >>> energy_eV, prefactor = arrhenius_law([300, 600], [1e-12, 1e-8])
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
