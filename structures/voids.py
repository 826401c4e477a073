"""Metal atoms in the voids of a crystal: put there, found again, and one beside another's jump."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from numpy.typing import ArrayLike

from .defects import DefectSite, Position, as_position, repeated
from .hops import Hop
from .metals import check_metal
from .orbits import Floats, all_images, primitive, shifts_within

_OVERLAP_SHARE = 0.6  # two atoms overlap when nearer than this share of the sum of their covalent radii
_REACH_A = 8.0  # no void is looked for farther away
_DECIMALS = 3  # distances that differ by less are equal


def fill_void(
    crystal: Atoms,
    *,
    metal: str,
    at_scaled: ArrayLike,
    supercell: ArrayLike,
    aside_A: ArrayLike = (0, 0, 0),
    beside_scaled: ArrayLike | None = None,
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
    >>> from philic.structures.defects import interstitial_sites
    >>> silicon = bulk("Si", a=5.43)
    >>> void_near(silicon, interstitial_sites(silicon, "Li"), (2.7, 2.7, 2.7))[0]
    'void #1'
    """
    off_A = [np.linalg.norm(_images(crystal, void, position_A) - position_A, axis=1).min(initial=np.inf) for void in voids]
    nearest = int(np.argmin(off_A))
    return voids[nearest].label, float(off_A[nearest])


def second_void(crystal: Atoms, hop: Hop, voids: Sequence[DefectSite]) -> Position:
    """
    Choose a void for another atom beside an interstitial's jump: the nearest to its start.

    It is no end of the jump, and so far from its straight line that two atoms of the metal do not overlap. Of voids
    equally near, the one nearest to the end is taken, and of those the one with the lowest coordinates.

    Parameters
    ----------
    crystal
        The one the hop was found in.
    hop
        By an interstitial.
    voids
        Those of `interstitial_sites` that it may be in; each stands for its whole orbit.

    Raises
    ------
    ValueError
        When there is none within 8 A.
    """
    start, end = np.array(hop.path_A)
    line = np.linspace(start, end, 21)
    least_A = 2 * _OVERLAP_SHARE * covalent_radii[atomic_numbers[hop.metal]]
    near = [spot for void in voids for spot in _images(crystal, void, start)]
    free = [spot for spot in near if np.linalg.norm(line - spot, axis=1).min() >= least_A]
    if not free:
        raise ValueError(f"there is no void for a second {hop.metal} within {_REACH_A:g} A of '{hop.label}'")

    def preference(spot: Floats) -> list[float]:
        return [*np.linalg.norm(np.array([start, end]) - spot, axis=1).round(_DECIMALS), *(spot.round(_DECIMALS) + 0.0)]

    return as_position(min(free, key=preference))


def _images(crystal: Atoms, void: DefectSite, around_A: Position | Floats) -> Floats:
    """Give the images of a void within reach of a position, shape ``(n, 3)``, in A."""
    cell, operations = primitive(crystal)
    inverse = np.linalg.inv(cell.cell.array)
    middle = np.floor(np.asarray(around_A) @ inverse)
    orbit = all_images(cell, operations, np.array(void.position_A) @ inverse)
    spots = (orbit + middle + shifts_within(cell, 2 * _REACH_A)[:, None]).reshape(-1, 3) @ cell.cell.array
    return np.asarray(spots[np.linalg.norm(spots - around_A, axis=1) < _REACH_A])
