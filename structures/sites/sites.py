"""The symmetry-distinct adsorption sites of a sheet, and of both faces of a slab."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.formula import Formula
from ase.geometry import find_mic
from numpy.typing import NDArray

from ..symmetry.orbits import refined_shifts
from ..symmetry.symmetry import rigid, symmetry_of
from .bonds import Anchor, Edge, find_bonds, find_rings
from .defect_atoms import defect_atoms
from .faces import check_surface, free_faces, in_one_piece, lateral_A
from .slab_sites import Kind, distinguished, face_edges, is_sheet, site_details, slab_anchors

Anchors = tuple[Anchor, ...]
Place = tuple[Kind, Anchors]
Floats = NDArray[np.float64]

SAME_SITE_A = 0.3
"""Sites nearer than this, laterally, are one."""

_SYMMETRY_TOLERANCE_A = 0.05
_LARGEST_RING = 8  # a ring of more atoms is a hole
_LEAST_AREA_A2 = 0.1  # a walk out along bonds and back encloses nothing
_VACUUM_A = 10.0


@dataclass(frozen=True)
class Site:
    """
    A place for an adatom on a sheet or slab.

    Attributes
    ----------
    kind
        Over an atom, a bond (two exposed neighbours of a slab) or a ring.
    anchors
        The atoms the site is the centre of: index, and cell shift along a and b.
    label
        Unique within the host: ``"top N"``, ``"bridge C-N"``, ``"hollow C6 @2.8"`` (A from the defect),
        ``"hollow Cu3 fcc"``, ``"bridge K-K long"``, ``"top Cu cn 7"`` (coordination number, at a step).
    multiplicity
        How many sites on its face of the cell this one stands for.
    distance_A
        Lateral distance to the nearest atom of the defect; 0.0 when the host has none.
    face
        +1 above, -1 below.
    """

    kind: Kind
    anchors: Anchors
    label: str
    multiplicity: int
    distance_A: float
    face: int


class LateralOperations(NamedTuple):
    """What takes the host to itself: lateral rotations and shifts in A, and whether faces swap (-1)."""

    rotations: Floats
    shifts: Floats
    flips: Floats


def adsorption_sites(host: Atoms, *, near_A: float | None = None) -> list[Site]:
    """
    List every symmetry-distinct top, bridge and hollow site of a sheet or slab.

    Sheets: bonds follow from covalent radii; hollows are the faces of the bond graph drawn on the periodic
    cell, so that pentagons and vacancies count like hexagons; a hole has a site in its middle and one in each
    ring that it opened. Slabs (bonds that cross as seen along z, or
    ``info["philic"]["miller"]``): sites are the atoms exposed on a face, the pairs of them with none between,
    and the polygons these enclose; names tell hollows apart by what lies beneath (fcc and hcp), bridges by
    length, and the atoms of steps and defects by their coordination number.

    Two sites are the same when an operation of the host's own space group, found by spglib, takes one to the
    other. When one takes the upper face to the lower, only the upper face is listed; a face that is held
    (`philic.structures.sites.faces.free_faces`) is not listed at all.

    Parameters
    ----------
    host
        A sheet or slab in the xy plane; distances are measured from its `defect_atoms`.
    near_A
        Keep only sites at most this far from the defect; all are kept when there is none.

    Returns
    -------
    list of Site
        By distance, then kind, then label.

    Raises
    ------
    ValueError
        When the host does not lie in the xy plane, has too little vacuum along z, or atoms overlap.

    Examples
    --------
    >>> from philic.structures.carbons.carbon import graphene
    >>> [site.label for site in adsorption_sites(graphene())]
    ['bridge C-C', 'hollow C6', 'top C']
    """
    check_surface(host)
    operations = lateral_operations(host)
    free = free_faces(host)
    faces = free[:1] if (operations.flips == -1).any() else free
    sites = [site for face in faces for site in _sites_of_face(host, operations, face)]
    sites = _uniquely_labelled(sorted(sites, key=_order))
    return [site for site in sites if near_A is None or site.distance_A <= near_A]


def all_anchors(host: Atoms, *, face: int = 1) -> list[Place]:
    """
    List the anchors of every site on one face of the cell: atoms, bonds, then rings.

    Both faces of a sheet have the same.

    Raises
    ------
    ValueError
        When the host does not lie in the xy plane, or has too little vacuum along z.
    """
    check_surface(host)
    return _sheet_anchors(host) if is_sheet(host) else slab_anchors(host, face)


def site_names(host: Atoms, places: list[Place], *, face: int = 1) -> list[str]:
    """
    Name all the sites of a face, those of a slab so that different ones differ: ``"hollow Cu3 hcp"``.

    Parameters
    ----------
    host
        A sheet or slab.
    places
        What `all_anchors` lists for the face.
    face
        +1 for the upper face, -1 for the lower.
    """
    names = [site_name(host, *place) for place in places]
    return names if is_sheet(host) else distinguished(names, site_details(host, places, face))


def site_name(host: Atoms, kind: Kind, anchors: Anchors) -> str:
    """
    Name a site by what it is over: ``"top N"``, ``"bridge C-N"``, ``"hollow C5N"``.

    Examples
    --------
    >>> from philic.structures.carbons.carbon import graphene
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


