"""Label structures with PBE energies and forces: GPAW, one after the other, one JSON file each.

Needs ASE, NumPy and GPAW only. Structures that a folder of finished labels or the committed batches already hold are
skipped, so the script may be killed and started again at any moment, on any machine.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python training/label.py --folder labels --datasets datasets
"""

import argparse
import json
import math
import os
import re
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ase
import gpaw
import numpy as np
from ase import Atoms
from ase.io import read
from gpaw import GPAW, PW, FermiDirac, KohnShamConvergenceError, setup_paths

HERE = Path(__file__).parent
DATASETS = {"Li": "sv", "F": "v2", "N": "v26", "O": "v26"}
"""PAW datasets that are not GPAW's default; Li, N and O are made with `gpaw dataset`, see README.md."""
PLANE_WAVES_EV = 500
SMEARING_EV = 0.1
BCC_A = {"Li": 3.44, "Na": 4.20, "K": 5.285}
PER_LATTICE_CONSTANT = 5
"""Pure metals: k-points along a cell vector as long as `BCC_A`, fewer along longer ones."""
SPACING_PER_A = {"salt": 0.45, "sheet": 0.185}
"""Largest distance between k-points (2 pi included) of the others."""
EMPTY_BANDS = {"metal": 6, "salt": 4, "sheet": 12}
"""With 6 on sheets, the first cycles missed an occupied state of K on a flat one; metals get one more for two atoms."""
EIGENSTATES_CONVERGENCE = 1e-6  # eV^2 per electron; energy and density as GPAW chooses
SPIN_START = 0.8
"""Magnetic moment in Bohr magnetons that a carbon atom with fewer than three bonds starts from."""
MAX_ITERATIONS = 120


def kind_of(atoms: Atoms) -> str:
    """Tell whether a structure is a ``"sheet"`` (holds carbon), a ``"metal"`` or a ``"salt"``."""
    elements = set(atoms.symbols)
    if "C" in elements:
        return "sheet"
    return "metal" if len(elements) == 1 else "salt"


def k_points(atoms: Atoms) -> tuple[list[int], list[float]]:
    """
    Choose how many k-points lie along each vector, and how many steps off Gamma the first is.

    Sheets and salts get meshes half a step off Gamma, sheets of even numbers (3x3: 6, 4x4: 4): the Dirac point of a 3x3
    sheet folds to Gamma, and a mesh that holds it over-weights it. In a metal the mesh holds the middle of the cubic
    cell's zone boundary, whatever the supercell: with five points such meshes are within 3 meV an atom, others off by
    10 to 20.
    """
    kind = kind_of(atoms)
    lengths_A = 1 / np.linalg.norm(atoms.cell.reciprocal(), axis=1)
    numbers, shifts = [], []
    for length_A, periodic in zip(lengths_A, atoms.pbc, strict=True):
        if not periodic:
            n, shift = 1, 0.0
        elif kind == "metal":
            repeats = length_A / BCC_A[str(atoms.symbols[0])]
            n = math.ceil(PER_LATTICE_CONSTANT / repeats - 0.2)
            shift = 0.5 if max(round(repeats), 1) % 2 and n % 2 else 0.0
        else:
            step = 2 if kind == "sheet" else 1
            n, shift = step * math.ceil(2 * np.pi / length_A / SPACING_PER_A[kind] / step - 1e-6), 0.5
        numbers.append(n)
        shifts.append(shift)
    return numbers, shifts


