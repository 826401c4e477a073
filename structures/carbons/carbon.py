"""Graphene sheets by name: pristine, defective, doped, co-doped, oxidised, and with metal-N4 centres."""

import re
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii

from ..limits import check_n_atoms
from .functional_groups import carbonyl, epoxy, hydroxyl, stone_wales
from .sheets import central_atom, central_bond, neighbours

LATTICE_CONSTANT_A = 2.46
"""Graphite's in-plane lattice constant at room temperature (Trucano & Chen, Nature 258, 136, 1975)."""

DOPANTS = ("N", "O", "B", "S", "P", "F")
"""What may replace a carbon atom, in the order in which a co-doped name is written."""

TRANSITION_METALS = tuple(chemical_symbols[21:31] + chemical_symbols[39:49])
"""The 3d and 4d rows, Sc to Zn and Y to Cd."""

_OVERSIZE = 1.2  # a bond this many times longer than its gap pushes the atom out of the sheet
_PULL_A = 0.2
_FLUORINE_LIFT_A = 0.5


def graphene(
    size: tuple[int, int] = (4, 4), *, lattice_constant_A: float = LATTICE_CONSTANT_A, vacuum_A: float = 15.0
) -> Atoms:
    """
    Build a flat graphene sheet in the middle of its cell.

    Parameters
    ----------
    size
        Repeats of the 2-atom hexagonal cell (120 degrees) along a and b.
    lattice_constant_A
        In-plane lattice constant.
    vacuum_A
        Height of the cell: the distance from the sheet to its periodic image.

    Raises
    ------
    ValueError
        When a size is below 1 or a length is not positive.

    Examples
    --------
    >>> len(graphene((4, 4)))
    32
    """
    if min(size) < 1:
        raise ValueError(f"`size` is {tuple(size)} but both numbers must be at least 1")
    for name, length in (("lattice_constant_A", lattice_constant_A), ("vacuum_A", vacuum_A)):
        if length <= 0:
            raise ValueError(f"`{name}` is {length} but must be above 0")
    check_n_atoms(2 * size[0] * size[1], f"graphene of {size[0]}x{size[1]} cells")
    a = lattice_constant_A
    cell = [[a, 0, 0], [-a / 2, a * np.sqrt(3) / 2, 0], [0, 0, vacuum_A]]
    unit = Atoms("C2", scaled_positions=[(1 / 3, 2 / 3, 0.5), (2 / 3, 1 / 3, 0.5)], cell=cell, pbc=True)
    sheet: Atoms = unit * (*size, 1)
    sheet.info["philic"] = {
        "family": "carbon",
        "host": "pristine",
        "size": [int(n) for n in size],
        "lattice_constant_A": float(a),
        "defect": [],
        "dopants": {},
    }
    return sheet


def carbon_host(
    name: str,
    size: tuple[int, int] = (4, 4),
    *,
    lattice_constant_A: float = LATTICE_CONSTANT_A,
    vacuum_A: float = 15.0,
) -> Atoms:
    """
    Build a carbon host by name; `CARBON_FORMS` lists the names.

    The defect lies near the cell's centre. N, B and O stay in the sheet. An atom whose bonds (sums of ASE's
    covalent radii; Cordero et al., Dalton Trans. 2008, 2832) are over 20 % longer than its gap, S and P in
    place of carbon or Sc and Y in an N4 pocket, starts above the sheet with bonds of that sum: flat, it would
    sit on a symmetric saddle that a relaxation never leaves. F, which holds one bond and not three, starts
    0.5 A above for the same reason. Of two bonded atoms that both leave the sheet, the second starts below.
    Fe, Co, Ni, Cu and Zn fit their N4 pocket and stay flat. Two of a monovacancy's carbons start nearer to each other.

    Parameters
    ----------
    name
        Such as ``"N"``, ``"O-C-B"``, ``"pyridinic-3N"`` or ``"Fe-N4"``; ``"B-O"`` and ``"O-B"`` are one host.
    size, lattice_constant_A, vacuum_A
        As in `graphene`.

    Returns
    -------
    Atoms
        With ``info["philic"]``: ``host``, ``defect`` (indices of dopants, metal and undercoordinated edge
        atoms, and of a group with the carbon it is bound to) and ``dopants`` (how many of each element).

    Raises
    ------
    ValueError
        When the name is unknown or the size too small for the defect.

    Examples
    --------
    >>> carbon_host("N").info["philic"]["dopants"]
    {'N': 1}
    """
    name = _canonical(name)
    form, words = _parse(name)
    if min(size) < form.least_size and min(size) >= 1:
        least = (form.least_size, form.least_size)
        raise ValueError(f"`size` is {tuple(size)} but {name!r} needs at least {least}: enlarge it")
    sheet = graphene(size, lattice_constant_A=lattice_constant_A, vacuum_A=vacuum_A)
    host, defect = form.build(sheet, *words)
    dopants = Counter(str(host.symbols[i]) for i in defect if host.symbols[i] != "C")
    host.info["philic"] = {**sheet.info["philic"], "host": name, "defect": defect, "dopants": dict(dopants)}
    return host


