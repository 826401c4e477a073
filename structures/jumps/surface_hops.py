"""How an adatom moves over a sheet or slab: every symmetry-distinct jump between neighbouring places."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from ..crystals.supercells import crystal_name
from ..sites.bonds import Edge
from ..sites.faces import heights_A, lateral_A
from ..sites.resting import Rest, rest_position
from ..sites.sites import (
    SAME_SITE_A,
    Anchors,
    Floats,
    LateralOperations,
    Place,
    all_anchors,
    lateral_operations,
    lateral_position,
)
from ..symmetry.orbits import Position, as_position
from .network import Jump, Network

_ALIKE = 0.98  # cosine of two polygons of one terrace
_RIVAL = 0.95  # part of the largest area that is a rival to it
_FLAT_A = 0.3  # no step is lower
_DECIMALS = 3  # of how far a place is aside of its site, in A
_DETOUR = (
    1.2  # a way over a third site less than this many times as long is two jumps: fcc-hcp-fcc 1.15, round a square 1.41
)


@dataclass(frozen=True)
class SurfaceHop:
    """
    One jump of an adatom between two places of a face; the jump back is the same hop.

    Attributes
    ----------
    start, end
        The two places; the cell shifts of the end's anchors are such that the straight line between the two is right
        across the cell's edge.
    length_A
        Lateral distance.
    multiplicity
        How many equivalent hops leave one start; of two different ends, the start is the one with more.
    symmetric
        Whether an operation of the host turns the hop into its reverse, so that both barriers are one. The images of
        an adatom may break that: 3 x 4 graphene has fewer operations than the sheet.
    climb
        How many terraces higher the end is, -1 over a step's edge down; 0 on a host without steps. A place at the
        foot of a step, beside the edge, is on the lower terrace.
    label
        Unique within one answer of `surface_hops`.
    """

    start: Rest
    end: Rest
    length_A: float
    multiplicity: int
    symmetric: bool
    climb: int
    label: str


class _Face(NamedTuple):
    """The places of a face that take part, where they are, shape ``(n, 2)``, which are as given, and how high."""

    plane: Floats
    places: list[Rest]
    spots: Floats
    given: list[bool]
    levels: Floats
    uphill: Floats
    operations: LateralOperations


def surface_hops(
    host: Atoms, places: Sequence[Rest], max_length_A: float, *, near_A: float | None = None
) -> list[SurfaceHop]:
    """
    List every symmetry-distinct jump of an adatom between neighbouring places, the shortest first.

    Two jumps are one when an operation of the host that keeps the face takes one to the other or to its reverse. A jump
    is left out when the way over a third place is less than 1.2 times as long: it is two jumps. The answer does not
    depend on the host's origin, supercell or order of atoms.

    Parameters
    ----------
    host
        A sheet or slab in the xy plane.
    places
        Where an adatom rests, one of each orbit: `on_sites` or `resting_places` of `philic.structures.sites.resting`.
    max_length_A
        No jump is longer, laterally.
    near_A
        Keep only jumps with an end at most this far from the host's defect.

    Raises
    ------
    ValueError
        When there are no places, or no jump is short enough (the sentence says how long the shortest is).

    Examples
    --------
    >>> from philic.structures.carbons.carbon import graphene
    >>> from philic.structures.sites.resting import on_sites
    >>> [hop.label for hop in surface_hops(graphene(), on_sites(graphene(), ["hollow"]), 2.5)]
    ['hollow C6 to hollow C6 2.46 A']
    """
    if max_length_A <= 0:
        raise ValueError(f"`max_length_A` is {max_length_A} but must be above 0")
    if not places:
        raise ValueError("`places` is [] but must hold one place at least")
    faces = [_face(host, places, face) for face in sorted({place.face for place in places}, reverse=True)]
    found = [_hop(face, *orbit) for face in faces for orbit in _orbits(face, _jumps(face, max_length_A))]
    if not found:
        shortest = min(_shortest_A(face, max_length_A) for face in faces)
        raise ValueError(
            f"`max_length_A` is {max_length_A} but the shortest jump on {crystal_name(host)} is {shortest:.2f} A: raise it"
        )
    least_A = [min(hop.start.distance_A, hop.end.distance_A) for hop in found]
    return _labelled([hop for hop, far_A in zip(found, least_A, strict=True) if near_A is None or far_A <= near_A])


def surface_network(host: Atoms, hops: Sequence[SurfaceHop]) -> Network:
    """
    Expand distinct hops into every jump of an adatom that leaves a place of the host's cell.

    Parameters
    ----------
    host
        The one the hops were found on.
    hops
        Hops on one face, from `surface_hops`.

    Returns
    -------
    Network
        Two cell vectors; the places that a hop reaches, all at z = 0.

    Raises
    ------
    ValueError
        When there are no hops, they are on both faces, or of another host.

    Examples
    --------
    >>> from philic.structures.carbons.carbon import graphene
    >>> from philic.structures.sites.resting import on_sites
    >>> sheet = graphene((2, 2))
    >>> network = surface_network(sheet, surface_hops(sheet, on_sites(sheet, ["hollow"]), 2.5))
    >>> len(network.places_A), len(network.jumps)
    (4, 24)
    """
    ends = {end.label: end for hop in hops for end in (hop.start, hop.end)}
    sides = {end.face for end in ends.values()}
    if len(sides) != 1:
        raise ValueError(f"`hops` are on {len(sides)} faces but must be on one")
    face = _face(host, list(ends.values()), sides.pop())
    ways: list[tuple[Edge, int, bool]] = []
    for at, hop in enumerate(hops):
        forward = _images_of_jump(face, _edge(face, host, hop))
        ways += [(way, at, False) for way in forward]
        ways += [(way, at, True) for way in {_reverse(way) for way in forward} - forward]
    used = sorted({way[0] for way, *_ in ways})
    return Network(
        walker="adatom",
        cell_A=tuple(as_position(vector) for vector in host.cell.array[:2]),
        places_A=tuple(_on_plane(face.spots[place]) for place in used),
        kinds=tuple(list(ends).index(face.places[place].label) for place in used),
        labels=tuple(hop.label for hop in hops),
        jumps=tuple(sorted(Jump(used.index(i), used.index(j), (a, b), at, back) for (i, j, a, b), at, back in ways)),
    )


def _face(host: Atoms, rests: Sequence[Rest], side: int) -> _Face:
    """Collect the places of one face, every image of each."""
    operations = lateral_operations(host)
    upright = operations.flips == 1
    operations = LateralOperations(*(part[upright] for part in operations))
    sites = all_anchors(host, face=side)
    order = {anchors: at for at, (_, anchors) in enumerate(sites)}
    images = [
        (image, rest) for rest in rests if rest.face == side for image in _images_of(host, rest, operations, list(order))
    ]
    images.sort(key=lambda pair: (order[pair[0].anchors], pair[0].aside_A))
    places = [image for image, _ in images]
    uphill = _uphill(host, sites, side, operations)
    return _Face(
        host.cell.array[:2, :2],
        places,
        np.array([rest_position(host, rest) for rest in places]),
        [image == rest for image, rest in images],
        np.array([(_corners(host, rest.anchors, side) @ uphill).min() for rest in places]),
        uphill[:2],
        operations,
    )


def _images_of(host: Atoms, rest: Rest, operations: LateralOperations, sites: Sequence[Anchors]) -> list[Rest]:
    """Give every place of the cell that an operation takes one to."""
    plane = host.cell.array[:2, :2]
    centres = np.array([lateral_position(host, anchors) for anchors in sites])
    spots = operations.rotations @ lateral_position(host, rest.anchors) + operations.shifts
    to, _, hit = _nearest(centres, plane, spots)
    asides = (operations.rotations @ rest.aside_A).round(_DECIMALS) + 0.0
    images: list[Rest] = []
    taken = np.empty((0, 2))
    for at, aside in sorted(set(zip(to[hit].tolist(), map(tuple, asides[hit].tolist()), strict=True))):
        spot = centres[at] + aside
        if not len(taken) or not _nearest(taken, plane, spot[None])[2].any():
            taken = np.vstack([taken, spot])
            images.append(replace(rest, anchors=sites[at], aside_A=aside))
    return images


def _nearest(spots: Floats, plane: Floats, points: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Give the spot nearest to each point, the cell it is taken from, and whether the point is on it."""
    apart = (points[:, None] - spots) @ np.linalg.inv(plane)
    cells = apart.round()
    off = np.linalg.norm((apart - cells) @ plane, axis=2)
    to = off.argmin(axis=1)
    rows = np.arange(len(to))
    return to, cells[rows, to].astype(np.int64), off[rows, to] < SAME_SITE_A


