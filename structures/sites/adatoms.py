"""Metal atoms on a sheet or slab: where they start, how they spread, and where they end up."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from ase.geometry import find_mic, minkowski_reduce
from numpy.typing import NDArray

from ..crystals.metals import check_metal
from .faces import check_surface, exposed_atoms, in_one_piece
from .sites import Floats, Site, all_anchors, lateral_distances_A, lateral_position, site_names
from .slab_sites import is_sheet

AnchorList = Sequence[Sequence[int]]
"""The atoms an adatom sits over, each ``[index, shift_a, shift_b]``: a `Site`'s anchors, plain for JSON."""

_LEAST_START_A = 1.0  # above the highest anchor, even over a hole the metal would fall through
_CLOSEST = 0.8  # an adatom is at least this many times the sum of covalent radii from every host atom
_CLEARLY_NEARER_A = 0.5
_FARTHEST_NEIGHBOUR = 1.6  # times the sum of covalent radii: anchors nearer than that were not wrapped
_NEARBY_A = 4.0


@dataclass(frozen=True)
class AdatomGeometry:
    """
    Where the adatoms of a sheet or slab are.

    Attributes
    ----------
    height_A
        Mean distance along z from an adatom to the mean plane of the host atoms (on a slab: of the
        exposed ones of that face) within 4 A of it laterally.
    nearest_distance_A
        Shortest distance from an adatom to a host atom.
    loosest_distance_A
        The same for the adatom that is farthest from the host.
    nearest_element
        That host atom's element.
    """

    height_A: float
    nearest_distance_A: float
    loosest_distance_A: float
    nearest_element: str


def place_adatoms(
    host: Atoms,
    metal: str,
    anchors: Sequence[AnchorList],
    *,
    face: int = 1,
    height_A: float | None = None,
    aside_A: tuple[float, float] = (0.0, 0.0),
) -> Atoms:
    """
    Put one metal atom over the middle of each group of anchors.

    Positions are the anchors' present ones. A relaxation or a file may have wrapped an atom into the next
    cell, so each anchor is taken at its recorded shift unless that is no neighbour of the anchor before it (over
    1.6 times the sum of covalent radii away) and another image is nearer by 0.5 A; a site's anchors are bonded
    in the order given.

    Parameters
    ----------
    host
        A sheet or slab in the xy plane.
    metal
        An alkali metal.
    anchors
        One group per adatom, each a list of ``[index, shift_a, shift_b]``.
    face
        +1 to put them above the sheet, -1 below.
    height_A
        Height over the highest anchor. By default the shortest metal-anchor distance is the sum of ASE's
        covalent radii (Cordero et al., Dalton Trans. 2008, 2832), and at least 1 A over the highest anchor.
        Either is raised until every atom of the host is at least 0.8 times that sum away.
    aside_A
        How far beside its site each stands in the end, along x and y: exactly over a saddle point it would
        stay there by symmetry.

    Returns
    -------
    Atoms
        The host, its constraints and info kept, followed by the metal atoms.

    Raises
    ------
    ValueError
        When the metal is unknown, the host is no sheet or slab, an anchor does not exist, or the face is not +1 or -1.

    Examples
    --------
    >>> from philic.structures.carbons.carbon import graphene
    >>> place_adatoms(graphene(), "K", [[[0, 0, 0]]]).symbols
    Symbols('C32K')
    """
    _check_placement(host, metal, anchors, face)
    adatoms = [_start(host, metal, group, face, height_A) + np.array([*aside_A, 0.0]) for group in anchors]
    atoms: Atoms = host.copy()
    atoms += Atoms([metal] * len(adatoms), positions=adatoms)
    atoms.info["philic"] = {
        **host.info.get("philic", {}),
        "metal": metal,
        "n_metal": len(adatoms),
        "anchors": [[[int(number) for number in anchor] for anchor in group] for group in anchors],
        "face": int(face),
    }
    return atoms


