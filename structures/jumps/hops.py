"""How a metal moves through a crystal: every symmetry-distinct jump, and the two ends of each."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from ase import Atoms
from ase.geometry import find_mic
from numpy.typing import NDArray

from ..crystals.charges import formal_charge
from ..crystals.metals import check_metal
from ..crystals.supercells import atom_at, check_holds, crystal_name, shortest_vector_A
from ..symmetry.orbits import Floats, Position, as_position, ranks
from .jump_lattice import Lattice, Spot, chains, homed, lattice_of, moved, positions_A, spot_maps

Mechanism = Literal["vacancy", "interstitial", "knock-off", "exchange"]
MECHANISMS: tuple[Mechanism, ...] = get_args(Mechanism)
"""
Vacancy: a metal atom fills the empty site beside it. Interstitial: it goes from void to void. Knock-off
(interstitialcy): it takes the site of a metal atom and pushes that into another void. Exchange: two metal
atoms swap sites.
"""

_IMAGES = 21  # along the straight line, for the closest approach


class Operation(NamedTuple):
    """A symmetry operation in A, in the crystal's frame: ``r -> rotation @ r + shift_A``."""

    rotation: tuple[Position, Position, Position]
    shift_A: Position


@dataclass(frozen=True)
class Hop:
    """
    One jump of a metal in a crystal; the jump back is the same hop.

    Attributes
    ----------
    mechanism
        One of `MECHANISMS`.
    metal
        What moves.
    path_A
        The sites passed, in the crystal's frame, unwrapped: start, end; for a knock-off void, site, void.
    length_A
        How far the atom that moves farthest goes.
    multiplicity
        How many equivalent hops leave one start; of two different ends, the start is the one with more.
    symmetric
        Whether an operation of the crystal turns the hop into its reverse, so that both barriers are one
        and the energy profile is its own mirror image.
    operation
        That operation (an inversion where there is one): it maps one end point onto the other. None for a
        hop that is not symmetric.
    label
        Unique within one answer of `hops`.
    """

    mechanism: Mechanism
    metal: str
    path_A: tuple[Position, ...]
    length_A: float
    multiplicity: int
    symmetric: bool
    operation: Operation | None
    label: str

    @property
    def moves(self) -> tuple[tuple[Position, Position], ...]:
        """From where to where each moving atom goes, in A."""
        if self.mechanism == "exchange":
            first, second = self.path_A
            return (first, second), (second, first)
        return tuple(zip(self.path_A[:-1], self.path_A[1:], strict=True))


def hops(crystal: Atoms, metal: str, max_length_A: float, *, mechanism: str = "vacancy") -> list[Hop]:
    """
    List every symmetry-distinct jump of a metal up to a length, the shortest first.

    Sites and voids are those of `vacancy_sites` and `interstitial_sites`. Two jumps are one when an operation
    of the crystal's space group takes one to the other or to its reverse. The answer does not depend on the
    crystal's origin, supercell or order of atoms. Jumps are straight lines: `end_points` says how near they
    pass to other atoms. A dense crystal with many voids has thousands of knock-offs: keep `max_length_A`
    near the shortest.

    Parameters
    ----------
    crystal
        Periodic in three directions.
    metal
        An alkali metal; only an interstitial may be foreign to the crystal.
    max_length_A
        No atom moves farther.
    mechanism
        One of `MECHANISMS`.

    Raises
    ------
    ValueError
        When the metal or mechanism is unknown, the crystal lacks the metal or a void for it, or no jump is
        short enough (the sentence says how long the shortest is).

    Examples
    --------
    >>> from ase.build import bulk
    >>> [hop.label for hop in hops(bulk("KF", "rocksalt", a=5.34), "K", 4.0)]
    ['vacancy 3.78 A']
    """
    chosen = _checked(crystal, metal, max_length_A, mechanism)
    lattice = lattice_of(crystal, metal, chosen)
    paths = chains(lattice, chosen, max_length_A)
    if not paths:
        shortest = _shortest_A(lattice, chosen, max_length_A)
        raise ValueError(
            f"`max_length_A` is {max_length_A} but the shortest {chosen} jump of {metal} in"
            f" {crystal_name(crystal)} is {shortest:.2f} A: raise it"
        )
    found = [_hop(lattice, orbit, chosen, metal) for orbit in _orbits(lattice, paths)]
    found.sort(key=lambda hop: (ranks([hop.length_A, _span_A(hop)]), hop.multiplicity, ranks(np.ravel(hop.path_A))))
    return _labelled(found)


