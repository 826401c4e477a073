"""Reference facts a potential is measured against; ``references.json`` holds them with every source."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Source:
    """Where a number comes from.

    Attributes
    ----------
    text
        Citation, and how the number was read from it.
    verified
        Whether the number was read in the source itself.
    """

    text: str
    verified: bool


@dataclass(frozen=True)
class MetalReference:
    """What density functional theory says of one bcc metal.

    Attributes
    ----------
    functional, metal
        What was asked for.
    lattice_constant_A
        Conventional bcc lattice constant.
    bulk_modulus_GPa
        Bulk modulus at that lattice constant.
    surface_energy_110_J_per_m2
        Surface energy of the (110) face.
    cohesive_energy_eV
        Energy to take one atom out of the bulk into vacuum, per atom, positive.
    graphene_hollow_vs_bulk_eV
        One atom on the hollow of 3x3 graphene against the bulk metal; positive: the metal prefers itself.
    sources
        Source of each number, by attribute.
    """

    functional: str
    metal: str
    lattice_constant_A: float
    bulk_modulus_GPa: float
    surface_energy_110_J_per_m2: float
    cohesive_energy_eV: float
    graphene_hollow_vs_bulk_eV: float
    sources: dict[str, Source]


def reference(functional: str, metal: str) -> MetalReference:
    """Return the reference facts of a metal.

    Parameters
    ----------
    functional
        "PBE", or the `Card.cohesive_reference` of a PBE potential, "PBE_MatPES".
    metal
        Chemical symbol: Li, Na or K.

    Raises
    ------
    ValueError
        The functional or the metal has no references; the known ones are named.

    Examples
    --------
    >>> reference("PBE", "K").lattice_constant_A
    5.284
    """
    table = _table()
    key = table["gate_functional"].get(functional, functional)
    metals = _known(table["metals"], key, "a functional with reference metals")
    numbers = _known(metals, metal, f"a metal with {key} references")
    return MetalReference(
        functional=key,
        metal=metal,
        cohesive_energy_eV=cohesive_energy_eV(f"{key}_MatPES", metal),
        sources={name: _source(source) for name, source in table["metal_sources"].items()}
        | {"cohesive_energy_eV": _source(table["cohesive_sources"][f"{key}_MatPES"])},
        **numbers,
    )


def cohesive_energy_eV(cohesive_reference: str, element: str) -> float:
    """Return the tabulated cohesive energy of an element, in eV per atom, positive.

    Parameters
    ----------
    cohesive_reference
        The `Card.cohesive_reference` of the potential: "PBE_MatPES" or "r2SCAN_MatPES".
    element
        Chemical symbol.

    Raises
    ------
    ValueError
        The table or the element is unknown; the known ones are named.

    Examples
    --------
    >>> cohesive_energy_eV("PBE_MatPES", "K")
    0.8718
    """
    tables = _table()["cohesive_energy_eV_per_atom"]
    elements = _known(tables, cohesive_reference, "a table of cohesive energies")
    return float(_known(elements, element, f"an element with a cohesive energy in {cohesive_reference}"))


def _source(name: str) -> Source:
    return Source(**_table()["sources"][name])


def _known(table: dict[str, Any], key: str, what: str) -> Any:
    """Return an entry, or name the known ones."""
    if key not in table:
        raise ValueError(f"{key!r} is not {what}; choose one of {', '.join(table)}")
    return table[key]


@cache
def _table() -> dict[str, Any]:
    text = files(__package__).joinpath("references.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table
