"""Terraces, straight steps and kinks: vicinal slabs of fcc and bcc metals."""

from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.build import bulk as ase_bulk

from .slabs import check_apart, slab
from .stacks import Integers, primitive_cell
from .symmetry import symmetry_of

_SYMMETRY_TOLERANCE_A = 0.01
_LATTICES = {229: ("bcc", 2), 225: ("fcc", 4)}  # space group, and atoms in the cube


class _Vicinal(NamedTuple):
    """Shortest reciprocal lattice vectors along the normals of terrace, step face and kink face."""

    terrace: tuple[int, int, int]
    step: tuple[int, int, int]
    kink: tuple[int, int, int]


_VICINALS = {
    ("fcc", "111", "100"): _Vicinal((1, 1, 1), (2, 0, 0), (1, 1, -1)),
    ("fcc", "111", "111"): _Vicinal((1, 1, 1), (1, 1, -1), (1, -1, 1)),
    ("fcc", "100", "111"): _Vicinal((2, 0, 0), (1, 1, 1), (1, 1, -1)),
    ("bcc", "110", "110"): _Vicinal((1, 1, 0), (1, 0, 1), (0, 1, 1)),
    ("bcc", "100", "110"): _Vicinal((2, 0, 0), (1, 1, 0), (1, 0, 1)),
}


def stepped_slab(
    crystal: Atoms,
    terrace: str,
    step: str,
    *,
    rows: int = 4,
    layers: int = 4,
    vacuum_A: float = 15.0,
    fixed_layers: int = 0,
    size: tuple[int, int] = (1, 1),
) -> Atoms:
    """
    Build a vicinal slab: terraces with straight close-packed edges, one layer high.

    In the notation of Lang, Joyner and Somorjai (Surf. Sci. 30, 440, 1972) this is n(terrace) x (step): its
    Miller indices are those of (n - 1) terrace planes and one step plane, taken as reciprocal lattice
    vectors. 3(111)x(100) is fcc(211), 3(111)x(111) is (331), 3(100)x(111) is (511), 2(100)x(110) is bcc(310).

    Parameters
    ----------
    crystal
        Bulk cell of an fcc or bcc metal; its lattice constant is kept.
    terrace, step
        Planes of terrace and step face: fcc ``"111"``/``"100"`` (A step), ``"111"``/``"111"`` (B step),
        ``"100"``/``"111"``; bcc ``"110"``/``"110"`` (edge along [1 -1 -1]), ``"100"``/``"110"`` (edge along
        [001]).
    rows
        Rows of atoms on a terrace, the edge among them.
    layers
        Thickness in terrace layers.
    vacuum_A, size
        As `slab` takes them.
    fixed_layers
        How many of the lowest terrace layers are held.

    Returns
    -------
    Atoms
        As `slab` builds them, z along the normal of the vicinal plane. ``info["philic"]`` tells
        ``terrace``, ``step``, ``rows``, ``terrace_layers`` and ``step_height_A``, the distance of terrace
        planes.

    Raises
    ------
    ValueError
        When the crystal is no fcc or bcc element, the planes are not listed, or a number is out of range.

    Examples
    --------
    >>> slab = stepped_slab(ase_bulk("Cu", cubic=True), "111", "100", rows=3)
    >>> slab.info["philic"]["host"], len(slab)
    ('Cu(211)', 12)
    """
    _check_counts(rows, layers, fixed_layers)
    vicinal, cube = _planes(crystal, terrace, step)
    miller = _stepped(vicinal, rows)
    built = _cut(cube, miller, rows, layers, vacuum_A, fixed_layers, size)
    built.info["philic"] |= _about(cube, vicinal, terrace, step, rows, layers)
    return built


