"""Oxygen groups on a graphene sheet, and the bond turned by 90 degrees.

Each function takes a flat sheet and gives the new host and the atoms of its defect, group and carbon both.
"""

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii

from .sheets import central_atom, central_bond, neighbours

CARBONYL_BOND_A = 1.22
"""C=O in ketones and quinones (Allen et al., J. Chem. Soc. Perkin Trans. 2, S1, 1987)."""

OH_BOND_A = 0.96
"""O-H in methanol and water (ASE's g2 set)."""

COH_ANGLE_DEG = 108.0
"""C-O-H in methanol (ASE's g2 set)."""

_CARBONYL_TILT_DEG = 75.0


def stone_wales(sheet: Atoms) -> tuple[Atoms, list[int]]:
    """
    Turn the central bond by 90 degrees (Stone & Wales, Chem. Phys. Lett. 128, 501, 1986).

    Unrelaxed: the turned bond keeps its length, its four bonds outwards are 6 % longer than before.
    """
    bond, edge = central_bond(sheet)
    along = sheet.get_distance(bond[0], bond[1], mic=True, vector=True)
    across = np.cross([0, 0, 1], along)
    middle = sheet.positions[bond[0]] + along / 2
    host: Atoms = sheet.copy()
    host.positions[bond] = [middle - across / 2, middle + across / 2]
    return host, [*bond, *edge]


def epoxy(sheet: Atoms) -> tuple[Atoms, list[int]]:
    """Put O over the middle of the central bond, at the sum of covalent radii from both carbons."""
    bond, _ = central_bond(sheet)
    along = sheet.get_distance(bond[0], bond[1], mic=True, vector=True)
    rise = np.sqrt(_single_bond_A() ** 2 - (along @ along) / 4)
    oxygen = sheet.positions[bond[0]] + along / 2 + (0, 0, rise)
    return sheet + Atoms("O", positions=[oxygen]), [*bond, len(sheet)]


def hydroxyl(sheet: Atoms) -> tuple[Atoms, list[int]]:
    """Put OH on the central carbon, its H over a neighbouring hollow (away from the neighbour's bond)."""
    centre = central_atom(sheet)
    towards = sheet.get_distance(centre, neighbours(sheet, centre)[0], mic=True, vector=True)
    outwards = -towards / np.linalg.norm(towards)
    oxygen = sheet.positions[centre] + (0, 0, _single_bond_A())
    angle = np.radians(COH_ANGLE_DEG)
    hydrogen = oxygen + OH_BOND_A * (np.sin(angle) * outwards - np.cos(angle) * np.array([0, 0, 1]))
    host = sheet + Atoms("OH", positions=[oxygen, hydrogen])
    return host, [centre, len(sheet), len(sheet) + 1]


def carbonyl(sheet: Atoms) -> tuple[Atoms, list[int]]:
    """
    Remove the central atom and give one of its three neighbours a =O.

    The bond rises 75 degrees out of the sheet: up to 60 degrees, a relaxation with CHGNet pulls O into the
    middle of the hole, bonded to all three, and no carbonyl is left.
    """
    centre = central_atom(sheet)
    edge = neighbours(sheet, centre)
    inwards = sheet.get_distance(edge[0], centre, mic=True, vector=True)
    inwards /= np.linalg.norm(inwards)
    tilt = np.radians(_CARBONYL_TILT_DEG)
    oxygen = sheet.positions[edge[0]] + CARBONYL_BOND_A * (np.cos(tilt) * inwards + np.sin(tilt) * np.array([0, 0, 1]))
    host = sheet + Atoms("O", positions=[oxygen])
    del host[centre]
    return host, [*(i - (i > centre) for i in edge), len(host) - 1]


def _single_bond_A() -> float:
    """Give the length of a C-O bond: ASE's covalent radii, 1.42 A."""
    return float(covalent_radii[atomic_numbers["C"]] + covalent_radii[atomic_numbers["O"]])
