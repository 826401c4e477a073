"""A slab in one piece, its two faces, the atoms of each that an adatom can meet, and the faces that are free."""

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from ..symmetry.fixed import fixed_atoms
from ..symmetry.periodic import VACUUM_A

Floats = NDArray[np.float64]

_SEEN_A = 0.15  # by how much an exposed atom is met first: a tie hides the second row of fcc(110)
_AT_FOOT = 0.7  # by how much, in touching distances, an atom of low coordination may be met late: a step's foot
_LOW_COORDINATION = 0.85  # of the most for the element: 10 of 12 at the foot of fcc(211), 11 in the row below fcc(110)
_TIGHT = 1.15  # a hole this many times too wide, as a hexagon of graphite, stops the sphere at its rim
NEIGHBOUR = 1.2  # coordination counts atoms within this many times the touching distance
_LAYER_A = 0.5  # an atom that hides another is so much higher: 0.67 in Li2O(111); a rumpled layer is one layer
_HALF_DEG = 190.0  # what two oxygens on either side of rutile's sixfold titanium leave open, and some noise
_NOISE_A = 1e-6
_UPRIGHT_A = 1e-3  # what a and b may rise


def check_surface(host: Atoms) -> None:
    """
    Refuse what is no sheet or slab in the xy plane.

    Raises
    ------
    ValueError
        When a or b leaves the xy plane, or the host is repeated along z with less than 6 A of vacuum between.
    """
    rise_A = float(np.abs(host.cell.array[:2, 2]).max())
    if rise_A > _UPRIGHT_A:
        raise ValueError(f"`host` has an a or b that rises by {rise_A:.3g} A but both must lie in the xy plane")
    if host.cell.array[:2].any(axis=1).sum() < 2:
        raise ValueError(f"`host` is {host.symbols} without a or b but must be a sheet or slab: give it both vectors")
    if not _repeats_along_z(host):
        return
    gap_A = abs(float(host.cell[2, 2])) - float(np.ptp(heights_A(host)))
    if gap_A < VACUUM_A:
        raise ValueError(
            f"`host` has {gap_A:.1f} A of vacuum along z but needs at least {VACUUM_A:g}: give a sheet, or cut a slab first"
        )


def in_one_piece(host: Atoms) -> Floats:
    """
    Give the positions of a slab that its cell's boundary may cut, moved along c into one piece, shape ``(n_atoms, 3)``.

    The lowest atom, over the widest gap, stays where it is.
    """
    z = np.asarray(host.positions[:, 2], dtype=float)
    if not _repeats_along_z(host):
        return np.array(host.positions)
    period = abs(float(host.cell[2, 2]))
    folded = np.sort(z % period)
    widest = int(np.diff(folded, append=folded[0] + period).argmax())
    lowest = folded[(widest + 1) % len(z)]
    heights = (z - lowest + _NOISE_A) % period - _NOISE_A
    base = int(heights.argmin())
    periods = np.rint((heights - heights[base] - z + z[base]) / host.cell[2, 2])
    return np.asarray(host.positions + periods[:, None] * host.cell.array[2])


def heights_A(host: Atoms) -> Floats:
    """Give the heights over the lowest atom, shape ``(n_atoms,)``; a periodic c's widest gap is vacuum."""
    z = in_one_piece(host)[:, 2]
    return np.asarray(z - z.min())


def lateral_A(host: Atoms) -> Floats:
    """Give where the atoms of a slab in one piece are, xy, shape ``(n_atoms, 2)``."""
    if not host.cell.array[2, :2].any():
        return np.asarray(host.positions[:, :2])
    return in_one_piece(host)[:, :2]


def free_faces(host: Atoms) -> tuple[int, ...]:
    """
    List the faces that can relax: +1 for the upper, -1 for the lower.

    A face is held when `ase.constraints.FixAtoms` holds more than half of its exposed atoms. If both are
    held, both count as free: the host is meant to be rigid.

    Examples
    --------
    >>> from ase.build import fcc111
    >>> from ase.constraints import FixAtoms
    >>> slab = fcc111("Cu", (1, 1, 4), vacuum=6.0, periodic=True)
    >>> slab.set_constraint(FixAtoms([2, 3]))
    >>> free_faces(slab)
    (-1,)
    """
    fixed = fixed_atoms(host)
    if not fixed.any() or fixed.all():
        return 1, -1
    free = tuple(face for face in (1, -1) if fixed[exposed_atoms(host, face)].mean() <= 0.5)
    return free or (1, -1)


