"""PBE energies of Li, Na and K on doped graphene, computed for philic; ``adsorption_pbe.xyz`` holds them.

GPAW 26.7 in plane waves up to 400 eV, 4x4x1 k-points with Gamma on 4x4 sheets, 12x12x12 in the bcc metals, Fermi-Dirac
smearing of 0.1 eV (energies extrapolated to none), a dipole layer in the empty space, not spin-polarised, Li with its 1s
electrons: single points at geometries that CHGNet 0.3.0 relaxed. Relaxed in PBE both hosts and adsorbed metals would lie
lower. One cutoff throughout: the energies may be subtracted from each other and from no others. ``training/adsorption.py``
made the file.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ase import Atoms


def adsorption_pbe() -> dict[str, Atoms]:
    """Return the structures by name: ``bulk K``, ``host B`` (without metal), ``K on B`` (the metal on its best site).

    Each has ``energy_eV`` in its ``info``, ``metal`` and ``host`` (empty where there is none), and its forces in the array
    ``forces_eV_per_A``, shape ``(n_atoms, 3)``.
    """
    return {name: atoms.copy() for name, atoms in _frames().items()}


@cache
def _frames() -> dict[str, Atoms]:
    from ase.io import read

    with as_file(files(__package__).joinpath("adsorption_pbe.xyz")) as path:
        frames = read(path, ":", format="extxyz")
    for atoms in frames:
        metal, _, host = atoms.info["name"].removeprefix("bulk ").replace("host ", " on ").partition(" on ")
        atoms.info |= {"metal": metal, "host": host, "energy_eV": atoms.get_potential_energy()}
        atoms.set_array("forces_eV_per_A", atoms.get_forces())
    return {str(atoms.info["name"]): atoms for atoms in frames}
