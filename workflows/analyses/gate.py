"""What a potential is worth for a metal: its bulk, surface and graphene numbers against reference values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
from ase.units import J, m

from ..stores.result import Outcome, Result, Status, check_one_potential
from .adsorption import adsorption_from

VERDICTS = ("fit", "doubtful", "unfit")
CUTOFF_IN_NEIGHBOUR_DISTANCES = 1.25
DOPANTS_FIT_eV = 0.15
"""Largest mean error against pristine carbon with which a potential is fit: hosts lie some tenths of an eV apart."""


@dataclass(frozen=True)
class Check:
    """One quantity of the gate: its name and unit for people, and how far off it may be.

    Attributes
    ----------
    fit, unfit
        Up to the first error a potential is fit, from the second on unfit, doubtful between.
    absolute
        Whether the error is meant in the quantity's unit, not relative to the reference.
    """

    label: str
    unit: str
    fit: float
    unfit: float
    absolute: bool = False


CHECKS = {
    "lattice_constant_A": Check("lattice constant", "Å", 0.02, 0.05),
    "bulk_modulus_GPa": Check("bulk modulus", "GPa", 0.30, 1.50),
    "surface_energy_J_per_m2": Check("(110) surface energy", "J/m²", 0.30, 0.80),
    "graphene_vs_bulk_eV": Check("adsorption on graphene against the bulk metal", "eV", 0.20, np.inf, absolute=True),
}


def gate(parents: Mapping[str, Result], *, cutoff_A: float | None, reference: Mapping[str, float], source: str) -> Outcome:
    """Judge a potential for a metal.

    The cutoff must reach 1.25 nearest-neighbour distances, else the atoms of the metal hardly feel each other; lattice
    constant, bulk modulus and (110) surface energy of the bcc metal, and its adsorption on the hollow of 3x3 graphene
    against the bulk metal, are held against reference values of the potential's functional.

    Parameters
    ----------
    parents
        ``bulk`` and ``slab`` relaxations, ``bulk_modulus``, ``graphene`` and ``on_graphene`` relaxations, and ``dopants``, a
        `philic.workflows.analyses.calibration.reference_calibration`.
    cutoff_A
        The potential's cutoff; None where it has none.
    reference
        Values by the names in `CHECKS`; a quantity without one is not judged, and without any the potential is doubtful.
    source
        Where the reference values come from.

    Returns
    -------
    Outcome
        ``verdict`` (fit, doubtful or unfit), ``sentence`` (why), the quantities and their references.
    """
    measured = _measure(parents)
    judged = [_judge(name, measured.get(name), value) for name, value in reference.items()]
    judged.append(_judge_cutoff(inf if cutoff_A is None else cutoff_A, measured.get("lattice_constant_A")))
    late = [result.title for result in parents.values() if result.status is Status.UNCONVERGED]
    judged += _judge_dopants(parents)
    judged += [("doubtful", f"{words} did not converge") for words in late]
    if not reference:
        judged.append(("doubtful", "there are no reference values for its functional"))
    verdict = max((verdict for verdict, _ in judged), key=VERDICTS.index)
    reasons = [reason for v, reason in judged if v == verdict]
    of_dopants = parents["dopants"].scalars if "dopants" in parents else {}
    dopants = {name: of_dopants[name] for name in ("mean_error_eV", "kendall_tau", "n_points") if name in of_dopants}
    scalars: dict[str, Any] = {
        "verdict": verdict,
        "sentence": "; ".join(reasons) if verdict != "fit" else _passed(reference),
        **measured,
        **{f"reference_{name}": value for name, value in reference.items()},
        **{f"dopants_{name}": value for name, value in dopants.items()},
        "cutoff_A": cutoff_A,
        "source": source,
    }
    return Outcome(Status.CONVERGED, f"{verdict}: {scalars['sentence']}", scalars)


def _judge_dopants(parents: Mapping[str, Result]) -> list[tuple[str, str]]:
    """Judge the differences between doped and pristine carbon."""
    if "dopants" not in parents or "mean_error_eV" not in parents["dopants"].scalars:
        return []
    s = parents["dopants"].scalars
    reason = (
        f"adsorption on doped against pristine carbon off by {s['mean_error_eV']:.2f} eV on average of {s['n_points'] - 1} "
        f"hosts ({s['worst_host']}: {s['worst_raw_eV']:+.2f} where PBE gives {s['worst_reference_eV']:+.2f})"
    )
    return [("fit" if s["mean_error_eV"] <= DOPANTS_FIT_eV else "doubtful", reason)]


def _passed(reference: Mapping[str, float]) -> str:
    """Say that every check was passed, and which were not made."""
    left_out = [check.label for name, check in CHECKS.items() if name not in reference]
    return "every check is within its tolerance" + (f"; not judged: {', '.join(left_out)}" if left_out else "")


def surface_energy_J_per_m2(slab_eV: float, bulk_eV: float, area_A2: float) -> float:
    """Energy of one of a slab's two equal faces, ``(E_slab - E_bulk) / 2A``.

    Parameters
    ----------
    slab_eV, bulk_eV
        Energies of the slab and of as many atoms in the bulk.
    area_A2
        Area of one face.

    Examples
    --------
    >>> round(surface_energy_J_per_m2(-9.0, -10.0, 25.0), 4)
    0.3204
    """
    return float((slab_eV - bulk_eV) / (2 * area_A2) / (J / m**2))


def _measure(parents: Mapping[str, Result]) -> dict[str, float]:
    """Compute what the usable parents allow."""
    usable = {role: result for role, result in parents.items() if result.status.usable}
    measured: dict[str, float] = {}
    if "bulk" not in usable:
        return measured
    check_one_potential({role: usable[role] for role in usable if role not in ("bulk_modulus", "dopants")})
    bulk = usable["bulk"].structures["final"]
    per_atom_eV = usable["bulk"].scalars["energy_eV"] / len(bulk)
    measured["lattice_constant_A"] = float(bulk.get_volume() ** (1 / 3))
    if "bulk_modulus" in usable:
        measured["bulk_modulus_GPa"] = usable["bulk_modulus"].scalars["bulk_modulus_GPa"]
    if "slab" in usable:
        slab = usable["slab"].structures["final"]
        area_A2 = float(np.linalg.norm(np.cross(slab.cell[0], slab.cell[1])))
        energy_eV = usable["slab"].scalars["energy_eV"]
        measured["surface_energy_J_per_m2"] = surface_energy_J_per_m2(energy_eV, len(slab) * per_atom_eV, area_A2)
    if {"graphene", "on_graphene"} <= usable.keys():
        host, adsorbed = usable["graphene"], usable["on_graphene"]
        measured["graphene_vs_bulk_eV"] = adsorption_from(adsorbed, host, usable["bulk"], 1)
    return measured


def _judge(name: str, value: float | None, reference: float) -> tuple[str, str]:
    check = CHECKS[name]
    if value is None:
        return "unfit", f"its {check.label} could not be computed"
    error = abs(value - reference) / (1.0 if check.absolute else abs(reference))
    reason = f"{check.label} {value:.3g} {check.unit} where the reference is {reference:.3g}"
    return ("fit" if error <= check.fit else "doubtful" if error < check.unfit else "unfit"), reason


def _judge_cutoff(cutoff_A: float, lattice_constant_A: float | None) -> tuple[str, str]:
    if lattice_constant_A is None:
        return "unfit", "its bulk metal could not be relaxed"
    neighbour_A = lattice_constant_A * np.sqrt(3) / 2
    needed_A = CUTOFF_IN_NEIGHBOUR_DISTANCES * neighbour_A
    if cutoff_A >= needed_A:
        return "fit", ""
    return (
        "unfit",
        f"its cutoff of {cutoff_A:g} Å is below the {needed_A:.2f} Å that the metal's neighbours need",
    )
