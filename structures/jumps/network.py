"""The places a defect may be at and the jumps between them, and in how many directions they lead through the crystal."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
from ase import Atoms

from ..crystals.supercells import crystal_name
from ..symmetry.orbits import Floats, Position, as_position
from .hops import Hop, Mechanism
from .jump_lattice import SAME_SPOT_A, Lattice, Spot, homed, lattice_of, moved, nearest, spot_maps

Steps = tuple[int, ...]
"""A lattice translation, in steps along the cell's vectors."""

Walker = Literal["vacancy", "interstitial", "tracer", "adatom"]
"""What moves from place to place; a tracer is an ion that swaps with its like."""

_WALKERS: dict[Mechanism, Walker] = {
    "vacancy": "vacancy",
    "interstitial": "interstitial",
    "knock-off": "interstitial",
    "exchange": "tracer",
}
_DECIMALS = 6


class Jump(NamedTuple):
    """
    A jump from a place of the cell to another.

    Attributes
    ----------
    start, end
        Which places of the network.
    steps
        The cell that the end is in, seen from the start's.
    hop
        Which of the network's distinct hops it is an image of.
    backward
        Whether the hop runs from its end to its start; never for a hop that is its own reverse.
    """

    start: int
    end: int
    steps: Steps
    hop: int
    backward: bool


@dataclass(frozen=True)
class Network:
    """
    A walker's places in one cell and its jumps between them, each with its reverse.

    Attributes
    ----------
    walker
        What walks.
    cell_A
        The periodic directions: three vectors of a crystal, two of a surface, one of a wire.
    places_A
        Where the places of one cell are.
    kinds
        A number for each place; places with the same one are equivalent and have the same energy.
    labels
        Name of each distinct hop.
    jumps
        Every jump that leaves a place of the cell.
    """

    walker: Walker
    cell_A: tuple[Position, ...]
    places_A: tuple[Position, ...]
    kinds: tuple[int, ...]
    labels: tuple[str, ...]
    jumps: tuple[Jump, ...]

    @property
    def displacements_A(self) -> Floats:
        """How far each jump goes, shape ``(n_jumps, 3)``."""
        places = np.array(self.places_A)
        start, end, steps = (np.array([jump[at] for jump in self.jumps]) for at in range(3))
        return np.asarray(steps @ np.array(self.cell_A) + places[end] - places[start])


class Component(NamedTuple):
    """
    Places that jumps connect, and the lattice they connect them on.

    Attributes
    ----------
    places
        Which places of the network.
    translations
        A basis of the lattice translations from a place to the images of it that can be reached.
    """

    places: tuple[int, ...]
    translations: tuple[Steps, ...]

    @property
    def dimension(self) -> int:
        """The number of dimensions it percolates in: 0 for a cage, 3 for a crystal that is open in all directions."""
        return len(self.translations)


def jump_network(crystal: Atoms, hops: Sequence[Hop]) -> Network:
    """
    Expand distinct hops into every jump of the walker that leaves a place of the primitive cell.

    The walker is what the mechanism needs: a vacancy goes against the metal atom that fills it; an
    interstitial from void to void; a knock-off carries the interstitial from the first void to the last,
    while either atom goes half the way; an exchange moves a tracer and no charge.

    Parameters
    ----------
    crystal
        The one the hops were found in.
    hops
        Hops of one metal by one mechanism, from `philic.structures.jumps.hops.hops`. Forward is as `end_points`
        has it: a vacancy is at the hop's last site at the start.

    Raises
    ------
    ValueError
        When there are no hops, they are of different mechanisms or metals, or of another crystal.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from philic.structures.jumps.hops import hops
    >>> crystal = bulk("KF", "rocksalt", a=5.34)
    >>> network = jump_network(crystal, hops(crystal, "K", 4.0))
    >>> len(network.places_A), len(network.jumps), percolation(network, {0})[0].dimension
    (1, 12, 3)
    """
    names = sorted({f"{hop.metal} by {hop.mechanism}" for hop in hops})
    if len(names) != 1:
        raise ValueError(f"`hops` are of {' and '.join(names) or 'nothing'} but must be of one metal by one mechanism")
    mechanism = hops[0].mechanism
    lattice = lattice_of(crystal, hops[0].metal, mechanism)
    images = spot_maps(lattice)
    places = np.flatnonzero(lattice.filled == (mechanism in ("vacancy", "exchange"))).tolist()
    jumps: list[Jump] = []
    for at, hop in enumerate(hops):
        path = _chain(lattice, crystal, hop)
        ways = {moved(path, image) for image in images}
        forward = {homed(way) for way in ways}
        backward = {homed(way[::-1]) for way in ways} - forward
        jumps += [_jump(places, way, at, False) for way in forward] + [_jump(places, way, at, True) for way in backward]
    return Network(
        walker=_WALKERS[mechanism],
        cell_A=tuple(as_position(vector) for vector in lattice.cell),
        places_A=tuple(as_position(position) for position in lattice.spots[places] @ lattice.cell),
        kinds=tuple(int(min(image.to[place] for image in images)) for place in places),
        labels=tuple(hop.label for hop in hops),
        jumps=tuple(sorted(jumps)),
    )