def _canonical(name: str) -> str:
    """Write a co-doped name in the order of `DOPANTS`."""
    parts = name.split("-")
    ends = (parts[0], parts[-1])
    if all(end in DOPANTS for end in ends) and DOPANTS.index(ends[0]) > DOPANTS.index(ends[1]):
        parts.reverse()
    return "-".join(parts)


def _parse(name: str) -> tuple["_Form", tuple[str, ...]]:
    """Find the form a name has, and the words it fills in."""
    for form in _FORMS:
        if match := re.fullmatch(form.pattern, name):
            return form, match.groups()
    raise ValueError(f"`name` is {name!r} but must be one of: {'; '.join(CARBON_FORMS)}")


def _pristine(sheet: Atoms) -> tuple[Atoms, list[int]]:
    return sheet, []


def _substitution(sheet: Atoms, *dopants: str) -> tuple[Atoms, list[int]]:
    """Put one dopant, or two on bonded sites, in place of carbon."""
    centre = central_atom(sheet)
    sites = [centre, *neighbours(sheet, centre)][: len(dopants)]
    return _doped(sheet, sites, dopants, bonded=True), sites


def _next_neighbours(sheet: Atoms, first: str, second: str) -> tuple[Atoms, list[int]]:
    """Put two dopants on either side of one carbon."""
    sites = neighbours(sheet, central_atom(sheet))[:2]
    return _doped(sheet, sites, (first, second), bonded=False), sites


def _monovacancy(sheet: Atoms, n_nitrogen: str = "0") -> tuple[Atoms, list[int]]:
    """Remove the central atom and make some of its three neighbours nitrogen.

    Two carbons that lost a bond start nearer to each other: they bind to each other (A. A. El-Barbary et al., Phys. Rev. B
    68, 144107, 2003), and where all three are alike symmetry would hold them apart.
    """
    centre = central_atom(sheet)
    host, edge = _hole(sheet, [centre], neighbours(sheet, centre), int(n_nitrogen))
    carbons = [i for i in edge if host.symbols[i] == "C"]
    if len(carbons) > 1:
        first, second = carbons[:2]
        gap = host.get_distance(first, second, mic=True, vector=True)
        host.positions[[first, second]] += _PULL_A * np.array([gap, -gap]) / np.linalg.norm(gap)
    return host, edge


def _divacancy(sheet: Atoms, n_nitrogen: str = "0") -> tuple[Atoms, list[int]]:
    """Remove a central bond's two atoms and make some of their four neighbours nitrogen."""
    bond, edge = central_bond(sheet)
    return _hole(sheet, bond, edge, int(n_nitrogen))


def _metal_n4(sheet: Atoms, metal: str) -> tuple[Atoms, list[int]]:
    """Fill a divacancy edged by four nitrogens with a metal in the middle of the removed bond."""
    (e, f), _ = central_bond(sheet)
    pocket, edge = _divacancy(sheet, "4")
    middle = sheet.positions[e] + sheet.get_distance(e, f, mic=True, vector=True) / 2
    host = pocket + Atoms(metal, positions=[middle])
    centre = len(host) - 1
    host.positions[centre, 2] += _lift(host, centre, edge)
    return host, [*edge, centre]


