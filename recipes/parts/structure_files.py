"""Structure files, read as people have them: right, or refused in one sentence that names the file and the mend."""

from __future__ import annotations

import re
from collections import Counter
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray

from ...structures.symmetry.periodic import CLEARANCE_SHARE, VACUUM_A, gaps_A
from ...workflows.stores.files import whole
from .cif_files import DEUTERIUM_U, RefusedError, read_cif

LEAST_CELL_A, FARTHEST_A = 0.5, 1e5
SLAB_VACUUM_A = 15.0
"""Empty height given to a slab whose file has none."""
_ENDINGS = (".cif", ".mcif", ".vasp", ".poscar", ".xyz", ".extxyz", ".json", ".traj", ".db", ".in", ".pdb", ".xsf")
_SAME_AREA, _SAME_CHARGE_E = 0.01, 0.01
_KEEP_MASSES = ("extxyz", "json", "traj", "db")
_DECORATED = re.compile(r"([A-Za-z]{1,2})(\d*\.?\d*[+-]\d*)?([_/].*)?")


def is_path(name: str) -> bool:
    """Return whether a name is a file's: it exists, or has a folder in it or the ending of a structure file."""
    return Path(name).is_file() or "/" in name or name.lower().endswith(_ENDINGS)


def read_host(path: Path) -> Atoms:
    """Read one structure from a file.

    The last one is taken when there are several. ``info["philic"]`` is kept if the atoms agree with it, or else says
    which file it was. CIF files are
    read by ASE and by pymatgen, which must agree; magnetic ones (``.mcif``) by pymatgen. Deuterium becomes H of its mass.
    A slab that is periodic in two directions and has no third cell vector, or no vacuum along it, gets 15 Å.

    Raises
    ------
    ValueError
        If there is no such file, it cannot be read, its atoms are partial, overlap or are nowhere, or its constraints
        are other than atoms held whole.
    """
    if not path.is_file():
        raise ValueError(f"`{path}` does not exist: give a structure file, or a name from `philic structures list`")
    try:
        with np.errstate(invalid="ignore"):  # what is not finite is refused below
            atoms = _read(path)
    except RefusedError as error:
        raise ValueError(f"`{path}` {error}") from error
    except Exception as error:  # readers raise whatever they stumble on
        raise ValueError(f"`{path}` cannot be read as a structure: {_reason(error)}") from error
    if not isinstance(atoms, Atoms) or not len(atoms):
        raise ValueError(f"`{path}` holds no atoms")
    _check_finite(atoms, path)
    _check_cell(atoms, path)
    _check_held(atoms, path)
    check_apart(atoms, f"`{path}`")
    for key in ("spacegroup", "unit_cell", "occupancy"):  # ASE's notes on a CIF
        atoms.info.pop(key, None)
    if not _borne_out(atoms):
        atoms.info["philic"] = {"family": "file", "host": path.name}
    return _with_vacuum(atoms)


def _borne_out(atoms: Atoms) -> bool:
    """Tell whether a file has a record of philic's that its atoms agree with: dopants, formal charges and area."""
    about, counts = atoms.info.get("philic", {}), Counter(atoms.symbols)
    if any(counts[symbol] < n for symbol, n in about.get("dopants", {}).items()):
        return False
    if "area_A2" in about:
        area_A2 = float(np.linalg.norm(np.cross(*atoms.cell.array[:2])))
        if abs(area_A2 / about["area_A2"] - 1) > _SAME_AREA:
            return False
    states = about.get("oxidation", {})
    if "charge_e" in about and states.keys() >= counts.keys():
        charge_e = sum(n * states[symbol] for symbol, n in counts.items())
        return bool(abs(charge_e - about["charge_e"] * np.prod(about["size"])) < _SAME_CHARGE_E)
    return bool(about)


def _reason(error: Exception) -> str:
    """Say what a reader stumbled on."""
    if isinstance(error, KeyError):
        return f"{error} is no element that ASE knows"
    return str(error) or type(error).__name__


def _read(path: Path) -> Atoms:
    """Read a file by its format; a byte-order mark is skipped."""
    from ase.io import read
    from ase.io.formats import filetype

    if path.suffix.lower() in (".cif", ".mcif"):
        return read_cif(_text(path))
    kind = filetype(str(path))
    if kind == "vasp":
        return _read_poscar(_text(path))
    if kind in ("xyz", "extxyz"):
        _check_announced(_text(path))
    return read(path, format=kind, do_not_split_by_at_sign=True)  # type: ignore[return-value]


