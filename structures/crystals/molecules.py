"""Molecules and clusters of an alkali battery, alone: solvents, oxides, chalcogenides, metal clusters.

Geometries are starts for a relaxation. Each entry of `MOLECULES` says where its own comes from.
"""

from collections.abc import Callable
from itertools import product
from typing import Literal, NamedTuple

import numpy as np
from ase import Atoms
from ase.build import molecule as g2_molecule
from ase.data import atomic_numbers, covalent_radii
from numpy.typing import NDArray

from .metals import bulk_metal, check_metal

Floats = NDArray[np.float64]

LARGEST_CLUSTER = 13

_S_S_A, _SSS_DEG, _SSSS_DEG = 2.06, 108.0, (98.5, 85.0, 70.0, 55.0)
_SULFURS_APART_A = 3.0
_SUPEROXIDE_A, _PEROXIDE_A = 1.33, 1.49
_MSM_DEG = 110.0
_G2 = "ASE's g2 set: MP2(full)/6-31G(d), Curtiss et al., J. Chem. Phys. 106, 1063 (1997)"
_XTB = "GFN2-xTB (tblite 0.8), free molecule, forces below 0.005 eV/A"

_EC = (
    "C3O3H4",
    [
        *((0.763, 0.000, 0.000), (-1.372, 0.771, 0.000), (-1.372, -0.771, 0.000)),
        *((1.947, 0.000, 0.000), (0.001, 1.108, 0.000), (0.001, -1.108, 0.000)),
        *((-1.839, 1.196, 0.893), (-1.839, 1.196, -0.893), (-1.839, -1.196, 0.893), (-1.839, -1.196, -0.893)),
    ],
)
_PC = (
    "C4O3H6",
    [
        *((-1.034, 0.293, -0.067), (1.116, -0.115, 0.565), (0.500, -1.376, -0.083), (2.286, 0.459, -0.222)),
        *((-2.051, 0.874, -0.249), (0.028, 0.801, 0.574), (-0.796, -0.968, -0.472)),
        *((1.408, -0.291, 1.606), (1.051, -1.697, -0.971), (0.412, -2.214, 0.615)),
        *((2.600, 1.398, 0.224), (3.118, -0.240, -0.205), (1.992, 0.646, -1.252)),
    ],
)
_DME = (
    "C4O2H10",
    [
        *((-2.978, 0.111, 0.0), (-0.680, -0.343, 0.0), (0.680, 0.343, 0.0), (2.978, -0.111, 0.0)),
        *((-1.680, 0.647, 0.0), (1.680, -0.647, 0.0)),
        *((-0.766, -0.985, 0.89), (-0.766, -0.985, -0.89), (0.766, 0.985, 0.89), (0.766, 0.985, -0.89)),
        *((-3.663, 0.956, 0.0), (-3.155, -0.504, 0.891), (-3.155, -0.504, -0.891)),
        *((3.663, -0.956, 0.0), (3.155, 0.504, 0.891), (3.155, 0.504, -0.891)),
    ],
)


class Recipe(NamedTuple):
    """How a molecule is made: formula (M is the metal), where its geometry comes from, builder, kind of geometry."""

    formula: str
    source: str
    build: Callable[[str], Atoms]
    geometry: Literal["computed", "built"] = "built"


def molecule(name: str, metal: str = "K") -> Atoms:
    """
    Build a molecule or cluster by name; `MOLECULES` lists the names.

    Parameters
    ----------
    name
        Such as ``"EC"``, ``"O2"``, ``"M2S4"`` or ``"M7"``; M stands for the metal.
    metal
        An alkali metal.

    Returns
    -------
    Atoms
        Without a cell, centred on the origin; flat molecules lie in the xy plane.

    Raises
    ------
    ValueError
        When the name or the metal is unknown.

    Examples
    --------
    >>> molecule("M2S4", "Na").symbols.formula.format("metal")
    'Na2S4'
    """
    check_metal(metal)
    if name not in MOLECULES:
        raise ValueError(f"`name` is {name!r} but must be one of: {', '.join(MOLECULES)}")
    recipe = MOLECULES[name]
    atoms = recipe.build(metal)
    atoms.positions = _laid_flat(atoms.positions)
    atoms.info["philic"] = {
        "family": "molecule",
        "host": name.replace("M", metal, 1) if "M" in recipe.formula else name,
        "source": recipe.source,
    }
    if "M" in recipe.formula:
        atoms.info["philic"]["metal"] = metal
    return atoms


