"""The symmetry-distinct adsorption sites of a flat or nearly flat sheet."""

import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal, NamedTuple

import numpy as np
import spglib
from ase import Atoms
from ase.formula import Formula
from ase.geometry import find_mic
from numpy.typing import NDArray

from .bonds import Anchor, find_bonds, find_rings

Kind = Literal["top", "bridge", "hollow"]
Anchors = tuple[Anchor, ...]
Floats = NDArray[np.float64]

_SYMMETRY_TOLERANCE_A = 0.05
_SAME_SITE_A = 0.3


@dataclass(frozen=True)
class Site:
    """
    A place for an adatom on a sheet.

    Attributes
    ----------
    kind
        Over an atom, a bond or a ring.
    anchors
        The atoms the site is the centre of: index, and cell shift along a and b.
    label
        Unique within the host: ``"top N"``, ``"bridge C-N"``, ``"hollow C6 @2.8"`` (A from the defect).
    multiplicity
        How many of the cell's sites this one stands for.
    distance_A
        Lateral distance to the nearest atom of the defect; 0.0 when the host has none.
    face
        +1 above the sheet, -1 below.
    """

    kind: Kind
    anchors: Anchors
    label: str
    multiplicity: int
    distance_A: float
    face: int


def adsorption_sites(host: Atoms, *, near_A: float | None = None) -> list[Site]:
    """
    List every symmetry-distinct top, bridge and hollow site of a sheet.

    Bonds follow from covalent radii; hollows are the faces of the bond graph drawn on the periodic cell, so
    that pentagons and vacancies count like hexagons. Two sites are the same when an operation of the doped
    host's own space group, found by spglib, takes one to the other. When the sheet is its own mirror image,
    only the upper face is listed.

    Parameters
    ----------
    host
        A sheet in the xy plane; distances are measured from the atoms in ``info["philic"]["defect"]``.
    near_A
        Keep only sites at most this far from the defect; all are kept when there is none.

    Returns
    -------
    list of Site
        By distance, then kind, then label.

    Raises
    ------
    ValueError
        When the sheet does not lie in the xy plane, or atoms overlap.

    Examples
    --------
    >>> from philic.structures.carbon import graphene
    >>> [site.label for site in adsorption_sites(graphene())]
    ['bridge C-C', 'hollow C6', 'top C']
    """
    places = all_anchors(host)
    distances = _distances_to_defect(host, [lateral_position(host, anchors) for _, anchors in places])
    sites = [
        Site(*places[at], site_name(host, *places[at]), multiplicity, distances[at], face)
        for at, face, multiplicity in _orbits(host, places)
    ]
    sites = _uniquely_labelled(sorted(sites, key=_order))
    return [site for site in sites if near_A is None or site.distance_A <= near_A]


def all_anchors(host: Atoms) -> list[tuple[Kind, Anchors]]:
    """
    List the anchors of every site in the cell: atoms, bonds, then rings.

    Raises
    ------
    ValueError
        When the sheet does not lie in the xy plane.
    """
    tilt_A = float(np.abs(host.cell.array[:2, 2]).max())
    if tilt_A > 1e-3:
        raise ValueError(f"`host` has an a or b that rises by {tilt_A:.3g} A but both must lie in the xy plane")
    bonds = find_bonds(host)
    tops: list[tuple[Kind, Anchors]] = [("top", ((i, 0, 0),)) for i in range(len(host))]
    bridges: list[tuple[Kind, Anchors]] = [
        ("bridge", ((i, 0, 0), (j, a, b))) for i, j, a, b in bonds if (i, j, a, b) < (j, i, -a, -b)
    ]
    hollows: list[tuple[Kind, Anchors]] = [("hollow", ring) for ring in find_rings(bonds) if _signed_area(host, ring) > 0]
    return tops + bridges + hollows


def site_name(host: Atoms, kind: Kind, anchors: Anchors) -> str:
    """
    Name a site by what it is over: ``"top N"``, ``"bridge C-N"``, ``"hollow C5N"``.

    Examples
    --------
    >>> from philic.structures.carbon import graphene
    >>> site_name(graphene(), "bridge", ((0, 0, 0), (1, 0, 0)))
    'bridge C-C'
    """
    symbols = [str(host.symbols[i]) for i, _, _ in anchors]
    if kind == "hollow":
        return f"hollow {Formula.from_list(symbols).format('hill')}"
    return f"{kind} {'-'.join(sorted(symbols, key=lambda symbol: (symbol != 'C', symbol)))}"


def lateral_position(host: Atoms, anchors: Anchors) -> Floats:
    """Give the xy position of a site, shape ``(2,)``: the mean of its anchors."""
    return np.asarray(_corners(host, anchors).mean(axis=0))


