"""PBE surface energies of bcc Li, Na and K (110) with GPAW: the reference numbers of the gate.

Computes unrelaxed (110) slabs of 5, 7 and 9 layers (one atom a layer) at the PBE lattice constants of ACWF and prints
the surface energy from the straight line through the slab energies (Fiorentini, Methfessel 1996) and, beside it, from a
bulk cell of two (110) layers with the same in-plane k-points, plane waves and real-space grid.

Made with GPAW 26.7.0, gpaw-data 1.2.1, libxc 5.2.3, ASE 3.29.0, NumPy 2.4.6, Python 3.11: TIME on one core.
GPAW is GPL-3 and no dependency of philic; install it in an environment of its own (needs libxc, a BLAS, and g++):

    CC=g++ pip install "gpaw==26.7.*" gpaw-data        # siteconfig.py: libraries = ["xc", "openblas"]; mpi = False
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python surface_energy_gpaw.py Li Na K

Two threads are two to three times slower than one here. The default Li dataset freezes 1s, so one with three electrons
is generated (radius 1.5 Bohr); Na has 7 electrons and K 9 in the default datasets.
"""

import math
import subprocess
import sys
import tempfile
import time

import numpy as np
from ase import Atoms
from gpaw import GPAW, PW, setup_paths

# metal: lattice constant (angstrom), plane-wave cutoff (eV), k-points along each in-plane primitive vector
METALS = {"Li": (3.435, 400, 16), "Na": (4.199, 350, 12), "K": (5.284, 350, 10)}
LAYERS = (5, 7, 9)
GAP = 12.0  # angstrom between the surface planes, at least
GRID = 4.4  # angstrom sqrt(eV): real-space grid spacing times the root of the cutoff
J_PER_M2 = 16.02176634  # of 1 eV/angstrom^2


def li_with_three_electrons(folder: str) -> None:
    """Generate Li.3e.PBE in ``folder`` and let GPAW find it."""
    command = [sys.executable, "-m", "gpaw", "dataset", "Li", "-fPBE", "-P", "1s,2s,2p,0.5p,d", "-r", "1.5"]
    subprocess.run([*command, "-t", "3e", "-w"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    setup_paths.insert(0, folder)


def energy(metal: str, layers: int) -> float:
    """Total energy (eV, zero smearing) of a slab centred on the origin, or of the two-layer bulk cell (layers=0)."""
    a, cutoff, k = METALS[metal]
    spacing, side = a / math.sqrt(2), a * math.sqrt(3) / 2
    heights = np.arange(layers) - layers // 2 if layers else np.arange(2)
    # A whole number of layer spacings: slabs and bulk see the same grid.
    planes = layers + math.ceil(GAP / spacing) - 1 if layers else 2
    atoms = Atoms(
        [metal] * len(heights),
        positions=[(0, i % 2 * spacing, i * spacing) for i in heights],
        cell=[(a / 2, spacing, 0), (-a / 2, spacing, 0), (0, 0, planes * spacing)],
        pbc=True,
    )
    atoms.wrap()
    in_plane, upward = (2 * math.ceil(x * math.sqrt(cutoff) / GRID / 2) for x in (side, spacing))
    k_up = 1 if layers else round(k * side * math.sqrt(8 / 9) / (2 * spacing))
    atoms.calc = GPAW(
        mode=PW(cutoff),
        xc="PBE",
        kpts={"size": (k, k, k_up), "gamma": True},
        gpts=(in_plane, in_plane, upward * planes),
        occupations={"name": "fermi-dirac", "width": 0.1},
        setups={"Li": "3e"},
        convergence={"energy": 1e-5, "density": 1e-4, "eigenstates": 1e-6},
        txt=None,
    )
    return atoms.get_potential_energy()


def main(metals: list[str]) -> None:
    print("metal  from the line  " + "  ".join(f"bulk, {n} layers" for n in LAYERS) + "  (J/m²)   seconds")
    for metal in metals:
        start = time.perf_counter()
        slabs = np.array([energy(metal, n) for n in LAYERS])
        per_area = J_PER_M2 / (math.sqrt(2) * METALS[metal][0] ** 2)  # two faces of a²/√2 each
        line = np.polyfit(LAYERS, slabs, 1)[1] * per_area
        bulk = (slabs - np.array(LAYERS) * energy(metal, 0) / 2) * per_area
        numbers = "  ".join(f"{x:14.4f}" for x in bulk)
        print(f"{metal:5}  {line:13.4f}  {numbers}  {time.perf_counter() - start:16.0f}", flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        li_with_three_electrons(folder)
        main(sys.argv[1:] or list(METALS))
