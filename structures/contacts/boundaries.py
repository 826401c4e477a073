"""Grain boundaries of cubic crystals: two grains of one crystal that share a coincidence-site lattice."""

import warnings
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import spglib
from ase import Atoms
from ase.build import make_supercell
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from ..crystals.supercells import crystal_name
from ..limits import check_n_atoms
from ..sites.sites import Floats
from ..surfaces.building import build, turn_a_along_x
from ..surfaces.cuts import weakest_cut
from ..surfaces.slabs import shown_miller
from ..surfaces.stacks import axes_along, stack_planes
from ..symmetry.orbits import SYMMETRY_TOLERANCE_A, symmetry
from ..symmetry.species import kept, species
from .interfaces import Miller, stacked, touching_gap_A

_CLOSEST = 0.8  # across a boundary, no pair is nearer than this many times its shortest distance in the crystal
_LARGEST_SIGMA = 49
_LARGEST_STEP = 8  # lattice constants: how long the vectors of the common cell may be
_GRID_A = 0.6  # how finely rigid shifts are tried
_MOST_TRIED = 8  # shifts along either vector


class _Cubic(NamedTuple):
    """A cubic crystal's conventional cell along x, y and z, its primitive vectors as rows, and its lattice constant."""

    atoms: Atoms
    primitive: Floats
    constant_A: float


def grain_boundary(crystal: Atoms, sigma: int, axis: Miller, plane: Miller, *, min_grain_A: float = 12.0) -> Atoms:
    """
    Join two grains of a cubic crystal, one turned about an axis by a coincidence angle.

    The cell is periodic and holds two boundaries. Each grain is whole repeats of the crystal's planes, cut where the
    weakest bonds break: no atom is taken out, so composition is kept, and molecular units stay whole. The upper
    grain is shifted rigidly in the plane, and the boundaries opened, by the least that keeps every pair of atoms 0.8
    times as far apart as its shortest distance in the crystal; relax from there, and from other shifts. Of the angles
    of one sigma, the smallest that makes a symmetric tilt is taken, else the smallest.

    Parameters
    ----------
    crystal
        Cubic; any cell of it.
    sigma
        The reciprocal density of coincidence sites (Ranganathan, Acta Cryst. 21, 197, 1966).
    axis
        Of the rotation, in the conventional cell.
    plane
        Miller indices of the boundary in the lower grain's conventional cell.
    min_grain_A
        Least thickness of each grain: half the distance between boundaries.

    Returns
    -------
    Atoms
        Lower grain first; the boundary along z. ``info["philic"]`` holds the angle, the kind (symmetric tilt,
        tilt, twist or mixed), the upper grain's plane, the shift, the opening of each boundary
        beyond the crystal's spacing, each grain's orientation (rows: where x, y and z of the crystal point)
        and ``n_lower``.

    Raises
    ------
    ValueError
        When the crystal is not cubic, sigma is none around the axis, or a number is out of range.

    Examples
    --------
    >>> from philic.structures.crystals.metals import bulk_metal
    >>> about = grain_boundary(bulk_metal("K"), 5, (0, 0, 1), (3, 1, 0)).info["philic"]
    >>> about["kind"], round(about["angle_deg"], 2), about["plane_upper"]
    ('symmetric tilt', 36.87, [3, -1, 0])
    """
    cubic = _cubic(crystal)
    _check(sigma, axis, plane, min_grain_A)
    angle, rotation = _rotation(sigma, axis, plane)
    common = _common_cell(cubic, rotation, plane)
    lower, low_frame = _grain(cubic, common, plane, min_grain_A)
    plane_upper = _whole(rotation.T @ np.array(plane))
    upper, high_frame = _grain(cubic, common @ rotation, plane_upper, min_grain_A)
    spacing = max(float(grain.cell[2, 2] - np.ptp(grain.positions[:, 2])) for grain in (lower, upper))
    shift, gaps = _best_shift(lower, upper, _least_distances(crystal, lower, upper), spacing)
    upper.positions += (*shift, 0) @ lower.cell.array
    atoms = stacked(lower, upper, *gaps)
    atoms.info["philic"] = {
        **_named(crystal, sigma, axis, plane, rotation),
        "angle_deg": angle,
        "area_A2": abs(float(np.linalg.det(atoms.cell.array[:2, :2]))),
        "shift": [float(part) for part in shift],
        "opening_A": [float(gap - spacing) for gap in gaps],
        "n_lower": len(lower),
        "orientation_lower": low_frame.tolist(),
        "orientation_upper": high_frame.tolist(),
        "formula": atoms.symbols.formula.format("hill"),
    }
    return atoms