def _text(path: Path) -> str:
    """Give a text file's text without a byte-order mark."""
    return path.read_bytes().decode("utf-8-sig", errors="replace")


def _check_announced(text: str) -> None:
    """Refuse an xyz file that announces more atoms than it has lines: they would be waited for."""
    lines = text.splitlines()
    announced = lines[0].strip() if lines else ""
    if announced.isdigit() and int(announced) > len(lines):
        raise RefusedError(f"announces {int(announced):,} atoms in its first line but has only {len(lines)} lines")


def _read_poscar(text: str) -> Atoms:
    """Read a POSCAR whose symbols may be decorated: ``Li+``, ``O2-``, ``Li_sv``, ``D``."""
    from ase.io import read

    lines = text.splitlines()
    counts = [int(word) for word in " ".join(lines[5:7]).split() if word.isdigit()]
    if sum(counts) > len(lines):
        raise RefusedError(f"announces {sum(counts):,} atoms but has only {len(lines)} lines")
    words = lines[5].split() if len(lines) > 6 else []
    if not words or words[0][0].isdigit():  # VASP 4: the symbols are in the first line
        return read(StringIO(text), format="vasp")  # type: ignore[return-value]
    elements = [_undecorated(word) for word in words]
    lines[5] = " ".join("H" if element == "D" else element for element in elements)
    atoms: Atoms = read(StringIO("\n".join(lines) + "\n"), format="vasp")  # type: ignore[assignment]
    if "D" in elements:
        named = np.repeat(elements, [int(n) for n in lines[6].split("!")[0].split()[: len(elements)]])
        atoms.set_masses(np.where(named == "D", DEUTERIUM_U, atoms.get_masses()))
    return atoms


def _undecorated(word: str) -> str:
    """Give the element of a POSCAR's symbol."""
    match = _DECORATED.fullmatch(word)
    element = match.group(1).capitalize() if match else ""
    if element != "D" and not atomic_numbers.get(element):
        raise RefusedError(f"names {word} in its line of elements but each must be one, such as Na or Na+")
    return element


def _check_finite(atoms: Atoms, path: Path) -> None:
    """Refuse positions and cells that are no numbers, or beyond what can be computed with."""
    if not np.isfinite(atoms.cell.array).all():
        raise ValueError(f"`{path}` has a cell that is not finite: write its three vectors as numbers")
    lost = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
    if len(lost):
        at = int(lost[0])
        raise ValueError(
            f"`{path}` has atom {at} ({atoms.symbols[at]}) at {atoms.positions[at].tolist()} "
            "but positions must be finite: place it or remove it"
        )
    if max(np.abs(atoms.positions).max(), np.abs(atoms.cell.array).max()) > FARTHEST_A:
        raise ValueError(f"`{path}` has positions or a cell of more than {FARTHEST_A:g} Å: is it in Å?")


def _check_cell(atoms: Atoms, path: Path) -> None:
    """Refuse a cell that no atom fits into, and elements that are none."""
    numbers = atoms.numbers
    if not numbers.all() or numbers.max() >= len(chemical_symbols):
        wrong = next(int(number) for number in numbers if not 0 < number < len(chemical_symbols))
        raise ValueError(f"`{path}` has an atom of number {wrong}, which is no element: name it")
    rank = np.linalg.matrix_rank(atoms.cell.array)
    if rank < atoms.pbc.sum():
        raise ValueError(f"`{path}` has a flat cell but it is periodic in {atoms.pbc.sum()} directions: mend its vectors")
    if rank == 3:
        least_A = (1 / np.linalg.norm(np.linalg.inv(atoms.cell.array), axis=0)).min()
        if least_A < LEAST_CELL_A:
            raise ValueError(f"`{path}` has a cell {least_A:.3g} Å wide, below {LEAST_CELL_A} Å: is it in Å?")


def _check_held(atoms: Atoms, path: Path) -> None:
    """Refuse constraints other than atoms held whole, and files that leave no atom free."""
    from ase.constraints import FixAtoms

    from ...structures.symmetry.fixed import fixed_atoms

    for constraint in atoms.constraints:
        if not isinstance(constraint, FixAtoms):
            some = ", ".join(str(int(i)) for i in constraint.get_indices()[:5])
            raise ValueError(
                f"`{path}` holds atom {some} in part ({type(constraint).__name__}, selective dynamics such as T T F) "
                "but an atom must be free or held whole: write T T T or F F F"
            )
    if fixed_atoms(atoms).all():
        raise ValueError(
            f"`{path}` holds all its {len(atoms)} atoms (selective dynamics F F F) but at least one must be free to move: "
            "write T T T for those that may relax, or remove selective dynamics"
        )