def spread_sites(host: Atoms, site: Site, n: int) -> list[list[list[int]]]:
    """
    Choose anchors for several adatoms: the first at a site, each next one as far from the others as can be.

    Every site of the same kind in the cell is a candidate, symmetry-distinct ones included; on a slab, of
    the same name, so that fcc hollows stay apart from hcp ones. Distances are lateral and periodic.

    Parameters
    ----------
    host
        The host the site was found on.
    site
        Where the first adatom goes.
    n
        How many adatoms.

    Returns
    -------
    list
        Anchors as `place_adatoms` takes them.

    Raises
    ------
    ValueError
        When n is below 1 or the cell has fewer such sites.
    """
    if n < 1:
        raise ValueError(f"`n` is {n} but must be at least 1")
    if n == 1:
        return [[list(anchor) for anchor in site.anchors]]
    candidates = _alike(host, site)
    if n > len(candidates):
        raise ValueError(f"`n` is {n} but the host has only {len(candidates)} {site.kind} sites: enlarge it")
    positions = np.array([lateral_position(host, anchors) for anchors in candidates])
    apart = lateral_distances_A(host, positions - lateral_position(host, site.anchors))
    chosen = [site.anchors]
    for _ in range(n - 1):
        farthest = int(np.argmax(apart.round(6)))
        chosen.append(candidates[farthest])
        apart = np.minimum(apart, lateral_distances_A(host, positions - positions[farthest]))
    return [[list(anchor) for anchor in anchors] for anchors in chosen]


def _alike(host: Atoms, site: Site) -> list[tuple[tuple[int, int, int], ...]]:
    """List the anchors of the sites like one: of its kind, and on a slab of its name."""
    places = [place for place in all_anchors(host, face=site.face) if place[0] == site.kind]
    if is_sheet(host) or not places:
        return [anchors for _, anchors in places]
    names = site_names(host, places, face=site.face)
    spots = np.array([lateral_position(host, anchors) for _, anchors in places])
    own = names[int(lateral_distances_A(host, spots - lateral_position(host, site.anchors)).argmin())]
    return [anchors for (_, anchors), name in zip(places, names, strict=True) if name == own]


def image_distance_A(atoms: Atoms) -> float:
    """Give the shortest in-plane lattice translation: how far an adatom is from its own image."""
    reduced = minkowski_reduce(atoms.cell, pbc=(True, True, False))[0]
    return float(np.linalg.norm(reduced[:2], axis=1).min())


def adatom_geometry(atoms: Atoms, n_metal: int) -> AdatomGeometry:
    """
    Measure where the adatoms are on a host.

    Parameters
    ----------
    atoms
        Host atoms first, metal atoms last.
    n_metal
        How many metal atoms.

    Raises
    ------
    ValueError
        When n_metal is below 1 or leaves no host.
    """
    n_host = _host_size(atoms, n_metal)
    apart = atoms.positions[n_host:, None] - atoms.positions[:n_host]
    distances = find_mic(apart.reshape(-1, 3), atoms.cell, atoms.pbc)[1].reshape(n_metal, n_host)
    whole = in_one_piece(atoms)
    steps = whole[n_host:, None] - whole[:n_host]
    rises = steps[:, :, 2]
    facing = _facing(atoms[:n_host], rises.mean(axis=1))
    lateral = np.where(facing, lateral_distances_A(atoms, steps[:, :, :2]), np.inf)
    reach = np.maximum(_NEARBY_A, lateral.min(axis=1, keepdims=True))
    heights = [abs(row[close].mean()) for row, close in zip(rises, lateral <= reach, strict=True)]
    nearest = int(distances.min(axis=0).argmin())
    loosest_A = float(distances.min(axis=1).max())
    return AdatomGeometry(float(np.mean(heights)), float(distances.min()), loosest_A, str(atoms.symbols[nearest]))


def sites_reached(atoms: Atoms, host: Atoms) -> str:
    """
    Name the site each adatom is over: the top, bridge or hollow that is laterally nearest.

    Several adatoms on sites of one name are named once; a name on the lower face ends in "below".

    Parameters
    ----------
    atoms
        The host's atoms, where they are now, followed by the metal atoms.
    host
        The clean host, whose bonds say what is a bridge and what a hollow.

    Examples
    --------
    >>> from philic.structures.carbons.carbon import graphene
    >>> sites_reached(place_adatoms(graphene(), "K", [[[0, 0, 0]]]), graphene())
    'top C'
    """
    whole, now = in_one_piece(atoms), atoms[: _host_size(atoms, len(atoms) - len(host))]
    now.positions = whole[: len(host)]
    faces = np.where(whole[len(host) :, 2] >= whole[: len(host), 2].mean(), 1, -1)
    names = [""] * len(faces)
    for face in set(faces.tolist()):
        places = all_anchors(host, face=face)
        called = site_names(host, places, face=face)
        spots = np.array([lateral_position(now, anchors) for _, anchors in places])
        for at in np.flatnonzero(faces == face):
            nearest = int(lateral_distances_A(now, spots - whole[len(host) + at, :2]).argmin())
            names[at] = called[nearest] + (" below" if face < 0 else "")
    return ", ".join(dict.fromkeys(names))


