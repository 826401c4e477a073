"""Dumbbells: two atoms that share a lattice site."""

import numpy as np
from ase import Atoms

from ..crystals.supercells import atom_at, supercell_for
from ..symmetry.orbits import conventional_rows
from ..symmetry.species import kept
from .defects import DefectSite, described

_LENGTH = 0.8  # in nearest distances: EMT relaxes those of Cu, Ni and Al to 0.82 or 0.83


def dumbbell(crystal: Atoms, site: DefectSite, direction: tuple[int, int, int], *, min_image_A: float = 10.0) -> Atoms:
    """
    Split a lattice site between two atoms of its element: the self-interstitial of most metals.

    The two start 0.8 times the distance to the nearest atom apart, the site in their middle; the second is the
    last atom. Along a close-packed row (<111> in bcc, <110> in fcc) it is the start of a crowdion.

    Parameters
    ----------
    crystal
        The one the site was found in.
    site
        One of `vacancy_sites`.
    direction
        Where the two lie, in the conventional cell: ``(1, 0, 0)`` in fcc, ``(1, 1, 0)`` or ``(1, 1, 1)`` in bcc
        metals (Schilling, J. Nucl. Mater. 69 & 70, 465, 1978).
    min_image_A
        Least distance between the dumbbell and its image.

    Raises
    ------
    ValueError
        When the direction is zero, or the site is a void or of another crystal.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from philic.structures.defects.defects import vacancy_sites
    >>> metal = bulk("K")
    >>> dumbbell(metal, vacancy_sites(metal)[0], (1, 1, 0)).info["philic"]["formula"]
    'K17'
    """
    if site.element is None:
        raise ValueError(f"`site` is '{site.label}' but a dumbbell needs a lattice site: see `vacancy_sites`")
    if not any(direction):
        raise ValueError(f"`direction` is {tuple(direction)} but at least one index must differ from 0")
    atoms = supercell_for(crystal, min_image_A)
    index = atom_at(atoms, site.position_A, site.element)
    along = np.array(direction) @ conventional_rows(crystal) @ crystal.cell.array
    half = _LENGTH * site.distance_A / 2 * along / np.linalg.norm(along)
    atoms += Atoms(site.element, positions=[atoms.positions[index] + half], **kept(atoms, [index]))
    atoms.positions[index] -= half
    atoms.wrap()
    atoms = described(atoms, crystal, "dumbbell", site.element, [site])
    atoms.info["philic"]["direction"] = [int(i) for i in direction]
    return atoms
