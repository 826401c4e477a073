"""Slabs of alkali metals, cut from their bulk, relaxed or not."""

import math

import numpy as np
from ase import Atoms

from ..symmetry.species import kept
from .slabs import check_miller, shown_miller, slab


def slab_from_bulk(
    bulk: Atoms,
    *,
    miller: tuple[int, int, int] = (1, 1, 0),
    layers: int = 7,
    vacuum_A: float = 15.0,
    size: tuple[int, int] = (1, 1),
) -> Atoms:
    """
    Cut a slab with the smallest in-plane cell from a cubic bcc bulk cell, relaxed or not.

    The cut goes through the 1-atom primitive cell, so every atomic layer holds one atom per in-plane cell,
    whatever the Miller indices.

    Parameters
    ----------
    bulk
        The 2-atom cell of `bulk_metal`; its present lattice vectors are kept.
    miller
        Miller indices in the cubic cell; the common divisor is taken out.
    layers
        Number of atomic layers.
    vacuum_A
        Empty gap between the slab's upper face and the lower face of its periodic image.
    size
        Repeats of the in-plane cell.

    Returns
    -------
    Atoms
        Centred along z, which is the surface normal; a along x.

    Raises
    ------
    ValueError
        When the bulk is no 2-atom bcc cell, the indices are all zero, or a number is out of range.

    Examples
    --------
    >>> from philic.structures.crystals.metals import bulk_metal
    >>> len(slab_from_bulk(bulk_metal("Na"), miller=(1, 0, 0), layers=5))
    5
    """
    _check_slab(bulk, miller, layers, vacuum_A, size)
    to_primitive = np.ones((3, 3), dtype=int) - 2 * np.eye(3, dtype=int)  # twice the primitive vectors
    primitive = Atoms(bulk.symbols[:1], cell=to_primitive / 2 @ bulk.cell.array, pbc=True, **kept(bulk, [0]))
    h, k, l = (int(i) for i in to_primitive @ np.array(miller))  # noqa: E741
    cut = slab(primitive, (h, k, l), layers=layers, vacuum_A=vacuum_A, size=size)
    metal = str(bulk.symbols[0])
    cut.info["philic"] = {
        "family": "metal",
        "metal": metal,
        "host": f"{metal}({shown_miller(miller)})",
        "miller": [int(i) for i in miller],
        "layers": int(layers),
        "size": [int(n) for n in size],
        "area_A2": float(np.linalg.norm(np.cross(cut.cell[0], cut.cell[1]))),
    }
    return cut


def _check_slab(bulk: Atoms, miller: tuple[int, int, int], layers: int, vacuum_A: float, size: tuple[int, int]) -> None:
    if not _is_bcc(bulk):
        raise ValueError(f"`bulk` is {bulk.symbols} but must be a 2-atom bcc cell: build it with `bulk_metal`")
    check_miller(miller)
    if layers < 1:
        raise ValueError(f"`layers` is {layers} but must be at least 1")
    if vacuum_A <= 0:
        raise ValueError(f"`vacuum_A` is {vacuum_A} but must be above 0")
    if min(size) < 1:
        raise ValueError(f"`size` is {tuple(size)} but both numbers must be at least 1")


def _is_bcc(bulk: Atoms) -> bool:
    """Tell a 2-atom body-centred cell, cubic within the noise of a relaxation (2 %)."""
    if len(bulk) != 2 or bulk.numbers[0] != bulk.numbers[1]:
        return False
    lengths, angles = np.split(bulk.cell.cellpar(), 2)
    between = (bulk.get_scaled_positions()[1] - bulk.get_scaled_positions()[0]) % 1
    cubic = math.isclose(lengths.min(), lengths.max(), rel_tol=0.02) and np.allclose(angles, 90, atol=1)
    return bool(cubic and np.allclose(between, 0.5, atol=0.02))
