"""Activation energy and extrapolation from diffusivities at several temperatures, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.units import kB
from numpy.typing import NDArray

from .diffusivity import STRAIGHT, chi_squared_tail, interval

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Arrhenius:
    """The line ``ln D = ln D0 - Ea / (kB T)``.

    Attributes
    ----------
    activation_eV, log_prefactor
        Draws from the posterior, shape ``(n_samples,)`` each; a pair belongs together.
    straight
        Whether the points lie on one line within their errors; two always do.
    message
        The result as a sentence.
    """

    activation_eV: Array
    log_prefactor: Array
    straight: bool
    message: str

    def at(self, temperature_K: float) -> Array:
        """Return draws of D at a temperature, in the unit of what was fitted."""
        value: Array = np.exp(self.log_prefactor - self.activation_eV / (kB * temperature_K))
        return value


@dataclass(frozen=True)
class Agreement:
    """Whether several runs agree.

    Attributes
    ----------
    agree
        Whether values this far apart occur at least once in 20 times (`STRAIGHT`) with intervals this wide.
    spread, allowed
        Standard deviation of the medians, and root mean square of half the 68 % intervals, both of ln D.
    """

    agree: bool
    spread: float
    allowed: float

    def sentence(self, what: str, otherwise: str) -> str:
        """Return the sentence about something, with its consequence where the runs do not agree."""
        word = "agree" if self.agree else "do not agree"
        end = "" if self.agree else f": {otherwise}"
        return f"{what} {word}: their D spread by {self.spread:.0%} and the intervals allow {self.allowed:.0%}{end}"


def agreement(samples: Sequence[Array]) -> Agreement:
    """Compare draws of one diffusivity from two or more runs (other seeds, other cells) with their intervals.

    Examples
    --------
    >>> draws = np.exp(np.random.default_rng(0).normal(0, 0.1, 4000))
    >>> agreement([draws, 1.1 * draws]).agree, agreement([draws, 2 * draws]).agree
    (True, False)
    """
    low, middle, high = np.log([interval(draws) for draws in samples]).T
    errors = (high - low) / 2
    off = (middle - np.average(middle, weights=errors**-2)) / errors
    agree = chi_squared_tail(float(off @ off), len(off) - 1) >= STRAIGHT
    return Agreement(agree, float(middle.std(ddof=1)), float(np.sqrt((errors**2).mean())))


def fit_arrhenius(temperatures_K: Sequence[float], samples: Sequence[Array]) -> Arrhenius:
    """Fit an Arrhenius line to draws of D at each temperature.

    Each draw takes one D from every temperature and fits a line weighted with the spread of ``ln D`` there, so the intervals
    carry the uncertainty of the runs. Points further from the line than their errors allow widen it by as much.

    Parameters
    ----------
    temperatures_K
        Those that the runs had, shape ``(n,)``.
    samples
        Draws of D (or of a conductivity) at each, as many at every temperature; one may come more than once (seeds).

    Raises
    ------
    ValueError
        There are not two different temperatures, one is not finite, or one has no samples (a refused diffusivity) or
        samples that are not positive numbers.
    """
    for temperature, draws in zip(temperatures_K, samples, strict=True):
        if not 0 < temperature < np.inf:
            raise ValueError(f"`temperatures_K` holds {temperature:g} but each must be above 0: leave it out")
        if not len(draws):
            raise ValueError(f"there is no diffusivity at {temperature:g} K: leave that temperature out, or run it longer")
        if not (np.isfinite(draws).all() and (draws > 0).all()):
            raise ValueError(f"a diffusivity at {temperature:g} K is not a positive number: leave that temperature out")
    if len(set(temperatures_K)) < 2:
        raise ValueError(
            f"`temperatures_K` holds {len(set(temperatures_K))} temperature(s) but an Arrhenius line needs at least 2: "
            "leave it out, or run another"
        )
    rng = np.random.default_rng(0)
    logs = np.log([rng.permutation(draws) for draws in samples])
    errors = logs.std(axis=1)
    design = np.stack([np.ones(len(logs)), -1 / (kB * np.array(temperatures_K))], axis=1) / errors[:, None]
    lines = np.linalg.lstsq(design, logs / errors[:, None], rcond=None)[0]
    best = np.median(lines, axis=1, keepdims=True)
    freedom = len(logs) - 2
    rest = np.median(logs, axis=1) / errors - (design @ best)[:, 0]
    straight = freedom == 0 or chi_squared_tail(float(rest @ rest), freedom) >= STRAIGHT
    if not straight:
        lines = best + (lines - best) * np.sqrt(rest @ rest / freedom)
    low, middle, high = interval(lines[1])
    message = (
        f"the activation energy is {middle:.3f} eV (68 %: {low:.3f} to {high:.3f}), from {len(logs)} runs between "
        f"{min(temperatures_K):.0f} and {max(temperatures_K):.0f} K"
    )
    if not straight:
        message += "; the points do not lie on one line (another mechanism, or runs too short), so the interval was widened"
    elif freedom == 0:
        message += "; two points cannot show whether the line is straight"
    return Arrhenius(lines[1], lines[0], straight, message)
