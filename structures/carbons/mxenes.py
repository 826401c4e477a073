"""MXene sheets: M2X and M3X2 carbides and nitrides, bare or terminated, with vacancies and N doping."""

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

from ..limits import check_n_atoms

SOURCE = "Ontiveros, Vela, Vines & Sousa, ACS Catal. 15, 14403 (2025), MXenes Database, PBE, ABC_HM"
"""Where lattice constants and heights were read: the CONTCAR files of github.com/diegonti/mxene-db (MIT)."""

TERMINATIONS = ("", "O", "F", "OH", "S", "N")
"""What covers both faces; the empty one is bare metal."""

SHEETS = ("Ti2C", "V2C", "Nb2C", "Ti2N", "Ti3C2", "Ti3N2", "Ti3CN")
"""The MXenes `mxene` knows."""

# Lattice constant, then heights over the middle plane: of M, T, H in M2X; of X, M, T, H in M3X2.
_DATA: dict[str, dict[str, tuple[float, ...]]] = {
    "Ti2C": {
        "": (3.0746, 1.125),
        "O": (3.0107, 1.311, 2.234),
        "F": (2.9976, 1.159, 2.431),
        "OH": (3.0388, 1.160, 2.438, 3.412),
        "S": (3.1934, 1.217, 2.770),
    },
    "V2C": {
        "": (2.9000, 1.087),
        "O": (2.8748, 1.197, 2.228),
        "F": (2.9270, 1.042, 2.347),
        "OH": (2.9707, 1.041, 2.319, 3.293),
        "S": (3.0520, 1.097, 2.677),
    },
    "Nb2C": {
        "": (3.1301, 1.194),
        "O": (3.1318, 1.267, 2.361),
        "F": (3.1741, 1.123, 2.531),
        "OH": (3.1862, 1.142, 2.541, 3.519),
        "S": (3.2845, 1.201, 2.850),
    },
    "Ti2N": {
        "": (2.9781, 1.143),
        "O": (2.9781, 1.273, 2.227),
        "F": (2.9913, 1.102, 2.374),
        "OH": (3.0165, 1.116, 2.386, 3.364),
        "S": (3.1646, 1.172, 2.729),
    },
    "Ti3C2": {
        "": (3.0968, 1.311, 2.329),
        "O": (3.0268, 1.258, 2.576, 3.491),
        "F": (3.0388, 1.294, 2.376, 3.643),
        "OH": (3.0689, 1.282, 2.367, 3.650, 4.623),
        "S": (3.1386, 1.262, 2.441, 4.047),
    },
    "Ti3N2": {
        "": (2.9727, 1.273, 2.394),
        "O": (2.9863, 1.249, 2.485, 3.433),
        "F": (2.9665, 1.262, 2.390, 3.677),
        "OH": (2.9748, 1.239, 2.419, 3.701, 4.681),
        "S": (3.1200, 1.215, 2.354, 3.932),
    },
}


def mxene(
    sheet: str,
    termination: str = "O",
    *,
    size: tuple[int, int] = (3, 3),
    defect: str = "",
    vacuum_A: float = 15.0,
) -> Atoms:
    """
    Build a MXene sheet in the middle of its cell.

    Layers are stacked A B C as in the MAX phase, terminations in the hollows that continue the stacking (over
    the metal of the second layer), the most stable place of O, F, OH and S on these sheets but for Nb2CS2 and
    the terminated Ti3N2 (within 0.25 eV). Lattice constants and heights are PBE values (see `SOURCE`). Two
    kinds are not in the source: Ti3CN is the mean of Ti3C2 and Ti3N2 (Vegard) with carbon in the lower and
    nitrogen in the upper layer; N terminations stand like O's, their bonds longer by the difference of ASE's
    covalent radii, 0.05 A.

    Parameters
    ----------
    sheet
        One of `SHEETS`.
    termination
        One of `TERMINATIONS`, on both faces.
    size
        Repeats of the hexagonal cell along a and b.
    defect
        ``"V-Ti"`` removes an outer metal atom, ``"V-C"`` a carbon, ``"V-O"`` a termination (OH as a whole),
        ``"N-C"`` puts nitrogen in place of carbon; in the upper half, in the middle of the cell.
    vacuum_A
        Empty height between the sheet and its periodic image.

    Returns
    -------
    Atoms
        With ``info["philic"]``: ``host``, ``termination`` and ``defect`` (atoms next to what is missing, or
        the dopant).

    Raises
    ------
    ValueError
        When a name is unknown, the sheet has no such atom, or a number is out of range.

    Examples
    --------
    >>> mxene("Ti3C2", "O", size=(1, 1)).symbols.formula.format("metal")
    'Ti3C2O2'
    """
    _check_arguments(sheet, termination, size, vacuum_A)
    a, *heights = _geometry(sheet, termination)
    unit = Atoms(*zip(*_layers(sheet, termination, a, heights), strict=True), pbc=True)
    unit.set_cell([[a, 0, 0], [-a / 2, a * np.sqrt(3) / 2, 0], [0, 0, 2 * heights[-1] + vacuum_A]])
    unit.positions[:, 2] += unit.cell[2, 2] / 2
    check_n_atoms(len(unit) * size[0] * size[1], f"{mxene_name(sheet, termination)} of {size[0]}x{size[1]} cells")
    host: Atoms = unit * (*size, 1)
    near = _damage(host, defect) if defect else []
    about = {"family": "mxene", "host": mxene_name(sheet, termination, defect), "termination": termination}
    host.info["philic"] = {**about, "size": [int(n) for n in size], "lattice_constant_A": a, "defect": near}
    return host


