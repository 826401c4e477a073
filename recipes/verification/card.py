"""The steps of a report card: what a potential computes, and the references it is held against (``facts.json``)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.build import bulk

from ...potentials import adsorption_pbe, card, forces_pbe, reference
from ...structures.crystals.crystals import crystal
from ...structures.surfaces.slabs import slab
from ...workflows.engine.flow import Derived, Step
from ..parts.calibrations import reference_calibration
from ..parts.gate import TIGHT, metal_steps

METALS = ("Li", "Na", "K")
FACE_LAYERS_A = 12.0
"""Thickness of the slabs of lithium's faces."""
ENDS = {"fmax_eV_per_A": 0.02, "max_steps": 300}
AT_REST_eV_PER_A = 0.02
"""Structures with smaller forces by symmetry show nothing of a potential's."""
BAND = {"fmax_eV_per_A": 0.05, "max_iterations": 100, "image_spacing_A": 0.75}


class Entry(NamedTuple):
    """A number that is compared: see `philic.workflows.analyses.report_card`."""

    section: str
    name: str
    quantity: str
    steps: Sequence[Step]
    reference: Any


def report_card(potential: str) -> Step:
    """Make the step that compares a potential with every reference whose elements it knows.

    Raises
    ------
    ValueError
        If there is none.
    """
    known = card(potential).elements
    entries = [entry for entry in _entries(potential) if all(known.issuperset(_symbols(step)) for step in entry.steps)]
    if not entries:
        raise ValueError(f"no reference has only elements that {potential} knows: {', '.join(sorted(known))}")
    parents = {f"{i}.{j}": step for i, entry in enumerate(entries) for j, step in enumerate(entry.steps)}
    described = [
        {
            "section": entry.section,
            "name": entry.name,
            "quantity": entry.quantity,
            "roles": [f"{i}.{j}" for j in range(len(entry.steps))],
            "reference": entry.reference,
        }
        for i, entry in enumerate(entries)
    ]
    about = {"potential": potential, "functional": card(potential).functional}
    return Step("report_card", {"entries": described}, parents=parents, about=about)


def _symbols(step: Step) -> set[str]:
    """Elements that a step computes with."""
    if isinstance(step.structure, Atoms):
        return set(step.structure.symbols)
    of = [step.structure.parent] if isinstance(step.structure, Derived) else []
    placed = {step.structure.parameters["metal"]} if of and "metal" in step.structure.parameters else set()  # type: ignore[union-attr]
    return placed.union(*(_symbols(one) for one in [*of, *step.parents.values()]))


def _entries(potential: str) -> Iterator[Entry]:
    yield from _metals(potential)
    yield from _crystals(potential)
    yield from _faces(potential)
    yield from _vacancies(potential)
    yield from _barriers(potential)
    yield from _forces(potential)


def _metals(potential: str) -> Iterator[Entry]:
    """What the gate computes, too: bulk, (110) face, graphene and dopants of each metal, against PBE."""
    for metal in METALS:
        steps = metal_steps(metal, potential)
        parents, known = steps.gate.parents, reference("PBE", metal)
        yield Entry("lattice constants", metal, "lattice constant", [steps.bulk], known.lattice_constant_A)
        yield Entry("bulk moduli", metal, "bulk modulus", [parents["bulk_modulus"]], known.bulk_modulus_GPa)
        if metal != "Li":  # its faces come below
            energy = known.surface_energy_110_J_per_m2
            yield Entry("surface energies", f"{metal}(110)", "surface energy", [parents["slab"], steps.bulk], energy)
        if "on_graphene" in parents:
            three = [parents["on_graphene"], parents["graphene"], steps.bulk]
            yield Entry("metal on graphene", metal, "adsorption", three, known.graphene_hollow_vs_bulk_eV)
        if dopants := reference_calibration(metal, potential):
            yield Entry("metal on dopants", metal, "dopants", [dopants], None)