def _jumps(face: _Face, longest_A: float) -> set[Edge]:
    """List the jumps from each place of the cell to its neighbours up to a distance."""
    cell = np.eye(3)
    cell[:2, :2] = face.plane
    positions = [_on_plane(spot) for spot in face.spots]
    flat = Atoms(f"H{len(positions)}", positions=positions, cell=cell, pbc=(True, True, False))
    i, j, vectors, shifts = neighbor_list("ijDS", flat, _DETOUR * longest_A)
    jumps = set()
    for place in range(len(face.spots)):
        away = vectors[i == place]
        legs = np.linalg.norm(away, axis=1)
        ways = legs + np.linalg.norm(away[:, None] - away, axis=2)
        np.fill_diagonal(ways, np.inf)
        direct = (legs <= longest_A + 1e-6) & (ways.min(axis=1, initial=np.inf) >= _DETOUR * legs)
        ends = np.column_stack([j[i == place], shifts[i == place, :2]])[direct]
        jumps |= {(place, other, a, b) for other, a, b in ends.tolist()}
    return jumps


def _shortest_A(face: _Face, longest_A: float) -> float:
    while not (jumps := _jumps(face, longest_A)):
        longest_A *= 1.5
    return min(_length_A(face, jump) for jump in jumps)


def _length_A(face: _Face, jump: Edge) -> float:
    i, j, *shift = jump
    return float(np.linalg.norm(face.spots[j] + shift @ face.plane - face.spots[i]))


