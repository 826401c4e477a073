"""Is this potential reliable for this metal? The metal's reference energy and the gate, as steps of a flow."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

from ...potentials import card, cohesive_energy_eV, reference
from ...structures.carbons.carbon import graphene
from ...structures.crystals.metals import bulk_metal
from ...structures.sites.adatoms import spread_sites
from ...structures.sites.sites import adsorption_sites
from ...workflows.engine.flow import Derived, Step
from .calibrations import reference_calibration

TIGHT = {"fmax_eV_per_A": 0.005, "max_steps": 300}
SLAB_LAYERS = 9
GRAPHENE_SIZE = (3, 3)
"""Size of the reference calculations of adsorption on graphene."""


@dataclass(frozen=True)
class MetalSteps:
    """What every recipe needs of a metal and a potential.

    Attributes
    ----------
    bulk
        Relaxation of the bulk metal, the reference of adsorption energies.
    gate
        The verdict on the potential for this metal.
    cohesive_energy_eV, cohesive_source
        Tabulated cohesive energy per atom for the potential's functional; None where there is none.
    """

    bulk: Step
    gate: Step
    cohesive_energy_eV: float | None
    cohesive_source: str


def metal_steps(metal: str, potential: str) -> MetalSteps:
    """Make the steps that relax a bulk metal and judge a potential for it.

    Parameters
    ----------
    metal
        The alkali metal.
    potential
        Name of the potential to judge.
    """
    about = {"metal": metal}

    def relax(structure: Any, host: str, **parameters: Any) -> Step:
        return Step("relax", TIGHT | parameters, structure, potential=potential, about=about | {"host": host})

    crystal = bulk_metal(metal)
    bulk = relax(crystal, "bulk metal", relax_cell=True)
    slab = Derived(bulk, SLAB_LAYERS, "slab_from_bulk", {"miller": [1, 1, 0], "layers": SLAB_LAYERS})
    parents = {
        "bulk": bulk,
        "bulk_modulus": Step("bulk_modulus", {}, Derived(bulk, len(crystal)), potential=potential, about=about),
        "slab": relax(slab, "(110) slab"),
    }
    facts = card(potential)
    if "C" in facts.elements:
        sheet = graphene(GRAPHENE_SIZE)
        hollow = next(site for site in adsorption_sites(sheet) if site.kind == "hollow")
        place = {"metal": metal, "anchors": spread_sites(sheet, hollow, 1)}
        parents["graphene"] = Step("relax", TIGHT, sheet, potential=potential, about={"host": "3x3 graphene"})
        on_sheet = Derived(parents["graphene"], len(sheet) + 1, "place_adatoms", place)
        parents["on_graphene"] = relax(on_sheet, "3x3 graphene")
    values, source = references(facts.cohesive_reference, metal, facts.elements)
    if values and (dopants := reference_calibration(metal, potential)):
        parents["dopants"] = dopants
    settings = {"cutoff_A": facts.cutoff_A if isfinite(facts.cutoff_A) else None, "reference": values, "source": source}
    gate = Step("gate", settings, parents=parents, about=about | {"potential": potential})
    return MetalSteps(bulk, gate, *cohesive(potential, metal))


def cohesive(potential: str, metal: str) -> tuple[float | None, str]:
    """Give the tabulated cohesive energy per atom for a potential's functional, and its source; None where there is none."""
    functional = card(potential).cohesive_reference
    if functional is None:
        return None, "none for this potential"
    return cohesive_energy_eV(functional, metal), functional


def references(functional: str | None, metal: str, elements: frozenset[str]) -> tuple[dict[str, float], str]:
    """Give reference values by the gate's names, and their sources; none where the functional has no table.

    A potential that does not know carbon is not judged on graphene.
    """
    try:
        known = reference(functional or "", metal)
    except ValueError:
        return {}, "none"
    values = {
        "lattice_constant_A": known.lattice_constant_A,
        "bulk_modulus_GPa": known.bulk_modulus_GPa,
        "surface_energy_J_per_m2": known.surface_energy_110_J_per_m2,
        **({"graphene_vs_bulk_eV": known.graphene_hollow_vs_bulk_eV} if "C" in elements else {}),
    }
    return values, "; ".join(dict.fromkeys(source.text for source in known.sources.values()))