def _pyrrolic(sheet: Atoms) -> tuple[Atoms, list[int]]:
    """
    Remove bonded e and f of a hexagon abcdef and let N bridge a and d.

    N is put at the mean of a, d, e and f, half-way between the ring's centre and the middle of e-f: the ring
    a, b, c, d, N has five members and N-C is 1.55 A before relaxation (1.37 A in pyrrole). It bears no H.
    """
    (e, f), edge = central_bond(sheet)
    along = sheet.get_distance(e, f, mic=True, vector=True)
    to_edge = sheet.get_distances(e, edge, mic=True, vector=True)
    one_side = np.cross(along, to_edge)[:, 2] > 0
    middle = np.mean([0 * along, along, *to_edge[one_side]], axis=0)
    hole, defect = _hole(sheet, [e, f], edge, 0)
    host = hole + Atoms("N", positions=[sheet.positions[e] + middle])
    far_edge = [i for i, near in zip(defect, one_side, strict=True) if not near]
    return host, [*far_edge, len(host) - 1]


def _hole(sheet: Atoms, removed: list[int], edge: list[int], n_nitrogen: int) -> tuple[Atoms, list[int]]:
    """Remove atoms, and make the first few of the edge nitrogen."""
    host = sheet.copy()
    host.symbols[edge[:n_nitrogen]] = "N"
    del host[removed]
    return host, [i - sum(gone < i for gone in removed) for i in edge]


def _doped(sheet: Atoms, sites: list[int], dopants: tuple[str, ...], *, bonded: bool) -> Atoms:
    """Replace atoms by dopants and lift those too large for the sheet."""
    flat = sheet.copy()
    flat.symbols[sites] = list(dopants)
    host: Atoms = flat.copy()
    face = 1
    for site in sites:
        lift_A = _lift(flat, site, neighbours(flat, site))
        host.positions[site, 2] += face * lift_A
        if lift_A > 0 and bonded:
            face = -1
    return host


def _lift(flat: Atoms, atom: int, around: list[int]) -> float:
    """Return how far above a flat sheet an atom's bonds (in A) are as long as the sums of covalent radii."""
    if flat.symbols[atom] == "F":
        return _FLUORINE_LIFT_A
    gap = flat.get_distances(atom, around, mic=True).mean()
    bond = (covalent_radii[flat.numbers[atom]] + covalent_radii[flat.numbers[around]]).mean()
    return float(np.sqrt(bond**2 - gap**2)) if bond > _OVERSIZE * gap else 0.0


class _Form(NamedTuple):
    shown: str
    meaning: str
    pattern: str
    least_size: int
    build: Callable[..., tuple[Atoms, list[int]]]


_X = f"([{''.join(DOPANTS)}])"
_FORMS = (
    _Form("pristine", "graphene", "pristine", 1, _pristine),
    _Form("vacancy", "one carbon missing", "vacancy", 2, _monovacancy),
    _Form("divacancy", "two bonded carbons missing", "divacancy", 3, _divacancy),
    _Form(" | ".join(DOPANTS), "one carbon replaced", _X, 1, _substitution),
    _Form("X-Y, as O-B", "two different dopants, bonded", _X + r"-(?!\1)" + _X, 2, _substitution),
    _Form("X-C-Y, as O-C-B", "the same, a carbon between", _X + r"-C-(?!\1)" + _X, 2, _next_neighbours),
    _Form("pyridinic-1N ... pyridinic-3N", "vacancy edged by N", "pyridinic-([123])N", 2, _monovacancy),
    _Form("pyridinic-4N", "divacancy edged by N", "pyridinic-(4)N", 3, _divacancy),
    _Form("pyrrolic-N", "N closing a five-ring in a divacancy", "pyrrolic-N", 3, _pyrrolic),
    _Form(
        "M-N4, as Fe-N4 (M: 3d or 4d metal)",
        "metal in a divacancy edged by N",
        f"({'|'.join(TRANSITION_METALS)})-N4",
        3,
        _metal_n4,
    ),
    _Form(
        "Stone-Wales",
        "a bond turned by 90 degrees: two five- and two seven-rings",
        "Stone-Wales",
        4,
        stone_wales,
    ),
    _Form("epoxy", "O over a bond", "epoxy", 2, epoxy),
    _Form("hydroxyl", "OH on one carbon", "hydroxyl", 2, hydroxyl),
    _Form("carbonyl", "C=O at the edge of a vacancy", "carbonyl", 3, carbonyl),
)

CARBON_FORMS: dict[str, str] = {form.shown: form.meaning for form in _FORMS}
"""The names `carbon_host` knows, each with what it builds."""
