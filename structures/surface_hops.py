"""How an adatom moves over a sheet or slab: every symmetry-distinct jump between neighbouring sites."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, get_args

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from .bonds import Edge
from .defects import Position, as_position, crystal_name
from .network import Jump, Network
from .sites import (
    SAME_SITE_A,
    Anchors,
    Floats,
    LateralOperations,
    Place,
    Site,
    adsorption_sites,
    all_anchors,
    lateral_operations,
    lateral_position,
)
from .slab_sites import Kind, heights_A

KINDS: tuple[Kind, ...] = get_args(Kind)

_DETOUR = (
    1.2  # a way over a third site less than this many times as long is two jumps: fcc-hcp-fcc 1.15, round a square 1.41
)


@dataclass(frozen=True)
class SurfaceHop:
    """
    One jump of an adatom between two sites of a face; the jump back is the same hop.

    Attributes
    ----------
    start, end
        Anchors of the two sites, as `place_adatoms` takes them; the end's cell shifts are such that the straight
        line between the two is right across the cell's edge.
    face
        +1 above, -1 below.
    start_label, end_label
        What `adsorption_sites` calls the two sites.
    length_A
        Lateral distance.
    multiplicity
        How many equivalent hops leave one start; of two different ends, the start is the one with more.
    symmetric
        Whether an operation of the host turns the hop into its reverse, so that both barriers are one. The images of
        an adatom may break that: 3 x 4 graphene has fewer operations than the sheet.
    climb
        How many terraces higher the end is, -1 over a step's edge down; 0 on a host without steps. A site at the
        foot of a step, beside the edge, is on the lower terrace.
    label
        Unique within one answer of `surface_hops`.
    """

    start: Anchors
    end: Anchors
    face: int
    start_label: str
    end_label: str
    length_A: float
    multiplicity: int
    symmetric: bool
    climb: int
    label: str


class _Face(NamedTuple):
    """The places of a face that take part, where they are, shape ``(n, 2)``, which site each is, and how high."""

    plane: Floats
    places: list[Anchors]
    spots: Floats
    sites: list[Site]
    levels: Floats
    uphill: Floats
    operations: LateralOperations


def surface_hops(
    host: Atoms,
    max_length_A: float,
    *,
    kinds: Collection[str] = KINDS,
    near_A: float | None = None,
) -> list[SurfaceHop]:
    """
    List every symmetry-distinct jump of an adatom between neighbouring sites, the shortest first.

    Sites and faces are those of `adsorption_sites`. Two jumps are one when an operation of the host that keeps
    the face takes one to the other or to its reverse. A jump is left out when the way over a third site is less
    than 1.2 times as long: it is two jumps. The answer does not depend on the host's origin, supercell or order
    of atoms.

    Parameters
    ----------
    host
        A sheet or slab in the xy plane.
    max_length_A
        No jump is longer, laterally.
    kinds
        Which sites take part: kinds, or labels of `adsorption_sites`, such as those an adatom stays on.
    near_A
        Keep only jumps with an end at most this far from the host's defect.

    Raises
    ------
    ValueError
        When a kind is unknown, the host has no such site, or no jump is short enough (the sentence says how long
        the shortest is).

    Examples
    --------
    >>> from philic.structures.carbon import graphene
    >>> [hop.label for hop in surface_hops(graphene(), 2.5, kinds=["hollow"])]
    ['hollow C6 to hollow C6 2.46 A']
    """
    if max_length_A <= 0:
        raise ValueError(f"`max_length_A` is {max_length_A} but must be above 0")
    sites = _chosen(host, kinds)
    faces = [_face(host, sites, face) for face in sorted({site.face for site in sites}, reverse=True)]
    found = [_hop(face, *orbit) for face in faces for orbit in _orbits(face, _jumps(face, max_length_A))]
    if not found:
        shortest = min(_shortest_A(face, max_length_A) for face in faces)
        raise ValueError(
            f"`max_length_A` is {max_length_A} but the shortest jump on {crystal_name(host)} is {shortest:.2f} A: raise it"
        )
    near = {site.label for site in sites if near_A is None or site.distance_A <= near_A}
    return [hop for hop in _labelled(found) if hop.start_label in near or hop.end_label in near]


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
    >>> from philic.structures.carbon import graphene
    >>> sheet = graphene((2, 2))
    >>> network = surface_network(sheet, surface_hops(sheet, 2.5, kinds=["hollow"]))
    >>> len(network.places_A), len(network.jumps)
    (4, 24)
    """
    sides = {hop.face for hop in hops}
    if len(sides) != 1:
        raise ValueError(f"`hops` are on {len(sides)} faces but must be on one")
    face = _face(host, adsorption_sites(host), sides.pop())
    ways: list[tuple[Edge, int, bool]] = []
    for at, hop in enumerate(hops):
        forward = _images(face, _edge(face, host, hop))
        ways += [(way, at, False) for way in forward]
        ways += [(way, at, True) for way in {_reverse(way) for way in forward} - forward]
    used = sorted({way[0] for way, *_ in ways})
    return Network(
        walker="adatom",
        cell_A=tuple(as_position(vector) for vector in host.cell.array[:2]),
        places_A=tuple(_on_plane(face.spots[place]) for place in used),
        kinds=tuple(face.places.index(face.sites[place].anchors) for place in used),
        labels=tuple(hop.label for hop in hops),
        jumps=tuple(sorted(Jump(used.index(i), used.index(j), (a, b), at, back) for (i, j, a, b), at, back in ways)),
    )