def adatom_spacing_A(atoms: Atoms, n_metal: int) -> float:
    """Give the shortest lateral distance between two adatoms, or an adatom and its own image."""
    spots = atoms.positions[_host_size(atoms, n_metal) :, :2]
    apart = lateral_distances_A(atoms, spots[:, None] - spots)[~np.eye(n_metal, dtype=bool)]
    return float(min([image_distance_A(atoms), *apart]))


def lateral_shift_A(before: Atoms, after: Atoms, n_metal: int) -> float:
    """
    Give the largest lateral displacement of an adatom, the host's mean lateral drift taken out.

    Parameters
    ----------
    before, after
        The same atoms in the same order, metal atoms last.
    n_metal
        How many metal atoms.

    Raises
    ------
    ValueError
        When the two differ in size, n_metal is below 1 or leaves no host.
    """
    n_host = _host_size(before, n_metal)
    if len(after) != len(before):
        raise ValueError(f"`after` has {len(after)} atoms but must have the {len(before)} of `before`")
    moved = find_mic(after.positions - before.positions, before.cell, before.pbc)[0][:, :2]
    return float(lateral_distances_A(before, moved[n_host:] - moved[:n_host].mean(axis=0)).max())


def _check_placement(host: Atoms, metal: str, anchors: Sequence[AnchorList], face: int) -> None:
    check_metal(metal)
    check_surface(host)
    if face not in (1, -1):
        raise ValueError(f"`face` is {face} but must be 1 (above) or -1 (below)")
    if not anchors or not all(anchors):
        raise ValueError(f"`anchors` is {anchors} but needs at least one atom for each adatom")
    for index in (anchor[0] for group in anchors for anchor in group):
        if not 0 <= index < len(host):
            raise ValueError(f"`anchors` names atom {index} but the host has atoms 0 to {len(host) - 1}")


def _start(host: Atoms, metal: str, anchors: AnchorList, face: int, height: float | None) -> Floats:
    """Give the position of one adatom."""
    index = [anchor[0] for anchor in anchors]
    corners = _gathered(host, anchors)
    middle = corners.mean(axis=0)
    radii = covalent_radii[host.numbers] + covalent_radii[atomic_numbers[metal]]
    whole = in_one_piece(host)
    apart = whole - whole[index[0]] + corners[0] - middle
    clear = _rest(apart[:, 2] * face, lateral_distances_A(host, apart[:, :2]), _CLOSEST * radii)
    anchored = (corners - middle)[:, 2] * face
    top = anchored.max()
    if height is None:
        touching = _rest(anchored, np.linalg.norm((corners - middle)[:, :2], axis=1), radii[index])
        height = max(touching - top, _LEAST_START_A)
    middle[2] += face * max(top + height, clear)
    return np.asarray(middle)


def _facing(host: Atoms, rises: Floats) -> NDArray[np.bool_]:
    """Select the host atoms of the face that each adatom, so high over the host's mean, is on: all of a sheet's."""
    if is_sheet(host):
        return np.ones((len(rises), len(host)), dtype=bool)
    seen = {face: exposed_atoms(host, face) for face in (1, -1)}
    return np.array([seen[1 if rise >= 0 else -1] for rise in rises])


def _rest(heights: Floats, lateral: Floats, radii: Floats) -> float:
    """Give the height at which an atom let down along z first touches another, -inf when it passes all."""
    in_reach = lateral < radii
    rest = heights + np.sqrt(np.where(in_reach, radii**2 - lateral**2, 0))
    return float(rest[in_reach].max(initial=-np.inf))


def _gathered(host: Atoms, anchors: AnchorList) -> Floats:
    """Give the anchors' positions, shape ``(n_anchors, 3)``, undoing any wrap into another cell."""
    gathered: list[Floats] = []
    for at, (index, a, b) in enumerate(anchors):
        position = host.positions[index] + (a, b, 0) @ host.cell.array
        if gathered:
            step = position - gathered[-1]
            nearest = find_mic(step, host.cell, host.pbc)[0]
            apart_A = float(np.linalg.norm(step))
            neighbours_A = _FARTHEST_NEIGHBOUR * covalent_radii[host.numbers[[index, anchors[at - 1][0]]]].sum()
            if apart_A > neighbours_A and np.linalg.norm(nearest) < apart_A - _CLEARLY_NEARER_A:
                position = gathered[-1] + nearest
        gathered.append(position)
    return np.array(gathered)


def _host_size(atoms: Atoms, n_metal: int) -> int:
    if not 1 <= n_metal < len(atoms):
        raise ValueError(f"`n_metal` is {n_metal} but must be from 1 to {len(atoms) - 1}")
    return len(atoms) - n_metal
