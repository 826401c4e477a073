"""Reference facts: present, sourced, consistent."""

from __future__ import annotations

import doctest

import pytest
from ase.collections import dcdft

from philic.potentials import cohesive_energy_eV, reference, references


@pytest.mark.parametrize("metal", ["Li", "Na", "K"])
def test_every_number_has_a_source(metal: str) -> None:
    facts = reference("PBE", metal)
    assert set(facts.sources) == {name for name in vars(facts) if name not in ("functional", "metal", "sources")}
    assert all(source.text for source in facts.sources.values())
    assert all(source.verified for source in facts.sources.values())
    assert facts == reference("PBE_MatPES", metal)


@pytest.mark.parametrize(("metal", "volume", "bulk_modulus"), [("Li", 0.01, 0.02), ("Na", 0.02, 0.05), ("K", 0.01, 0.02)])
def test_bulk_agrees_with_wien2k_of_the_delta_project(metal: str, volume: float, bulk_modulus: float) -> None:
    # Lejaeghere et al., Crit. Rev. Solid State Mater. Sci. 39, 1 (2014), as shipped with ASE: fcc-like ground
    # states, whose volume per atom differs by less than 2 %.
    facts = reference("PBE", metal)
    wien2k = dcdft.data[metal]
    assert facts.lattice_constant_A**3 / 2 == pytest.approx(wien2k["wien2k_volume"], rel=volume)
    assert facts.bulk_modulus_GPa == pytest.approx(wien2k["wien2k_B"], rel=bulk_modulus)


def test_graphene_against_bulk() -> None:
    # own GPAW calculations, PBE, plane waves, fixed height, 6x6x1 k-points
    assert [reference("PBE", m).graphene_hollow_vs_bulk_eV for m in ("Li", "Na", "K")] == [0.66, 0.72, 0.17]


def test_cohesive_energies() -> None:
    assert reference("PBE", "Na").cohesive_energy_eV == cohesive_energy_eV("PBE_MatPES", "Na") == 1.0901
    assert cohesive_energy_eV("r2SCAN_MatPES", "K") == 0.8543


@pytest.mark.parametrize(
    ("ask", "arguments", "sentence"),
    [
        (reference, ("LDA", "K"), "^'LDA' is not a functional with reference metals; choose one of PBE$"),
        (reference, ("PBE", "Cs"), "^'Cs' is not a metal with PBE references; choose one of Li, Na, K$"),
        (
            cohesive_energy_eV,
            ("PBE", "K"),
            "^'PBE' is not a table of cohesive energies; choose one of PBE_MatPES, r2",
        ),
        (
            cohesive_energy_eV,
            ("PBE_MatPES", "Xe"),
            "^'Xe' is not an element with a cohesive energy in PBE_MatPES; ch",
        ),
    ],
)
def test_unknown_names_list_the_known_ones(ask, arguments: tuple[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ask(*arguments)


def test_doctests() -> None:
    assert doctest.testmod(references).failed == 0
