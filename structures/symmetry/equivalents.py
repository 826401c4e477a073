"""Equivalent defects: the symmetry operation that takes one to the other."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from .fixed import fixed_atoms
from .orbits import SYMMETRY_TOLERANCE_A, Floats, Position, as_position
from .species import species
from .symmetry import rigid, symmetry_of

_SAME_DEFECT_A = 0.3  # what spglib's shifts may be off for a defect that an operation does take to the other
_SAME_ATOM_A = 0.1  # after the shift is refined
_DECIMALS = 9  # of a shift: 0.24999999999999997 is 0.25
_OWN_PLACES = ("anchors", "positions_A")  # what info["philic"] says of where a defect is


class Image(NamedTuple):
    """
    A symmetry operation in scaled coordinates of a cell, ``s -> rotation @ s + shift``, and what it does to atoms.

    Attributes
    ----------
    rotation
        Integers.
    shift
        In fractions of the cell's vectors.
    order
        Atom ``i`` of the image is the image of atom ``order[i]``.
    """

    rotation: tuple[tuple[int, ...], ...]
    shift: Position
    order: tuple[int, ...]


def image_of(perfect: Atoms, one: Atoms, other: Atoms) -> Image | None:
    """
    Find an operation of a host that takes a defect at one place to an equivalent one at another.

    Translations are preferred. All structures are unrelaxed: `imaged` then makes the relaxed one into the relaxed other.

    Parameters
    ----------
    perfect
        The host without the defect: a supercell, slab or sheet.
    one, other
        The host with one atom fewer, or one more, at two places; their atoms may be in any order.

    Returns
    -------
    Image or None
        None when there is no such operation: the two places are distinct.

    Raises
    ------
    ValueError
        When the cells differ, or a structure has not one atom fewer or one more than the host.

    Examples
    --------
    >>> from philic.structures.sites.adatoms import place_adatoms
    >>> from philic.structures.carbons.carbon import graphene
    >>> sheet = graphene((2, 2))
    >>> one, other, bridge = (place_adatoms(sheet, "K", [at]) for at in ([[0, 0, 0]], [[3, 0, 0]], [[0, 0, 0], [1, 0, 0]]))
    >>> image_of(sheet, one, other) is None, image_of(sheet, one, bridge) is None
    (False, True)
    """
    here, there = (_defect(perfect, atoms, name) for atoms, name in ((one, "one"), (other, "other")))
    kinds = np.split(species(one + other), [len(one)])
    if sorted(kinds[0]) != sorted(kinds[1]):
        return None
    for turn, shift in _operations(perfect, here, there):
        if image := _matched(one, other, kinds, turn, shift):
            return image
    return None


def imaged(atoms: Atoms, *, rotation: Sequence[Sequence[int]], shift: Sequence[float], order: Sequence[int]) -> Atoms:
    """
    Apply an `Image` to a relaxed structure: the relaxed structure of the other place, without a calculation.

    Energies are equal, forces turned, as far as the operation keeps the cell's lengths and angles.

    Parameters
    ----------
    atoms
        The structure that the image was found for, its atoms and cell relaxed or not.
    rotation, shift, order
        As `image_of` gives them.

    Returns
    -------
    Atoms
        In the same cell, wrapped into it; held atoms, masses, moments and charges are those of the image, and
        ``info["philic"]`` no longer says where the defect is.

    Raises
    ------
    ValueError
        When the order is not one of these atoms.
    """
    chosen = np.asarray(order, dtype=int)
    if sorted(chosen.tolist()) != list(range(len(atoms))):
        raise ValueError(f"`order` names {len(chosen)} atoms but must name each of the {len(atoms)} once")
    image: Atoms = atoms[chosen]
    scaled = atoms.cell.scaled_positions(atoms.positions[chosen])
    image.positions = (scaled @ np.transpose(rotation) + np.asarray(shift)) @ atoms.cell.array
    image.wrap()
    about = atoms.info.get("philic", {})
    image.info["philic"] = {key: value for key, value in about.items() if key not in _OWN_PLACES}
    return image


def _defect(perfect: Atoms, atoms: Atoms, name: str) -> Floats:
    """Give where an atom is missing, or one too many, in scaled coordinates."""
    if not np.allclose(perfect.cell, atoms.cell, atol=1e-6):
        raise ValueError(f"`{name}` has another cell than `perfect` but must have the same")
    if abs(len(atoms) - len(perfect)) != 1:
        raise ValueError(
            f"`{name}` has {len(atoms)} atoms but must have one fewer or one more than the {len(perfect)} of `perfect`"
        )
    larger, smaller = sorted((atoms, perfect), key=len, reverse=True)
    _, lengths = _apart(larger.cell.scaled_positions(larger.positions), smaller)
    return np.asarray(larger.cell.scaled_positions(larger.positions)[lengths.min(axis=1).argmax()])


def _operations(perfect: Atoms, here: Floats, there: Floats) -> list[tuple[NDArray[np.int64], Floats]]:
    """List the operations that take one point to another, translations first."""
    cell = perfect.cell.array
    found = symmetry_of(perfect, SYMMETRY_TOLERANCE_A, "perfect")
    turns = np.asarray(found.rotations, dtype=np.int64)
    apart = turns @ here + found.translations - there
    off = np.linalg.norm((apart - apart.round()) @ cell, axis=1)
    fitting = np.flatnonzero((off < _SAME_DEFECT_A) & rigid(turns, cell))
    return sorted(
        ((turns[at], found.translations[at]) for at in fitting),
        key=lambda operation: not (operation[0] == np.eye(3)).all(),
    )


def _matched(
    one: Atoms, other: Atoms, kinds: Sequence[NDArray[np.int64]], turn: NDArray[np.int64], shift: Floats
) -> Image | None:
    """Match atoms one to one, held ones to held ones, and refine the shift."""
    apart, lengths = _apart(one.cell.scaled_positions(one.positions) @ turn.T + shift, other)
    same = (kinds[0][:, None] == kinds[1]) & (fixed_atoms(one)[:, None] == fixed_atoms(other))
    order = np.where(same, lengths, np.inf).argmin(axis=0)
    steps = apart[order, np.arange(len(other))]
    off = np.linalg.norm((steps - steps.mean(axis=0)) @ one.cell.array, axis=1)
    if len(set(order.tolist())) < len(one) or off.max() > _SAME_ATOM_A:
        return None
    rotation = tuple(tuple(row) for row in turn.tolist())
    refined = (shift + steps.mean(axis=0)).round(_DECIMALS) % 1
    return Image(rotation, as_position(refined), tuple(order.tolist()))


def _apart(spots: Floats, atoms: Atoms) -> tuple[Floats, Floats]:
    """Give the steps from scaled positions to atoms, shape ``(n_spots, n_atoms, 3)``, and their lengths in A."""
    steps = atoms.cell.scaled_positions(atoms.positions) - spots[:, None]
    steps -= steps.round()
    return steps, np.linalg.norm(steps @ atoms.cell.array, axis=2)
