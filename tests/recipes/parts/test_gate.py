from philic.potentials import card
from philic.recipes.parts.gate import metal_steps, references
from philic.workflows.analyses.gate import CHECKS


def test_a_potential_without_carbon_is_not_judged_on_graphene():
    known, source = references("PBE_MatPES", "K", frozenset({"K", "C"}))
    without, same_source = references("PBE_MatPES", "K", frozenset({"K", "F"}))
    assert set(known) == set(CHECKS)
    assert known.items() - without.items() == {("graphene_vs_bulk_eV", known["graphene_vs_bulk_eV"])}
    assert source == same_source


def test_the_gate_asks_for_what_it_judges():
    gate = metal_steps("K", "chgnet").gate
    assert set(gate.parents) == {"bulk", "bulk_modulus", "slab", "graphene", "on_graphene", "dopants"}
    assert set(gate.parameters["reference"]) == set(CHECKS)
    assert gate.parameters["cutoff_A"] == card("chgnet").cutoff_A