def sigmas(axis: Miller, largest: int = _LARGEST_SIGMA) -> dict[int, list[float]]:
    """
    List the coincidence lattices of a cubic crystal around an axis: sigma and its angles in degrees.

    From pymatgen, after Grimmer, Acta Cryst. A40, 108 (1984).

    Examples
    --------
    >>> list(sigmas((0, 0, 1), 17))
    [5, 13, 17]
    """
    if not any(axis):
        raise ValueError(f"`axis` is {tuple(axis)} but at least one index must differ from 0")
    from pymatgen.core.interface import GrainBoundaryGenerator

    found = GrainBoundaryGenerator.enum_sigma_cubic(largest, axis)
    return {int(sigma): sorted(float(angle) for angle in found[sigma]) for sigma in sorted(found)}


def _named(crystal: Atoms, sigma: int, axis: Miller, plane: Miller, rotation: Floats) -> dict[str, object]:
    plane_upper = _whole(rotation.T @ np.array(plane))
    return {
        "family": "grain boundary",
        "host": f"{crystal_name(crystal)} sigma {sigma} {_shown(plane, '()')}{_shown(axis, '[]')}",
        "sigma": int(sigma),
        "axis": [int(index) for index in axis],
        "plane": [int(index) for index in plane],
        "plane_upper": plane_upper,
        "kind": _kind(axis, plane, plane_upper),
    }


def _check(sigma: int, axis: Miller, plane: Miller, min_grain_A: float) -> None:
    known = sigmas(axis)
    if sigma not in known:
        raise ValueError(f"`sigma` is {sigma} but around {_shown(axis, '[]')} must be one of: {', '.join(map(str, known))}")
    if not any(plane):
        raise ValueError(f"`plane` is {tuple(plane)} but at least one index must differ from 0")
    if min_grain_A <= 0:
        raise ValueError(f"`min_grain_A` is {min_grain_A} but must be above 0")


def _cubic(crystal: Atoms) -> _Cubic:
    dataset = symmetry(crystal)
    if dataset.number < 195:
        raise ValueError(f"`crystal` is {crystal_name(crystal)} with space group {dataset.international} but must be cubic")
    kinds = species(crystal).tolist()
    cell = (crystal.cell.array, crystal.get_scaled_positions(), kinds)
    with warnings.catch_warnings():  # spglib 2.7 and 2.8 announce their new error handling at every call
        warnings.simplefilter("ignore", DeprecationWarning)
        whole, primitive = (
            spglib.standardize_cell(cell, to_primitive=small, symprec=SYMMETRY_TOLERANCE_A) for small in (False, True)
        )
    if whole is None or primitive is None:
        raise ValueError(f"`crystal` is {crystal_name(crystal)}, of which spglib finds no standard cell")
    like = [kinds.index(kind) for kind in whole[2]]
    atoms = Atoms(crystal.numbers[like], scaled_positions=whole[1], cell=whole[0], pbc=True, **kept(crystal, like))
    atoms.info = {"philic": dict(crystal.info.get("philic", {}))}
    return _Cubic(atoms, np.array(primitive[0]), float(np.linalg.norm(dataset.std_lattice[0])))


def _rotation(sigma: int, axis: Miller, plane: Miller) -> tuple[float, Floats]:
    """Give the angle in degrees and the matrix that turns the upper grain."""
    turns = [(angle, _turn(sign * np.array(axis), angle)) for angle in sigmas(axis)[sigma] for sign in (1, -1)]
    mirrored = [turn for turn in turns if _kind(axis, plane, _whole(turn[1].T @ np.array(plane))) == "symmetric tilt"]
    return (mirrored or turns)[0]