def _reverse(jump: Edge) -> Edge:
    i, j, a, b = jump
    return j, i, -a, -b


def _images_of_jump(face: _Face, jump: Edge) -> set[Edge]:
    """Give every jump of the cell that an operation takes one to."""
    i, j, *shift = jump
    turns, shifts, _ = face.operations
    starts, start_cells, start_hit = _nearest(face.spots, face.plane, turns @ face.spots[i] + shifts)
    ends, end_cells, end_hit = _nearest(face.spots, face.plane, turns @ (face.spots[j] + shift @ face.plane) + shifts)
    images = np.column_stack([starts, ends, end_cells - start_cells])[start_hit & end_hit]
    return {(one, other, a, b) for one, other, a, b in images.tolist()}


def _orbits(face: _Face, jumps: set[Edge]) -> Iterator[tuple[set[Edge], set[Edge]]]:
    """Give the jumps that are one, and their reverses."""
    waiting = set(jumps)
    for jump in sorted(jumps):
        if jump in waiting:
            forward = _images_of_jump(face, jump)
            backward = {_reverse(way) for way in forward}
            waiting -= forward | backward
            yield forward, backward


def _hop(face: _Face, forward: set[Edge], backward: set[Edge]) -> SurfaceHop:
    """Describe one orbit by a jump that leaves the place as it was given."""
    hops = []
    for ways in (forward, backward):
        jump = min(ways, key=lambda way: (not face.given[way[0]], way))
        i, j, a, b = jump
        climb = face.levels[j] + (a, b) @ face.plane @ face.uphill - face.levels[i]
        end = face.places[j]
        hop = SurfaceHop(
            start=face.places[i],
            end=replace(end, anchors=tuple((atom, x + a, y + b) for atom, x, y in end.anchors)),
            length_A=_length_A(face, jump),
            multiplicity=sum(way[0] == i for way in forward | backward),
            symmetric=not forward.isdisjoint(backward),
            climb=round(climb),
            label="",
        )
        hops.append(hop)
    return min(hops, key=lambda hop: (-hop.multiplicity, *_order(hop)))


