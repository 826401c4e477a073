"""Carbons that are no single sheet: graphite, intercalation compounds, bilayers, nanotubes and ribbons."""

from typing import Literal

import numpy as np
from ase import Atoms
from ase.build import graphene_nanoribbon
from ase.build import nanotube as ase_nanotube
from ase.data import covalent_radii

from ..crystals.metals import check_metal
from ..limits import check_n_atoms
from .functional_groups import CARBONYL_BOND_A, COH_ANGLE_DEG, OH_BOND_A

GRAPHITE_A, GRAPHITE_C_A = 2.464, 6.711
"""
Lattice constants of graphite at room temperature (Trucano & Chen, Nature 258, 136, 1975).

As the Institute of Experimental Mineralogy (MINCRYST) and AIST (K. Nomura) quote them: 2.464(2) and 6.711(4) A.
"""

INTERLAYER_A = {"Li": 3.706, "Na": 4.395, "K": 5.35, "Rb": 5.65, "Cs": 5.94}
"""
Distance of the carbon sheets that hold the metal between them.

LiC6: Guerard & Herold, Carbon 13, 337 (1975). KC8, RbC8, CsC8: Dresselhaus & Dresselhaus, Adv. Phys. 30, 139
(1981). Sodium forms no such compound: its distance is interpolated between LiC6 and KC8 by Shannon's ionic
radius (0.76, 1.02, 1.38 A; Acta Cryst. A 32, 751, 1976), a hypothesis to relax.

These figures and the constants in the plane are quoted, not read in the papers. The Materials Project's
(mp-1001581, mp-28930, mp-568643, mp-28861; density functional theory) agree within 0.2 % in the plane and
1.7 % across it.
"""

_IN_PLANE_A = {"Li": 2.4855}
_IN_PLANE_STRETCHED_A = 2.480
_BOND_A = GRAPHITE_A / np.sqrt(3)
_CH_BOND_A = 1.09

Stacking = Literal["AA", "AB"]
Edge = Literal["zigzag", "armchair"]
Group = Literal["H", "O", "OH"]


def graphite() -> Atoms:
    """
    Build the 4-atom cell of hexagonal (AB) graphite, space group P6_3/mmc.

    Examples
    --------
    >>> round(float(graphite().cell.volume), 2)
    35.29
    """
    atoms: Atoms = _sheet(GRAPHITE_A, (0, 0)) + _sheet(GRAPHITE_A, (2 / 3, 1 / 3), GRAPHITE_C_A / 2)
    atoms.cell[2] = (0, 0, GRAPHITE_C_A)
    atoms.info["philic"] = {"family": "graphite", "host": "graphite", "defect": []}
    return atoms


def intercalated(metal: str, carbons: int) -> Atoms:
    """
    Build a stage-1 intercalation compound of graphite, MC6 or MC8, its sheets stacked AA.

    MC6 holds a metal over every third hexagon, in one column (P6/mmm, the structure of LiC6). MC8 holds one
    over every fourth hexagon, in the sequence alpha beta gamma delta of KC8 (Fddd; Rudorff & Schulze, Z.
    Anorg. Allg. Chem. 277, 156, 1954; Lamura et al. 2010), in its primitive cell of two
    layers. The in-plane constant is that of LiC6 for lithium (see `INTERLAYER_A`) and of KC8, 2.480 A (Nixon
    & Parry, J. Phys. C 2, 1732, 1969), for the others.

    Parameters
    ----------
    metal
        One of `METALS`.
    carbons
        6 or 8, per metal atom.

    Returns
    -------
    Atoms
        ``info["philic"]["hypothetical"]`` marks what has not been made: only LiC6 and the MC8 of K, Rb and Cs
        are known.

    Raises
    ------
    ValueError
        When the metal is unknown or the composition another.

    Examples
    --------
    >>> intercalated("K", 8).symbols
    Symbols('KC8KC8')
    """
    check_metal(metal)
    if carbons not in (6, 8):
        raise ValueError(f"`carbons` is {carbons} but must be 6 (as in LiC6) or 8 (as in KC8)")
    a = _IN_PLANE_A.get(metal, _IN_PLANE_STRETCHED_A)
    atoms = _mc6(metal, a) if carbons == 6 else _mc8(metal, a)
    atoms.info["philic"] = {
        "family": "graphite",
        "host": f"{metal}C{carbons}",
        "metal": metal,
        "hypothetical": metal not in (("Li",) if carbons == 6 else ("K", "Rb", "Cs")),
        "defect": [],
    }
    return atoms


