"""Results of different potentials are never combined."""

from __future__ import annotations

from collections.abc import Mapping

from .result import Result

CHECK = "check_"
"""Prefix of the roles of parents that come from a second potential, for comparison with the first."""


def check_one_potential(results: Mapping[str, Result]) -> None:
    """Refuse to combine results of different potentials.

    Parameters
    ----------
    results
        Results by role in the formula (``host``, ``bulk`` …); an analysis has the fingerprint of its parents.

    Raises
    ------
    ValueError
        If two of them differ in weights, dtype, dispersion, package or its version, or one has no fingerprint.
    """
    found = {role: result.provenance.get("fingerprint") or {} for role, result in results.items()}
    for role, theirs in found.items():
        if not theirs:
            raise ValueError(
                f"`{role}` ({results[role].title}) names no potential: results of an unknown potential are never combined "
                "with others; compute it again"
            )
        first_role, ours = next(iter(found.items()))
        differing = [name for name in {**ours, **theirs} if name != "name" and ours.get(name) != theirs.get(name)]
        if differing:
            name = differing[0]
            raise ValueError(
                f"`{role}` comes from {theirs['name']} ({name} {theirs.get(name)}) but `{first_role}` from "
                f"{ours['name']} ({name} {ours.get(name)}): energies of different potentials are never subtracted; "
                "compute both with one"
            )