def exposed_atoms(host: Atoms, face: int) -> NDArray[np.bool_]:
    """
    Select the atoms of a face that an adatom can touch.

    An atom is exposed when a sphere of its own size, let down on it along z, meets it before any other atom
    by more than 0.15 A; or nearly so, when neighbours are missing as at the foot of a step. Covalent radii
    are scaled so that nearest neighbours touch. An atom that is bonded to higher ones of another element on
    all sides, as titanium to the oxygens of Ti3C2O2, is hidden however large its radius is. The highest atom
    is always exposed.
    """
    radii, z = touching_radii(host), heights_A(host) * face
    flat = host.copy()
    flat.positions[:, :2], flat.positions[:, 2] = lateral_A(host), 0.0
    flat.set_constraint()
    flat.pbc = (True, True, False)
    i, j, lateral, vectors = neighbor_list("ijdD", flat, 4 * float(radii.max()))
    reach = radii[i] + radii[j]
    near = lateral < _TIGHT * reach
    first = np.full(len(host), -np.inf)  # the height at which the sphere meets another atom
    np.maximum.at(first, i[near], (z[j] + np.sqrt(np.maximum(reach**2 - lateral**2, 0.0)))[near])
    lead = z + 2 * radii - first
    low = coordination(host, radii) <= _LOW_COORDINATION * _most_for_element(host, radii)
    seen = (lead > _SEEN_A) | (low & (lead > -_AT_FOOT * 2 * radii))
    seen &= ~_covered(host, i, j, vectors[:, :2], z[j] - z[i])
    return np.asarray(seen | (z > z.max() - _NOISE_A))


def _covered(host: Atoms, i: NDArray[np.int64], j: NDArray[np.int64], vectors: Floats, rises: Floats) -> NDArray[np.bool_]:
    """Select atoms with higher neighbours of another element on all sides: no more than half of the circle is open."""
    bond_A = NEIGHBOUR * (covalent_radii[host.numbers[i]] + covalent_radii[host.numbers[j]])
    near = np.hypot(np.linalg.norm(vectors, axis=1), rises) < bond_A
    over = near & (host.numbers[i] != host.numbers[j]) & (rises > _LAYER_A)
    angles = np.degrees(np.arctan2(vectors[over, 1], vectors[over, 0]))
    covered = np.zeros(len(host), dtype=bool)
    for atom in set(i[over]):
        around = np.sort(angles[i[over] == atom])
        covered[atom] = np.diff(around, append=around[0] + 360).max() < _HALF_DEG
    return covered


def touching_radii(host: Atoms) -> Floats:
    """Scale covalent radii so that, in the median, an atom touches its nearest neighbour."""
    radii = np.asarray(covalent_radii[host.numbers], dtype=float)
    i, j, length = neighbor_list("ijd", host, 4.0 * float(radii.max()))
    nearest = np.full(len(host), np.inf)
    np.minimum.at(nearest, i, length / (radii[i] + radii[j]))
    near = nearest[np.isfinite(nearest)]
    return radii * (float(np.median(near)) if len(near) else 1.0)


def coordination(host: Atoms, radii: Floats) -> NDArray[np.int64]:
    """Count the atoms within 1.2 times the touching distance."""
    pairs = neighbor_list("i", host, (NEIGHBOUR * radii).tolist())
    return np.bincount(pairs, minlength=len(host))


def _repeats_along_z(host: Atoms) -> bool:
    return bool(host.pbc[2]) and abs(float(host.cell[2, 2])) > _NOISE_A


def _most_for_element(host: Atoms, radii: Floats) -> NDArray[np.int64]:
    most = np.zeros(host.numbers.max() + 1, dtype=np.int64)
    np.maximum.at(most, host.numbers, coordination(host, radii))
    return np.asarray(most[host.numbers])