def bilayer(
    gap_A: float,
    *,
    stacking: Stacking = "AB",
    size: tuple[int, int] = (4, 4),
    vacuum_A: float = 15.0,
) -> Atoms:
    """
    Build two graphene sheets a gap apart, as an expanded interlayer or a slit pore has it.

    Parameters
    ----------
    gap_A
        Distance between the planes: 3.36 in graphite, 5 to 10 in hard carbon.
    stacking
        ``"AA"`` or ``"AB"``.
    size
        Repeats of the 2-atom cell along a and b.
    vacuum_A
        Empty height between the upper sheet and the image of the lower.

    Raises
    ------
    ValueError
        When a length, a size or the stacking is out of range.

    Examples
    --------
    >>> len(bilayer(7.0))
    64
    """
    for name, length in (("gap_A", gap_A), ("vacuum_A", vacuum_A)):
        if length < 2:
            raise ValueError(f"`{name}` is {length} but must be at least 2: the sheets would overlap")
    if stacking not in ("AA", "AB"):
        raise ValueError(f"`stacking` is {stacking!r} but must be one of: AA, AB")
    _check_size(size)
    shift = (2 / 3, 1 / 3) if stacking == "AB" else (0.0, 0.0)
    atoms: Atoms = _sheet(GRAPHITE_A, (0, 0), vacuum_A / 2) + _sheet(GRAPHITE_A, shift, vacuum_A / 2 + gap_A)
    atoms.cell[2] = (0, 0, gap_A + vacuum_A)
    atoms *= (*size, 1)
    atoms.info["philic"] = {
        "family": "graphite",
        "host": f"bilayer-{stacking}-{gap_A:g}A",
        "gap_A": float(gap_A),
        "size": [int(n) for n in size],
        "defect": [],
    }
    return atoms


def nanotube(n: int, m: int, *, length: int = 1, vacuum_A: float = 12.0) -> Atoms:
    """
    Build a carbon nanotube along z (ASE's builder, graphite's bond length).

    Parameters
    ----------
    n, m
        Chiral indices: (n, n) is armchair, (n, 0) zigzag.
    length
        Repeats along the tube.
    vacuum_A
        Gap between the tube and its images.

    Raises
    ------
    ValueError
        When the indices make no tube, or a number is out of range.

    Examples
    --------
    >>> len(nanotube(5, 5))
    20
    """
    if n < 1 or m < 0 or m > n or n + m < 3:
        raise ValueError(f"`n`, `m` is ({n}, {m}) but must have n >= m >= 0 and n + m of at least 3")
    if length < 1:
        raise ValueError(f"`length` is {length} but must be at least 1")
    if vacuum_A <= 0:
        raise ValueError(f"`vacuum_A` is {vacuum_A} but must be above 0")
    in_repeat = 4 * (n * n + n * m + m * m) // np.gcd(2 * n + m, 2 * m + n)
    check_n_atoms(in_repeat * length, f"nanotube-{n},{m} of {length} repeats")
    tube: Atoms = ase_nanotube(n, m, length=length, bond=_BOND_A)
    height = tube.cell[2, 2]
    tube.center(vacuum=vacuum_A / 2, axis=(0, 1))
    tube.cell[2, 2] = height
    tube.pbc = True
    tube.info["philic"] = {
        "family": "graphite",
        "host": f"nanotube-{n},{m}",
        "chirality": [n, m],
        "defect": [],
    }
    return tube


def ribbon(
    edge: Edge,
    *,
    width: int = 6,
    length: int = 4,
    group: Group = "H",
    vacuum_A: float = 12.0,
) -> Atoms:
    """
    Build a graphene ribbon along x, its edges closed with hydrogen, one of them if wanted with an oxygen
    group.

    Parameters
    ----------
    edge
        ``"zigzag"`` or ``"armchair"``.
    width
        Chains across the ribbon (zigzag) or pairs of them (armchair), as in ASE's ``graphene_nanoribbon``.
    length
        Repeats along the ribbon.
    group
        What one edge atom in the middle of the upper edge bears in place of H: ``"O"`` makes it C=O, ``"OH"``
        C-OH.
    vacuum_A
        Gap beside and above the ribbon.

    Raises
    ------
    ValueError
        When the edge or group is unknown or a number out of range.

    Examples
    --------
    >>> ribbon("zigzag", width=4, length=2, group="O").symbols.formula.format("hill")
    'C16H3O'
    """
    if edge not in ("zigzag", "armchair"):
        raise ValueError(f"`edge` is {edge!r} but must be one of: zigzag, armchair")
    if group not in ("H", "O", "OH"):
        raise ValueError(f"`group` is {group!r} but must be one of: H, O, OH")
    for name, number in (("width", width), ("length", length)):
        if number < 2:
            raise ValueError(f"`{name}` is {number} but must be at least 2")
    if vacuum_A <= 0:
        raise ValueError(f"`vacuum_A` is {vacuum_A} but must be above 0")
    flat = graphene_nanoribbon(width, length, type=edge, saturated=True, C_H=_CH_BOND_A, C_C=_BOND_A)
    atoms = Atoms(flat.symbols, positions=flat.positions[:, [2, 0, 1]], cell=[flat.cell[2, 2], 0, 0], pbc=True)
    defect = _oxidise(atoms, group) if group != "H" else []
    atoms.center(vacuum=vacuum_A / 2, axis=(1, 2))
    atoms.info["philic"] = {
        "family": "graphite",
        "host": f"{edge}-ribbon" + {"H": "", "O": "-C=O", "OH": "-OH"}[group],
        "width": int(width),
        "length": int(length),
        "defect": defect,
    }
    return atoms