def _turn(axis: Floats, angle_deg: float) -> Floats:
    """Give Rodrigues' rotation matrix."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(angle_deg)
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)


def _kind(axis: Miller, plane: Miller, plane_upper: list[int]) -> str:
    if not np.cross(axis, plane).any():
        return "twist"
    if np.dot(axis, plane) != 0:
        return "mixed"
    whole = _whole(np.array(plane, dtype=float))
    return "symmetric tilt" if sorted(map(abs, plane_upper)) == sorted(map(abs, whole)) else "tilt"


def _whole(direction: Floats) -> list[int]:
    """Give a rational direction as its smallest whole numbers."""
    for factor in range(1, 10 * _LARGEST_SIGMA):
        scaled = direction * factor
        if np.allclose(scaled, scaled.round(), atol=1e-6):
            numbers = scaled.round().astype(int)
            return [int(number) for number in numbers // np.gcd.reduce(numbers)]
    raise AssertionError("a coincidence rotation is rational")


def _lattice_vectors(cubic: _Cubic) -> Floats:
    """Give the lattice vectors within a sphere, shape ``(n, 3)``, in lattice constants."""
    reach = np.arange(-2 * _LARGEST_STEP, 2 * _LARGEST_STEP + 1) / 2
    vectors = np.stack(np.meshgrid(reach, reach, reach, indexing="ij"), axis=-1).reshape(-1, 3)
    vectors = vectors[(vectors**2).sum(axis=1) <= _LARGEST_STEP**2]
    return np.asarray(vectors[_is_in_lattice(cubic, vectors)])


def _is_in_lattice(cubic: _Cubic, vectors: Floats) -> NDArray[np.bool_]:
    steps = vectors @ np.linalg.inv(cubic.primitive / cubic.constant_A)
    return np.asarray((np.abs(steps - steps.round()) < 1e-4).all(axis=1))


def _common_cell(cubic: _Cubic, rotation: Floats, plane: Miller) -> Floats:
    """Give, in lattice constants as rows, the smallest in-plane cell of both grains and the normal."""
    vectors = _lattice_vectors(cubic)
    vectors = vectors[(vectors @ np.array(plane) == 0) & vectors.any(axis=1)]
    vectors = vectors[_is_in_lattice(cubic, vectors @ rotation)]
    vectors = vectors[np.argsort((vectors**2).sum(axis=1), kind="stable")]
    areas = np.cross(vectors[:1], vectors)
    beside = np.flatnonzero(np.abs(areas).max(axis=1, initial=0) > 1e-6)
    if not len(beside):
        raise ValueError(
            f"`plane` is {tuple(plane)} but its common cell is longer than {_LARGEST_STEP} lattice constants:"
            " take lower indices"
        )
    a, b = vectors[0], vectors[beside[0]]
    normal = np.array(plane) / np.linalg.norm(plane)
    return np.array([a, b if np.cross(a, b) @ normal > 0 else -b, normal])


def _grain(cubic: _Cubic, common: Floats, plane: Sequence[int], least_A: float) -> tuple[Atoms, Floats]:
    """Cut a grain, a along x, and give its orientation; its c is a whole number of repeats."""
    h, k, l = plane  # noqa: E741
    stack = stack_planes(cubic.atoms, (h, k, l))
    repeats = int(np.ceil(least_A / stack.repeat_A - 1e-6))
    a, _, normal = common  # in the grain's own axes
    steps = np.linalg.solve(stack.atoms.cell.array.T, (common[:2] * cubic.constant_A @ stack.frame).T).T
    n_atoms = repeats * len(stack.atoms) * abs(float(np.linalg.det(steps[:, :2])))
    check_n_atoms(n_atoms, f"a grain {least_A:g} Å thick")
    grain = build(stack, weakest_cut(stack).first, repeats * len(stack.units), 0.0)
    grain.set_cell([*grain.cell.array[:2], (0, 0, repeats * stack.repeat_A)])
    wide = make_supercell(grain, np.vstack([steps, (0, 0, 1)]).round().astype(int), wrap=False)
    turn_a_along_x(wide)
    wide.pbc = (True, True, False)
    wide.wrap(eps=1e-6)
    return wide, axes_along(a, normal).T


def _least_distances(crystal: Atoms, lower: Atoms, upper: Atoms) -> Floats:
    """Give how near each pair across a boundary may come, shape ``(n_lower, n_upper)``."""
    cutoff = 1.0
    wanted = set(product(set(crystal.numbers.tolist()), repeat=2))
    shortest: dict[tuple[int, int], float] = {}
    while wanted - shortest.keys():
        cutoff *= 1.5
        for i, j, distance in zip(*neighbor_list("ijd", crystal, cutoff), strict=True):
            pair = int(crystal.numbers[i]), int(crystal.numbers[j])
            shortest[pair] = min(shortest.get(pair, np.inf), float(distance))
    return np.array([[_CLOSEST * shortest[int(one), int(two)] for two in upper.numbers] for one in lower.numbers])


def _best_shift(
    lower: Atoms, upper: Atoms, least: Floats, spacing_A: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Try rigid shifts, none first; give the one that opens the two boundaries least, and both gaps."""
    counts = [min(int(np.ceil(length / _GRID_A)), _MOST_TRIED) for length in lower.cell.lengths()[:2]]
    best = ((0.0, 0.0), (np.inf, np.inf))
    for i, j in product(*(range(count) for count in counts)):
        shift = (i / counts[0], j / counts[1])
        moved = upper.copy()
        moved.positions += (*shift, 0) @ lower.cell.array
        gaps = (
            max(spacing_A, touching_gap_A(lower, moved, least)),
            max(spacing_A, touching_gap_A(moved, lower, least.T)),
        )
        if sum(gaps) < sum(best[1]) - 1e-3:
            best = (shift, gaps)
        if sum(gaps) <= 2 * spacing_A + 1e-3:
            break
    return best


def _shown(indices: Miller, brackets: str) -> str:
    return brackets[0] + shown_miller(indices) + brackets[1]
