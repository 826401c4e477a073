"""The same slab or sheet on another lattice: cut from a relaxed crystal as it was from the listed one."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms

from ..crystals.charges import formal_charges
from .cuts import electrostatics
from .stacks import Floats, Integers, axes_along

_SAME_PLACE_A = 0.1  # cutting may make a crystal's symmetry ideal; no two atoms are so near
_DECIMALS = 8
_KEPT = (
    "host",
    "miller",
    "layers",
    "size",
    "fixed_layers",
    "termination",
    "stoichiometric",
    "half_moved",
    "symmetric",
    "polar",
    "tasker",
    "charge_e",
)
"""What ``info["philic"]`` says of a slab that does not change with its lattice constants."""


def cut_of(slab: Atoms, crystal: Atoms, miller: tuple[int, int, int]) -> dict[str, Any]:
    """
    Describe how a slab is cut from a crystal, in the crystal's own coordinates.

    What is described does not change with the lattice constants: `recut` makes the slab from the same crystal in
    another cell, atom by atom in the same order, so that indices of atoms keep their meaning.

    Parameters
    ----------
    slab
        From `philic.structures.surfaces.slabs.slab`.
    crystal, miller
        What it was cut from, as `slab` took them.

    Returns
    -------
    dict
        The arguments of `recut`, plain JSON.

    Raises
    ------
    ValueError
        When the slab is no cut of the crystal.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from philic.structures.surfaces.slabs import slab
    >>> listed, relaxed = (bulk("KF", "rocksalt", a=a, cubic=True) for a in (5.34, 5.47))
    >>> cut = cut_of(slab(listed, (1, 0, 0), layers=4), listed, (1, 0, 0))
    >>> recut(relaxed, **cut).cell.lengths().round(3).tolist()
    [3.868, 3.868, 23.205]
    """
    normal = np.linalg.solve(crystal.cell.array, np.array(miller, dtype=float))
    normal /= np.linalg.norm(normal)
    primitive = slab.cell.array[:2] / np.array(slab.info["philic"]["size"])[:, None]
    rare = np.bincount(crystal.numbers)
    seed = int(np.argmin(rare[slab.numbers]))  # of the rarest element: fewest ways to lay the slab into the crystal
    equal = crystal.positions[crystal.numbers == slab.numbers[seed]]
    for along in _in_plane(crystal, equal, normal, float(np.linalg.norm(primitive[0]))):
        turn = axes_along(along, normal)
        for place in equal:
            shift = place - slab.positions[seed] @ turn
            found = _matched(crystal, slab.numbers, slab.positions @ turn + shift, primitive @ turn)
            if found is not None:
                vectors = crystal.cell.scaled_positions(slab.cell.array[:2] @ turn)
                return _described(slab, vectors, crystal.cell.scaled_positions(shift), found)
    raise ValueError(f"`slab` is {slab.info['philic']['host']} but no cut of {crystal.symbols}: cut it from that crystal")


def _in_plane(crystal: Atoms, equal: Floats, normal: Floats, length_A: float) -> Floats:
    """List the directions in a plane of those vectors of a length that join equal atoms, shape ``(n, 3)``."""
    reach = np.ceil(length_A * np.linalg.norm(np.linalg.inv(crystal.cell.array), axis=0)).astype(int) + 1
    cells = np.array(list(product(*(range(-n, n + 1) for n in reach)))) @ crystal.cell.array
    vectors = (equal - equal[0] + cells[:, None]).reshape(-1, 3)
    rises = vectors @ normal
    fitting = (np.abs(rises) < _SAME_PLACE_A) & (np.abs(np.linalg.norm(vectors, axis=1) - length_A) < _SAME_PLACE_A)
    flat = vectors[fitting] - np.outer(rises[fitting], normal)
    return np.asarray(flat / np.linalg.norm(flat, axis=1, keepdims=True))


def _matched(crystal: Atoms, numbers: Integers, positions: Floats, steps: Floats) -> Integers | None:
    """Find which atom of a crystal is at each position, and in which cell; None where none is, or a step leads to none."""
    spots = np.concatenate([positions, *(positions + step for step in steps)])
    ways = crystal.cell.scaled_positions(spots)[:, None] - crystal.cell.scaled_positions(crystal.positions)
    cells = np.rint(ways).astype(int)
    lengths = np.linalg.norm((ways - cells) @ crystal.cell.array, axis=2)
    lengths[np.tile(numbers, 1 + len(steps))[:, None] != crystal.numbers] = np.inf
    if lengths.min(axis=1).max() > _SAME_PLACE_A:
        return None
    index = lengths.argmin(axis=1)[: len(positions)]
    return np.column_stack([index, cells[np.arange(len(positions)), index]])


def _described(slab: Atoms, vectors: Floats, origin: Floats, places: Integers) -> dict[str, Any]:
    about = slab.info["philic"]
    moved = {"half_moved": about["half_moved"]} if about.get("half_moved") else {}
    return {
        "vectors": _plain(vectors),
        "origin": _plain(origin),
        "places": places.tolist(),
        "fixed": _fixed(slab),
        "lengths_A": _plain(slab.cell.lengths()[:2]),
        "vacuum_A": about["vacuum_A"],
        "about": {name: about[name] for name in _KEPT if name in about} | moved,
    }


def _plain(numbers: Floats) -> Any:
    return (np.round(numbers, _DECIMALS) + 0.0).tolist()


def _fixed(atoms: Atoms) -> list[int]:
    held = [constraint.get_indices() for constraint in atoms.constraints if isinstance(constraint, FixAtoms)]
    return sorted({int(i) for indices in held for i in indices})


def recut(
    crystal: Atoms,
    *,
    vectors: Sequence[Sequence[float]],
    origin: Sequence[float],
    places: Sequence[Sequence[int]],
    fixed: Sequence[int],
    lengths_A: Sequence[float],
    vacuum_A: float,
    about: Mapping[str, Any],
) -> Atoms:
    """
    Cut a slab as it was cut from the same crystal in another cell.

    Parameters
    ----------
    crystal
        The crystal that `cut_of` was given, its cell and its atoms relaxed.
    vectors
        The slab's a and b, in fractions of the crystal's vectors, shape ``(2, 3)``.
    origin
        Where the slab's origin is, in the same; its height is of no account.
    places
        Of each atom of the slab: the atom of the crystal, and the cell of that, shape ``(n_atoms, 4)``.
    fixed
        Indices of atoms that are held.
    lengths_A
        Lengths of the slab's a and b when it was cut.
    vacuum_A
        Empty height over the slab.
    about
        What ``info["philic"]`` says of it, besides what it says of the crystal.

    Returns
    -------
    Atoms
        As from `slab`, untagged. ``info["philic"]["strain"]`` is by which part a and b have grown since it was cut first.
    """
    index, cells = np.split(np.array(places, dtype=int), [1], axis=1)
    slab: Atoms = crystal[index.ravel()]
    slab.set_constraint(FixAtoms(list(fixed)) if fixed else None)
    a, b = np.array(vectors) @ crystal.cell.array
    normal = np.cross(a, b) / np.linalg.norm(np.cross(a, b))
    frame = axes_along(a, normal).T
    slab.positions = (slab.positions + (cells - origin) @ crystal.cell.array) @ frame
    bottom_A, top_A = slab.positions[:, 2].min(), slab.positions[:, 2].max()
    slab.positions[:, 2] += vacuum_A / 2 - bottom_A
    slab.set_cell([a @ frame, b @ frame, (0, 0, top_A - bottom_A + vacuum_A)])
    slab.cell.array[np.abs(slab.cell.array) < 1e-12] = 0
    measured = {"area_A2": float(slab.cell.volume / slab.cell[2, 2]), "strain": _strain(slab, lengths_A)}
    measured |= _polarity(slab, formal_charges(crystal)[index.ravel()], about["size"])
    slab.info = {"philic": {**crystal.info.get("philic", {}), **about, "vacuum_A": vacuum_A, **measured}}
    return slab


def _polarity(slab: Atoms, charges: Floats, size: Sequence[int]) -> dict[str, float | bool]:
    """Say whether a slab is polar, and its dipole in the in-plane cell before `size`."""
    found = electrostatics(slab, charges)
    return {"polar": found["polar"], "dipole_e_A": round(found["dipole_e_A"] / (size[0] * size[1]), 6) + 0.0}


def stretch_of(sheet: Atoms, unit: Atoms) -> dict[str, Any]:
    """
    Describe a sheet and the lattice it is on, for `stretched`.

    Parameters
    ----------
    sheet
        A host without held atoms, in the xy plane, perhaps with a defect.
    unit
        The cell of the whole, pristine sheet, its first two vectors in the plane.

    Returns
    -------
    dict
        The arguments of `stretched`, plain JSON.
    """
    return {
        "symbols": [str(symbol) for symbol in sheet.symbols],
        "positions_A": _plain(sheet.positions),
        "cell_A": _plain(sheet.cell.array),
        "unit_A": _plain(unit.cell.array[:2, :2]),
        "about": sheet.info.get("philic", {}),
    }


def stretched(
    unit: Atoms,
    *,
    symbols: Sequence[str],
    positions_A: Sequence[Sequence[float]],
    cell_A: Sequence[Sequence[float]],
    unit_A: Sequence[Sequence[float]],
    about: Mapping[str, Any],
) -> Atoms:
    """
    Put a sheet on the lattice of its relaxed unit cell; heights stay as they are.

    Parameters
    ----------
    unit
        The cell that `stretch_of` was given, relaxed.
    symbols, positions_A, cell_A
        The sheet on the lattice that it was built on.
    unit_A
        The plane of that lattice: the unit's first two vectors, shape ``(2, 2)``.
    about
        What ``info["philic"]`` says of it, besides ``strain``.

    Returns
    -------
    Atoms
        ``info["philic"]["strain"]`` is by which part a and b have grown.

    Examples
    --------
    >>> from philic.structures.carbons.carbon import carbon_host, graphene
    >>> wider = stretched(graphene((1, 1), lattice_constant_A=2.47), **stretch_of(carbon_host("N"), graphene((1, 1))))
    >>> wider.cell.lengths().round(2).tolist(), round(wider.info["philic"]["strain"][0], 4)
    ([9.88, 9.88, 15.0], 0.0041)
    """
    growth = np.eye(3)
    growth[:2, :2] = np.linalg.solve(unit_A, unit.cell.array[:2, :2])
    sheet = Atoms(list(symbols), positions=np.array(positions_A) @ growth, cell=np.array(cell_A) @ growth, pbc=True)
    lengths_A = np.linalg.norm(np.array(cell_A)[:2], axis=1)
    sheet.info["philic"] = {**about, "strain": _strain(sheet, lengths_A)}
    if "lattice_constant_A" in about:
        sheet.info["philic"]["lattice_constant_A"] = about["lattice_constant_A"] * float(np.sqrt(np.linalg.det(growth)))
    return sheet


def _strain(atoms: Atoms, lengths_A: Sequence[float] | Floats) -> list[float]:
    """By which part a and b are longer than they were."""
    return [float(now / then - 1) for now, then in zip(atoms.cell.lengths()[:2], lengths_A, strict=True)]