def _crystals(potential: str) -> Iterator[Entry]:
    facts = _facts()
    cells = [(row, crystal(row["crystal"], row["metal"])) for row in facts["crystals"]]
    cells += [(row, bulk(row["name"], row["structure"], a=row["a_A"], cubic=True)) for row in facts["elements"]]
    for row, atoms in cells:
        relaxed = _relaxed(atoms, row["name"], potential)
        if "a_A" in row:
            yield Entry("lattice constants", row["name"], "lattice constant", [relaxed], row["a_A"])
        stiff = Step("bulk_modulus", {}, Derived(relaxed, len(atoms)), potential=potential, about={"host": row["name"]})
        yield Entry("bulk moduli", row["name"], "bulk modulus", [stiff], row["B_GPa"])
        if "G_GPa" in row:
            about = {"host": row["name"]}
            elastic = Step("elastic_constants", {}, Derived(relaxed, len(atoms)), potential=potential, about=about)
            yield Entry("shear moduli", row["name"], "shear modulus", [elastic], row["G_GPa"])


def _relaxed(atoms: Atoms, name: str, potential: str) -> Step:
    return Step("relax", TIGHT | {"relax_cell": True}, atoms, potential=potential, about={"host": name})


def _faces(potential: str) -> Iterator[Entry]:
    facts = _facts()["faces"]
    metal = facts["metal"]
    crystal_step = metal_steps(metal, potential).bulk
    assert isinstance(crystal_step.structure, Atoms)
    for face, energy in facts["values_J_per_m2"].items():
        h, k, l = map(int, face)  # noqa: E741
        n_atoms = len(slab(crystal_step.structure, (h, k, l), thickness_A=FACE_LAYERS_A))
        cut = {"miller": [h, k, l], "thickness_A": FACE_LAYERS_A}
        about = {"metal": metal, "host": f"({face}) slab"}
        step = Step("relax", TIGHT, Derived(crystal_step, n_atoms, "slab_from_bulk", cut), potential=potential, about=about)
        yield Entry("surface energies", f"{metal}({face})", "surface energy", [step, crystal_step], energy)


def _vacancies(potential: str) -> Iterator[Entry]:
    """One atom of 32 is missing, at the relaxed lattice constant of the fcc crystal."""
    lengths_A = {"Li": 4.33, "Na": 5.29, "K": 6.66, "Cu": 3.63, "Al": 4.04, "Ag": 4.15, "Au": 4.16}
    for element, energy_eV in _facts()["vacancies"]["values_eV"].items():
        crystal_step = _relaxed(bulk(element, "fcc", a=lengths_A[element], cubic=True), f"fcc {element}", potential)
        hole = Derived(crystal_step, 31, "with_vacancy", {"repeats": 2})
        step = Step("relax", TIGHT, hole, potential=potential, about={"host": f"fcc {element} with a vacancy"})
        yield Entry("vacancies", f"fcc {element}", "vacancy", [step, crystal_step], energy_eV)


def _barriers(potential: str) -> Iterator[Entry]:
    for row in _facts()["barriers"]:
        start = Atoms(row["symbols"], scaled_positions=row["scaled"], cell=row["cell_A"], pbc=True)
        end = start.copy()
        scaled = end.get_scaled_positions(wrap=False)
        scaled[row["moves"]] = row["to_scaled"]
        end.set_scaled_positions(scaled)
        about = {"metal": row["metal"], "host": row["name"]}
        ends = {
            role: Step("relax", ENDS, atoms, potential=potential, about=about | {"site": role})
            for role, atoms in (("start", start), ("end", end))
        }
        band = Step("neb", BAND, Derived(ends["start"], len(start)), parents=ends, potential=potential, about=about)
        yield Entry("migration barriers", f"{row['metal']} in {row['name']}", "barrier", [band], row["barrier_eV"])


def _forces(potential: str) -> Iterator[Entry]:
    labelled = [*forces_pbe().values(), *(atoms for atoms in adsorption_pbe().values() if "C" in atoms.symbols)]
    for frame in labelled:
        if np.abs(frame.arrays["forces_eV_per_A"]).max() < AT_REST_eV_PER_A:
            continue
        elements = set(frame.symbols)
        kind = "sheets" if "C" in elements else "metals" if len(elements) == 1 else "salts"
        atoms = Atoms(frame.symbols, positions=frame.positions, cell=frame.cell, pbc=frame.pbc)
        step = Step("single_point", {}, atoms, potential=potential, about={"host": frame.info["name"]})
        yield Entry(f"forces on {kind}", frame.info["name"], "forces", [step], frame.arrays["forces_eV_per_A"].tolist())


@cache
def _facts() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(files(__package__).joinpath("facts.json").read_text(encoding="utf-8"))
    return found
