"""Adsorption energies and the references they are taken against; what must not be subtracted is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...structures.sites.adatoms import adatom_geometry, lateral_shift_A, sites_reached
from ...structures.sites.bonds import bonds_changed
from ..stores.result import Outcome, Result, Status, check_one_potential


def adsorption_energy_eV(adsorbed_eV: float, host_eV: float, metal_eV: float, n_metal: int) -> float:
    """Adsorption energy per metal atom, ``[E(host + n M) - E(host) - n E_ref(M)] / n``; negative means bound.

    Parameters
    ----------
    adsorbed_eV, host_eV
        Total energies of the host with and without the metal, in the same cell and from the same potential.
    metal_eV
        Reference energy per metal atom.
    n_metal
        Number of metal atoms on the host.

    Examples
    --------
    >>> adsorption_energy_eV(-14.0, -10.0, -1.5, 2)
    -0.5
    """
    return (adsorbed_eV - host_eV - n_metal * metal_eV) / n_metal


def adsorption_from(adsorbed: Result, host: Result, bulk: Result, n_metal: int) -> float:
    """Adsorption energy per metal atom against the bulk metal, in eV, from three relaxations.

    Raises
    ------
    ValueError
        If the energies come from different potentials (weights, dtype, dispersion, package), or host and adsorbed host
        have different cells.
    """
    check_one_potential({"adsorbed": adsorbed, "host": host, "bulk": bulk})
    ours, theirs = (result.structures["final"].cell.array for result in (adsorbed, host))
    if not np.allclose(ours, theirs, atol=1e-6):
        raise ValueError(
            f"{adsorbed.title} and {host.title} have different cells: their energies are never subtracted; "
            "relax both in the same cell"
        )
    metal_eV = bulk.scalars["energy_eV"] / len(bulk.structures["final"])
    return adsorption_energy_eV(adsorbed.scalars["energy_eV"], host.scalars["energy_eV"], metal_eV, n_metal)


def adsorption(
    parents: Mapping[str, Result],
    *,
    n_metal: int,
    cohesive_energy_eV: float | None,
    cohesive_source: str,
    stayed_A: float,
    desorbed_A: float,
) -> Outcome:
    """Turn total energies into the adsorption energy of a site, against three references.

    Against the bulk metal by `adsorption_energy_eV`; against the free atom by taking off the tabulated cohesive energy of
    the potential's functional (machine-learned potentials are wrong for the atom itself); and relative to the best site of
    the pristine host of the same size, where a potential's errors cancel in part.

    Parameters
    ----------
    parents
        Relaxations, or single points at their geometries, by role: ``adsorbed``, ``host``, ``bulk`` (the metal), the
        metal's ``gate`` where there is one, and, for a host that has a pristine form, ``pristine_host`` and ``pristine.0``
        … (the metal on each of its sites).
    n_metal
        Number of metal atoms on the host.
    cohesive_energy_eV, cohesive_source
        Cohesive energy per atom of the bulk metal, and where it was tabulated; None leaves that column empty.
    stayed_A
        A metal atom that moved less than this along the host stayed at its site.
    desorbed_A
        A metal atom farther than this from every host atom is desorbed.

    Returns
    -------
    Outcome
        ``vs_pristine_eV``, ``vs_bulk_eV``, ``vs_atom_eV`` (per metal atom, negative is bound), ``height_A``, ``nearest_A``,
        ``nearest_element``, where the metal ``ended_at``, ``shift_A``, whether it ``stayed`` and ``host_kept_bonds``,
        the coverage (``area_per_metal_A2``), ``gate``, ``potential`` and what the energies are measured against.
    """
    problem = _unusable(parents)
    if problem:
        return Outcome(Status.FAILED, problem)
    adsorbed, host, bulk = (parents[role] for role in ("adsorbed", "host", "bulk"))
    vs_bulk = adsorption_from(adsorbed, host, bulk, n_metal)
    pristine = [
        (adsorption_from(result, parents["pristine_host"], bulk, n_metal), role, result)
        for role, result in parents.items()
        if role.startswith("pristine.") and result.status.usable
    ]
    best_pristine = min(pristine, default=None)
    scalars = {
        "vs_pristine_eV": vs_bulk - best_pristine[0] if best_pristine else None,
        "vs_bulk_eV": vs_bulk,
        "vs_atom_eV": None if cohesive_energy_eV is None else vs_bulk - cohesive_energy_eV,
        **_geometry(adsorbed, host, n_metal, stayed_A),
        "potential": adsorbed.provenance["fingerprint"]["name"],
        **({"gate": parents["gate"].scalars["verdict"]} if "gate" in parents else {}),
        "atom_reference": f"bulk metal + tabulated cohesive energy ({cohesive_source})",
    }
    structures = {"final": adsorbed.structures["final"]}
    if scalars["loosest_A"] > desorbed_A:
        message = f"desorbed: a metal atom is {scalars['loosest_A']:.2f} Å from the nearest host atom"
        return Outcome(Status.FAILED, message, scalars, structures)
    used = [adsorbed, host, bulk, *([parents["pristine_host"], best_pristine[2]] if best_pristine else [])]
    late = [result for result in used if result.status is Status.UNCONVERGED]
    if late:
        return Outcome(Status.UNCONVERGED, f"{late[0].title}: {late[0].message}", scalars, structures)
    return Outcome(Status.CONVERGED, "converged", scalars, structures)


def _geometry(adsorbed: Result, host: Result, n_metal: int, stayed_A: float) -> dict[str, Any]:
    """Where the metal ended, how far it came, and whether the host is still the same."""
    before, after, clean = adsorbed.structures["initial"], adsorbed.structures["final"], host.structures["final"]
    geometry = adatom_geometry(after, n_metal)
    shift_A = lateral_shift_A(before, after, n_metal)
    return {
        "ended_at": sites_reached(after, clean),
        "height_A": geometry.height_A,
        "nearest_A": geometry.nearest_distance_A,
        "nearest_element": geometry.nearest_element,
        "loosest_A": geometry.loosest_distance_A,
        "shift_A": shift_A,
        "stayed": shift_A < stayed_A,
        "host_kept_bonds": not bonds_changed(clean, after[: len(clean)]),
        "n_metal": n_metal,
        "area_per_metal_A2": float(np.linalg.norm(np.cross(after.cell[0], after.cell[1]))) / n_metal,
    }


def _unusable(parents: Mapping[str, Result]) -> str:
    """Say which parent has no usable energy; of the pristine sites one usable one is enough."""
    good = {role for role, result in parents.items() if result.status.usable}
    for role, result in parents.items():
        if role not in good and not role.startswith("pristine."):
            return f"no energy for {result.title}: {result.message}"
    return ""
