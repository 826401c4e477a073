"""PBE surface energies of bcc Li, Na and K (110) with GPAW: where the reference numbers of the gate come from.

Unrelaxed slabs (one atom a layer) at the PBE lattice constants of ACWF. A frozen-core dataset with one electron an atom
(``1e``) does the dense k-points; the semicore electrons (``full``: Li 3, Na 7, K 9) add the difference of the two at fewer
k-points (Li +1, Na -0.3, K -2 mJ/m²). Prints the surface energy from the straight line through the slab energies
(Fiorentini, Methfessel 1996) and from a bulk cell of two (110) layers on the same k-points, plane waves and grid.

Made with GPAW 26.7.0, gpaw-data 1.2.1, libxc 5.2.3, ASE 3.29.0, NumPy 2.4.6, Python 3.11: 23 minutes on one (shared) core.
GPAW is GPL-3 and no dependency of philic; install it in an environment of its own (needs libxc, a BLAS and g++):

    # siteconfig.py, named in GPAW_CONFIG: compiler = "g++"; libraries = ["xc", "openblas"]; mpi = False
    CC=g++ pip install "gpaw==26.7.*" gpaw-data
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python surface_energy_gpaw.py Li Na K
"""

import math
import subprocess
import sys
import tempfile
import time

import numpy as np
from ase import Atoms
from gpaw import GPAW, PW, setup_paths

LATTICE = {"Li": 3.435, "Na": 4.199, "K": 5.284}  # angstrom
# (dataset, plane-wave cutoff in eV); None is GPAW's default. Made here: Li.full and K.1e.
ONE_ELECTRON = {"Li": (None, 250), "Na": ("1", 200), "K": ("1e", 200)}
FULL = {"Li": ("full", 400), "Na": (None, 350), "K": (None, 350)}
K_POINTS = {"Li": (16, 24), "Na": (12, 20), "K": (10, 18)}  # along an in-plane primitive vector: both datasets, 1e alone
LAYERS = (5, 7)
GAP = 12.0  # angstrom between the surface planes, at least
GRID = 4.4  # angstrom sqrt(eV): real-space grid spacing times the root of the cutoff
J_PER_M2 = 16.02176634  # of 1 eV/angstrom^2


def make_datasets(folder: str) -> None:
    """Generate Li with three electrons and K with one in ``folder`` and let GPAW find them."""
    for name in ("Li -t full -P 1s,2s,2p,0.5p,d -r 1.5", "K -t 1e -P 4s,s,4p,d -r 3.2"):
        command = [sys.executable, "-m", "gpaw", "dataset", *name.split(), "-fPBE", "-w"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    setup_paths.insert(0, folder)


def energy(metal: str, layers: int, dataset: str | None, cutoff: float, k: int) -> float:
    """Total energy (eV, zero smearing) of a slab centred on the origin, or of the two-layer bulk cell (layers=0)."""
    a = LATTICE[metal]
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
        setups={metal: dataset} if dataset else {},
        convergence={"energy": 1e-5, "density": 1e-4, "eigenstates": 1e-6},
        txt=None,
    )
    return atoms.get_potential_energy()


def surface(metal: str, dataset: str | None, cutoff: float, k: int) -> np.ndarray:
    """Surface energies (J/m²): from the straight line, then from the bulk cell for each slab."""
    slabs = np.array([energy(metal, n, dataset, cutoff, k) for n in LAYERS])
    bulk = slabs - np.array(LAYERS) * energy(metal, 0, dataset, cutoff, k) / 2
    values = [np.polyfit(LAYERS, slabs, 1)[1], *bulk]
    return np.array(values) * J_PER_M2 / (math.sqrt(2) * LATTICE[metal] ** 2)  # two faces of a²/√2 each


def main(metals: list[str]) -> None:
    print("J/m²                        line  " + "  ".join(f"bulk, {n} layers" for n in LAYERS) + "   seconds")
    for metal in metals:
        start = time.perf_counter()
        few, many = K_POINTS[metal]
        one, full = surface(metal, *ONE_ELECTRON[metal], few), surface(metal, *FULL[metal], few)
        dense = surface(metal, *ONE_ELECTRON[metal], many)
        rows = {f"1e, k={few}": one, f"full, k={few}": full, f"1e, k={many}": dense, "sum": dense + full - one}
        for name, values in rows.items():
            numbers = "  ".join(f"{x:14.4f}" for x in values[1:])
            print(f"{metal:3} {name:18}  {values[0]:8.4f}  {numbers}  {time.perf_counter() - start:8.0f}", flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        make_datasets(folder)
        main(sys.argv[1:] or list(LATTICE))
