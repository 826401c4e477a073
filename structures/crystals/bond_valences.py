"""Bond valences: how strong a bond is, from its length and the two elements."""

from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from ase.formula import Formula
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

BOND_VALENCE = 0.3
"""Least valence of a bond that holds a molecular unit together; hydrogen bonds have 0.1 to 0.2, Y-Cl 0.5, P-O 1.5."""

NONMETALS = [atomic_numbers[symbol] for symbol in Formula("HBCNOFSiPSClGeAsSeBrSbTeI")]
"""Atomic numbers of nonmetals and metalloids."""

_SOFTNESS_A = 0.37
_LEAST = 0.02  # contacts weaker than this are left out
_SIZE_AND_SOFTNESS = {
    "H": (0.38, 0.89),
    "Li": (1, 0.97),
    "Be": (0.81, 1.47),
    "B": (0.79, 1.6),
    "C": (0.78, 2),
    "N": (0.72, 2.61),
    "O": (0.63, 3.15),
    "F": (0.58, 3.98),
    "Na": (1.36, 1.01),
    "Mg": (1.21, 1.23),
    "Al": (1.13, 1.47),
    "Si": (1.12, 1.58),
    "P": (1.09, 1.96),
    "S": (1.03, 2.35),
    "Cl": (0.99, 2.74),
    "K": (1.73, 0.91),
    "Ca": (1.5, 1.04),
    "Sc": (1.34, 1.2),
    "Ti": (1.27, 1.32),
    "V": (1.21, 1.45),
    "Cr": (1.16, 1.56),
    "Mn": (1.17, 1.6),
    "Fe": (1.16, 1.64),
    "Co": (1.09, 1.7),
    "Ni": (1.04, 1.75),
    "Cu": (0.87, 1.75),
    "Zn": (1.07, 1.66),
    "Ga": (1.14, 1.82),
    "Ge": (1.21, 1.51),
    "As": (1.21, 2.23),
    "Se": (1.18, 2.51),
    "Br": (1.13, 2.58),
    "Rb": (1.84, 0.89),
    "Sr": (1.66, 0.99),
    "Y": (1.52, 1.11),
    "Zr": (1.43, 1.22),
    "Nb": (1.4, 1.23),
    "Mo": (1.37, 1.3),
    "Ru": (1.21, 1.42),
    "Rh": (1.18, 1.54),
    "Pd": (1.11, 1.35),
    "Ag": (1.12, 1.42),
    "Cd": (1.28, 1.46),
    "In": (1.34, 1.49),
    "Sn": (1.37, 1.72),
    "Sb": (1.41, 1.72),
    "Te": (1.4, 2.72),
    "I": (1.33, 2.38),
    "Cs": (2.05, 0.86),
    "Ba": (1.88, 0.97),
    "La": (1.71, 1.08),
    "Ce": (1.68, 1.08),
    "Pr": (1.66, 1.07),
    "Nd": (1.64, 1.07),
    "Sm": (1.61, 1.07),
    "Eu": (1.62, 1.01),
    "Gd": (1.58, 1.11),
    "Tb": (1.56, 1.1),
    "Dy": (1.54, 1.1),
    "Ho": (1.53, 1.1),
    "Er": (1.51, 1.11),
    "Tm": (1.5, 1.11),
    "Yb": (1.49, 1.06),
    "Lu": (1.47, 1.14),
    "Hf": (1.42, 1.23),
    "Ta": (1.39, 1.33),
    "W": (1.38, 1.4),
    "Re": (1.37, 1.46),
    "Ir": (1.37, 1.55),
    "Hg": (1.32, 1.44),
    "Tl": (1.62, 1.44),
    "Pb": (1.53, 1.55),
    "Bi": (1.54, 1.67),
    "Th": (1.7, 1.11),
    "U": (1.59, 1.22),
}
"""Size in A and Allred and Rochow's electronegativity: O'Keeffe & Brese, J. Am. Chem. Soc. 113, 3226 (1991), table II."""


class Bonds(NamedTuple):
    """Pairs of atoms, each in both directions: indices, lattice steps ``(n, 3)`` to the second atom, and valences."""

    first: Integers
    second: Integers
    steps: Integers
    valences: Floats


def bond_valences(first: Integers, second: Integers, lengths_A: Floats) -> Floats:
    """
    Give the valences of bonds between atomic numbers.

    ``exp((R - d) / 0.37 A)`` with R from two parameters of each element (O'Keeffe & Brese, J. Am. Chem. Soc. 113,
    3226, 1991); the valences of an atom's bonds add up to its charge, or to its number of single bonds. Elements
    without published parameters take their covalent radius.

    Examples
    --------
    >>> [round(float(s), 2) for s in bond_valences(np.array([15, 19]), np.array([8, 8]), np.array([1.54, 2.75]))]
    [1.53, 0.2]
    """
    size, softness = _parameters()
    r, s, c, d = size[first], size[second], softness[first], softness[second]
    length = r + s - r * s * (np.sqrt(c) - np.sqrt(d)) ** 2 / (c * r + d * s)
    return np.asarray(np.exp((length - lengths_A) / _SOFTNESS_A))


def find_bonds(atoms: Atoms, charges: Floats) -> Bonds:
    """
    Find the contacts of a crystal that carry a valence of at least 0.02.

    Ions of like charge are bonded only from `BOND_VALENCE` on, and cations only if they are nonmetals: O2, Sn4 and
    the carbons of an oxalate are held by bonds, the contacts of neighbouring ions are none.

    Parameters
    ----------
    atoms
        Periodic in three directions.
    charges
        Formal charges, shape ``(n_atoms,)``.
    """
    size, _ = _parameters()
    reach = float(2 * size[np.unique(atoms.numbers)].max() - _SOFTNESS_A * np.log(_LEAST))
    i, j, lengths, steps = neighbor_list("ijdS", atoms, reach)
    valences = bond_valences(atoms.numbers[i], atoms.numbers[j], lengths)
    metals = ~np.isin(atoms.numbers, NONMETALS)
    cations = (charges[i] > 0) & (charges[j] > 0) & (metals[i] | metals[j])
    kept = (valences >= np.where(charges[i] * charges[j] > 0, BOND_VALENCE, _LEAST)) & ~cations
    return Bonds(i[kept], j[kept], steps[kept], valences[kept])


def _parameters() -> tuple[Floats, Floats]:
    """Give size and electronegativity by atomic number."""
    size, softness = covalent_radii.copy(), np.full(len(covalent_radii), 1.4)
    for symbol, (r, c) in _SIZE_AND_SOFTNESS.items():
        size[atomic_numbers[symbol]], softness[atomic_numbers[symbol]] = r, c
    return size, softness