def _chosen(host: Atoms, kinds: Collection[str]) -> list[Site]:
    """Give the sites that take part."""
    sites = adsorption_sites(host)
    known = [*KINDS, *(site.label for site in sites)]
    for kind in kinds:
        if kind not in known:
            raise ValueError(f"`kinds` holds {kind!r} but must be of: {', '.join(known)}")
    chosen = [site for site in sites if site.kind in kinds or site.label in kinds]
    if not chosen:
        raise ValueError(
            f"`kinds` is {list(kinds)} but {crystal_name(host)} has only: {', '.join(site.label for site in sites)}"
        )
    return chosen


def _face(host: Atoms, sites: Sequence[Site], side: int) -> _Face:
    """Collect the places of one face that belong to some sites."""
    plane = host.cell.array[:2, :2]
    operations = lateral_operations(host)
    upright = operations.flips == 1
    operations = LateralOperations(*(part[upright] for part in operations))
    places = all_anchors(host, face=side)
    spots = np.array([lateral_position(host, anchors) for _, anchors in places])
    owners = {(site.kind, site.anchors): site for site in sites if site.face == side}
    belongs: dict[int, Site] = {}
    for at, place in enumerate(places):
        if site := owners.get(place):
            to, _, hit = _nearest(spots, plane, operations.rotations @ spots[at] + operations.shifts)
            belongs |= dict.fromkeys(to[hit].tolist(), site)
    uphill = _uphill(host, places, side)
    kept = sorted(belongs)
    return _Face(
        plane,
        [places[at][1] for at in kept],
        spots[kept],
        [belongs[at] for at in kept],
        np.array([(_corners(host, places[at][1], side) @ uphill).min() for at in kept]),
        uphill[:2],
        operations,
    )


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


def _images(face: _Face, jump: Edge) -> set[Edge]:
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
            forward = _images(face, jump)
            backward = {_reverse(way) for way in forward}
            waiting -= forward | backward
            yield forward, backward


def _hop(face: _Face, forward: set[Edge], backward: set[Edge]) -> SurfaceHop:
    """Describe one orbit by a jump that leaves the place its site is listed by."""
    hops = []
    for ways in (forward, backward):
        jump = min(ways, key=lambda way: (face.sites[way[0]].anchors != face.places[way[0]], way))
        i, j, a, b = jump
        climb = face.levels[j] + (a, b) @ face.plane @ face.uphill - face.levels[i]
        hop = SurfaceHop(
            start=face.places[i],
            end=tuple((atom, x + a, y + b) for atom, x, y in face.places[j]),
            face=face.sites[i].face,
            start_label=face.sites[i].label,
            end_label=face.sites[j].label,
            length_A=_length_A(face, jump),
            multiplicity=sum(way[0] == i for way in forward | backward),
            symmetric=not forward.isdisjoint(backward),
            climb=round(climb),
            label="",
        )
        hops.append(hop)
    return min(hops, key=lambda hop: (-hop.multiplicity, *_order(hop)))


def _order(hop: SurfaceHop) -> tuple[float, str, str, int, Anchors, Anchors]:
    return round(hop.length_A, 3), hop.start_label, hop.end_label, hop.climb, hop.start, hop.end


def _labelled(hops: list[SurfaceHop]) -> list[SurfaceHop]:
    """Sort hops, name each by its ends, length and climb, and number those of one name."""
    hops = sorted(hops, key=_order)
    names = [f"{hop.start_label} to {hop.end_label} {round(hop.length_A, 6):.2f} A{_climbing(hop.climb)}" for hop in hops]
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
    ends = np.array([lateral_position(host, anchors) for anchors in (hop.start, hop.end)])
    (i, j), cells, hit = _nearest(face.spots, face.plane, ends)
    if not hit.all():
        raise ValueError(
            f"`hops` has '{hop.label}' but {crystal_name(host)} has no such sites: give the host it was found on"
        )
    a, b = (cells[1] - cells[0]).tolist()
    return int(i), int(j), a, b


def _corners(host: Atoms, anchors: Anchors, side: int) -> Floats:
    """Give where a site's anchors are, z pointing out of the face."""
    index, shifts = np.array(anchors)[:, 0], np.array(anchors)[:, 1:]
    lateral = host.positions[index, :2] + shifts @ host.cell.array[:2, :2]
    return np.column_stack([lateral, side * heights_A(host)[index]])


def _uphill(host: Atoms, places: Sequence[Place], side: int) -> Floats:
    """Give the vector whose product with a position rises by 1 from terrace to terrace; 0 without steps.

    It is normal to the polygon of atoms that is tilted most nearly as the Miller indices of surface and terrace say.
    """
    about = host.info.get("philic", {})
    if "step_height_A" not in about:
        return np.zeros(3)
    terrace, miller = np.array([int(i) for i in about["terrace"]]), np.array(about["miller"])
    cosine = terrace @ miller / np.linalg.norm(terrace) / np.linalg.norm(miller)
    rings = [_corners(host, anchors, side) for kind, anchors in places if kind == "hollow"]
    normals = np.array([np.cross(ring, np.roll(ring, -1, axis=0)).sum(axis=0) for ring in rings])
    normals /= np.linalg.norm(normals, axis=1)[:, None]
    return np.asarray(normals[np.abs(normals[:, 2] - cosine).argmin()] / about["step_height_A"])


def _on_plane(spot: Floats) -> Position:
    return float(spot[0]), float(spot[1]), 0.0
