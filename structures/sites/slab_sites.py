"""The face of a thick slab: which atoms an adatom meets, the polygons they make, and what lies beneath."""

from collections import defaultdict
from itertools import product
from typing import Literal

import numpy as np
from ase import Atoms
from ase.geometry import find_mic, minkowski_reduce
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from .bonds import Anchor, Edge, find_bonds, find_rings
from .faces import NEIGHBOUR, exposed_atoms, in_one_piece, lateral_A, touching_radii

Kind = Literal["top", "bridge", "hollow"]
Floats = NDArray[np.float64]

_RIGHT_ANGLE = 1.05  # an atom this close, in half lengths, to the middle of two others parts them
_LAYER_A = 0.6  # atoms so much higher belong to another layer
_OVERLAP_A = 0.6  # no two atoms of a sheet are laterally closer
_REACH_A = 12.0  # how far across the cell's edge neighbours are looked for first
_BENEATH_A = 0.6  # lateral reach of what lies beneath a hollow
_SHADOW = 1.15  # a pair this many times farther apart than either is from a third atom are no neighbours
_SECOND_LAYER = 1.2  # depth, in touching distances, down to which a second layer lies: 0.82 in fcc(111)
_LONGER = 1.05  # a bridge this many times longer than the shortest of its name is long
_ONE_METAL = 0.75  # share of one element above which fcc and hcp mean something


def is_sheet(host: Atoms) -> bool:
    """
    Return whether a host is a sheet, whose bonds can be drawn on the plane without crossing, and no thick slab.

    What `slab` and its kin have cut is a slab whatever its thickness, and so is what has an atom between two
    layers, bonded to two or more atoms of each: a bare MXene.
    """
    if "miller" in host.info.get("philic", {}):
        return False
    bonds = find_bonds(host)
    if len(bonds) > 6 * len(host):  # a planar graph has at most 3 edges for each node of a torus
        return False
    return not (_any_overlap(host) or _any_crossing(host, bonds) or _any_between(host, bonds))


def face_edges(host: Atoms, exposed: NDArray[np.bool_]) -> dict[Edge, Floats]:
    """
    Join the exposed atoms of a face, in both directions, with the lateral vectors in the order `find_bonds` gives them.

    Two atoms are joined when no third lies in the circle they span (the graph of Gabriel and Sokal, Syst.
    Zool. 18, 259, 1969, which is planar) or within 5 % of its rim: rectangles and hexagons stay whole.
    """
    index, cells, points, corners = _triangles(host, np.flatnonzero(exposed))
    opposite: dict[tuple[int, int], list[int]] = defaultdict(list)
    for triangle in corners.tolist():
        for at in range(3):
            one, other = sorted((triangle[at - 1], triangle[at - 2]))
            opposite[one, other].append(triangle[at])
    home = (cells == 0).all(axis=1)
    inverse = np.linalg.inv(host.cell.array[:2, :2])
    offsets = np.floor(lateral_A(host) @ inverse + 1e-9).astype(int)
    edges: dict[Edge, Floats] = {}
    pairs = np.array([pair for pair in opposite if home[pair[0]] or home[pair[1]]])
    for one, other in pairs.tolist():
        vector = points[other] - points[one]
        middle, half = points[one] + vector / 2, np.linalg.norm(vector) / 2
        apexes = points[opposite[one, other]] - middle
        if (np.linalg.norm(apexes, axis=1) < _RIGHT_ANGLE * half).any():
            continue
        i, j = int(index[one]), int(index[other])
        a, b = (cells[other] - cells[one] - offsets[j] + offsets[i]).tolist()
        edges[i, j, a, b] = np.append(vector, 0.0)
        edges[j, i, -a, -b] = np.append(-vector, 0.0)
    return dict(sorted(edges.items()))


def slab_anchors(host: Atoms, face: int) -> list[tuple[Kind, tuple[Anchor, ...]]]:
    """List the anchors of every site on one face of a slab: exposed atoms, edges, then polygons."""
    exposed = exposed_atoms(host, face)
    edges = face_edges(host, exposed)
    tops: list[tuple[Kind, tuple[Anchor, ...]]] = [("top", ((int(i), 0, 0),)) for i in np.flatnonzero(exposed)]
    bridges: list[tuple[Kind, tuple[Anchor, ...]]] = [
        ("bridge", ((i, 0, 0), (j, a, b))) for i, j, a, b in edges if (i, j, a, b) < (j, i, -a, -b)
    ]
    hollows: list[tuple[Kind, tuple[Anchor, ...]]] = [("hollow", ring) for ring in find_rings(edges)]
    return tops + bridges + hollows


