"""Compute and gather PBE energies of metals on doped sheets: what `philic.potentials.references` ships.

    philic run sheets.yaml --store sheets.db         # a recipe of the kind `adsorption`: relaxes with CHGNet
    python training/adsorption.py frames --store sheets.db --to frames.xyz                        (needs philic)
    python training/adsorption.py label --frames frames.xyz --folder json --datasets datasets      (needs GPAW)
    python training/adsorption.py collect --frames frames.xyz --folder json --to potentials/references/adsorption_pbe.xyz

`label` may be killed, started again, and run by several processes at once. `collect` takes what is complete: a host with its
metal's bulk and itself without metal.
"""

import argparse
import contextlib
import json
import os
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

SETTINGS: dict[str, Any] = {
    "xc": "PBE",
    "plane_waves_eV": 400,
    "smearing_eV": 0.1,
    "kpts": {"sheet": [4, 4, 1], "metal": [12, 12, 12]},
    "empty_bands": {"sheet": 12, "metal": 6},
    "datasets": {"Li": "sv", "F": "v2"},
    "eigenstates_convergence": 1e-6,
}


def frames(store: Path, to: Path) -> None:
    """Write the best site of each host with each metal, the clean hosts and the bulk metals of a store.

    Names have a space: extended XYZ reads a lone F as false.
    """
    from philic.workflows.stores.opening import open_store

    opened, best, found = open_store(store, reading=True), {}, {}
    for result in opened.results("adsorption"):
        of = result.about["metal"], result.about["host"]
        sound = result.status == "converged" and result.scalars["host_kept_bonds"] and "geometry" not in result.about
        if sound and (of not in best or result.scalars["vs_bulk_eV"] < best[of].scalars["vs_bulk_eV"]):
            best[of] = result
    for (metal, host), result in sorted(best.items()):
        parents = opened.get(result.provenance["parents"].values())
        for role, of_metal, of_host in (("bulk", metal, ""), ("host", "", host), ("adsorbed", metal, host)):
            relaxed = parents[result.provenance["parents"][role]].structures["final"]
            atoms = Atoms(relaxed.symbols, positions=relaxed.positions, cell=relaxed.cell, pbc=relaxed.pbc)
            name = f"{of_metal} on {of_host}" if role == "adsorbed" else f"{role} {of_metal or of_host}"
            atoms.info = {"name": name} | ({"site": result.scalars["ended_at"]} if role == "adsorbed" else {})
            found[name] = atoms
    write(to, list(found.values()), format="extxyz")


def label(path: Path, folder: Path, datasets: Path) -> None:
    """Compute what the folder has no energy of yet."""
    from gpaw import setup_paths

    setup_paths.insert(0, str(datasets))
    folder.mkdir(exist_ok=True)
    for atoms in read(path, ":", format="extxyz"):
        target = folder / f"{atoms.info['name']}.json"
        claim = target.with_suffix(".claimed")  # delete it where a process was killed
        if target.exists() or claim.exists():
            continue
        with contextlib.suppress(FileExistsError):
            os.close(os.open(claim, os.O_CREAT | os.O_EXCL))
            target.write_text(json.dumps(_labelled(atoms, target.with_suffix(".txt"))))
            claim.unlink()


def _labelled(atoms: Atoms, log: Path) -> dict[str, Any]:
    from gpaw import GPAW, PW, FermiDirac

    kind = "sheet" if "C" in atoms.symbols else "metal"
    work = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=(True, True, kind == "metal"))
    work.calc = GPAW(
        mode=PW(SETTINGS["plane_waves_eV"]),
        xc=SETTINGS["xc"],
        kpts={"size": SETTINGS["kpts"][kind], "gamma": True},
        occupations=FermiDirac(SETTINGS["smearing_eV"]),
        setups=SETTINGS["datasets"],
        nbands=-SETTINGS["empty_bands"][kind],
        convergence={"eigenstates": SETTINGS["eigenstates_convergence"]},
        maxiter=120,
        txt=str(log),
        **({"poissonsolver": {"dipolelayer": "xy"}} if kind == "sheet" else {}),
    )
    return {
        "energy_eV": float(work.get_potential_energy()),
        "free_energy_eV": float(work.get_potential_energy(force_consistent=True)),
        "forces": work.get_forces().tolist(),
    }


def collect(path: Path, folder: Path, to: Path) -> None:
    """Write the structures whose energies are all there, with energies and forces."""
    known = {atoms.info["name"]: atoms for atoms in read(path, ":", format="extxyz")}
    done = {name: json.loads((folder / f"{name}.json").read_text()) for name in known if (folder / f"{name}.json").exists()}
    wanted: dict[str, None] = {}
    for name in known:
        metal, on, host = name.partition(" on ")
        three = (f"bulk {metal}", f"host {host}", name)
        if on and done.keys() >= {*three}:
            wanted |= dict.fromkeys(three)
    chosen = []
    for name in sorted(wanted):
        atoms, found = known[name], done[name]
        atoms.calc = SinglePointCalculator(
            atoms, energy=found["energy_eV"], free_energy=found["free_energy_eV"], forces=found["forces"]
        )
        chosen.append(atoms)
    write(to, chosen, format="extxyz", columns=["symbols", "positions", "forces"])
    print(f"{len(chosen)} structures, {sum(' on ' in name for name in wanted)} of a metal on a host")


def main() -> None:
    """Run one of the three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, options in {"frames": ("store", "to"), "label": ("frames", "folder", "datasets")}.items():
        command = commands.add_parser(name)
        for option in options:
            command.add_argument(f"--{option}", type=Path, required=True)
    command = commands.add_parser("collect")
    for option in ("frames", "folder", "to"):
        command.add_argument(f"--{option}", type=Path, required=True)
    given = parser.parse_args()
    if given.command == "frames":
        frames(given.store, given.to)
    elif given.command == "label":
        label(given.frames, given.folder, given.datasets)
    else:
        collect(given.frames, given.folder, given.to)


if __name__ == "__main__":
    main()
