"""In which directions a structure is periodic, and in which it is empty."""

import numpy as np
from ase import Atoms

VACUUM_A = 6.0
"""A height this empty belongs to a sheet, a slab, a tube or a molecule, not to a crystal."""
OVERLAP_SHARE = 0.5
"""Two atoms nearer than this share of the sum of their covalent radii overlap: no bond is so short, H2 has 1.19."""
CLEARANCE_SHARE = 0.6
"""The least for atoms at rest in a user's file, or of one metal in two voids: no bond of a solid is so short either."""


def check_periodic(crystal: Atoms) -> None:
    """
    Refuse what is no crystal.

    Raises
    ------
    ValueError
        When it is not periodic in three directions.
    """
    if not crystal.pbc.all():
        raise ValueError(
            f"`crystal` is {crystal.symbols} with pbc {crystal.pbc.tolist()} but must be periodic in all three directions"
        )


def gaps_A(atoms: Atoms) -> list[float]:
    """Give the largest height along each cell vector that holds no atom."""
    heights = atoms.cell.volume / np.linalg.norm(
        [np.cross(atoms.cell[(i + 1) % 3], atoms.cell[(i + 2) % 3]) for i in range(3)], axis=1
    )
    scaled = np.sort(atoms.get_scaled_positions() % 1, axis=0)
    steps = np.diff(np.vstack([scaled, scaled[:1] + 1]), axis=0)
    return [float(gap) for gap in steps.max(axis=0) * heights]