def _sheet_anchors(host: Atoms) -> list[Place]:
    bonds = find_bonds(host)
    rings = [ring for ring in find_rings(bonds) if _signed_area(host, ring) > _LEAST_AREA_A2]
    chords, parts = _divided(host, bonds, [ring for ring in rings if len(ring) > _LARGEST_RING])
    tops: list[Place] = [("top", ((i, 0, 0),)) for i in range(len(host))]
    bridges: list[Place] = [
        ("bridge", ((i, 0, 0), (j, a, b))) for i, j, a, b in [*bonds, *chords] if (i, j, a, b) < (j, i, -a, -b)
    ]
    hollows: list[Place] = [("hollow", ring) for ring in [*rings, *parts]]
    return tops + bridges + hollows


def _divided(host: Atoms, bonds: dict[Edge, Floats], holes: list[Anchors]) -> tuple[list[Edge], list[Anchors]]:
    """
    Divide holes as the face of a slab is divided: a vacancy has a place in its middle, and one in each ring it opened.

    Returns
    -------
    tuple of list
        The edges across the holes, and the polygons they make but for the middle one of each hole.
    """
    if not holes:
        return [], []
    near = face_edges(host, np.ones(len(host), dtype=bool))
    chords = {edge: near[edge] for edge in near if edge not in bonds and any(_spans(edge, hole) for hole in holes)}
    whole = set(find_rings(bonds))
    parts = [ring for ring in find_rings(bonds | chords) if ring not in whole and _signed_area(host, ring) > _LEAST_AREA_A2]
    for hole in holes if parts else []:
        middles = np.array([lateral_position(host, part) for part in parts])
        parts.pop(int(lateral_distances_A(host, middles - lateral_position(host, hole)).round(3).argmin()))
    return list(chords), parts


def _spans(edge: Edge, hole: Anchors) -> bool:
    """Whether both ends of an edge are corners of a hole."""
    i, j, a, b = edge
    corners = set(hole)
    return any((j, x + a, y + b) in corners for corner, x, y in hole if corner == i)


def _sites_of_face(host: Atoms, operations: LateralOperations, face: int) -> Iterator[Site]:
    places = all_anchors(host, face=face)
    names = site_names(host, places, face=face)
    spots = np.array([lateral_position(host, anchors) for _, anchors in places])
    distances = _distances_to_defect(host, spots)
    for at, multiplicity in _orbits(host, operations, [kind for kind, _ in places], spots):
        yield Site(*places[at], names[at], multiplicity, distances[at], face)