def site_details(host: Atoms, places: list[tuple[Kind, tuple[Anchor, ...]]], face: int) -> list[tuple[str, str, str]]:
    """
    Describe what distinguishes sites of a slab that are over the same elements.

    Returns
    -------
    list of tuple
        For each place: the coordination numbers of its anchors (``"cn 7-9"``); the length of a bridge in A;
        and what lies beneath a hollow along its normal. Of three like atoms at equal distances that is
        ``"hcp"`` or ``"fcc"`` on a metal, with and without an atom in the second layer, and the first atom
        met on a compound (``"over O"``). Of other polygons it is the atom of the second layer, or ``"open"``.
    """
    radii = touching_radii(host)
    coordination = _neighbours(host, radii)
    whole = in_one_piece(host) * (1, 1, face)
    details = []
    for kind, anchors in places:
        index = [i for i, _, _ in anchors]
        corners = whole[index] + [(*(np.array(shift) @ host.cell.array[:2, :2]), 0) for _, *shift in anchors]
        numbers = "-".join(str(number) for number in sorted(coordination[index]))
        length = f"{np.linalg.norm(corners[1] - corners[0]):.3f}" if kind == "bridge" else ""
        beneath = _beneath(host, whole, corners, index, 2 * radii[index].mean()) if kind == "hollow" else ""
        details.append((f"cn {numbers}", length, beneath))
    return details


def distinguished(names: list[str], details: list[tuple[str, str, str]]) -> list[str]:
    """
    Add to each name the details by which sites of that name differ; lengths become short and long.

    Examples
    --------
    >>> distinguished(["bridge K-K"] * 2, [("cn 8-8", "4.529", ""), ("cn 8-8", "5.230", "")])
    ['bridge K-K short', 'bridge K-K long']
    """
    shortest: dict[str, float] = defaultdict(lambda: np.inf)
    for name, (_, length, _) in zip(names, details, strict=True):
        shortest[name] = min(shortest[name], float(length or np.inf))
    worded = [
        (beneath, length and ("long" if float(length) > _LONGER * shortest[name] else "short"), numbers)
        for name, (numbers, length, beneath) in zip(names, details, strict=True)
    ]
    seen = defaultdict(set)
    for name, words in zip(names, worded, strict=True):
        for column, word in enumerate(words):
            seen[name, column].add(word)
    return [
        " ".join([name, *(word for column, word in enumerate(words) if len(seen[name, column]) > 1 and word)])
        for name, words in zip(names, worded, strict=True)
    ]


def _beneath(host: Atoms, whole: Floats, corners: Floats, index: list[int], touching_A: float) -> str:
    """Name what is met first on the way down from a polygon's middle along its normal."""
    middle = corners.mean(axis=0)
    normal = np.cross(corners - middle, np.roll(corners, -1, axis=0) - middle).sum(axis=0)
    if abs(normal[2]) < 1e-6:
        return ""
    slope = normal[:2] / normal[2]
    fall = middle[2] - whole[:, 2]
    off = find_mic(
        np.column_stack([whole[:, :2] - middle[:2] + fall[:, None] * slope, np.zeros(len(whole))]),
        host.cell,
        pbc=(True, True, False),
    )[1]
    depths = np.where((off < _BENEATH_A) & (fall > _BENEATH_A), fall * np.sqrt(1 + slope @ slope), np.inf)
    nearest = int(depths.argmin())
    sides = np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1)
    in_second_layer = depths[nearest] < _SECOND_LAYER * touching_A
    if len(index) != 3 or len(set(host.numbers[index])) > 1 or np.ptp(sides) > 0.1 * sides.mean():
        return f"over {host.symbols[nearest]}" if in_second_layer else "open"
    if (host.numbers == host.numbers[index[0]]).mean() > _ONE_METAL:
        return "hcp" if in_second_layer else "fcc"
    return f"over {host.symbols[nearest]}" if np.isfinite(depths[nearest]) else "open"


def _triangles(host: Atoms, chosen: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats, NDArray[np.intp]]:
    """Join atoms and their lateral images in triangles whose circles are empty.

    Images are taken as far as the circles at the cell's own atoms reach, which is seldom across the cell.

    Returns
    -------
    tuple of array
        Index, cell (2) and xy of each image; its three corners of each triangle.
    """
    from scipy.spatial import Delaunay, QhullError  # type: ignore[import-untyped]

    reduced = minkowski_reduce(host.cell, pbc=(True, True, False))[0][:2]
    farthest_A = 1.5 * float(np.linalg.norm(reduced, axis=1).sum())
    reach_A = min(_REACH_A, farthest_A)
    while True:
        index, cells, points = _images(host, chosen, reach_A)
        try:
            corners = Delaunay(points).simplices
            own = corners[(cells[corners] == 0).all(axis=2).any(axis=1)]
            if reach_A >= farthest_A or 2 * _circumradii(points[own]).max() <= reach_A:
                return index, cells, points, corners
        except QhullError:  # too few images
            if reach_A >= farthest_A:
                raise
        reach_A = min(2 * reach_A, farthest_A)