def metal_cluster(metal: str, n: int) -> Atoms:
    """
    Build a cluster of 1 to 13 metal atoms: pair, triangle, tetrahedron, … icosahedron.

    Atoms are added one by one to an icosahedron, always where they touch the most others (polytetrahedral
    growth: Hoare & Pal, Adv. Phys. 20, 161, 1971): bipyramid at 5, pentagonal bipyramid at 7, icosahedron at
    13. The shortest distance is that of the bulk metal.

    Raises
    ------
    ValueError
        When the metal is unknown or n is not from 1 to 13.

    Examples
    --------
    >>> len(metal_cluster("K", 13))
    13
    """
    check_metal(metal)
    if not 1 <= n <= LARGEST_CLUSTER:
        raise ValueError(f"`n` is {n} but must be from 1 to {LARGEST_CLUSTER}")
    nearest_A = bulk_metal(metal).cell[0, 0] * np.sqrt(3) / 2
    points = _icosahedron() * nearest_A
    chosen = [0]
    for _ in range(n - 1):
        apart = np.linalg.norm(points[:, None] - points[chosen], axis=2)
        contacts = (apart < 1.1 * nearest_A).sum(axis=1) - apart.sum(axis=1) / 1e3
        contacts[chosen] = -np.inf
        chosen.append(int(contacts.round(6).argmax()))
    positions = points[chosen]
    return Atoms(f"{metal}{n}", positions=positions - positions.mean(axis=0))


def _icosahedron() -> Floats:
    """Give centre and corners, shape ``(13, 3)``, the corners at distance 1 from the centre."""
    golden = (1 + np.sqrt(5)) / 2
    corners = [np.roll((0, i, j * golden), turn) for turn in range(3) for i, j in product((1, -1), repeat=2)]
    return np.vstack([np.zeros(3), np.array(corners) / np.hypot(1, golden)])


def _laid_flat(positions: Floats) -> Floats:
    """Centre a molecule and turn its longest direction along x, its flattest along z."""
    centred = positions - positions.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=True)[2]
    axes[2] *= np.sign(np.linalg.det(axes))
    return np.asarray(centred @ axes.T)


def _bond_A(one: str, other: str) -> float:
    """Give the sum of two covalent radii."""
    return float(covalent_radii[atomic_numbers[one]] + covalent_radii[atomic_numbers[other]])


def _tabulated(formula: str, positions: list[tuple[float, float, float]]) -> Callable[[str], Atoms]:
    return lambda _: Atoms(formula, positions=positions)


def _from_g2(name: str) -> Callable[[str], Atoms]:
    return lambda _: g2_molecule(name)


def _bent(anion: str) -> Callable[[str], Atoms]:
    """Put two metals on one anion."""

    def build(metal: str) -> Atoms:
        half, bond = np.radians(_MSM_DEG / 2), _bond_A(metal, anion)
        ends = [(side * bond * np.sin(half), bond * np.cos(half), 0) for side in (-1, 1)]
        return Atoms(f"{metal}2{anion}", positions=[*ends, (0, 0, 0)])

    return build


def _side_on(length: float, metals: int) -> Callable[[str], Atoms]:
    """Put metals on either side of the middle of an O-O bond, as far from both oxygens as radii say."""

    def build(metal: str) -> Atoms:
        reach = np.sqrt(_bond_A(metal, "O") ** 2 - length**2 / 4)
        oxygens = [(0, -length / 2, 0), (0, length / 2, 0)]
        return Atoms(f"{metal}{metals}O2", positions=[*((side * reach, 0, 0) for side in (1, -1)[:metals]), *oxygens])

    return build


def _polysulfide(n: int) -> Callable[[str], Atoms]:
    """Bridge the ends of a sulfur chain with two metals: of all chains the one that leaves most room."""

    def build(metal: str) -> Atoms:
        bond = _bond_A(metal, "S")
        found = (_bridged(chain, bond) for chain in _chains(n) if _bridgeable(chain, bond))
        return Atoms(f"S{n}{metal}2", positions=max(found, key=lambda pair: round(pair[0], 6))[1])

    return build


def _chains(n: int) -> list[Floats]:
    """List chains of n sulfurs: every choice of the torsions' signs, for each size of the torsion."""
    bend = np.radians(_SSS_DEG)
    first = _S_S_A * np.array([(1.0, 0, 0), (0, 0, 0), (np.cos(bend), np.sin(bend), 0)])[:n]
    if n < 4:
        return [first]
    chains = []
    for torsion, *signs in product(_SSSS_DEG, *[(1, -1)] * (n - 4)):
        points = list(first)
        for sign in (1, *signs):
            points.append(_next_sulfur(points[-3:], np.radians(sign * torsion)))
        chains.append(np.array(points))
    return chains