def _corners(host: Atoms, anchors: Anchors) -> Floats:
    index, shifts = np.array(anchors)[:, 0], np.array(anchors)[:, 1:]
    return np.asarray(lateral_A(host)[index] + shifts @ host.cell.array[:2, :2])


def _signed_area(host: Atoms, ring: Anchors) -> float:
    """Give a ring's area: negative for the rim round a piece that does not span the cell."""
    x, y = _corners(host, ring).T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def lateral_operations(host: Atoms) -> LateralOperations:
    """
    Find the host's symmetry.

    Rotations come from the primitive cell: a 3x4 cell of graphene has no three-fold axis, the sheet has one. Atoms may
    be 0.05 A from their images; lengths of the lattice must agree within 0.1 %.
    """
    host = _upright(host)
    whole = symmetry_of(host, _SYMMETRY_TOLERANCE_A)
    steps = whole.translations[(whole.rotations == np.eye(3)).all(axis=(1, 2))] @ host.cell.array
    first = np.unique(whole.mapping_to_primitive, return_index=True)[1]
    small, found = host, whole
    if len(first) < len(host):
        small = host[first]
        small.set_cell(whole.primitive_lattice)
        found = symmetry_of(small, _SYMMETRY_TOLERANCE_A)
    turns = small.cell.array.T @ found.rotations @ np.linalg.inv(small.cell.array.T)
    kept = (np.abs(turns[:, 2, :2]).max(axis=1) < 1e-3) & rigid(found.rotations, small.cell.array)
    turns, shifts = turns[kept], (refined_shifts(small, found) @ small.cell.array)[kept]
    return LateralOperations(
        np.repeat(turns[:, :2, :2], len(steps), axis=0),
        (shifts[:, None] + steps).reshape(-1, 3)[:, :2],
        np.repeat(turns[:, 2, 2].round(), len(steps)),
    )


def _upright(host: Atoms) -> Atoms:
    """Give a slab in one piece and c along z: how it is repeated there says nothing of its face."""
    upright: Atoms = host.copy()
    upright.positions = in_one_piece(host)
    height_A = abs(float(host.cell[2, 2])) if host.pbc[2] else 0.0
    upright.cell[2] = (0, 0, height_A or np.ptp(host.positions[:, 2]) + _VACUUM_A)
    return upright


def _orbits(host: Atoms, operations: LateralOperations, kinds: list[Kind], spots: Floats) -> Iterator[tuple[int, int]]:
    """Give one place of each orbit on a face, and the orbit's size."""
    from scipy.spatial import KDTree  # type: ignore[import-untyped]

    plane = host.cell.array[:2, :2]
    to_cell = np.linalg.inv(plane)
    around = np.array(list(product((-1, 0, 1), repeat=2)))
    tree = KDTree(((spots @ to_cell % 1)[:, None] + around).reshape(-1, 2) @ plane)
    upright = operations.flips == 1
    turns, shifts = operations.rotations[upright], operations.shifts[upright]
    named = np.array(kinds)
    waiting = np.ones(len(spots), dtype=bool)
    for at in range(len(spots)):
        if waiting[at]:
            images = np.unique(((turns @ spots[at] + shifts) @ to_cell % 1).round(4), axis=0) @ plane
            hit = np.unique(np.concatenate(tree.query_ball_point(images, SAME_SITE_A)).astype(int) // len(around))
            members = hit[waiting[hit] & (named[hit] == named[at])]
            waiting[members] = False
            yield at, len(members)


def _distances_to_defect(host: Atoms, spots: Floats) -> list[float]:
    defect = defect_atoms(host)
    if not defect:
        return [0.0] * len(spots)
    apart = spots[:, None] - lateral_A(host)[defect]
    return [float(distance) for distance in lateral_distances_A(host, apart).min(axis=1)]


def _uniquely_labelled(sites: list[Site]) -> list[Site]:
    """Distinguish sites of one name by face, then by distance, then by number."""
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