def kinked_slab(
    crystal: Atoms,
    terrace: str,
    step: str,
    *,
    rows: int = 4,
    kink_every: int = 3,
    layers: int = 4,
    vacuum_A: float = 15.0,
    fixed_layers: int = 0,
) -> Atoms:
    """
    Build a vicinal slab whose step edge moves back by one row of atoms at regular kinks.

    A surface of ``kink_every`` stepped planes (as in `stepped_slab`) and one kink plane, taken as reciprocal
    lattice vectors.

    Parameters
    ----------
    crystal, terrace, step, rows, layers, vacuum_A, fixed_layers
        As `stepped_slab` takes them.
    kink_every
        Atoms along the edge from one kink to the next.

    Returns
    -------
    Atoms
        One kink in the cell; ``info["philic"]`` tells ``kink_every`` too.

    Raises
    ------
    ValueError
        As `stepped_slab`, and when ``kink_every`` is below 2.

    Examples
    --------
    >>> slab = kinked_slab(ase_bulk("Cu", cubic=True), "111", "100", rows=3, kink_every=3, layers=3)
    >>> slab.info["philic"]["host"], len(slab)
    ('Cu(13 7 5)', 27)
    """
    _check_counts(rows, layers, fixed_layers)
    if kink_every < 2:
        raise ValueError(f"`kink_every` is {kink_every} but must be at least 2")
    vicinal, cube = _planes(crystal, terrace, step)
    miller = kink_every * _stepped(vicinal, rows) + np.array(vicinal.kink)
    built = _cut(cube, miller, kink_every * rows, layers, vacuum_A, fixed_layers, (1, 1))
    built.info["philic"] |= _about(cube, vicinal, terrace, step, rows, layers)
    built.info["philic"]["kink_every"] = int(kink_every)
    return built


def _check_counts(rows: int, layers: int, fixed_layers: int) -> None:
    if rows < 2:
        raise ValueError(f"`rows` is {rows} but must be at least 2")
    if layers < 1:
        raise ValueError(f"`layers` is {layers} but must be at least 1")
    if fixed_layers < 0:
        raise ValueError(f"`fixed_layers` is {fixed_layers} but must be at least 0")
    if fixed_layers > layers:
        raise ValueError(f"`fixed_layers` is {fixed_layers} but the slab has only {layers} layers")


def _planes(crystal: Atoms, terrace: str, step: str) -> tuple[_Vicinal, Atoms]:
    """Give the planes of a stepped surface and the metal's cube along x, y and z."""
    lattice, cube = _cube(crystal)
    known = [f"{t}/{s}" for kind, t, s in _VICINALS if kind == lattice]
    if f"{terrace}/{step}" not in known:
        raise ValueError(f"`terrace`/`step` is {terrace}/{step} but for {lattice} must be one of: {', '.join(known)}")
    return _VICINALS[lattice, terrace, step], cube


def _cube(crystal: Atoms) -> tuple[str, Atoms]:
    check_apart(crystal)
    number = symmetry_of(crystal, _SYMMETRY_TOLERANCE_A).number
    primitive = primitive_cell(crystal)
    if number not in _LATTICES or len(primitive) != 1:
        raise ValueError(
            f"`crystal` is {crystal.symbols} in space group {number} but must be an fcc or bcc metal with "
            "one atom in its primitive cell"
        )
    lattice, atoms_in_cube = _LATTICES[number]
    edge_A = (primitive.get_volume() * atoms_in_cube) ** (1 / 3)
    cube = ase_bulk(str(primitive.symbols[0]), lattice, a=edge_A, cubic=True)
    cube.info["philic"] = dict(crystal.info.get("philic", {}))
    return lattice, cube


def _stepped(vicinal: _Vicinal, rows: int) -> Integers:
    return np.asarray(np.array(vicinal.terrace) * (rows - 1) + vicinal.step)


def _cut(
    cube: Atoms,
    miller: Integers,
    planes: int,
    layers: int,
    vacuum_A: float,
    fixed_layers: int,
    size: tuple[int, int],
) -> Atoms:
    """Cut a vicinal plane, of which so many make one terrace layer."""
    h, k, l = (int(i) for i in miller // np.gcd.reduce(miller))  # noqa: E741
    return slab(
        cube,
        (h, k, l),
        layers=layers * planes,
        vacuum_A=vacuum_A,
        fixed_layers=fixed_layers * planes,
        size=size,
    )


def _about(cube: Atoms, vicinal: _Vicinal, terrace: str, step: str, rows: int, layers: int) -> dict[str, str | int | float]:
    """Tell what was built."""
    edge_A = cube.cell.lengths()[0]
    return {
        "terrace": terrace,
        "step": step,
        "rows": int(rows),
        "terrace_layers": int(layers),
        "step_height_A": float(edge_A / np.linalg.norm(vicinal.terrace)),
    }