def _next_sulfur(three: list[Floats], torsion: float) -> Floats:
    """Continue a chain by one bond at the usual angle."""
    a, b, c = three
    along = (c - b) / _S_S_A
    normal = np.cross(b - a, along)
    normal /= np.linalg.norm(normal)
    aside = np.cos(torsion) * np.cross(normal, along) + np.sin(torsion) * normal
    bend = np.radians(_SSS_DEG)
    return np.asarray(c + _S_S_A * (-np.cos(bend) * along + np.sin(bend) * aside))


def _bridgeable(chain: Floats, bond: float) -> bool:
    """Return whether a metal can touch both ends, and sulfurs three or more bonds apart are 3 A apart."""
    apart = np.linalg.norm(chain[:, None] - chain, axis=2)
    roomy = apart[np.triu_indices(len(chain), 3)] > _SULFURS_APART_A
    return bool(apart[0, -1] < 1.85 * bond and roomy.all())


def _bridged(chain: Floats, bond: float) -> tuple[float, Floats]:
    """Put two metals a bond away from both ends, as far from all else as can be: closest gap, positions."""
    length = np.linalg.norm(chain[-1] - chain[0])
    axis = (chain[-1] - chain[0]) / length
    side = np.cross(axis, (0.3, 0.5, 0.8))
    side /= np.linalg.norm(side)
    turns = np.radians(np.arange(0, 360, 10))
    ring = np.outer(np.cos(turns), side) + np.outer(np.sin(turns), np.cross(axis, side))
    spots = (chain[0] + chain[-1]) / 2 + np.sqrt(bond**2 - length**2 / 4) * ring
    others = chain[1:-1]
    free = np.linalg.norm(spots[:, None] - others, axis=2).min(axis=1) if len(others) else np.full(len(spots), np.inf)
    between = np.linalg.norm(spots[:, None] - spots, axis=2)
    gaps = np.minimum(np.minimum(free[:, None], free), between / 1.2)
    first, second = np.unravel_index(gaps.round(6).argmax(), gaps.shape)
    return float(gaps.max()), np.vstack([chain, spots[[first, second]]])


_RULE = "built from bond lengths, unrelaxed"
_CHAIN = (
    f"{_RULE}: S-S 2.06 A, S-S-S 108 deg (S8: Rettig & Trotter, Acta Cryst. C 43, 2260, 1987), "
    "torsion 55 to 98.5 deg, both metals bridging the ends at the sum of covalent radii"
)

MOLECULES: dict[str, Recipe] = {
    "O2": Recipe("O2", _G2, _from_g2("O2"), "computed"),
    "CO2": Recipe("CO2", _G2, _from_g2("CO2"), "computed"),
    "CO": Recipe("CO", _G2, _from_g2("CO"), "computed"),
    "H2O": Recipe("H2O", _G2, _from_g2("H2O"), "computed"),
    "C2H4": Recipe("C2H4", _G2, _from_g2("C2H4"), "computed"),
    "EC": Recipe("C3H4O3", f"ethylene carbonate, {_XTB}, ring made planar", _tabulated(*_EC), "computed"),
    "PC": Recipe("C4H6O3", f"propylene carbonate, {_XTB}", _tabulated(*_PC), "computed"),
    "DME": Recipe("C4H10O2", f"1,2-dimethoxyethane, all-trans, {_XTB}", _tabulated(*_DME), "computed"),
    "MO2": Recipe(
        "MO2",
        f"{_RULE}: superoxide O-O 1.33 A, metal side-on at the sum of radii",
        _side_on(_SUPEROXIDE_A, 1),
    ),
    "M2O2": Recipe("M2O2", f"{_RULE}: peroxide O-O 1.49 A, a rhombus", _side_on(_PEROXIDE_A, 2)),
    "M2O": Recipe("M2O", f"{_RULE}: bent by 110 deg", _bent("O")),
    "M2S": Recipe("M2S", f"{_RULE}: bent by 110 deg", _bent("S")),
    "M2Se": Recipe("M2Se", f"{_RULE}: bent by 110 deg", _bent("Se")),
    **{f"M2S{n}": Recipe(f"M2S{n}", _CHAIN, _polysulfide(n)) for n in range(2, 9)},
    **{
        f"M{n}": Recipe(
            f"M{n}" if n > 1 else "M",
            "part of an icosahedron with the bulk metal's nearest distance, unrelaxed",
            lambda metal, n=n: metal_cluster(metal, n),  # type: ignore[misc]
        )
        for n in range(1, LARGEST_CLUSTER + 1)
    },
}
"""The molecules and clusters, by name; M is the metal."""