def percolation(network: Network, hops: Collection[int]) -> list[Component]:
    """
    Find the places that some hops connect, and in how many directions: the widest connection first.

    Parameters
    ----------
    network
        Places and jumps.
    hops
        Which of its hops are allowed.

    Returns
    -------
    list of Component
        Each place is in one of them, a place without jumps in one of its own.
    """
    leaving: dict[int, list[Jump]] = {place: [] for place in range(len(network.places_A))}
    for jump in network.jumps:
        if jump.hop in hops:
            leaving[jump.start].append(jump)
    components = []
    waiting = set(leaving)
    while waiting:
        component = _connected(leaving, min(waiting), len(network.cell_A))
        waiting -= set(component.places)
        components.append(component)
    return sorted(components, key=lambda component: -component.dimension)


def with_stops(network: Network, stops: Mapping[int, int]) -> tuple[Network, dict[int, tuple[int, ...]]]:
    """
    Put places on the paths of hops: a path with intermediate minima is several jumps in a row.

    Parameters
    ----------
    network
        Left as it is.
    stops
        How many places are put on the path of a hop; none on those of others.

    Returns
    -------
    Network, dict
        Each hop's parts in the new network, in order. The first keeps the number of the hop, the others come last.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from philic.structures.jumps.hops import hops
    >>> crystal = bulk("KF", "rocksalt", a=5.34)
    >>> network, parts = with_stops(jump_network(crystal, hops(crystal, "K", 4.0)), {0: 1})
    >>> len(network.places_A), len(network.jumps), parts
    (7, 24, {0: (0, 1)})
    """
    labels, places, kinds = list(network.labels), list(network.places_A), list(network.kinds)
    parts = {}
    for hop, label in enumerate(network.labels):
        more = range(len(labels), len(labels) + stops.get(hop, 0))
        parts[hop] = (hop, *more)
        labels[hop] += ", part 1" if more else ""
        labels += [f"{label}, part {part}" for part in range(2, len(more) + 2)]
    jumps = [jump for jump in network.jumps if len(parts[jump.hop]) == 1]
    first_kind = max(kinds) + 1
    for jump, way_A in zip(network.jumps, network.displacements_A, strict=True):
        back = Jump(jump.end, jump.start, _back(jump.steps), jump.hop, False)
        if len(parts[jump.hop]) == 1 or jump.backward or (back in network.jumps and back < jump):
            continue  # the way there brings the way back
        own = parts[jump.hop]
        chain = [jump.start, *range(len(places), len(places) + len(own) - 1), jump.end]
        places += [as_position(places[jump.start] + way_A * part / len(own)) for part in range(1, len(own))]
        kinds += [first_kind + part for part in own[1:]]
        for part, (start, end) in zip(own, pairwise(chain), strict=True):
            steps = jump.steps if end == jump.end else (0,) * len(jump.steps)
            jumps += [Jump(start, end, steps, part, False), Jump(end, start, _back(steps), part, True)]
    cut = Network(network.walker, network.cell_A, tuple(places), tuple(kinds), tuple(labels), tuple(sorted(jumps)))
    return cut, parts