def end_points(supercell: Atoms, hop: Hop) -> tuple[Atoms, Atoms]:
    """
    Build the start and the end of a hop in a supercell.

    Atoms are matched one to one, in the order of the supercell, a vacancy taken out, an interstitial last.
    Start is wrapped into the cell; end is start plus the moves, so that a straight line between the two is
    right across the cell's edge too.

    Parameters
    ----------
    supercell
        Of the crystal the hop was found in, from `philic.structures.crystals.supercells`; atoms are more than twice
        the hop's length from their images.
    hop
        One of `hops`.

    Returns
    -------
    tuple of Atoms
        ``info["philic"]`` of each holds the hop, the moving atoms, the formal charge of the defect and the
        closest approach of a moving atom to any other on the straight line (0 for an exchange: lead the
        atoms around each other).

    Raises
    ------
    ValueError
        When images are too near for the hop, or it belongs to another crystal.
    """
    _check_room(supercell, hop)
    start, end = ends_in(supercell, hop)
    kept = hop.operation is not None and _keeps(start, np.array(hop.operation.rotation))
    for atoms in (start, end):
        atoms.info["philic"] |= {"hop": hop.label, "multiplicity": hop.multiplicity, "symmetric": kept}
    return start, end


def ends_in(supercell: Atoms, hop: Hop) -> tuple[Atoms, Atoms]:
    """
    Build the start and the end of a hop as `end_points` does, however near its images are.

    ``info["philic"]`` of each holds all but the hop's label, multiplicity and symmetry.
    """
    start: Atoms = supercell.copy()
    movers = []
    for at, (origin, target) in enumerate(hop.moves):
        if _comes_from_void(hop, at):
            start += Atoms(hop.metal, positions=[origin])
        index = len(start) - 1 if _comes_from_void(hop, at) else atom_at(start, origin, hop.metal)
        movers.append((index, np.subtract(target, origin)))
    if hop.mechanism == "vacancy":
        gone = atom_at(start, hop.path_A[1], hop.metal)
        del start[gone]
        movers = [(index - (index > gone), step) for index, step in movers]
    start.wrap()
    end = start.copy()
    for index, step in movers:
        end.positions[index] += step
    about = {**supercell.info["philic"], **_about(supercell, start, end, hop, [index for index, _ in movers])}
    start.info["philic"] = {**about, "end": "start"}
    end.info["philic"] = {**about, "end": "end"}
    return start, end


def _checked(crystal: Atoms, metal: str, max_length_A: float, mechanism: str) -> Mechanism:
    check_metal(metal)
    if mechanism not in MECHANISMS:
        raise ValueError(f"`mechanism` is {mechanism!r} but must be one of: {', '.join(MECHANISMS)}")
    if max_length_A <= 0:
        raise ValueError(f"`max_length_A` is {max_length_A} but must be above 0")
    if mechanism != "interstitial":
        check_holds(crystal, metal)
    return mechanism


def _check_room(supercell: Atoms, hop: Hop) -> None:
    apart_A = shortest_vector_A(supercell)
    if apart_A <= 2 * hop.length_A + 1e-6:
        raise ValueError(
            f"`supercell` has images {apart_A:.2f} A apart but a hop of {hop.length_A:.2f} A needs more than"
            f" {2 * hop.length_A:.2f} A: repeat the crystal more often"
        )


def _comes_from_void(hop: Hop, move: int) -> bool:
    return hop.mechanism in ("interstitial", "knock-off") and move == 0


def _shortest_A(lattice: Lattice, mechanism: Mechanism, cutoff_A: float) -> float:
    while not (paths := chains(lattice, mechanism, cutoff_A)):
        cutoff_A *= 1.5
    return min(_longest_step_A(lattice, path) for path in paths)


def _longest_step_A(lattice: Lattice, path: tuple[Spot, ...]) -> float:
    return float(np.linalg.norm(np.diff(positions_A(lattice, path), axis=0), axis=1).max())


class _Orbit(NamedTuple):
    """Hops that are one: a path, how many leave its start, and the operation that reverses it."""

    path: tuple[Spot, ...]
    multiplicity: int
    operation: Operation | None


