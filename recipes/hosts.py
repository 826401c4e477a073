"""Hosts by name or by file: a user's own structure is taken wherever a name of the catalogue is."""

from __future__ import annotations

from pathlib import Path

from ase import Atoms

OVERLAP_SHARE = 0.6
"""Two atoms overlap when they are nearer than this share of the sum of their covalent radii."""


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
    from ..structures.catalogue import host

    return host(name, metal)


def is_path(name: str) -> bool:
    """Tell a file from a name: it exists, or has a folder in it or the ending of a structure file."""
    endings = (".cif", ".vasp", ".poscar", ".xyz", ".extxyz", ".json", ".traj", ".db", ".in", ".pdb", ".xsf")
    return Path(name).is_file() or "/" in name or name.lower().endswith(endings)


def read_host(path: Path) -> Atoms:
    """Read one structure from a file.

    The last one is taken when there are several. ``info["philic"]`` is kept, or says which file it was.

    Raises
    ------
    ValueError
        If there is no such file, ASE cannot read it, or its atoms are partial or overlap.
    """
    if not path.is_file():
        raise ValueError(f"`{path}` does not exist: give a structure file, or a name from `philic structures list`")
    from ase.io import read

    try:
        atoms = read(path)
    except Exception as error:  # ASE's readers raise whatever they stumble on
        raise ValueError(f"`{path}` cannot be read as a structure: {str(error) or type(error).__name__}") from error
    if not isinstance(atoms, Atoms) or not len(atoms):
        raise ValueError(f"`{path}` holds no atoms")
    _check_whole(atoms, path)
    check_apart(atoms, f"`{path}`")
    for key in ("spacegroup", "unit_cell", "occupancy"):  # ASE's notes on a CIF
        atoms.info.pop(key, None)
    atoms.info.setdefault("philic", {"family": "file", "host": path.name})
    return atoms


def check_apart(atoms: Atoms, whose: str) -> None:
    """Refuse overlapping atoms.

    Raises
    ------
    ValueError
        If two atoms, images included, are nearer than 0.6 times the sum of their covalent radii.
    """
    from ase.neighborlist import natural_cutoffs, neighbor_list

    first, second, distance = neighbor_list("ijd", atoms, natural_cutoffs(atoms, mult=OVERLAP_SHARE))
    if len(first):
        at = int(distance.argmin())
        i, j = int(first[at]), int(second[at])
        pair = f"{i} ({atoms.symbols[i]}) and {j} ({atoms.symbols[j]})"
        raise ValueError(
            f"{whose} has atoms {pair} {distance[at]:.2f} Å apart "
            f"but atoms must keep {OVERLAP_SHARE:g} times the sum of their covalent radii: remove one of them"
        )


def _check_whole(atoms: Atoms, path: Path) -> None:
    """Refuse sites that are only partly filled: ASE would fill each with its first element."""
    sites = atoms.info.get("occupancy", {})
    for site, shares in sites.items():
        if len(shares) > 1 or any(share < 0.999 for share in shares.values()):
            shown = ", ".join(f"{element} {share:g}" for element, share in shares.items())
            raise ValueError(f"`{path}` has a partly filled site ({site}: {shown}) but all must be full: order it first")


def write_structure(atoms: Atoms, path: Path) -> None:
    """Write a structure in the format its file's name says.

    Raises
    ------
    ValueError
        If the file is there already, its folder is not, or ASE knows no such format.
    """
    check_new(path)
    from ase.io import write
    from ase.io.formats import UnknownFileTypeError, filetype

    mend = "take .cif, .vasp, .extxyz or another format of ASE"
    try:
        kind = filetype(str(path), read=False)
        write(path, atoms, format=kind, **({"sort": True} if kind == "vasp" else {}))
    except UnknownFileTypeError as error:
        raise ValueError(f"`{path}` ends in no format that ASE can write: {mend}") from error
    except (ValueError, NotImplementedError) as error:
        path.unlink(missing_ok=True)
        raise ValueError(f"`{path}` cannot be written: {error}: {mend}") from error


def check_new(path: Path) -> None:
    """Refuse to overwrite a file, or to write where there is no folder.

    Raises
    ------
    ValueError
        If the file is there already, or its folder is not.
    """
    if path.exists():
        raise ValueError(f"`{path}` exists already: choose another name or remove it first")
    if not path.parent.is_dir():
        raise ValueError(f"`{path.parent}` is no folder: make it first")
