"""Molecules and clusters on a host."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols, covalent_radii
from ase.data.vdw_alvarez import vdw_radii
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from ..crystals.metals import METALS
from ..symmetry.species import kept
from .adatoms import AnchorList, image_distance_A
from .faces import check_surface, in_one_piece
from .sites import lateral_distances_A, lateral_position

Floats = NDArray[np.float64]

_VDW_SHARE = 0.9


def place(
    host: Atoms,
    guest: Atoms,
    anchors: AnchorList,
    *,
    down: int | None = None,
    turn_deg: float = 0.0,
    face: int = 1,
) -> Atoms:
    """
    Let a molecule or cluster down on a host until it touches.

    Two atoms touch at the sum of ASE's covalent radii when one of them is an alkali metal, whose bonds are
    that long, and else at 0.9 times the sum of van der Waals radii (Alvarez, Dalton Trans. 42, 8617, 2013): a
    molecule starts physisorbed. The shortest contact has exactly that length, all others are longer, images
    included.

    Parameters
    ----------
    host
        A slab or sheet in the xy plane.
    guest
        Such as `molecule` and `metal_cluster` build; laid down as it is.
    anchors
        What its centre is over: ``[[index, shift_a, shift_b], ...]``, as a `Site` has them.
    down
        Index of the guest's atom that is to point at the host; by default it lies as given.
    turn_deg
        Rotation about z after that.
    face
        +1 to put it above the host, -1 below.

    Returns
    -------
    Atoms
        The host, its constraints and info kept, followed by the guest.

    Raises
    ------
    ValueError
        When the host is no sheet or slab, an anchor or the atom does not exist, the face is not +1 or -1, the
        guest would touch its own image, or the vacuum is too low for it.

    Examples
    --------
    >>> from philic.structures.carbons.carbon import graphene
    >>> from philic.structures.crystals.molecules import molecule
    >>> place(graphene(), molecule("O2"), [[0, 0, 0]]).symbols
    Symbols('C32O2')
    """
    _check_guest(host, guest, anchors, down, face)
    over = tuple((int(i), int(a), int(b)) for i, a, b in anchors)
    turned = _turned(guest, down, turn_deg, face)
    turned.positions[:, :2] += lateral_position(host, over)
    turned.positions[:, 2] += _rest(host, turned, face)
    atoms: Atoms = host.copy()
    atoms += turned
    _check_room(atoms, len(host), guest)
    about = {**host.info.get("philic", {}), **_described(guest)}
    atoms.info["philic"] = {**about, "anchors": [list(anchor) for anchor in over], "face": int(face)}
    return atoms


def contact_A(one: str, other: str) -> float:
    """
    Give the distance at which two atoms of a host and a guest touch.

    Examples
    --------
    >>> round(contact_A("K", "O"), 2), round(contact_A("C", "O"), 2)
    (2.69, 2.94)
    """
    i, j = atomic_numbers[one], atomic_numbers[other]
    if one in METALS or other in METALS:
        return float(covalent_radii[i] + covalent_radii[j])
    return float(_VDW_SHARE * (vdw_radii[i] + vdw_radii[j]))


def _turned(guest: Atoms, down: int | None, turn_deg: float, face: int) -> Atoms:
    """Centre a guest, bare of all but its atoms, point one of them at the host, and turn it about z."""
    turned = Atoms(guest.symbols, positions=guest.positions - guest.positions.mean(axis=0), **kept(guest))
    if down is not None and np.linalg.norm(turned.positions[down]) > 1e-6:
        turned.rotate(turned.positions[down], (0, 0, -face))
    turned.rotate(turn_deg, "z")
    return turned


def _described(guest: Atoms) -> dict[str, str | int]:
    """Say what a guest is: its name, its number of atoms, and its metal if it holds one."""
    about = guest.info.get("philic", {})
    metal = {"metal": about["metal"]} if "metal" in about else {}
    return {"guest": about.get("host", str(guest.symbols)), "n_guest": len(guest), **metal}


def _contacts(ones: Sequence[str], others: Sequence[str]) -> Floats:
    known = {pair: contact_A(*pair) for pair in {(one, other) for one in ones for other in others}}
    return np.array([[known[one, other] for other in others] for one in ones])


def _rest(host: Atoms, guest: Atoms, face: int) -> float:
    """Give how far along z to move the guest so that it comes from outside and just touches."""
    whole = in_one_piece(host)
    levels = whole[:, 2]
    lateral = lateral_distances_A(host, guest.positions[:, None, :2] - whole[:, :2])
    reach = _contacts(list(guest.symbols), list(host.symbols))
    touching = lateral < reach
    rises = face * (levels - guest.positions[:, None, 2]) + np.sqrt(np.where(touching, reach**2 - lateral**2, 0))
    if not touching.any():  # over a hole wider than the guest: stay level with the face
        return face * float((face * levels).max() - (face * guest.positions[:, 2]).min())
    return face * float(rises[touching].max())


def _check_guest(host: Atoms, guest: Atoms, anchors: AnchorList, down: int | None, face: int) -> None:
    check_surface(host)
    if face not in (1, -1):
        raise ValueError(f"`face` is {face} but must be 1 (above) or -1 (below)")
    if not len(guest):
        raise ValueError("`guest` is empty but needs at least one atom")
    if not anchors:
        raise ValueError(f"`anchors` is {anchors} but needs at least one atom")
    for index, _, _ in anchors:
        if not 0 <= index < len(host):
            raise ValueError(f"`anchors` names atom {index} but the host has atoms 0 to {len(host) - 1}")
    if down is not None and not 0 <= down < len(guest):
        raise ValueError(f"`down` is {down} but the guest has atoms 0 to {len(guest) - 1}")


def _check_room(atoms: Atoms, n_host: int, guest: Atoms) -> None:
    """Refuse a guest that touches its own image or, through the vacuum, the host's other face."""
    pairs = {
        (chemical_symbols[i], chemical_symbols[j]): contact_A(chemical_symbols[i], chemical_symbols[j]) - 1e-3
        for i in {*atoms.numbers}
        for j in {*guest.numbers}
    }
    firsts, seconds, images = neighbor_list("ijS", atoms, pairs)
    other_cell = images.any(axis=1)
    between = (firsts >= n_host) & (seconds >= n_host) & other_cell
    if between.any():
        every = image_distance_A(atoms)
        raise ValueError(f"`host` repeats every {every:.2f} A but then the guest touches its image: enlarge it")
    across = (firsts >= n_host) & (seconds < n_host) & (images[:, 2] != 0)
    if across.any():
        high = atoms.cell[2, 2]
        raise ValueError(f"`host` is {high:.1f} A high but then the guest touches the next slab: give it more vacuum")