def _orbits(lattice: Lattice, paths: set[tuple[Spot, ...]]) -> list[_Orbit]:
    images = spot_maps(lattice)
    orbits = []
    waiting = set(paths)
    for path in sorted(paths):
        if path not in waiting:
            continue
        reverse = homed(path[::-1])
        ways = [(moved(path, image), image.turn) for image in images]
        forward = {homed(spots) for spots, _ in ways}
        backward = {homed(spots[::-1]) for spots, _ in ways}
        operation = next(
            (_operation(lattice, path, spots, turn) for spots, turn in ways if homed(spots) == reverse),
            None,
        )
        around = {way[0]: sum(spots[0] == way[0] for spots in forward | backward) for way in (path, reverse)}
        if around[reverse[0]] > around[path[0]]:
            path = reverse
        orbits.append(_Orbit(path, around[path[0]], operation))
        waiting -= forward | backward
    return orbits


def _operation(lattice: Lattice, path: tuple[Spot, ...], spots: tuple[Spot, ...], turn: NDArray[np.int64]) -> Operation:
    """Give the operation that reverses a path, in A; the lattice translation to its end included."""
    rotation = lattice.cell.T @ turn @ np.linalg.inv(lattice.cell.T)
    here = positions_A(lattice, path)
    index = [i for i, *_ in spots]
    ends = np.array([lattice.spots[i] for i in index]) @ lattice.cell  # of the images, in any cell
    ends += np.array(path[::-1])[:, 1:] @ lattice.cell
    shift = (ends - here @ rotation.T).mean(axis=0)
    x, y, z = (as_position(row) for row in rotation)
    return Operation((x, y, z), as_position(shift))


def _hop(lattice: Lattice, orbit: _Orbit, mechanism: Mechanism, metal: str) -> Hop:
    return Hop(
        mechanism=mechanism,
        metal=metal,
        path_A=tuple(as_position(position) for position in positions_A(lattice, orbit.path)),
        length_A=_longest_step_A(lattice, orbit.path),
        multiplicity=orbit.multiplicity,
        symmetric=orbit.operation is not None,
        operation=orbit.operation,
        label="",
    )


def _span_A(hop: Hop) -> float:
    return float(np.linalg.norm(np.subtract(hop.path_A[-1], hop.path_A[0])))


def _labelled(found: list[Hop]) -> list[Hop]:
    """Name each hop by mechanism and length, a knock-off by its turn too, and number the rest."""
    names = [f"{hop.mechanism} {hop.length_A:.2f} A{_turn(hop)}" for hop in found]
    numbered = [f"{name} #{names[: at + 1].count(name)}" if names.count(name) > 1 else name for at, name in enumerate(names)]
    return [Hop(**{**vars(hop), "label": label}) for hop, label in zip(found, numbered, strict=True)]


def _turn(hop: Hop) -> str:
    """Give the angle void-site-void of a knock-off: 180 degrees is the straight push."""
    if hop.mechanism != "knock-off":
        return ""
    first, site, last = np.array(hop.path_A)
    one, two = first - site, last - site
    cosine = one @ two / np.linalg.norm(one) / np.linalg.norm(two)
    return f" {np.degrees(np.arccos(np.clip(cosine, -1, 1))):.0f} deg"


def _keeps(atoms: Atoms, turn: Floats) -> bool:
    """Return whether a rotation takes the cell's lattice to itself."""
    steps = atoms.cell.array @ turn.T @ np.linalg.inv(atoms.cell.array)
    return bool(np.allclose(steps, steps.round(), atol=1e-3))


def _about(crystal: Atoms, start: Atoms, end: Atoms, hop: Hop, moving: list[int]) -> dict[str, object]:
    charge = formal_charge(crystal, hop.metal)
    sign = {"vacancy": -1, "exchange": 0}.get(hop.mechanism, 1)
    return {
        "family": "hop",
        "metal": hop.metal,
        "mechanism": hop.mechanism,
        "length_A": hop.length_A,
        "moving": moving,
        "clearance_A": _clearance_A(start, end, moving),
        "formula": start.symbols.formula.format("hill"),
        "formal_charge": 0 if sign == 0 else None if charge is None else sign * charge,
    }


def _clearance_A(start: Atoms, end: Atoms, moving: list[int]) -> float:
    """Give the closest approach of a moving atom to any other along the straight line."""
    parts = np.linspace(0, 1, _IMAGES)[:, None, None]
    positions = (1 - parts) * start.positions + parts * end.positions
    return min(
        float(find_mic(apart.reshape(-1, 3), start.cell)[1].min())
        for index in moving
        for apart in [np.delete(positions, index, axis=1) - positions[:, index, None]]
    )
