"""What molecular dynamics refuses before it starts, and its default timestep."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms

from ...potentials.base import Card
from ...structures.symmetry.fixed import fixed_atoms
from .integrators import DAMPING_fs
from .runs import mobile_ions
from .trajectory import estimated_bytes

HEAVY_u = 6.0
"""A lightest mass below this is hydrogen."""
STIFF = frozenset({"B", "C"})
"""Light atoms with stiff bonds: graphene, carbonates. In CHGNet's graphene at 600 K the conserved energy fluctuates by 6 %
of what the kinetic does at 2 fs and by 1.7 % at 1 fs; in NaCl by 0.1 % at 2 fs."""
LONGEST_fs = 1.0
"""Longest timestep for a mass of 1 u; it grows with the root of the mass, as the period of a vibration does."""
SAMPLE_fs = 20.0
"""Time between stored frames: a tenth of the shortest vibration that matters to diffusion."""
SPARE_BYTES = 10**8
"""Disk space that is left free."""


def default_timestep_fs(atoms: Atoms) -> float:
    """Return the timestep for the fastest vibration: 2 fs, 1 fs with boron or carbon, 0.5 fs with hydrogen.

    Examples
    --------
    >>> [default_timestep_fs(Atoms(formula)) for formula in ("LiF", "Li2CO3", "LiH")]
    [2.0, 1.0, 0.5]
    """
    if atoms.get_masses().min() < HEAVY_u:
        return 0.5
    return 1.0 if STIFF & set(atoms.symbols) else 2.0


def stride(timestep_fs: float) -> int:
    """Return the steps between stored frames."""
    return max(1, round(SAMPLE_fs / timestep_fs))


def check(
    atoms: Atoms,
    card: Card,
    folder: Path | None,
    *,
    temperature_K: float,
    steps: int,
    timestep_fs: float,
    thermostat: str,
    pressure_GPa: float | None,
    mobile: str | None,
) -> None:
    """Refuse parameters that cannot be run.

    Raises
    ------
    ValueError
        Names the value, the rule and the mend. See `md` for the arguments; without a folder the disk is not checked.
    """
    card.check_elements(atoms.symbols)
    if not 0 < temperature_K < np.inf:
        raise ValueError(f"`temperature_K` is {temperature_K:g} but must be above 0 and finite")
    if thermostat not in DAMPING_fs:
        raise ValueError(f"`thermostat` is {thermostat!r} but must be one of: {', '.join(DAMPING_fs)}")
    lightest = int(atoms.get_masses().argmin())
    longest = LONGEST_fs * float(np.sqrt(atoms.get_masses()[lightest]))
    if not 0 < timestep_fs <= longest:
        raise ValueError(
            f"`timestep_fs` is {timestep_fs:g} but must be above 0 and at most {longest:.3g} for {atoms.symbols[lightest]}, "
            f"the lightest atom: {default_timestep_fs(atoms):g} is safe"
        )
    if steps < 1 or steps % stride(timestep_fs):
        raise ValueError(f"`steps` is {steps} but must be a multiple of {stride(timestep_fs)}, the steps between frames")
    if mobile is not None:
        mobile_ions(atoms.get_chemical_symbols(), mobile)
    _check_cell(atoms, thermostat, pressure_GPa)
    if folder is not None:
        check_disk(folder, estimated_bytes(len(atoms), steps // stride(timestep_fs)) - stored_bytes(folder))


def thin_cell(atoms: Atoms, cutoff_A: float) -> str:
    """Return a warning for a cell thinner than twice the cutoff, where atoms interact with their images; else nothing."""
    if not atoms.pbc.any():
        return ""
    thickness = float((1 / np.linalg.norm(atoms.cell.reciprocal()[atoms.pbc], axis=1)).min())
    if thickness >= 2 * cutoff_A or not np.isfinite(cutoff_A):
        return ""
    return (
        f"the cell is {thickness:.1f} Å thin, less than twice the potential's cutoff of {cutoff_A:g} Å: atoms interact "
        "with their own images, and long waves are missing; compare with a larger cell"
    )


def _check_cell(atoms: Atoms, thermostat: str, pressure_GPa: float | None) -> None:
    if any(not isinstance(constraint, FixAtoms) for constraint in atoms.constraints):
        names = ", ".join(sorted({type(constraint).__name__ for constraint in atoms.constraints}))
        raise ValueError(f"the constraints are {names} but must be FixAtoms: remove the others")
    if len(atoms) < 2:
        raise ValueError(f"the structure has {len(atoms)} atom(s) but must have at least 2: repeat the cell")
    if fixed_atoms(atoms).all():
        raise ValueError(f"all {len(atoms)} atoms are fixed but at least one must be free: fix fewer")
    if pressure_GPa is None:
        return
    if not np.isfinite(pressure_GPa):
        raise ValueError(f"`pressure_GPa` is {pressure_GPa:g} but must be finite: leave it out to keep the cell")
    if thermostat == "none":
        raise ValueError(f"`pressure_GPa` is {pressure_GPa:g} but needs a thermostat: choose one, or leave the pressure out")
    if not atoms.pbc.all() or atoms.constraints:
        raise ValueError(
            f"`pressure_GPa` is {pressure_GPa:g} but needs a cell periodic in three directions and free atoms: leave it out"
        )


def stored_bytes(folder: Path) -> int:
    """Return the size of the trajectory that a folder already holds, in bytes."""
    return sum(path.stat().st_size for path in folder.glob("*.npz"))


def check_disk(folder: Path, needed: int) -> None:
    """Refuse to write this many more bytes where the disk has no room."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(existing).free
    if needed > free - SPARE_BYTES:
        raise ValueError(
            f"the trajectory will take {needed / 1e6:.0f} MB more but `{existing}` has {free / 1e6:.0f} MB free: make room, "
            "or run fewer steps"
        )
