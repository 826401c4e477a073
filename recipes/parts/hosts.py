"""Hosts by name or by file: a user's own structure is taken wherever a name of the catalogue is."""

from __future__ import annotations

import re
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from ase import Atoms

from ...structures.crystals.metals import METALS
from .lattices import Lattice, Substrate, on_crystal, on_unit
from .structure_files import is_path, read_host

_FACE = re.compile(r"(?P<crystal>.+?) *\((?P<miller>[-\d ]+)\)(?::(?P<termination>.+))?")
_M = re.compile(r"M(?![a-z])")  # the alkali metal, which is no other element's first letter


def host_atoms(name: str, metal: str | None = None) -> Atoms:
    """Build a host of the catalogue, or read it from a file.

    Parameters
    ----------
    name
        A name of the catalogue, or the path of a file ASE can read (CIF, POSCAR, extended XYZ …).
    metal
        An alkali metal, for names that leave it open.

    Raises
    ------
    ValueError
        If the name is unknown, or the file cannot be read or holds overlapping or partial atoms.
    """
    if is_path(name):
        return read_host(Path(name))
    from ...structures.catalogue import host

    return host(name, metal)


def surface(
    name: str,
    metal: str | None = None,
    *,
    thickness_A: float,
    vacuum_A: float,
    min_image_A: float,
    lattice: Lattice = "relaxed",
) -> Substrate:
    """Build a slab or sheet for adatoms: a face of a crystal, a sheet of the catalogue, or a file.

    Parameters
    ----------
    name
        ``"Cu(111)"``, ``"MF(100)"``, ``"my.cif(110)"`` (a crystal and its face), ``"K2O(111):K"`` (and its termination),
        ``"Ti3C2O2"`` (a sheet), or a file that holds a slab or sheet, which is taken as it is.
    metal
        An alkali metal, for names that leave it open.
    thickness_A
        Least thickness of a slab; the lower half of its planes is fixed.
    vacuum_A
        Empty height over a slab.
    min_image_A
        A slab or sheet that is no file's is repeated until the images of an atom are this far apart.
    lattice
        Whether it is to be built at the lattice constants of the potential, or stays as given.

    Raises
    ------
    ValueError
        If the name is unknown, its face is no face or has no such termination, a crystal comes without a face, or a file
        holds no slab.
    """
    face = _FACE.fullmatch(name)
    if face is None:
        return _sheet(name, metal, min_image_A, lattice)
    from ...structures.surfaces.slabs import slab

    crystal, miller = host_atoms(face["crystal"], _for(face["crystal"], metal)), miller_indices(face["miller"])
    upper = None if face["termination"] is None else _spelled(face["termination"].strip(), crystal)
    cut = partial(slab, crystal, miller, thickness_A=thickness_A, vacuum_A=vacuum_A, termination=upper)
    thin = cut()
    wide = cut(fixed_layers=thin.info["philic"]["layers"] // 2, size=_repeats(thin, min_image_A))
    return on_crystal(name, wide, crystal, miller, lattice)


def _for(name: str, metal: str | None) -> str | None:
    """Give the metal that a host is made with: the adsorbed one only where its name has M, so NaCl(100) may hold K."""
    return metal if _M.search(name) else None


def _spelled(termination: str, crystal: Atoms) -> str:
    """Write the crystal's alkali metal for M."""
    metal = next((str(symbol) for symbol in crystal.symbols if symbol in METALS), "M")
    return _M.sub(metal, termination)


def is_surface(name: str) -> bool:
    """Tell whether a name means a face, a sheet of the catalogue or a file, rightly written or not."""
    from ...structures.catalogue import find

    if _FACE.fullmatch(name) or is_path(name):
        return True
    try:
        find(name)
    except ValueError:
        return False
    return True


def miller_indices(text: str) -> tuple[int, int, int]:
    """Read Miller indices, three or (Miller-Bravais) four, in the short way where that is clear.

    Raises
    ------
    ValueError
        If there are not three or four, or four do not fit together.

    Examples
    --------
    >>> miller_indices("111"), miller_indices("1 -1 0"), miller_indices("0001"), miller_indices("1-10")
    ((1, 1, 1), (1, -1, 0), (0, 0, 1), (1, -1, 0))
    """
    numbers = [int(found) for found in re.findall(r"-?\d+" if " " in text.strip() else r"-?\d", text)]
    if len(numbers) == 4 and sum(numbers[:3]) == 0:
        del numbers[2]
    if len(numbers) != 3:
        raise ValueError(f"({text}) is no face: give three Miller indices, as in (111) or (1 -1 0), or four with h + k = -i")
    h, k, l = numbers  # noqa: E741
    return h, k, l


def _sheet(name: str, metal: str | None, min_image_A: float, lattice: Lattice) -> Substrate:
    from ...structures.symmetry.periodic import VACUUM_A, gaps_A

    atoms = host_atoms(name, _for(name, metal))
    gaps = gaps_A(atoms) if atoms.cell.rank == 3 else [np.inf]
    flat = atoms.cell.rank == 3 and np.abs(atoms.cell.array[:2, 2]).max() < 1e-3
    if not flat or gaps[2] < VACUUM_A:
        mend = f"give a face of it, such as {name}(110)" if max(gaps) < VACUUM_A else "only a sheet or slab holds adatoms"
        raise ValueError(f"`{name}` is no slab with at least {VACUUM_A:g} Å of vacuum along c: {mend}")
    if is_path(name):
        return Substrate(name, atoms, lattice)
    unit, sheet = _unit(name, atoms), _repeated(atoms, _repeats(atoms, min_image_A))
    return Substrate(name, sheet, lattice) if unit is None else on_unit(name, sheet, unit, lattice)


def _unit(name: str, sheet: Atoms) -> Atoms | None:
    """Give the unit cell of a sheet of the catalogue, without its defect; None for what is no crystal in the plane."""
    family = sheet.info["philic"]["family"]
    if family in ("carbon", "graphite"):
        from ...structures.carbons.carbon import graphene

        return graphene((1, 1))
    if family != "mxene":
        return None
    pristine = host_atoms(name.partition(":")[0])
    size = np.array([*pristine.info["philic"]["size"], 1])
    unit = pristine[: len(pristine) // size.prod()]  # a repeated sheet begins with its first cell
    unit.set_cell(pristine.cell.array / size[:, None])
    return unit


def _repeated(atoms: Atoms, size: tuple[int, int]) -> Atoms:
    """Repeat a sheet laterally."""
    repeated: Atoms = atoms.repeat((*size, 1))
    repeated.info["philic"] = {**atoms.info.get("philic", {}), "size": list(size)}
    return repeated


def _repeats(atoms: Atoms, min_image_A: float) -> tuple[int, int]:
    """Give the fewest repeats along a and b that keep the images of an atom apart."""
    from ase.geometry import minkowski_reduce

    def apart_A(size: tuple[int, int]) -> float:
        cell = atoms.cell.array * np.array([[size[0]], [size[1]], [1]])
        return float(np.linalg.norm(minkowski_reduce(cell, pbc=(True, True, False))[0][:2], axis=1).min())

    most = int(np.ceil(min_image_A / apart_A((1, 1)))) + 1
    counts = range(1, most + 1)
    enough = [size for size in product(counts, counts) if apart_A(size) >= min_image_A]
    return min(enough, key=lambda size: (size[0] * size[1], abs(size[0] - size[1])))