def _with_vacuum(atoms: Atoms) -> Atoms:
    """Give a slab that is periodic in two directions a third vector, or a longer one where it has no vacuum."""
    if atoms.pbc.sum() != 2 or atoms.cell.rank < 2:
        return atoms
    axis = int(np.flatnonzero(~atoms.pbc)[0])
    if atoms.cell.rank == 3 and gaps_A(atoms)[axis] >= VACUUM_A:
        return atoms
    atoms.center(vacuum=SLAB_VACUUM_A / 2, axis=axis)
    atoms.pbc = True
    return atoms


def check_apart(atoms: Atoms, whose: str) -> None:
    """Refuse overlapping atoms.

    Raises
    ------
    ValueError
        If two atoms, images included, are nearer than 0.6 times the sum of their covalent radii.
    """
    from ase.neighborlist import natural_cutoffs, neighbor_list

    first, second, distance = neighbor_list("ijd", atoms, natural_cutoffs(atoms, mult=CLEARANCE_SHARE))
    if len(first):
        at = int(distance.argmin())
        i, j = int(first[at]), int(second[at])
        pair = f"{i} ({atoms.symbols[i]}) and {j} ({atoms.symbols[j]})"
        raise ValueError(
            f"{whose} has atoms {pair} {distance[at]:.2f} Å apart "
            f"but atoms must keep {CLEARANCE_SHARE:g} times the sum of their covalent radii: remove one of them"
        )


def write_structure(atoms: Atoms, path: Path) -> None:
    """Write a structure in the format its file's name says.

    Raises
    ------
    ValueError
        If the file is there already, its folder is not, ASE knows no such format, or the format would lose masses.
    """
    check_new(path)
    from ase.io import write
    from ase.io.formats import UnknownFileTypeError, filetype

    mend = "take .cif, .vasp, .extxyz or another format of ASE"
    with whole(path) as beside:
        try:
            kind = filetype(str(path), read=False)
            if atoms.has("masses") and kind not in _KEEP_MASSES:
                raise ValueError(f"{path.suffix} keeps no masses and these atoms have their own (deuterium?): take .extxyz")
            write(beside, atoms, format=kind, **({"sort": True} if kind == "vasp" else {}))
        except UnknownFileTypeError as error:
            raise ValueError(f"`{path}` ends in no format that ASE can write: {mend}") from error
        except (ValueError, NotImplementedError) as error:
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


def indices_note(crystal: Atoms, miller: tuple[int, int, int]) -> str:
    """Say along which cell Miller indices count where a crystal's cell is not its conventional one; else nothing.

    Examples
    --------
    >>> from ase.build import bulk
    >>> print(indices_note(bulk("Cu"), (1, 0, 0)))
    (1 0 0) refers to the given cell (1 atom): it is (1 -1 -1) of the conventional cell (4), whose (1 0 0) is (0 1 1) here
    """
    from ...structures.symmetry.orbits import conventional_rows

    rows = conventional_rows(crystal)
    cells = abs(float(np.linalg.det(rows)))
    if abs(cells - 1) < 1e-3:
        return ""
    given, there = _lowest(np.array(miller)), _lowest(rows @ miller)
    if given == there:
        return ""
    here = _lowest(np.linalg.inv(rows) @ miller)
    return (
        f"({_spaced(miller)}) refers to the given cell ({len(crystal)} {'atom' if len(crystal) == 1 else 'atoms'}): "
        f"it is ({_spaced(there)}) of the conventional cell ({round(cells * len(crystal))}), "
        f"whose ({_spaced(miller)}) is ({_spaced(here)}) here"
    )


def _lowest(indices: NDArray[Any]) -> tuple[int, ...]:
    """Clear a plane's indices of fractions and common factors; the first that is not 0 is positive."""
    scale = next(n for n in range(1, 1000) if np.allclose(indices * n, np.round(indices * n), atol=1e-2))
    whole = np.round(indices * scale).astype(int)
    whole //= np.gcd.reduce(whole)
    sign = int(np.sign(whole[np.flatnonzero(whole)[0]]))
    return tuple(int(n) * sign for n in whole)


def _spaced(indices: tuple[int, ...]) -> str:
    return " ".join(str(n) for n in indices)
