"""A potential against PBE energies of metals on doped carbon: what the gate judges, and what calibrates a ranking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from ase import Atoms

from ...potentials import adsorption_pbe, card
from ...structures.sites.bonds import find_bonds
from ...workflows.engine.flow import Step

SOURCE = "PBE, plane waves, single points at geometries of CHGNet 0.3.0 (philic.potentials.references.adsorption)"
MISSING_BOND = "carbon that lacks a bond"


def chemistry(host: Atoms) -> list[str]:
    """List what makes a carbon host special: elements apart from carbon, and carbon atoms with fewer than three bonds."""
    bonds = Counter(i for i, *_ in find_bonds(host))
    elements = sorted(set(host.symbols) - {"C"})
    lacking = any(symbol == "C" and bonds[i] < 3 for i, symbol in enumerate(host.symbols))
    return elements + [MISSING_BOND] * lacking


def reference_calibration(metal: str, potential: str) -> Step | None:
    """Make the step that compares a potential with the PBE energies of a metal on doped carbon.

    It costs two single points for each host whose elements the potential knows; None where there are no such hosts.
    """
    frames, known = adsorption_pbe(), card(potential).elements
    hosts = {
        atoms.info["host"]: atoms
        for atoms in frames.values()
        if atoms.info["metal"] == metal and atoms.info["host"] and known.issuperset(atoms.symbols)
    }
    if not hosts:
        return None
    parents = {"bulk": _single_point(frames[f"bulk {metal}"], potential)}
    for name, atoms in hosts.items():
        parents |= {
            f"host.{name}": _single_point(frames[f"host {name}"], potential),
            f"adsorbed.{name}": _single_point(atoms, potential),
        }
    settings = {
        "reference_vs_bulk_eV": {name: _vs_bulk_eV(frames, atoms) for name, atoms in hosts.items()},
        "chemistry": {name: chemistry(frames[f"host {name}"]) for name in hosts},
        "source": SOURCE,
    }
    return Step("reference_calibration", settings, parents=parents, about={"metal": metal, "potential": potential})


def _single_point(frame: Atoms, potential: str) -> Step:
    atoms = Atoms(frame.symbols, positions=frame.positions, cell=frame.cell, pbc=frame.pbc)
    about = {name: value for name in ("metal", "host") if (value := frame.info[name])}
    return Step("single_point", {}, atoms, potential=potential, about=about)


def _vs_bulk_eV(frames: Mapping[str, Atoms], adsorbed: Atoms) -> float:
    metal = frames[f"bulk {adsorbed.info['metal']}"]
    per_atom_eV = metal.info["energy_eV"] / len(metal)
    return float(adsorbed.info["energy_eV"] - frames[f"host {adsorbed.info['host']}"].info["energy_eV"] - per_atom_eV)