def lateral_distances_A(host: Atoms, vectors: Floats) -> Floats:
    """Give the lateral lengths of vectors, shape ``(..., 2)``, to the nearest periodic image."""
    flat = np.zeros((vectors.size // 2, 3))
    flat[:, :2] = vectors.reshape(-1, 2)
    lengths = find_mic(flat, host.cell, pbc=(True, True, False))[1]
    return np.asarray(lengths).reshape(vectors.shape[:-1])


def _corners(host: Atoms, anchors: Anchors) -> Floats:
    index, shifts = np.array(anchors)[:, 0], np.array(anchors)[:, 1:]
    return np.asarray(host.positions[index, :2] + shifts @ host.cell.array[:2, :2])


def _signed_area(host: Atoms, ring: Anchors) -> float:
    """Give a ring's area: negative for the rim round a piece that does not span the cell."""
    x, y = _corners(host, ring).T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


class _Operations(NamedTuple):
    """What takes the sheet to itself: lateral rotations and shifts in A, and whether faces swap (-1)."""

    rotations: Floats
    shifts: Floats
    flips: Floats


def _operations(host: Atoms) -> _Operations:
    """
    Find the sheet's symmetry.

    Rotations come from the primitive cell: a 3x4 cell of graphene has no three-fold axis, the sheet has one.
    """
    whole = _symmetry(host)
    steps = whole.translations[(whole.rotations == np.eye(3)).all(axis=(1, 2))] @ host.cell.array
    first = np.unique(whole.mapping_to_primitive, return_index=True)[1]
    small = host[first]
    small.set_cell(whole.primitive_lattice)
    found = _symmetry(small)
    turns = small.cell.array.T @ found.rotations @ np.linalg.inv(small.cell.array.T)
    in_plane = np.abs(turns[:, 2, :2]).max(axis=1) < 1e-3
    turns, shifts = turns[in_plane], (found.translations @ small.cell.array)[in_plane]
    return _Operations(
        np.repeat(turns[:, :2, :2], len(steps), axis=0),
        (shifts[:, None] + steps).reshape(-1, 3)[:, :2],
        np.repeat(turns[:, 2, 2].round(), len(steps)),
    )


def _symmetry(atoms: Atoms) -> spglib.SpglibDataset:
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    with warnings.catch_warnings():  # spglib 2.7 and 2.8 announce their new error handling at every call
        warnings.simplefilter("ignore", DeprecationWarning)
        dataset = spglib.get_symmetry_dataset(cell, symprec=_SYMMETRY_TOLERANCE_A)
    if dataset is None:
        raise ValueError(f"`host` is {atoms.symbols} with overlapping atoms but they must lie apart")
    return dataset


def _orbits(host: Atoms, places: list[tuple[Kind, Anchors]]) -> Iterator[tuple[int, int, int]]:
    """Give one place of each orbit, its face, and the orbit's size."""
    operations = _operations(host)
    plane = host.cell.array[:2, :2]
    spots = np.array([lateral_position(host, anchors) for _, anchors in places])
    kinds = np.array([kind for kind, _ in places])
    faces = (1,) if _is_own_mirror_image(operations, plane) else (1, -1)
    waiting = {face: np.ones(len(places), dtype=bool) for face in faces}
    for face, at in product(faces, range(len(places))):
        if not waiting[face][at]:
            continue
        size = 0
        for other in faces:
            chosen = slice(None) if len(faces) == 1 else operations.flips == face * other
            images = operations.rotations[chosen] @ spots[at] + operations.shifts[chosen]
            members = waiting[other] & (kinds == kinds[at]) & _hit(spots, images, plane)
            waiting[other] &= ~members
            size += int(members.sum())
        yield at, face, size


def _is_own_mirror_image(operations: _Operations, plane: Floats) -> bool:
    unturned = np.isclose(operations.rotations, np.eye(2), atol=1e-3).all(axis=(1, 2))
    shifts = operations.shifts[unturned & (operations.flips == -1)]
    return bool(_hit(np.zeros((1, 2)), shifts, plane).any())


def _hit(spots: Floats, images: Floats, plane: Floats) -> NDArray[np.bool_]:
    """Tell which spots one of the images falls on, in any cell."""
    to_cell = np.linalg.inv(plane)
    images = np.unique((images @ to_cell % 1).round(4), axis=0)
    apart = images[:, None] - spots @ to_cell
    return np.asarray((np.linalg.norm((apart - apart.round()) @ plane, axis=2) < _SAME_SITE_A).any(axis=0))


def _distances_to_defect(host: Atoms, positions: list[Floats]) -> list[float]:
    defect = host.info.get("philic", {}).get("defect", [])
    if not defect:
        return [0.0] * len(positions)
    apart = np.array(positions)[:, None] - host.positions[defect, :2]
    return [float(distance) for distance in lateral_distances_A(host, apart).min(axis=1)]


def _uniquely_labelled(sites: list[Site]) -> list[Site]:
    """Tell sites of one name apart by face, then by distance, then by number."""
    below = [" below" if site.face < 0 else "" for site in sites]
    plain = [f"{site.label}{face}" for site, face in zip(sites, below, strict=True)]
    placed = [f"{site.label} @{site.distance_A:.1f}{face}" for site, face in zip(sites, below, strict=True)]
    places = Counter(name for name, _ in set(zip(plain, placed, strict=True)))
    labels = [far if places[name] > 1 else name for name, far in zip(plain, placed, strict=True)]
    shared, seen = Counter(labels), Counter[str]()
    for at, label in enumerate(labels):
        seen[label] += 1
        if shared[label] > 1:
            labels[at] = f"{label} #{seen[label]}"
    labelled = [replace(site, label=label) for site, label in zip(sites, labels, strict=True)]
    return sorted(labelled, key=_order)


def _order(site: Site) -> tuple[float, str, str, int]:
    return round(site.distance_A, 3), site.kind, site.label, -site.face
