"""Metal atoms in the voids of a crystal: put there, and found again."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from ..crystals.metals import check_metal
from ..crystals.supercells import repeated
from ..symmetry.orbits import Floats, Position, all_images, primitive, shifts_within
from .defects import DefectSite

REACH_A = 8.0  # no void is looked for farther away


def fill_void(
    crystal: Atoms,
    *,
    metal: str,
    at_scaled: Sequence[float],
    supercell: Sequence[Sequence[int]],
    aside_A: Sequence[float] = (0.0, 0.0, 0.0),
    beside_scaled: Sequence[float] | None = None,
) -> Atoms:
    """
    Put a metal atom, the last, into a void of a supercell; and, before it, another into a second void.

    Parameters
    ----------
    crystal
        Relaxed or not, its atoms not wrapped.
    metal
        The alkali metal.
    at_scaled
        Where it is put, in scaled coordinates of the crystal, shape ``(3,)``.
    supercell
        Integer matrix, ``info["philic"]["supercell"]`` of `supercell_for`.
    aside_A
        Added to where it is put: from the very middle of a void no force leads to a lower place beside it.
    beside_scaled
        Where a second atom is put, as `at_scaled`.

    Raises
    ------
    ValueError
        When the metal is unknown.
    """
    check_metal(metal)
    large = repeated(crystal, supercell)
    if beside_scaled is not None:
        large += Atoms(metal, positions=[np.asarray(beside_scaled) @ crystal.cell.array])
    large += Atoms(metal, positions=[np.asarray(at_scaled) @ crystal.cell.array + np.asarray(aside_A)])
    large.wrap()
    about = {"family": "defect", "defect": "interstitial", "metal": metal, "formula": large.symbols.formula.format("hill")}
    large.info["philic"] |= about
    return large


def void_near(crystal: Atoms, voids: Sequence[DefectSite], position_A: Position | Floats) -> tuple[str, float]:
    """
    Name the void that a position is nearest to, whatever image of it, and give the distance in A.

    Parameters
    ----------
    crystal
        The one the voids were found in.
    voids
        Of `interstitial_sites`.
    position_A
        In the crystal's frame, in any cell.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from philic.structures.defects.defects import interstitial_sites
    >>> silicon = bulk("Si", a=5.43)
    >>> void_near(silicon, interstitial_sites(silicon, "Li"), (2.7, 2.7, 2.7))[0]
    'void #1'
    """
    off_A = [
        np.linalg.norm(void_images(crystal, void, position_A) - position_A, axis=1).min(initial=np.inf) for void in voids
    ]
    nearest = int(np.argmin(off_A))
    return voids[nearest].label, float(off_A[nearest])


def void_images(crystal: Atoms, void: DefectSite, around_A: Position | Floats) -> Floats:
    """Give the images of a void within reach of a position, shape ``(n, 3)``, in A."""
    cell, operations = primitive(crystal)
    inverse = np.linalg.inv(cell.cell.array)
    middle = np.floor(np.asarray(around_A) @ inverse)
    orbit = all_images(cell, operations, np.array(void.position_A) @ inverse)
    spots = (orbit + middle + shifts_within(cell, 2 * REACH_A)[:, None]).reshape(-1, 3) @ cell.cell.array
    return np.asarray(spots[np.linalg.norm(spots - around_A, axis=1) < REACH_A])