def mxene_name(sheet: str, termination: str, defect: str = "") -> str:
    """
    Write a MXene's formula, and its defect behind a colon.

    Examples
    --------
    >>> mxene_name("Ti3C2", "OH", "V-OH")
    'Ti3C2(OH)2:V-OH'
    """
    tail = f"({termination})2" if len(termination) > 1 else f"{termination}2" * bool(termination)
    return sheet + tail + (f":{defect}" if defect else "")


def _check_arguments(sheet: str, termination: str, size: tuple[int, int], vacuum_A: float) -> None:
    if sheet not in SHEETS:
        raise ValueError(f"`sheet` is {sheet!r} but must be one of: {', '.join(SHEETS)}")
    if termination not in TERMINATIONS:
        shown = ", ".join(name or "'' (bare)" for name in TERMINATIONS)
        raise ValueError(f"`termination` is {termination!r} but must be one of: {shown}")
    if min(size) < 1:
        raise ValueError(f"`size` is {tuple(size)} but both numbers must be at least 1")
    if vacuum_A <= 0:
        raise ValueError(f"`vacuum_A` is {vacuum_A} but must be above 0")


def _geometry(sheet: str, termination: str) -> list[float]:
    """Give the lattice constant and the heights, in A."""
    if sheet == "Ti3CN":
        ends = (_geometry("Ti3C2", termination), _geometry("Ti3N2", termination))
        return [round(sum(pair) / 2, 4) for pair in zip(*ends, strict=True)]
    if termination != "N":
        return list(_DATA[sheet][termination])
    *rest, oxygen = _DATA[sheet]["O"]
    a, metal = rest[0], rest[-1]
    bond = np.hypot(oxygen - metal, a / np.sqrt(3)) + covalent_radii[7] - covalent_radii[8]
    return [*rest, round(float(metal + np.sqrt(bond**2 - a**2 / 3)), 3)]


def _layers(sheet: str, termination: str, a: float, heights: list[float]) -> list[tuple[str, tuple[float, float, float]]]:
    """List symbol and position of the unit cell's atoms from bottom to top, the middle plane at z = 0."""
    metal = sheet[:2].rstrip("0123456789C") if sheet[0] == "V" else sheet[:2]
    n = int(sheet[len(metal)]) - 1
    anions = sheet[len(metal) + 1 :].rstrip("0123456789")
    core = [metal, anions, metal] if n == 1 else [metal, anions[0], metal, anions[-1], metal]
    up = ([0.0] if n == 1 else [0.0, heights[0]]) + heights[n - 1 : n]
    stack = [*(-z for z in reversed(up[1:])), *up]
    faces = heights[n:]
    symbols = [*reversed(termination), *core, *termination]
    levels = [*(-z for z in reversed(faces)), *stack, *faces]
    turns = [-1] * len(termination) + list(range(len(core))) + [len(core)] * len(termination)
    thirds = [(0.0, 0.0), (a / 2, a / (2 * np.sqrt(3))), (0.0, a / np.sqrt(3))]
    return [(symbol, (*thirds[-turn % 3], level)) for symbol, turn, level in zip(symbols, turns, levels, strict=True)]


def _damage(host: Atoms, defect: str) -> list[int]:
    """Make the defect in place; give the atoms it is measured from."""
    kind, _, element = defect.partition("-")
    wanted = element[:1] if element == "OH" else element
    if kind not in ("V", "N") or (kind == "N" and element != "C") or wanted not in set(host.symbols):
        formula = host.symbols.formula.reduce()[0]
        raise ValueError(f"`defect` is {defect!r} but must be V-X, X an element of {formula}, or N-C")
    site = _upper_middle(host, wanted)
    if kind == "N":
        host.symbols[site] = "N"
        return [site]
    apart = host.get_distances(site, range(len(host)), mic=True)
    gone = [site, *(int(i) for i in np.where((host.symbols == "H") & (apart < 1.1) & (wanted == "O"))[0])]
    reach = covalent_radii[host.numbers] + covalent_radii[host.numbers[site]]
    bonded = (apart < 1.18 * reach) & ~(host.symbols == wanted)
    near = [int(i) for i in np.where(bonded)[0] if i not in gone]
    del host[gone]
    return [i - sum(lost < i for lost in gone) for i in near]


def _upper_middle(host: Atoms, symbol: str) -> int:
    """Find the atom of an element that lies highest, and among these nearest to the middle of the cell."""
    candidates = np.where(host.symbols == symbol)[0]
    heights = host.positions[candidates, 2]
    top = candidates[heights > heights.max() - 0.1]
    middle = host.cell.sum(axis=0) / 2
    return int(top[np.linalg.norm((host.positions[top] - middle)[:, :2], axis=1).round(6).argmin()])