def _oxidise(ribbon: Atoms, group: str) -> list[int]:
    """Turn the hydrogen in the middle of the upper edge into O or OH, in place; give the defect's atoms."""
    reach = ribbon.positions[:, 1] - 1e-3 * abs(ribbon.positions[:, 0] - ribbon.cell[0, 0] / 2)
    hydrogen = int(np.where(ribbon.symbols == "H", reach, -np.inf).argmax())
    carbon = int(np.argsort(ribbon.get_distances(hydrogen, range(len(ribbon)), mic=True))[1])
    outwards = ribbon.get_distance(carbon, hydrogen, mic=True, vector=True)
    outwards /= np.linalg.norm(outwards)
    length = CARBONYL_BOND_A if group == "O" else covalent_radii[6] + covalent_radii[8]
    ribbon.symbols[hydrogen] = "O"
    ribbon.positions[hydrogen] = ribbon.positions[carbon] + length * outwards
    if group == "O":
        return [carbon, hydrogen]
    angle = np.radians(COH_ANGLE_DEG)  # out of the plane: beside it, H would touch the next edge atom's
    lean = np.sin(angle) * np.array([0, 0, 1]) - np.cos(angle) * outwards
    ribbon += Atoms("H", positions=[ribbon.positions[hydrogen] + OH_BOND_A * lean])
    return [carbon, hydrogen, len(ribbon) - 1]


def _check_size(size: tuple[int, int]) -> None:
    if min(size) < 1:
        raise ValueError(f"`size` is {tuple(size)} but both numbers must be at least 1")


def _sheet(a: float, shift: tuple[float, float], z: float = 0.0, repeats: int = 1) -> Atoms:
    """Build a graphene sheet whose hexagon centre, at no shift, is the origin."""
    cell = np.array([[a, 0, 0], [-a / 2, a * np.sqrt(3) / 2, 0], [0, 0, 1.0]])
    corners = np.array([(1 / 3, 2 / 3), (2 / 3, 1 / 3)]) + shift
    sheet = Atoms("C2", positions=corners @ cell[:2] + (0, 0, z), cell=cell, pbc=True)
    sheet *= (repeats, repeats, 1)
    return sheet


def _mc6(metal: str, a: float) -> Atoms:
    """Stack one sheet in the sqrt(3) x sqrt(3) cell, metal half-way to the next."""
    cell = np.array([[3 * a / 2, a * np.sqrt(3) / 2, 0], [-3 * a / 2, a * np.sqrt(3) / 2, 0], [0, 0, 1]])
    cell[2, 2] = INTERLAYER_A[metal]
    thirds = np.array([(1, 0), (2, 0), (0, 1), (0, 2), (1, 1), (2, 2)]) / 3  # Wyckoff 6k of P6/mmm, x = 1/3
    scaled = [(0, 0, 0), *((x, y, 0.5) for x, y in thirds)]
    return Atoms(f"{metal}C6", scaled_positions=scaled, cell=cell, pbc=True)


def _mc8(metal: str, a: float) -> Atoms:
    """Stack two sheets in the 2 x 2 cell: metal at alpha and beta, the next cell shifted to gamma."""
    spacing = INTERLAYER_A[metal]
    along = np.array([[a, 0, 0], [-a / 2, a * np.sqrt(3) / 2, 0]])
    layers = [
        Atoms(metal, positions=[level * along[0] + (0, 0, level * spacing)]) + _sheet(a, (0, 0), (level + 0.5) * spacing, 2)
        for level in (0, 1)
    ]
    atoms: Atoms = layers[0] + layers[1]
    atoms.set_cell([2 * along[0], 2 * along[1], along[0] + along[1] + (0, 0, 2 * spacing)])
    atoms.pbc = True
    return atoms