def strained(network: Network, strain: Floats) -> Network:
    """Give a network whose cell and places follow a strain, a vector ``v`` becoming ``v @ strain``, shape ``(3, 3)``."""
    cell_A, places_A = (np.array(vectors) @ strain for vectors in (network.cell_A, network.places_A))
    return replace(network, cell_A=tuple(map(as_position, cell_A)), places_A=tuple(map(as_position, places_A)))


def to_parameters(network: Network) -> dict[str, Any]:
    """Give a network as plain JSON, lengths to 1e-6 A: the last bits differ between machines."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(network)))
    for name in ("cell_A", "places_A"):
        plain[name] = (np.round(plain[name], _DECIMALS) + 0.0).tolist()
    return plain


def from_parameters(parameters: Mapping[str, Any]) -> Network:
    """Give the network that `to_parameters` made plain."""
    return Network(
        walker=parameters["walker"],
        cell_A=tuple(as_position(vector) for vector in parameters["cell_A"]),
        places_A=tuple(as_position(place) for place in parameters["places_A"]),
        kinds=tuple(parameters["kinds"]),
        labels=tuple(parameters["labels"]),
        jumps=tuple(Jump(start, end, tuple(steps), hop, back) for start, end, steps, hop, back in parameters["jumps"]),
    )


def _back(steps: Steps) -> Steps:
    return tuple(-step for step in steps)


def _chain(lattice: Lattice, crystal: Atoms, hop: Hop) -> tuple[Spot, ...]:
    """Give the spots that the walker passes."""
    to, cells, off_A = nearest(lattice, np.array(hop.path_A) @ np.linalg.inv(lattice.cell))
    if off_A > SAME_SPOT_A:
        raise ValueError(
            f"`hops` has '{hop.label}', {off_A:.2f} A off the sites of {crystal_name(crystal)}:"
            " give the crystal it was found in"
        )
    path = tuple((i, a, b, c) for i, (a, b, c) in zip(to.tolist(), cells.tolist(), strict=True))
    return path[::-1] if hop.mechanism == "vacancy" else path


def _jump(places: Sequence[int], way: tuple[Spot, ...], hop: int, backward: bool) -> Jump:
    (start, *_), (end, *steps) = way[0], way[-1]
    return Jump(places.index(start), places.index(end), tuple(steps), hop, backward)


def _connected(leaving: Mapping[int, Sequence[Jump]], start: int, n_vectors: int) -> Component:
    """Walk from a place to every other that can be reached; what closes a loop is a translation."""
    cells: dict[int, Steps] = {start: (0,) * n_vectors}
    loops: set[Steps] = set()
    queue = [start]
    for place in queue:
        for jump in leaving[place]:
            cell = tuple(np.add(cells[place], jump.steps).tolist())
            if jump.end not in cells:
                cells[jump.end] = cell
                queue.append(jump.end)
            loops.add(tuple(np.subtract(cell, cells[jump.end]).tolist()))
    return Component(tuple(sorted(cells)), _basis(loops, n_vectors))


def _basis(translations: Collection[Steps], n_vectors: int) -> tuple[Steps, ...]:
    """Give a basis of the lattice that translations span: Euclid's algorithm, column by column."""
    basis = []
    left = np.array(sorted(translations)).reshape(-1, n_vectors)
    for column in range(n_vectors):
        while np.count_nonzero(left[:, column]) > 1:
            sizes = np.where(left[:, column], abs(left[:, column]), np.iinfo(np.int64).max)
            smallest = sizes.argmin()
            times = left[:, column] // left[smallest, column]
            times[smallest] = 0
            left -= times[:, None] * left[smallest]
        rows = left[:, column] != 0
        basis += [tuple(row) for row in left[rows].tolist()]
        left = left[~rows]
    return tuple(basis)
