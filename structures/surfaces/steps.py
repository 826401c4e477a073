"""Terraces, straight steps and kinks: vicinal slabs of fcc, bcc and hcp metals."""

from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.build import bulk as ase_bulk

from ..symmetry.species import own_arrays
from ..symmetry.symmetry import symmetry_of
from .slabs import check_apart, slab
from .stacks import Integers, primitive_cell

_SYMMETRY_TOLERANCE_A = 0.01
_LATTICES = {(229, 1): "bcc", (225, 1): "fcc", (194, 2): "hcp"}  # of an element: space group, atoms in the primitive cell


class _Vicinal(NamedTuple):
    """Reciprocal lattice vectors along the normals of terrace, step face and kink face; steps in the cell."""

    terrace: tuple[int, int, int]
    step: tuple[int, int, int]
    kink: tuple[int, int, int] | None
    steps: int = 1


_VICINALS = {
    ("fcc", "111", "100"): _Vicinal((1, 1, 1), (2, 0, 0), (1, 1, -1)),
    ("fcc", "111", "111"): _Vicinal((1, 1, 1), (1, 1, -1), (1, -1, 1)),
    ("fcc", "100", "111"): _Vicinal((2, 0, 0), (1, 1, 1), (1, 1, -1)),
    ("bcc", "110", "110"): _Vicinal((1, 1, 0), (1, 0, 1), (0, 1, 1)),
    ("bcc", "100", "110"): _Vicinal((2, 0, 0), (1, 1, 0), (1, 0, 1)),
    ("hcp", "0001", "10-10"): _Vicinal((0, 0, 2), (1, 0, 2), None, steps=2),
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
    A terrace of hcp(0001) with n rows is (1 0 2n): its layers alternate, so the cell holds two steps, one with
    an A and one with a B edge.

    Parameters
    ----------
    crystal
        Bulk cell of an fcc, bcc or hcp metal; its lattice constants are kept.
    terrace, step
        Planes of terrace and step face: fcc ``"111"``/``"100"`` (A step), ``"111"``/``"111"`` (B step),
        ``"100"``/``"111"``; bcc ``"110"``/``"110"`` (edge along [1 -1 -1]), ``"100"``/``"110"`` (edge along
        [001]); hcp ``"0001"``/``"10-10"`` (edge along [-1 2 -1 0]).
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
        As `slab` builds them, z along the normal of the vicinal plane. ``info["philic"]`` holds
        ``terrace``, ``step``, ``rows``, ``terrace_layers`` and ``step_height_A``, the distance of terrace
        planes.

    Raises
    ------
    ValueError
        When the crystal is no fcc, bcc or hcp element, the planes are not listed, or a number is out of range.

    Examples
    --------
    >>> slab = stepped_slab(ase_bulk("Cu", cubic=True), "111", "100", rows=3)
    >>> slab.info["philic"]["host"], len(slab)
    ('Cu(211)', 12)
    """
    _check_counts(rows, layers, fixed_layers)
    vicinal, cell = _planes(crystal, terrace, step)
    miller = _stepped(vicinal, rows)
    built = _cut(cell, miller, vicinal.steps * rows, layers, vacuum_A, fixed_layers, size)
    built.info["philic"] |= _about(cell, vicinal, terrace, step, rows, layers)
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
        One kink in the cell; ``info["philic"]`` holds ``kink_every`` too.

    Raises
    ------
    ValueError
        As `stepped_slab`, and when ``kink_every`` is below 2 or the metal is hcp.

    Examples
    --------
    >>> slab = kinked_slab(ase_bulk("Cu", cubic=True), "111", "100", rows=3, kink_every=3, layers=3)
    >>> slab.info["philic"]["host"], len(slab)
    ('Cu(13 7 5)', 27)
    """
    _check_counts(rows, layers, fixed_layers)
    if kink_every < 2:
        raise ValueError(f"`kink_every` is {kink_every} but must be at least 2")
    vicinal, cell = _planes(crystal, terrace, step)
    if vicinal.kink is None:
        raise ValueError(f"`terrace`/`step` is {terrace}/{step} but kinks are only built on fcc and bcc metals")
    miller = kink_every * _stepped(vicinal, rows) + np.array(vicinal.kink)
    built = _cut(cell, miller, kink_every * rows, layers, vacuum_A, fixed_layers, (1, 1))
    built.info["philic"] |= _about(cell, vicinal, terrace, step, rows, layers)
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
    """Give the planes of a stepped surface and the metal's conventional cell."""
    lattice, cell = _conventional(crystal)
    known = [f"{t}/{s}" for kind, t, s in _VICINALS if kind == lattice]
    if f"{terrace}/{step}" not in known:
        raise ValueError(f"`terrace`/`step` is {terrace}/{step} but for {lattice} must be one of: {', '.join(known)}")
    return _VICINALS[lattice, terrace, step], cell


def _conventional(crystal: Atoms) -> tuple[str, Atoms]:
    check_apart(crystal)
    found = symmetry_of(crystal, _SYMMETRY_TOLERANCE_A)
    primitive = primitive_cell(crystal)
    lattice = _LATTICES.get((found.number, len(primitive)))
    if lattice is None:
        raise ValueError(
            f"`crystal` is {crystal.symbols} in space group {found.number} but must be an fcc, bcc or hcp metal"
        )
    a, _, c = np.linalg.norm(found.std_lattice, axis=1)
    shape = {"a": a, "c": c} if lattice == "hcp" else {"a": a, "cubic": True}
    cell = ase_bulk(str(primitive.symbols[0]), lattice, **shape)
    for name, values in own_arrays(primitive).items():  # of an element: the same on every atom
        cell.set_array(name, np.full(len(cell), values[0]))
    cell.info["philic"] = dict(crystal.info.get("philic", {}))
    return lattice, cell


def _stepped(vicinal: _Vicinal, rows: int) -> Integers:
    return np.asarray(np.array(vicinal.terrace) * (rows - 1) + vicinal.step)


def _cut(
    cell: Atoms,
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
        cell,
        (h, k, l),
        layers=layers * planes,
        vacuum_A=vacuum_A,
        fixed_layers=fixed_layers * planes,
        size=size,
    )


def _about(cell: Atoms, vicinal: _Vicinal, terrace: str, step: str, rows: int, layers: int) -> dict[str, str | int | float]:
    """Say what was built."""
    return {
        "terrace": terrace,
        "step": step,
        "rows": int(rows),
        "terrace_layers": int(layers),
        "step_height_A": float(1 / np.linalg.norm(vicinal.terrace @ cell.cell.reciprocal())),
    }