def settings(atoms: Atoms, spin_polarised: bool) -> dict[str, Any]:
    """Write down all that decides the numbers, as plain JSON."""
    kind = kind_of(atoms)
    numbers, shifts = k_points(atoms)
    return {
        "xc": "PBE",
        "plane_waves_eV": PLANE_WAVES_EV,
        "kpts": numbers,
        "kpts_off_gamma": shifts,
        "smearing_eV": SMEARING_EV,
        "datasets": {element: DATASETS.get(element, "paw") for element in sorted(set(atoms.symbols))},
        "spin_polarised": spin_polarised,
        "dipole_layer": bool(atoms.pbc.tolist() == [True, True, False]),
        "empty_bands": EMPTY_BANDS[kind] + (len(atoms) // 2 if kind == "metal" else 0),
        "eigenstates_convergence": EIGENSTATES_CONVERGENCE,
    }


def calculator(chosen: dict[str, Any], log: Path) -> GPAW:
    """Make GPAW's calculator from `settings`."""
    more: dict[str, Any] = {"poissonsolver": {"dipolelayer": "xy"}} if chosen["dipole_layer"] else {}
    mesh = (np.indices(chosen["kpts"]).reshape(3, -1).T + chosen["kpts_off_gamma"]) / chosen["kpts"]
    mesh -= np.round(mesh)
    if chosen["spin_polarised"]:
        more["spinpol"] = True
    return GPAW(
        mode=PW(chosen["plane_waves_eV"]),
        xc=chosen["xc"],
        kpts=mesh,
        occupations=FermiDirac(chosen["smearing_eV"]),
        setups=chosen["datasets"],
        nbands=-chosen["empty_bands"],
        convergence={"eigenstates": chosen["eigenstates_convergence"]},
        maxiter=MAX_ITERATIONS,
        txt=str(log),
        **more,
    )


def label(atoms: Atoms, log: Path) -> dict[str, Any]:
    """
    Compute energy and forces, stress of a crystal and moment of a spin-polarised structure.

    Returns
    -------
    dict
        Plain JSON. ``converged`` is False, and the numbers are missing, when the density did not converge.
    """
    spin_polarised = bool(atoms.info["spin_polarised"])
    chosen = settings(atoms, spin_polarised)
    work = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    if spin_polarised:
        work.set_initial_magnetic_moments(_moments(work))
    wall, cpu = time.time(), time.process_time()
    record: dict[str, Any] = {
        "name": atoms.info["name"],
        "class": atoms.info["class"],
        "metal": atoms.info["metal"],
        "host": atoms.info["host"],
        "symbols": list(work.symbols),
        "positions": work.positions.tolist(),
        "cell": work.cell.tolist(),
        "pbc": work.pbc.tolist(),
        "settings": chosen,
        "versions": {"gpaw": gpaw.__version__, "gpaw-data": version("gpaw-data"), "ase": ase.__version__},
    }
    try:
        work.calc = calculator(chosen, log)
        record["energy"] = float(work.get_potential_energy())
        record["free_energy"] = float(work.get_potential_energy(force_consistent=True))
        record["forces"] = work.get_forces().tolist()
        if work.pbc.all():
            record["stress"] = work.get_stress().tolist()
        if spin_polarised:
            record["magmom"] = float(work.get_magnetic_moment())
        record["converged"] = True
    except (KohnShamConvergenceError, np.linalg.LinAlgError):  # the latter where orbitals run away
        record["converged"] = False
    record["iterations"] = len(re.findall(r"^\|?iter:\s*\d", log.read_text(), re.MULTILINE))
    record["wall_s"] = round(time.time() - wall, 1)
    record["cpu_s"] = round(time.process_time() - cpu, 1)
    return record


def _moments(atoms: Atoms) -> Any:
    """Start from moments on carbon with a bond missing, and on the metal where there is no carbon."""
    if "C" not in set(atoms.symbols):
        return np.full(len(atoms), 1.0 if len(atoms) % 2 else 0.3)
    carbon = atoms.numbers == 6
    other = np.isin(atoms.numbers, [3, 11, 19], invert=True)
    bonded = (atoms.get_all_distances(mic=True) < 1.9) & other
    return np.where(carbon & (bonded.sum(axis=1) - 1 < 3), SPIN_START, 0.0)


def finished(folder: Path, batches: Path) -> set[str]:
    """Name the structures that are labelled, or known not to converge, in a folder or in the committed batches."""
    names = {path.stem for path in folder.glob("*.json")}
    for path in sorted(batches.glob("labels-*.xyz.gz")):
        names.update(atoms.info["name"] for atoms in read(path, ":", format="extxyz"))
    left_out = batches / "not-converged.json"
    if left_out.exists():
        names.update(record["name"] for record in json.loads(left_out.read_text()))
    return names


def main() -> None:
    """Label what is not labelled yet, in the order of the list."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=Path, default=HERE / "candidates.xyz.gz", help="the list of structures")
    parser.add_argument("--batches", type=Path, default=HERE / "labels", help="committed labels, skipped")
    parser.add_argument("--folder", type=Path, required=True, help="where a JSON file is written for each structure")
    parser.add_argument("--datasets", type=Path, required=True, help="folder of the PAW datasets made for this")
    parser.add_argument("--only", default="", help="regular expression that a structure's name must match")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    setup_paths.insert(0, str(options.datasets))
    options.folder.mkdir(parents=True, exist_ok=True)
    done = finished(options.folder, options.batches)
    for atoms in read(options.candidates, ":", format="extxyz"):
        name = atoms.info["name"]
        target = options.folder / f"{name}.json"
        if name in done or target.exists() or not re.search(options.only, name):
            continue
        record = label(atoms, options.folder / "gpaw.txt")
        beside = target.with_suffix(".part")
        beside.write_text(json.dumps(record))
        beside.rename(target)
        energy = f"{record['energy'] / len(atoms):9.4f} eV/atom" if record["converged"] else "not converged"
        print(f"{name:40} {len(atoms):3} atoms {energy} {record['iterations']:3} steps {record['cpu_s']:6.0f} s", flush=True)


if __name__ == "__main__":
    main()
