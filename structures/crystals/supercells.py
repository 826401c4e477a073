"""Supercells of a crystal, and its atoms by position."""

from itertools import product

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from ase.data import atomic_numbers
from ase.geometry import find_mic, minkowski_reduce
from numpy.typing import ArrayLike, NDArray

from ..limits import check_n_atoms
from ..symmetry.orbits import Floats, Position, conventional_rows
from ..symmetry.species import kept

_SAME_ATOM_A = 0.5


def supercell_for(crystal: Atoms, min_image_A: float) -> Atoms:
    """
    Repeat a crystal until no atom is nearer to its own image than asked for.

    The supercell with the fewest atoms is taken among the repeats of the given cell and, where that is a
    whole multiple of the given one, of the conventional cell: a primitive fcc cell grows into a cube.

    Parameters
    ----------
    crystal
        Periodic in three directions.
    min_image_A
        Least length of a lattice vector.

    Returns
    -------
    Atoms
        In the crystal's frame; ``info["philic"]`` holds the integer matrix and the shortest lattice vector.

    Raises
    ------
    ValueError
        When the distance is not positive, or the crystal is not periodic or overlaps.

    Examples
    --------
    >>> from ase.build import bulk
    >>> supercell_for(bulk("KF", "rocksalt", a=5.34), 10.0).info["philic"]["formula"]
    'F27K27'
    """
    if min_image_A <= 0:
        raise ValueError(f"`min_image_A` is {min_image_A} but must be above 0")
    least = len(crystal) * min_image_A**3 / np.sqrt(2) / crystal.get_volume()
    check_n_atoms(least, f"{crystal_name(crystal)} with images {min_image_A:g} Å apart")  # no lattice is denser than fcc
    fits = [_repeats(base, crystal, min_image_A) for base in _bases(crystal)]
    _, _, matrix = min(fits, key=lambda fit: fit[:2])
    return repeated(crystal, matrix)


def repeated(crystal: Atoms, matrix: ArrayLike) -> Atoms:
    """
    Repeat a crystal as `supercell_for` does, by an integer matrix whose rows are the new cell's vectors.

    The order of atoms does not change when the crystal is relaxed, even across its cell's edge. Masses, initial magnetic
    moments and charges are kept; constraints are not.
    """
    check_n_atoms(len(crystal) * abs(float(np.linalg.det(np.asarray(matrix)))), f"a supercell of {crystal_name(crystal)}")
    plain = Atoms(crystal.numbers, crystal.positions, cell=crystal.cell, pbc=True, **kept(crystal))
    supercell: Atoms = make_supercell(plain, matrix)
    supercell.info["philic"] = {
        "family": "crystal",
        "host": crystal_name(crystal),
        **crystal.info.get("philic", {}),
        "supercell": np.asarray(matrix).tolist(),
        "image_distance_A": shortest_vector_A(supercell),
        "formula": supercell.symbols.formula.format("hill"),
    }
    return supercell


def atom_at(atoms: Atoms, position: Position | Floats, element: str, *, within_A: float = _SAME_ATOM_A) -> int:
    """
    Give the index of the atom of one element at a position, in any cell.

    Raises
    ------
    ValueError
        When none is so near.
    """
    apart = find_mic(atoms.positions - np.asarray(position), atoms.cell)[1]
    apart[atoms.numbers != atomic_numbers[element]] = np.inf
    index = int(np.argmin(apart))
    if apart[index] > within_A:
        shown = ", ".join(f"{x:.2f}" for x in position)
        raise ValueError(
            f"`crystal` is {crystal_name(atoms)} with no {element} at ({shown}) but must be the one the site was found in"
        )
    return index


def check_holds(crystal: Atoms, element: str, name: str = "metal") -> None:
    """Refuse an element the crystal lacks; `name` is what the error calls it."""
    if element not in crystal.symbols:
        held = ", ".join(sorted(set(crystal.symbols)))
        raise ValueError(f"`{name}` is {element!r} but {crystal_name(crystal)} holds only: {held}")


def crystal_name(crystal: Atoms) -> str:
    """Name a crystal as its builder did, else by its formula."""
    name = crystal.info.get("philic", {}).get("host")
    return str(name or crystal.symbols.formula.reduce()[0].format("metal")).removesuffix(" bulk")


def shortest_vector_A(atoms: Atoms) -> float:
    """Give the length of the shortest lattice vector."""
    return float(np.linalg.norm(minkowski_reduce(atoms.cell.array)[0], axis=1).min())


def _bases(crystal: Atoms) -> list[NDArray[np.int64]]:
    """Give the given cell and, where it is a whole multiple, the conventional one, as integer matrices."""
    matrix = conventional_rows(crystal)
    bases = [np.eye(3, dtype=np.int64)]
    if np.allclose(matrix, matrix.round(), atol=1e-3):
        bases.append(matrix.round().astype(np.int64) * int(np.sign(np.linalg.det(matrix))))
    return bases


def _repeats(base: NDArray[np.int64], crystal: Atoms, least_A: float) -> tuple[int, float, NDArray[np.int64]]:
    """Give the smallest diagonal repeat that is long enough: volume, minus the shortest vector, matrix."""
    rows = base @ crystal.cell.array
    heights = 1 / np.linalg.norm(np.linalg.inv(rows), axis=0)
    limits = np.ceil(least_A / heights - 1e-9).astype(int)
    ordered = sorted(product(*(range(1, n + 1) for n in limits)), key=lambda n: (int(np.prod(n)), max(n)))
    fitting: list[tuple[int, float, NDArray[np.int64]]] = []
    for counts in ordered:
        volume = int(np.prod(counts) * abs(round(np.linalg.det(base))))
        if fitting and volume > fitting[0][0]:
            break
        matrix = np.diag(counts) @ base
        if np.linalg.norm(matrix @ crystal.cell.array, axis=1).min() < least_A - 1e-9:
            continue
        shortest = shortest_vector_A(Atoms(cell=matrix @ crystal.cell.array))
        if shortest >= least_A - 1e-9:
            fitting.append((volume, -round(shortest, 6), matrix))
    return min(fitting, key=lambda fit: fit[:2])
