"""How well a potential reproduces reference numbers: errors, bias, slope and order by kind of number, with a grade."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import kendalltau  # type: ignore[import-untyped]

from ..stores.result import Outcome, Result, Status
from .adsorption import adsorption_from
from .gate import surface_energy_J_per_m2


@dataclass(frozen=True)
class Section:
    """One kind of number and how it is graded.

    Attributes
    ----------
    unit
        Of values and errors; ``%`` where errors are relative to the reference.
    good, fair
        Largest mean absolute errors with which it is good and fair; above, poor.
    why
        What the limits are taken from.
    """

    unit: str
    good: float
    fair: float
    why: str


SECTIONS = {
    "lattice constants": Section("%", 1, 3, "PBE itself is within 1 % of experiment"),
    "bulk moduli": Section("%", 15, 40, "functionals differ by about 15 %"),
    "shear moduli": Section("%", 15, 40, "functionals differ by about 15 %"),
    "surface energies": Section("%", 15, 40, "functionals differ by about 15 %"),
    "vacancies": Section("eV", 0.1, 0.3, "0.1 eV is a factor of 50 in concentration at 300 K"),
    "metal on graphene": Section("eV", 0.1, 0.3, "against the bulk metal; the sign is what matters"),
    "metal on dopants": Section("eV", 0.15, 0.5, "against pristine carbon; hosts lie some tenths of an eV apart"),
    "migration barriers": Section("eV", 0.1, 0.3, "0.1 eV is a factor of 50 in a rate at 300 K"),
    "forces on metals": Section("eV/Å", 0.05, 0.15, "0.05 eV/Å is where relaxations end"),
    "forces on salts": Section("eV/Å", 0.05, 0.15, "0.05 eV/Å is where relaxations end"),
    "forces on sheets": Section("eV/Å", 0.05, 0.15, "0.05 eV/Å is where relaxations end"),
}
MOST_RANKED = 200
"""Numbers above which no rank correlation is formed: force components have no order worth keeping."""

SKILL = 0.8
"""An error above this share of that of one constant for all is poor, however small: it tells nothing apart."""

Numbers = tuple[list[str], list[float], list[float]]
"""Names, values and references."""


def report_card(parents: Mapping[str, Result], *, entries: Sequence[Mapping[str, Any]]) -> Outcome:
    """Compare what a potential gives with references.

    Parameters
    ----------
    parents
        Results by role, as the entries name them.
    entries
        Each has the ``section`` it counts in (`SECTIONS`), its ``name``, the ``quantity`` (`QUANTITIES`), the ``roles`` of
        the results it is made of, and the ``reference``.

    Returns
    -------
    Outcome
        ``sections``: for each the number of values ``n``, mean absolute error ``mae``, ``bias`` (mean of value minus
        reference), ``slope`` of the values against the references, ``tau`` (Kendall), ``constant_mae`` (the error of the
        references' median, or of no force, in place of each value), the ``worst`` value with its name, and a ``grade``;
        ``values``: every number but force components; ``not_judged``: what did not converge, with the reason.
    """
    found: dict[str, Numbers] = {name: ([], [], []) for name in SECTIONS}
    not_judged = []
    for entry in entries:
        results = [parents[role] for role in entry["roles"]]
        bad = next((result for result in results if result.status is not Status.CONVERGED), None)
        if bad is not None:
            not_judged.append(f"{entry['name']}: {bad.message}")
            continue
        numbers = QUANTITIES[entry["quantity"]](results, entry)
        for kept, more in zip(found[entry["section"]], numbers, strict=True):
            kept += more  # type: ignore[operator]
    sections = {name: _judged(SECTIONS[name], *numbers) for name, numbers in found.items() if numbers[0]}
    values = [
        [section, name, value, reference]
        for section, numbers in found.items()
        if len(numbers[0]) <= MOST_RANKED
        for name, value, reference in zip(*numbers, strict=True)
    ]
    scalars = {"sections": sections, "values": values, "not_judged": not_judged}
    return Outcome(Status.CONVERGED, summary(sections), scalars)


def summary(sections: Mapping[str, Mapping[str, Any]]) -> str:
    """Say in one line which kinds of numbers are good, fair and poor."""
    by_grade = {grade: [name for name, s in sections.items() if s["grade"] == grade] for grade in ("good", "fair", "poor")}
    return "; ".join(f"{grade}: {', '.join(names)}" for grade, names in by_grade.items() if names)


def _judged(section: Section, names: Sequence[str], values: Sequence[float], references: Sequence[float]) -> dict[str, Any]:
    x, y = np.array(references, dtype=float), np.array(values, dtype=float)
    constant = 0.0 if section.unit == "eV/Å" else np.median(x)
    errors, wrong = ((z - x) / np.abs(x) * 100 if section.unit == "%" else z - x for z in (y, constant))
    constant_mae = float(np.abs(wrong).mean()) if len(x) >= 3 else None
    worst = int(np.abs(errors).argmax())
    mae = float(np.abs(errors).mean())
    centred = x - x.mean()
    spreads = float((centred**2).sum())
    ranked = 3 <= len(x) <= MOST_RANKED
    return {
        "n": len(x),
        "unit": section.unit,
        "mae": mae,
        "bias": float(errors.mean()),
        "slope": float((centred * (y - y.mean())).sum() / spreads) if len(x) > 2 and spreads > 0 else None,
        "tau": float(kendalltau(x, y).statistic) if ranked else None,
        "worst": f"{names[worst]}: {y[worst]:.3g} for {x[worst]:.3g}",
        "constant_mae": constant_mae,
        "grade": _grade(section, mae, constant_mae),
    }


def _grade(section: Section, mae: float, constant_mae: float | None) -> str:
    if mae > section.fair or (constant_mae is not None and mae > SKILL * constant_mae):
        return "poor"
    return "good" if mae <= section.good else "fair"


def _one(value: Callable[[Sequence[Result]], float]) -> Callable[[Sequence[Result], Mapping[str, Any]], Numbers]:
    return lambda results, entry: ([entry["name"]], [value(results)], [entry["reference"]])


def _lattice_constant_A(results: Sequence[Result]) -> float:
    return float(results[0].structures["final"].get_volume() ** (1 / 3))


def _surface(results: Sequence[Result]) -> float:
    slab, bulk = (result.structures["final"] for result in results)
    slab_eV, bulk_eV = (result.scalars["energy_eV"] for result in results)
    area_A2 = float(np.linalg.norm(np.cross(slab.cell[0], slab.cell[1])))
    return surface_energy_J_per_m2(slab_eV, bulk_eV / len(bulk) * len(slab), area_A2)


def _vacancy_eV(results: Sequence[Result]) -> float:
    with_hole, bulk = results
    per_atom_eV = bulk.scalars["energy_eV"] / len(bulk.structures["final"])
    return float(with_hole.scalars["energy_eV"] - len(with_hole.structures["final"]) * per_atom_eV)


def _dopants(results: Sequence[Result], entry: Mapping[str, Any]) -> Numbers:
    s = results[0].scalars
    of = s["hosts"].index("pristine")
    others = [i for i in range(len(s["hosts"])) if i != of]
    raw, reference = s["raw_vs_bulk_eV"], s["reference_vs_bulk_eV"]
    names = [f"{entry['name']} on {s['hosts'][i]}" for i in others]
    return names, [raw[i] - raw[of] for i in others], [reference[i] - reference[of] for i in others]


def _forces(results: Sequence[Result], entry: Mapping[str, Any]) -> Numbers:
    ours, theirs = np.ravel(results[0].arrays["forces_eV_per_A"]), np.ravel(entry["reference"])
    return [entry["name"]] * len(ours), [float(f) for f in ours], [float(f) for f in theirs]


QUANTITIES: dict[str, Callable[[Sequence[Result], Mapping[str, Any]], Numbers]] = {
    "lattice constant": _one(_lattice_constant_A),
    "bulk modulus": _one(lambda results: float(results[0].scalars["bulk_modulus_GPa"])),
    "shear modulus": _one(lambda results: float(results[0].scalars["shear_modulus_GPa"])),
    "surface energy": _one(_surface),
    "vacancy": _one(_vacancy_eV),
    "adsorption": _one(lambda results: adsorption_from(results[0], results[1], results[2], 1)),
    "barrier": _one(lambda results: float(results[0].scalars["climb_forward_eV"])),
    "dopants": _dopants,
    "forces": _forces,
}
"""What an entry's value is made of, by name."""
