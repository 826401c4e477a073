"""Slabs and sheets at the lattice constants of the potential: a crystal is relaxed first, then the slab is cut from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from ase import Atoms

from ...structures.surfaces.caveats import slab_caveats
from ...structures.surfaces.recut import cut_of, stretch_of
from ...workflows.engine.flow import Derived, Step
from ...workflows.engine.registry import BUILDERS
from ...workflows.stores.result import Result, Status
from .gate import TIGHT
from .kinds import Known

Lattice = Literal["relaxed", "given"]
CELL = TIGHT | {"relax_cell": True}
LARGE_STRAIN = 0.05
"""A potential whose lattice constants are farther than this from those given may have made another crystal of it."""


@dataclass(frozen=True)
class Substrate:
    """A slab or sheet, and the bulk that has its lattice.

    Attributes
    ----------
    name
        As the user writes it.
    given
        On the lattice as it is listed, or as it stands in a file. Sites are found on it; its atoms keep their indices.
    lattice
        ``"relaxed"``: it is built at the potential's lattice constants; ``"given"``: it stays as it is.
    bulk
        The crystal, or the unit cell of the pristine sheet; None where it is unknown.
    builder, parameters
        What makes the slab or sheet of the relaxed bulk.
    """

    name: str
    given: Atoms
    lattice: Lattice
    bulk: Atoms | None = None
    builder: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def relaxed_bulk(self, potential: str) -> Step | None:
        """Relax the bulk with its cell: one step for all faces, sites and metals."""
        if self.bulk is None:
            return None
        return Step("relax", CELL, self.bulk, potential=potential, about={"host": f"cell of {self.bulk_name}"})

    @property
    def bulk_name(self) -> str:
        """What the bulk is called: ``KF`` for ``KF(100)``; ``graphene`` for any carbon."""
        if self.bulk is None:
            return ""
        name = str(self.bulk.info.get("philic", {}).get("host", self.bulk.symbols))
        return "graphene" if name == "pristine" else name

    def clean(self, potential: str, relaxation: Mapping[str, Any]) -> Step:
        """Relax it without metal, in the cell that it has with the metal too."""
        bulk = self.relaxed_bulk(potential)
        if bulk is None or self.lattice == "given":
            structure: Atoms | Derived = self.given
        else:
            structure = Derived(bulk, len(self.given), self.builder, dict(self.parameters))
        return Step("relax", relaxation, structure, potential=potential, about={"host": self.name})

    @property
    def caveats(self) -> list[str]:
        """Say whether it is polar, charged or not stoichiometric, or has ions moved to the other face."""
        return slab_caveats(self.given)

    def built(self, potential: str, known: Known) -> Atoms:
        """Give it at the potential's lattice constants if these are known already, else as given."""
        bulk = self.relaxed_bulk(potential)
        if bulk is None or self.lattice == "given":
            return self.given
        result = known([bulk.key]).get(bulk.key)
        if result is None or not result.status.usable:
            return self.given
        atoms: Atoms = BUILDERS[self.builder].function(result.structures["final"], **self.parameters)
        return atoms


def on_crystal(name: str, slab: Atoms, crystal: Atoms, miller: tuple[int, int, int], lattice: Lattice) -> Substrate:
    """Make a substrate of a slab and the crystal that it was cut from."""
    bulk = crystal.copy()
    bulk.set_constraint()
    return Substrate(name, slab, lattice, bulk, "recut", cut_of(slab, crystal, miller))


def on_unit(name: str, sheet: Atoms, unit: Atoms, lattice: Lattice) -> Substrate:
    """Make a substrate of a sheet and the unit cell of its pristine form."""
    return Substrate(name, sheet, lattice, unit, "stretched", stretch_of(sheet, unit))


def bulk_steps(substrates: Iterable[Substrate], potential: str) -> list[Step]:
    """Collect the relaxations of the bulks, those included that only tell how strained a substrate as given is."""
    return [step for substrate in substrates if (step := substrate.relaxed_bulk(potential))]


def host_notes(substrates: Iterable[Substrate], potential: str, results: Mapping[str, Result]) -> list[str]:
    """Say which hosts are polar, on which lattice constants they stand, and by how much these differ from those given.

    Parameters
    ----------
    substrates
        The hosts of a recipe.
    potential
        Its potential.
    results
        What the store has, by key.
    """
    hosts = list(substrates)
    caveats = [f"{sentence}." for substrate in hosts for sentence in substrate.caveats]
    return list(dict.fromkeys([*caveats, *(_note(substrate, potential, results) for substrate in hosts)]))


def _note(substrate: Substrate, potential: str, results: Mapping[str, Result]) -> str:
    step, name = substrate.relaxed_bulk(potential), substrate.bulk_name
    if step is None or substrate.bulk is None:
        return f"{substrate.name} keeps its lattice: no bulk crystal is known to which {potential} could relax it."
    result = results.get(step.key)
    if result is None or not result.status.usable:
        return f"{name} has no lattice constants with {potential}: {result.message if result else 'not computed'}."
    lengths = _lengths(substrate.bulk, result.structures["final"], 2 if substrate.builder == "stretched" else 3)
    given = ", ".join(f"{one.letter} = {one.given_A:.3f}" for one in lengths)
    relaxed = ", ".join(f"{one.letter} = {one.relaxed_A:.3f}" for one in lengths)
    if substrate.lattice == "given":
        strain = ", ".join(f"{one.given_A / one.relaxed_A - 1:+.1%}" for one in lengths)
        sentence = f"{name} keeps {given} Å as given, where {potential} relaxes it to {relaxed} Å: a strain of {strain}."
    else:
        change = ", ".join(f"{one.relaxed_A / one.given_A - 1:+.1%}" for one in lengths)
        sentence = f"{name} has {relaxed} Å, relaxed with {potential}, where {given} Å was given: {change}."
    if result.status is not Status.CONVERGED:
        sentence += f" Its relaxation is {result.message}."
    if any(abs(one.relaxed_A / one.given_A - 1) > LARGE_STRAIN for one in lengths):
        sentence += f" That is more than {LARGE_STRAIN:.0%}: check that {potential} has kept the structure."
    return sentence


class _Length(NamedTuple):
    """A vector of a unit cell, as given and relaxed."""

    letter: str
    given_A: float
    relaxed_A: float


def _lengths(given: Atoms, relaxed: Atoms, n: int) -> list[_Length]:
    """List the first vectors of a cell; equally long ones once."""
    found: list[_Length] = []
    for letter, given_A, relaxed_A in zip("abc"[:n], given.cell.lengths(), relaxed.cell.lengths(), strict=False):
        if not any(np.allclose([given_A, relaxed_A], one[1:], rtol=1e-3) for one in found):
            found.append(_Length(letter, float(given_A), float(relaxed_A)))
    return found
