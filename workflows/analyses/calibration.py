"""A straight line from a potential's adsorption energies to reference ones, and what it says of new hosts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import kendalltau, t  # type: ignore[import-untyped]

from ..stores.result import Outcome, Result, Status
from .adsorption import adsorption_from

LEAST_POINTS = 4
"""Hosts that a line with an interval needs: two are spent on slope and offset."""
CONFIDENCE = 0.9
"""Share of new hosts that an interval holds."""


@dataclass(frozen=True)
class Line:
    """A least-squares line through ``n`` points, with what a prediction interval needs.

    Attributes
    ----------
    slope, offset_eV
        ``reference = slope * raw + offset``.
    spread_eV
        Scatter around the line: the larger of the residuals' standard deviation (n - 2 degrees of freedom) and the root mean
        square of the leave-one-out errors.
    mean_eV, square_eV2
        Mean of the raw values, and the sum of their squared distances from it.
    left_out_eV
        Leave-one-out errors: prediction minus reference where the line was fitted without the point.
    """

    n: int
    slope: float
    offset_eV: float
    spread_eV: float
    mean_eV: float
    square_eV2: float
    left_out_eV: tuple[float, ...]

    def at(self, raw_eV: float) -> float:
        """Return the value on the line."""
        return self.slope * raw_eV + self.offset_eV

    def half_width_eV(self, raw_eV: float) -> float:
        """Return half the width of the prediction interval at a new point.

        ``t(n - 2) * spread * sqrt(1 + 1/n + (raw - mean)^2 / square)``: Draper and Smith, Applied Regression Analysis
        (3rd ed., 1998).
        """
        reach = 1 + 1 / self.n + (raw_eV - self.mean_eV) ** 2 / self.square_eV2
        return float(t.ppf((1 + CONFIDENCE) / 2, self.n - 2) * self.spread_eV * np.sqrt(reach))


def fit(raw_eV: Sequence[float], reference_eV: Sequence[float]) -> Line:
    """Fit the line.

    Raises
    ------
    ValueError
        If there are fewer than `LEAST_POINTS` points, or all raw values are the same.

    Examples
    --------
    >>> line = fit([0.0, 1.0, 2.0, 3.0], [1.0, 3.0, 5.0, 7.0])
    >>> round(line.slope, 6), round(line.offset_eV, 6)
    (2.0, 1.0)
    """
    x, y = np.array(raw_eV, dtype=float), np.array(reference_eV, dtype=float)
    if len(x) < LEAST_POINTS:
        raise ValueError(f"a calibration needs at least {LEAST_POINTS} hosts but has {len(x)}")
    square = float(((x - x.mean()) ** 2).sum())
    if not square > 1e-12:
        raise ValueError("a calibration needs hosts that differ but the potential gives all the same energy")
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / square)
    residuals = y.mean() + slope * (x - x.mean()) - y
    leverage = 1 / len(x) + (x - x.mean()) ** 2 / square
    left_out = residuals / np.maximum(1 - leverage, 1e-9)  # exact for least squares: Allen, Technometrics 16, 125 (1974)
    spread = max(np.sqrt((residuals**2).sum() / (len(x) - 2)), np.sqrt((left_out**2).mean()))
    offset = float(y.mean() - slope * x.mean())
    return Line(len(x), slope, offset, float(spread), float(x.mean()), square, tuple(map(float, left_out)))


def reference_calibration(
    parents: Mapping[str, Result],
    *,
    reference_vs_bulk_eV: Mapping[str, float],
    chemistry: Mapping[str, Sequence[str]],
    source: str,
) -> Outcome:
    """Calibrate a potential for one metal by reference energies at given geometries.

    Parameters
    ----------
    parents
        Single points of the potential by role: ``bulk``, and ``host.NAME`` and ``adsorbed.NAME`` of each host.
    reference_vs_bulk_eV
        Reference adsorption energy of each host against the bulk metal.
    chemistry
        What is special about each host: its elements apart from carbon, and bonds that are missing.
    source
        Where the reference energies come from.

    Returns
    -------
    Outcome
        As `calibration`.
    """
    raw = {}
    for host in reference_vs_bulk_eV:
        roles = [parents["bulk"], parents[f"host.{host}"], parents[f"adsorbed.{host}"]]
        if all(result.status.usable for result in roles):
            raw[host] = adsorption_from(roles[2], roles[1], roles[0], 1)
    return _outcome(raw, reference_vs_bulk_eV, chemistry, source)


def calibration(parents: Mapping[str, Result], *, chemistry: Mapping[str, Sequence[str]]) -> Outcome:
    """Calibrate a potential for one metal by adsorption energies that another one gives at the same geometries.

    Parameters
    ----------
    parents
        ``raw.HOST`` and ``check_reference.HOST``: adsorption energies of the best site of each host.
    chemistry
        As in `reference_calibration`.

    Returns
    -------
    Outcome
        ``slope``, ``offset_eV``, ``n_points``, errors of the raw differences to pristine (``mean_error_eV``), rank
        correlation (``kendall_tau``), leave-one-out errors (``left_out_error_eV``: mean absolute), ``lowest_raw_eV`` and
        ``highest_raw_eV``, the ``chemistry`` that the points had, and per host ``raw_vs_bulk_eV`` and
        ``reference_vs_bulk_eV``. With fewer than `LEAST_POINTS` hosts there are errors but no line.
    """
    raw, reference, sources = {}, {}, set()
    for host in chemistry:
        pair = [parents[f"{prefix}.{host}"] for prefix in ("raw", "check_reference")]
        if all(result.status.usable and "vs_bulk_eV" in result.scalars for result in pair):
            raw[host], reference[host] = (result.scalars["vs_bulk_eV"] for result in pair)
            sources.add(pair[1].scalars["potential"])
    return _outcome(raw, reference, chemistry, ", ".join(sorted(sources)))


def _outcome(
    raw: Mapping[str, float], reference: Mapping[str, float], chemistry: Mapping[str, Sequence[str]], source: str
) -> Outcome:
    hosts = list(raw)
    if not hosts:
        return Outcome(Status.FAILED, "no host has both energies")
    x, y = ([energies[host] for host in hosts] for energies in (raw, reference))
    scalars: dict[str, Any] = {
        "n_points": len(hosts),
        "hosts": hosts,
        "raw_vs_bulk_eV": x,
        "reference_vs_bulk_eV": y,
        "chemistry": sorted({word for host in hosts for word in chemistry[host]}),
        "lowest_raw_eV": min(x),
        "highest_raw_eV": max(x),
        "source": source,
        **_comparison(hosts, np.array(x), np.array(y)),
    }
    try:
        line = fit(x, y)
    except ValueError as error:
        return Outcome(Status.CONVERGED, f"no line: {error}", scalars)
    scalars |= {
        "slope": line.slope,
        "offset_eV": line.offset_eV,
        "spread_eV": line.spread_eV,
        "mean_raw_eV": line.mean_eV,
        "square_raw_eV2": line.square_eV2,
        "left_out_eV": list(line.left_out_eV),
        "left_out_error_eV": float(np.abs(line.left_out_eV).mean()),
    }
    return Outcome(
        Status.CONVERGED, f"slope {line.slope:.2f}, leave-one-out error {scalars['left_out_error_eV']:.2f} eV", scalars
    )


def _comparison(hosts: Sequence[str], raw: np.ndarray, reference: np.ndarray) -> dict[str, Any]:
    """Compare differences to pristine, where it is among the hosts, and the order."""
    found: dict[str, Any] = {}
    if len(hosts) > 1:
        found["kendall_tau"] = float(kendalltau(raw, reference).statistic)
    if "pristine" in hosts and len(hosts) > 1:
        of = hosts.index("pristine")
        errors = (raw - raw[of]) - (reference - reference[of])
        others = np.arange(len(hosts)) != of
        worst = int(np.abs(errors).argmax())
        found |= {
            "mean_error_eV": float(np.abs(errors[others]).mean()),
            "worst_host": hosts[worst],
            "worst_raw_eV": float(raw[worst] - raw[of]),
            "worst_reference_eV": float(reference[worst] - reference[of]),
        }
    return found


def calibrated(parents: Mapping[str, Result], *, chemistry: Sequence[str]) -> Outcome:
    """Apply a calibration to the adsorption energy of a site.

    Parameters
    ----------
    parents
        The site's ``adsorption`` and the ``calibration`` of its potential and metal.
    chemistry
        What is special about its host, as in `reference_calibration`.

    Returns
    -------
    Outcome
        ``calibrated_vs_bulk_eV`` and ``calibrated_interval_eV`` (half the width of the interval that holds `CONFIDENCE` of
        new hosts); or neither, and ``not_calibrated``, a sentence that says why.
    """
    adsorption, by = parents["adsorption"], parents["calibration"]
    raw = adsorption.scalars.get("vs_bulk_eV")
    problem = "it has no adsorption energy" if raw is None else not_covered(by.scalars, raw, chemistry)
    if problem or raw is None:
        return Outcome(Status.CONVERGED, f"not calibrated: {problem}", {"not_calibrated": problem})
    line = line_of(by.scalars)
    scalars = {"calibrated_vs_bulk_eV": line.at(raw), "calibrated_interval_eV": line.half_width_eV(raw)}
    return Outcome(
        Status.CONVERGED, "{calibrated_vs_bulk_eV:+.2f} ± {calibrated_interval_eV:.2f} eV".format(**scalars), scalars
    )


def line_of(scalars: Mapping[str, Any]) -> Line:
    """Return the line that a calibration's scalars describe."""
    s = scalars
    numbers = (s["slope"], s["offset_eV"], s["spread_eV"], s["mean_raw_eV"], s["square_raw_eV2"], tuple(s["left_out_eV"]))
    return Line(s["n_points"], *numbers)


def not_covered(scalars: Mapping[str, Any], raw_eV: float, chemistry: Sequence[str]) -> str:
    """Say why a calibration says nothing about a host; nothing where it does.

    Parameters
    ----------
    scalars
        Those of a `calibration`.
    raw_eV
        The host's raw adsorption energy against the bulk metal.
    chemistry
        What is special about the host.
    """
    if "slope" not in scalars:
        return f"the calibration has only {scalars.get('n_points', 0)} hosts"
    strange = [word for word in chemistry if word not in scalars["chemistry"]]
    if strange:
        return f"no host of the calibration has {' or '.join(strange)}"
    lowest, highest = scalars["lowest_raw_eV"], scalars["highest_raw_eV"]
    margin = 0.1 * (highest - lowest)
    if not lowest - margin <= raw_eV <= highest + margin:
        return f"{raw_eV:+.2f} eV lies outside the calibration's {lowest:+.2f} to {highest:+.2f} eV"
    return ""