def _order(hop: SurfaceHop) -> tuple[Any, ...]:
    start, end = hop.start, hop.end
    where = start.anchors, end.anchors, start.aside_A, end.aside_A
    return round(hop.length_A, 3), start.label, end.label, hop.climb, *where


def _labelled(hops: list[SurfaceHop]) -> list[SurfaceHop]:
    """Sort hops, name each by its ends, length and climb, and number those of one name."""
    hops = sorted(hops, key=_order)
    names = [f"{hop.start.label} to {hop.end.label} {round(hop.length_A, 6):.2f} A{_climbing(hop.climb)}" for hop in hops]
    shared, seen = Counter(names), Counter[str]()
    labelled = []
    for hop, name in zip(hops, names, strict=True):
        seen[name] += 1
        labelled.append(replace(hop, label=f"{name} #{seen[name]}" if shared[name] > 1 else name))
    return labelled


def _climbing(climb: int) -> str:
    if climb == 0:
        return ""
    return f" {'up' if climb > 0 else 'down'} {'a step' if abs(climb) == 1 else f'{abs(climb)} steps'}"


def _edge(face: _Face, host: Atoms, hop: SurfaceHop) -> Edge:
    """Give a hop as a jump between the places of its host."""
    ends = np.array([rest_position(host, end) for end in (hop.start, hop.end)])
    if len(face.spots):
        (i, j), cells, hit = _nearest(face.spots, face.plane, ends)
    if not len(face.spots) or not hit.all():
        raise ValueError(
            f"`hops` has '{hop.label}' but {crystal_name(host)} has no such sites: give the host it was found on"
        )
    a, b = (cells[1] - cells[0]).tolist()
    return int(i), int(j), a, b


def _corners(host: Atoms, anchors: Anchors, side: int) -> Floats:
    """Give where a site's anchors are, z pointing out of the face."""
    index, shifts = np.array(anchors)[:, 0], np.array(anchors)[:, 1:]
    lateral = lateral_A(host)[index] + shifts @ host.cell.array[:2, :2]
    return np.column_stack([lateral, side * heights_A(host)[index]])


def _uphill(host: Atoms, places: Sequence[Place], side: int, operations: LateralOperations) -> Floats:
    """Give the vector whose product with a position rises by 1 from terrace to terrace; 0 without steps.

    It is normal to the polygons of atoms that together are largest. Where these are two kinds, tilted opposite ways, they
    are the walls of troughs, as on fcc(110). Without a step's height, a terrace is what a lattice translation leads up.
    """
    about = host.info.get("philic", {})
    if "miller" not in about or len(set(host.numbers)) > 1:
        return np.zeros(3)
    rings = [_corners(host, anchors, side) for kind, anchors in places if kind == "hollow"]
    areas = np.array([np.cross(ring, np.roll(ring, -1, axis=0)).sum(axis=0) for ring in rings]) / 2
    sizes = np.linalg.norm(areas, axis=1)
    normals = areas / sizes[:, None]
    alike = normals @ normals.T > _ALIKE
    shares = alike @ sizes
    largest = int(shares.argmax())
    if (shares[~alike[largest]] > _RIVAL * shares[largest]).any():
        return np.zeros(3)
    normal = sizes[alike[largest]] @ normals[alike[largest]] / shares[largest]
    turns = operations.rotations
    steps = np.vstack([operations.shifts[(np.abs(turns - np.eye(2)) < 1e-3).all(axis=(1, 2))], host.cell.array[:2, :2]])
    rises = np.abs(steps @ normal[:2])
    least = float(rises[rises > _FLAT_A].min(initial=np.inf))
    return np.asarray(normal / about.get("step_height_A", least))


def _on_plane(spot: Floats) -> Position:
    return float(spot[0]), float(spot[1]), 0.0
