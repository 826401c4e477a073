"""How far the numbers of two potentials agree."""

from __future__ import annotations

from collections.abc import Mapping

from scipy.stats import kendalltau  # type: ignore[import-untyped]


def rank_correlation(ours_eV: Mapping[str, float], theirs_eV: Mapping[str, float]) -> float | None:
    """Kendall's tau between two rankings of what both have; None for fewer than three."""
    both = [name for name in ours_eV if name in theirs_eV]
    if len(both) < 3:
        return None
    return float(kendalltau([ours_eV[name] for name in both], [theirs_eV[name] for name in both]).statistic)


def agreement(ours_eV: Mapping[str, float], theirs_eV: Mapping[str, float]) -> str:
    """Say how far two potentials agree on energies by name.

    Examples
    --------
    >>> agreement({"N": -1.0, "B": -2.0, "P": 0.0}, {"N": -1.1, "B": -2.5, "P": 0.1})
    "largest difference 0.50 eV, Kendall's tau of the order 1.00"
    """
    spread_eV = max(abs(theirs_eV[name] - ours_eV[name]) for name in theirs_eV)
    tau = rank_correlation(ours_eV, theirs_eV)
    return f"largest difference {spread_eV:.2f} eV" + ("" if tau is None else f", Kendall's tau of the order {tau:.2f}")
