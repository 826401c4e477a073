"""The ends of a hop, rebuilt in a crystal that was relaxed after the hop was found."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.geometry import find_mic

from ..crystals.metals import check_metal
from ..crystals.supercells import atom_at, repeated
from ..symmetry.orbits import Floats, Position, as_position
from .hops import MECHANISMS, Hop, Mechanism, ends_in

_RELAXED_A = 1.0  # how far from its place on the path a relaxed atom may be
_ENDS = ("start", "end")
_LATTICE_SITES: dict[Mechanism, tuple[int, ...]] = {
    "vacancy": (0, 1),
    "interstitial": (),
    "knock-off": (1,),
    "exchange": (0, 1),
}


def hop_end(
    crystal: Atoms,
    *,
    metal: str,
    mechanism: Mechanism,
    path_scaled: Sequence[Sequence[float]],
    supercell: Sequence[Sequence[int]],
    end: str,
) -> Atoms:
    """
    Build one end of a hop in a relaxed crystal, as `end_points` does in the one the hop was found in.

    The sites of the path that hold an atom follow that atom; voids keep their scaled coordinates.

    Parameters
    ----------
    crystal
        Relaxed, its atoms in the order they had, none of them wrapped.
    metal, mechanism
        Those of the hop.
    path_scaled
        The hop's ``path_A`` in scaled coordinates of the crystal before it was relaxed.
    supercell
        ``info["philic"]["supercell"]`` of `end_points`: chosen by length, it could be another one now.
    end
        ``"start"`` or ``"end"``.

    Returns
    -------
    Atoms
        In the order of `end_points`.

    Raises
    ------
    ValueError
        When the metal, mechanism or end is unknown, or an atom of the path is over 1 A from where it was.
    """
    check_metal(metal)
    if mechanism not in MECHANISMS:
        raise ValueError(f"`mechanism` is {mechanism!r} but must be one of: {', '.join(MECHANISMS)}")
    if end not in _ENDS:
        raise ValueError(f"`end` is {end!r} but must be one of: {', '.join(_ENDS)}")
    large = repeated(crystal, supercell)
    path = np.asarray(path_scaled) @ crystal.cell.array
    for at in _LATTICE_SITES[mechanism]:
        path[at] = _atom_near(large, path[at], metal)
    return ends_in(large, _hop(metal, mechanism, path))[_ENDS.index(end)]


def _atom_near(atoms: Atoms, position: Floats, metal: str) -> Floats:
    """Give where the atom is that has left a position, in the same cell."""
    index = atom_at(atoms, position, metal, within_A=_RELAXED_A)
    return np.asarray(position + find_mic(atoms.positions[index] - position, atoms.cell)[0])


def _hop(metal: str, mechanism: Mechanism, path: Floats) -> Hop:
    length_A = float(np.linalg.norm(np.diff(path, axis=0), axis=1).max())
    sites: tuple[Position, ...] = tuple(as_position(position) for position in path)
    return Hop(mechanism, metal, sites, length_A, multiplicity=0, symmetric=False, operation=None, label="")
