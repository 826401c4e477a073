"""How ions move in a trajectory: diffusivities, conductivity, Haven ratio, and whether the run was long enough."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import units
from numpy.typing import NDArray

from ..dynamics.runs import mobile_ions
from ..dynamics.trajectory import Trajectory
from .diffusivity import Diffusivity, charge_diffusivity, diffusivity, interval

Array = NDArray[np.float64]

LENGTHS = 8
"""Growing parts of the run, for which D is reported."""
SETTLED = 0.25
"""A diffusivity has settled when half its 68 % interval is at most this part of it."""


@dataclass(frozen=True)
class Transport:
    """How one species moves.

    Attributes
    ----------
    tracer, charge
        Diffusivity of single ions, and of their sum (which carries the current); None when the tracer's is refused, and for
        a metal without a host.
    haven_ratio
        Draws of tracer over charge diffusivity, shape ``(n_samples,)``; empty without the latter. The two are drawn
        independently, as if their errors had nothing in common.
    nernst_einstein_mS_per_cm, conductivity_mS_per_cm
        Draws of the conductivity from the tracer (ions move independently) and the charge diffusivity (they do not).
    messages
        A sentence each.
    """

    tracer: Diffusivity
    charge: Diffusivity | None
    haven_ratio: Array
    nernst_einstein_mS_per_cm: Array
    conductivity_mS_per_cm: Array
    messages: tuple[str, ...]


@dataclass(frozen=True)
class Convergence:
    """The diffusivity against the length of the run.

    Attributes
    ----------
    lengths_ps
        Shape ``(LENGTHS,)``.
    ends_cm2_per_s
        Lower end, median and upper end of the 68 % interval, shape ``(LENGTHS, 3)``; NaN where D is refused.
    relative_error
        Half the 68 % interval of the whole over D; NaN where D is refused.
    settled
        Whether the run is long enough.
    message
        The verdict.
    """

    lengths_ps: Array
    ends_cm2_per_s: Array
    relative_error: float
    settled: bool
    message: str


def transport(trajectory: Trajectory, mobile: str, temperature_K: float, charge_e: float = 1.0) -> Transport:
    """Analyse how a species moves.

    Parameters
    ----------
    trajectory
        Equilibrated: cut with `equilibrated` first.
    mobile
        Chemical symbol of the ions.
    temperature_K
        For the conductivity.
    charge_e
        Charge of an ion.

    Raises
    ------
    ValueError
        The species is absent; those that are there are named.
    """
    ions = mobile_ions(trajectory.start.get_chemical_symbols(), mobile)
    moved = displacements(trajectory, ~ions)[:, ions]
    tracer = diffusivity(moved, trajectory.frame_ps, mobile)
    if ions.all() or not tracer.known:
        why = ("a metal without a host has no ionic conductivity",) if tracer.known else ()
        return Transport(tracer, None, np.empty(0), np.empty(0), np.empty(0), (tracer.message, *why))
    charge = charge_diffusivity(moved, trajectory.frame_ps, mobile)
    collective = np.random.default_rng(1).permutation(charge.samples_cm2_per_s)
    haven = tracer.samples_cm2_per_s / collective
    volume_A3 = float(np.abs(np.linalg.det(trajectory.frames.cells_A)).mean())
    per_D = nernst_einstein_mS_per_cm(1.0, int(ions.sum()), volume_A3, temperature_K, charge_e)
    sentences = (tracer.message, charge.message, _say_haven(haven), _say_conductivity(per_D * collective, temperature_K))
    return Transport(tracer, charge, haven, per_D * tracer.samples_cm2_per_s, per_D * collective, sentences)


def displacements(trajectory: Trajectory, framework: NDArray[np.bool_]) -> Array:
    """Return unwrapped displacements since the first frame, seen from the framework (`placed`), in the mean cell.

    An ion at rest in its site stays there when the framework recoils, and the sum of the ions' displacements is the charge
    that was carried, from whichever frame it is seen.

    Parameters
    ----------
    trajectory
        What was stored.
    framework
        Which atoms are at rest as a whole, shape ``(n_atoms,)``; if none is, all atoms are taken (a pure metal, whose
        diffusivity this lowers by one part in the number of atoms).

    Returns
    -------
        Shape ``(n_frames, n_atoms, 3)``.
    """
    fractional = placed(trajectory, framework)
    moved: Array = (fractional - fractional[0]) @ trajectory.frames.cells_A.mean(axis=0)
    return moved


def placed(trajectory: Trajectory, framework: NDArray[np.bool_]) -> Array:
    """Return unwrapped fractional positions, the drift of the framework's centre of mass since the start removed.

    Works on wrapped positions too, as long as no atom moves half a cell between frames. Takes the same arguments as
    `displacements`, and returns the same shape.
    """
    fractional = trajectory.frames.positions_A @ np.linalg.inv(trajectory.frames.cells_A)
    start = trajectory.start.get_scaled_positions(wrap=False)
    steps = np.diff(fractional, axis=0, prepend=start[None])
    steps -= np.rint(steps) * trajectory.start.pbc
    moved = np.cumsum(steps, axis=0)
    at_rest = framework if framework.any() else np.ones_like(framework)
    masses = trajectory.start.get_masses()[at_rest]
    drift = np.einsum("tai,a->ti", moved[:, at_rest], masses) / masses.sum()
    corrected: Array = start + moved - drift[:, None]
    return corrected


def nernst_einstein_mS_per_cm(
    diffusivity_cm2_per_s: float, n_ions: int, volume_A3: float, temperature_K: float, charge_e: float = 1.0
) -> float:
    """Return the conductivity of ions that move independently, ``n q² D / (V kB T)``.

    Examples
    --------
    >>> round(nernst_einstein_mS_per_cm(1e-7, 20, 1000.0, 300.0), 1)  # a good solid electrolyte
    12.4
    """
    concentration_per_m3 = n_ions / volume_A3 * 1e30
    thermal_J = temperature_K * units.kB * units._e
    siemens_per_m = concentration_per_m3 * (charge_e * units._e) ** 2 * diffusivity_cm2_per_s * 1e-4 / thermal_J
    return float(siemens_per_m * 10)


def convergence(displacements_A: Array, frame_ps: float, species: str = "ions") -> Convergence:
    """Return the diffusivity of growing parts of a run, and whether the whole is long enough.

    It is when half the 68 % interval of the whole is at most `SETTLED` of D and the values of three quarters and of half of
    the run lie in the 95 % interval of the whole.
    """
    counts = np.linspace(0, len(displacements_A), LENGTHS + 1)[1:].astype(int).clip(min=1)
    parts = [diffusivity(displacements_A[:count], frame_ps, species) for count in counts]
    ends = np.array([interval(part.samples_cm2_per_s) if part.known else (np.nan,) * 3 for part in parts])
    lengths_ps = (counts - 1) * frame_ps
    whole = parts[-1]
    if not whole.known:
        return Convergence(lengths_ps, ends, np.nan, False, whole.message)
    low, middle, high = ends[-1]
    spread = (high - low) / 2 / middle
    bottom, _, top = interval(whole.samples_cm2_per_s, 0.95)
    earlier = ends[[LENGTHS // 2 - 1, 3 * LENGTHS // 4 - 1], 1]
    steady = bool(((earlier >= bottom) & (earlier <= top)).all())
    settled = steady and spread <= SETTLED
    so_far = f"D of {species} after {lengths_ps[-1]:.3g} ps is {middle:.2e} cm²/s within {spread:.0%}"
    if settled:
        finer = f"for {spread / 2:.0%} run about 4 times as long"
        return Convergence(
            lengths_ps, ends, spread, True, f"long enough: {so_far}, and agrees with that of half the run; {finer}"
        )
    why = (
        f"wanted is {SETTLED:.0%}"
        if steady
        else f"half of it gives {earlier[0]:.2e} cm²/s"
        if np.isfinite(earlier[0])
        else "half of it has none"
    )
    factor = max(2.0, (spread / SETTLED) ** 2)
    sentence = f"too short: {so_far} but {why}: run about {factor:.0f} times as long"
    return Convergence(lengths_ps, ends, spread, False, sentence)


def _say_haven(samples: Array) -> str:
    low, middle, high = interval(samples)
    return f"the Haven ratio is {middle:.2g} (68 %: {low:.2g} to {high:.2g})"


def _say_conductivity(samples: Array, temperature_K: float) -> str:
    low, middle, high = interval(samples)
    return f"the conductivity at {temperature_K:.0f} K is {middle:.3g} mS/cm (68 %: {low:.3g} to {high:.3g})"