def _circumradii(triangles: Floats) -> Floats:
    """Give the radii of the circles through triangles (n, 3, 2)."""
    sides = triangles - np.roll(triangles, 1, axis=1)
    area = np.abs(_cross(sides[:, 0], sides[:, 1])) / 2
    return np.asarray(np.linalg.norm(sides, axis=2).prod(axis=1) / np.maximum(4 * area, 1e-9))


def _images(host: Atoms, chosen: NDArray[np.intp], reach_A: float) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Repeat atoms laterally as far from the cell as asked: index, cell and xy of each image."""
    plane = host.cell.array[:2, :2]
    widths = abs(float(np.linalg.det(plane))) / np.linalg.norm(plane[::-1], axis=1)
    n_a, n_b = np.ceil(reach_A / widths).astype(int)
    scaled = lateral_A(host)[chosen] @ np.linalg.inv(plane)
    scaled -= np.floor(scaled + 1e-9)
    shifts = np.array(list(product(range(-n_a, n_a + 1), range(-n_b, n_b + 1))))
    points = (scaled + shifts[:, None]).reshape(-1, 2)
    near = (np.abs(points - 0.5) < 0.5 + reach_A / widths).all(axis=1)
    index = np.tile(chosen, len(shifts))
    cells = np.repeat(shifts, len(chosen), axis=0)
    return index[near], cells[near], points[near] @ plane


def _neighbours(host: Atoms, radii: Floats) -> NDArray[np.int64]:
    """Count the neighbours without those behind another: 8 in bcc, 6 oxygens and no titanium in rutile."""
    first, lengths, vectors = neighbor_list("idD", host, (NEIGHBOUR * radii).tolist())
    counts = []
    for atom in range(len(host)):
        mine = first == atom
        legs = np.maximum(np.linalg.norm(vectors[mine, None] - vectors[mine], axis=2), lengths[mine])
        np.fill_diagonal(legs, np.inf)
        counts.append((legs.min(axis=1, initial=np.inf) * _SHADOW >= lengths[mine]).sum())
    return np.array(counts)


def _any_overlap(host: Atoms) -> bool:
    flat = host.copy()
    flat.set_constraint()
    flat.positions[:, :2], flat.positions[:, 2] = lateral_A(host), 0.0
    flat.pbc = (True, True, False)
    return bool(len(neighbor_list("i", flat, _OVERLAP_A)))


def _any_crossing(host: Atoms, bonds: dict[Edge, Floats]) -> bool:
    """Return whether two bonds cross as seen along z, in any cell."""
    once = [edge for edge in bonds if edge < (edge[1], edge[0], -edge[2], -edge[3])]
    if not once:
        return False
    start = lateral_A(host)[[edge[0] for edge in once]]
    vector = np.array([bonds[edge][:2] for edge in once])
    middles = Atoms(numbers=np.ones(len(once)), cell=host.cell, pbc=(True, True, False))
    middles.cell[2] = (0, 0, 1)
    middles.positions[:, :2] = start + vector / 2
    one, other, apart = neighbor_list("ijD", middles, float(np.linalg.norm(vector, axis=1).max()) + 1e-6)
    first, second = vector[one], vector[other]
    between = apart[:, :2] + first / 2 - second / 2
    turn = _cross(first, second)
    with np.errstate(divide="ignore", invalid="ignore"):
        along = _cross(between, second) / turn
        across = _cross(between, first) / turn
    inside = (along > 0.02) & (along < 0.98) & (across > 0.02) & (across < 0.98)
    return bool((inside & (np.abs(turn) > 1e-6)).any())


def _any_between(host: Atoms, bonds: dict[Edge, Floats]) -> bool:
    """Return whether an atom has two or more bonds up, and as many down, to another layer."""
    start = np.array([edge[0] for edge in bonds], dtype=int)
    rises = np.array([vector[2] for vector in bonds.values()])
    up, down = (np.bincount(start[sign * rises > _LAYER_A], minlength=len(host)) for sign in (1, -1))
    return bool(((up > 1) & (down > 1)).any())


def _cross(one: Floats, other: Floats) -> Floats:
    return np.asarray(one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0])
