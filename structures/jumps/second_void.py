"""A void for another atom beside the jump of an interstitial."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii

from ..defects.defects import DefectSite
from ..defects.voids import REACH_A, void_images
from ..symmetry.orbits import Floats, Position, as_position
from ..symmetry.periodic import CLEARANCE_SHARE
from .hops import Hop

_DECIMALS = 3  # distances that differ by less are equal


def second_void(crystal: Atoms, hop: Hop, voids: Sequence[DefectSite]) -> Position:
    """
    Choose a void for another atom beside an interstitial's jump: the nearest to its start.

    It is no end of the jump, and so far from its straight line that two atoms of the metal do not overlap. Of voids
    equally near, the one nearest to the end is taken, and of those the one with the lowest coordinates.

    Parameters
    ----------
    crystal
        The one the hop was found in.
    hop
        By an interstitial.
    voids
        Those of `interstitial_sites` that it may be in; each stands for its whole orbit.

    Raises
    ------
    ValueError
        When there is none within 8 A.
    """
    start, end = np.array(hop.path_A)
    line = np.linspace(start, end, 21)
    least_A = 2 * CLEARANCE_SHARE * covalent_radii[atomic_numbers[hop.metal]]
    near = [spot for void in voids for spot in void_images(crystal, void, start)]
    free = [spot for spot in near if np.linalg.norm(line - spot, axis=1).min() >= least_A]
    if not free:
        raise ValueError(f"there is no void for a second {hop.metal} within {REACH_A:g} A of '{hop.label}'")

    def preference(spot: Floats) -> list[float]:
        return [*np.linalg.norm(np.array([start, end]) - spot, axis=1).round(_DECIMALS), *(spot.round(_DECIMALS) + 0.0)]

    return as_position(min(free, key=preference))
