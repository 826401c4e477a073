"""Every host philic knows by name, in one list. A new host is one new item in it."""

import re
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from typing import Literal, NamedTuple

import spglib
from ase import Atoms

from .carbons import graphite, mxenes
from .carbons.carbon import DOPANTS, TRANSITION_METALS, carbon_host
from .crystals import crystals, molecules
from .crystals.metals import METALS, check_metal

NO_SPACE_GROUP = "-"
SHEET_PREFIX = "graphene:"

Geometry = Literal["experiment", "computed", "built"]
"""Measured by diffraction, relaxed by a quantum-chemical calculation, or built by rule and unrelaxed."""

_SYMMETRY_TOLERANCE_A = 1e-3
_MOLECULE_MARGIN_A = 6.0
_PURE_METAL = "M-bcc"
_MIXED = re.compile(r"(?P<one>[A-Z][a-z]?)(?P<first>0?\.\d+)(?P<other>[A-Z][a-z]?)(?P<second>0?\.\d+)")
_QUASIRANDOM = (
    "cell and sites interpolated between the elements (Vegard), special quasirandom structure (Zunger et al. 1990)"
)
_TYPED = "idealised graphene, a = 2.46 A (Trucano & Chen 1975), unrelaxed"


@dataclass(frozen=True)
class Entry:
    """
    A host in the catalogue.

    Attributes
    ----------
    name
        What a person types; M stands for the alkali metal.
    family
        A group of hosts, such as ``"carbon"``, ``"mxene"`` or ``"sei"``.
    metals
        The alkali metals it is made with; empty when it holds none, and any is then accepted.
    geometry
        What its geometry is: see `Geometry`.
    source
        Where it comes from.
    build
        From the metal to the atoms.
    stated
        By metal (``""`` for none): what the source says of each, where it does; else it is found on what is
        built.
    """

    name: str
    family: str
    metals: tuple[str, ...]
    geometry: Geometry
    source: str
    build: Callable[[str], Atoms]
    stated: "Mapping[str, Facts]" = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash(self.name)


class Facts(NamedTuple):
    """What the table shows of a host; the atoms are no whole number where sites are partly occupied."""

    formula: str
    spacegroup: str
    n_atoms: float
    geometry: Geometry
    source: str


@cache
def entries() -> tuple[Entry, ...]:
    """
    List every host.

    Examples
    --------
    >>> sum(entry.family == "mxene" for entry in entries()) > 40
    True
    """
    return (*_carbons(), *_graphite(), *_mxenes(), *_crystals(), *_molecules())


def families() -> list[str]:
    """List the families, in the order of the catalogue."""
    return list(dict.fromkeys(entry.family for entry in entries()))


def find(name: str, metal: str | None = None) -> tuple[Entry, str]:
    """
    Look a host up, and the metal it is meant with.

    Parameters
    ----------
    name
        A name in the catalogue, the same with the metal written out (``"KF"`` for ``"MF"``, ``"K"`` for
        ``"M-bcc"``), the formula of a crystal that has no other form here (``"Na3SbS4"``), a solid solution
        (``"Bi0.5Sb0.5"``), any name of `carbon_host` (behind ``graphene:`` where a crystal has the same), or a MXene with
        a defect (``"Ti3C2O2:V-O"``).
    metal
        An alkali metal; by default the one in the name, else potassium or the first one there is.

    Raises
    ------
    ValueError
        When the name or the metal is unknown, they contradict each other, the host is not made with the metal, or the
        name is a formula of several crystals.

    Examples
    --------
    >>> entry, metal = find("LiC6")
    >>> entry.name, metal
    ('MC6', 'Li')
    """
    if metal is not None:
        check_metal(metal)
    by_name = {entry.name: entry for entry in entries()}
    spoken = {_spelled(entry.name, one): (entry, one) for entry in entries() for one in entry.metals}
    spoken |= {one: (by_name[_PURE_METAL], one) for one in by_name[_PURE_METAL].metals}
    entry, implied = (by_name[name], None) if name in by_name else spoken.get(name, (None, None))
    entry = entry or _open_ended(name)
    if entry is None:
        entry, implied = _of_formula(name)
    if entry is None:
        raise ValueError(_unknown(name, [*by_name, *spoken]))
    if implied and metal and implied != metal:
        raise ValueError(f"`metal` is {metal!r} but {name!r} names {implied}: write {entry.name!r}, or leave the metal out")
    chosen = metal or implied or ("K" if "K" in entry.metals or not entry.metals else entry.metals[0])
    if entry.metals and chosen not in entry.metals:
        raise ValueError(f"`metal` is {chosen!r} but {entry.name!r} needs one of: {', '.join(entry.metals)}")
    return entry, chosen


def host(name: str, metal: str | None = None) -> Atoms:
    """
    Build a host of the catalogue.

    Parameters
    ----------
    name, metal
        As for `find`.

    Returns
    -------
    Atoms
        With ``info["philic"]``; a bulk cell for crystals, a sheet or slab with vacuum for the rest.

    Raises
    ------
    ValueError
        As from `find`.

    Examples
    --------
    >>> host("KC8").symbols.formula.reduce()[0].format("metal")
    'KC8'
    """
    entry, metal = find(name, metal)
    return entry.build(metal)


def facts(entry: Entry, metal: str | None = None) -> Facts:
    """
    Give formula, space group, number of atoms, kind of geometry and source of a host.

    Parameters
    ----------
    entry
        From `entries` or `find`.
    metal
        An alkali metal. Without one the formula has M, as long as the host has metals to choose from.
    """
    if metal is None:
        found = _facts(entry, entry.metals[0] if entry.metals else "K")
        return found._replace(formula=_generic(found.formula, entry))
    return _facts(entry, metal)


def space_group(atoms: Atoms, tolerance_A: float = _SYMMETRY_TOLERANCE_A) -> str:
    """
    Give the international symbol and number of a periodic cell's space group, found by spglib.

    Examples
    --------
    >>> space_group(graphite.graphite())
    'P6_3/mmc (194)'
    """
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    with warnings.catch_warnings():  # spglib 2.7 and 2.8 announce their new error handling at every call
        warnings.simplefilter("ignore", DeprecationWarning)
        found = spglib.get_spacegroup(cell, symprec=tolerance_A)
    return str(found) if found else NO_SPACE_GROUP


@cache
def _facts(entry: Entry, metal: str) -> Facts:
    if entry.stated:
        return entry.stated[metal if entry.metals else ""]
    atoms = entry.build(metal)
    group = NO_SPACE_GROUP if entry.family == "molecule" else space_group(atoms)
    formula = atoms.symbols.formula if entry.family in ("carbon", "molecule") else atoms.symbols.formula.reduce()[0]
    return Facts(formula.format("metal"), group, len(atoms), entry.geometry, entry.source)


def _spelled(name: str, metal: str) -> str:
    """Write the metal for M, which is no other element's first letter."""
    return re.sub(r"M(?![a-z])", metal, name)


def _generic(formula: str, entry: Entry) -> str:
    """Write M for the metal the facts were found with, when there are several."""
    if len(entry.metals) < 2:
        return formula
    return re.sub(rf"{entry.metals[0]}(?![a-z])", "M", formula)


def _unknown(name: str, known: list[str]) -> str:
    near = get_close_matches(name, list(dict.fromkeys(known)), n=6, cutoff=0.4)
    return f"`name` is {name!r} but must be one of the catalogue's {len(entries())} entries" + (
        f": nearest are {', '.join(near)}" if near else f", such as {', '.join(known[::40])}"
    )


def _of_formula(name: str) -> tuple[Entry | None, str | None]:
    """Find the one crystal of a formula, and its metal; refuse where it has several forms."""
    forms = [(entry, metal) for entry in entries() for metal, found in entry.stated.items() if found.formula == name]
    if len(forms) > 1:
        shown = ", ".join(f"{_spelled(entry.name, metal)} ({entry.stated[metal].spacegroup})" for entry, metal in forms)
        raise ValueError(f"`name` is {name!r} but must say which form of it: {shown}")
    entry, metal = forms[0] if forms else (None, None)
    return entry, metal or None


def _open_ended(name: str) -> Entry | None:
    """Read a name whose grammar has more members than the list shows."""
    if name.startswith(SHEET_PREFIX):
        return _carbon(name.removeprefix(SHEET_PREFIX))
    mixed = _MIXED.fullmatch(name)
    if mixed:
        return _solid_solution(name, mixed["one"], mixed["other"], float(mixed["first"]), float(mixed["second"]))
    pristine, colon, defect = name.partition(":")
    parts = {mxenes.mxene_name(sheet, over): (sheet, over) for sheet, over in _mxene_parts()}
    if colon and pristine in parts:
        return _mxene(*parts[pristine], defect)
    try:
        return _carbon(name)
    except ValueError:
        return None


def _solid_solution(name: str, one: str, other: str, rest: float, x: float) -> Entry:
    """Mix two elements in the smallest cell of at least 24 atoms in which every count is whole."""
    if abs(rest + x - 1) > 1e-6:
        raise ValueError(f"`name` is {name!r}, shares of {rest:g} and {x:g}, but they must add up to 1")
    atoms = len(crystals.crystal(one))
    whole = [n for n in range(2, 11) if abs(x * atoms * n**2 - round(x * atoms * n**2)) < 1e-6]
    if not whole:
        raise ValueError(f"`name` is {name!r} but {x:g} must be a share of whole atoms, such as 0.25 or 0.5")
    repeats = (whole[0], whole[0], 1)

    def build(_: str) -> Atoms:
        from .crystals.solid_solutions import solid_solution

        return solid_solution(one, other, x, repeats=repeats)

    return Entry(name, "alloys", (), "built", _QUASIRANDOM, build)


def _carbons() -> Iterator[Entry]:
    pairs = [(x, y) for i, x in enumerate(DOPANTS) for y in DOPANTS[i + 1 :]]
    names = [
        *("pristine", "vacancy", "divacancy", "Stone-Wales", "epoxy", "hydroxyl", "carbonyl", *DOPANTS),
        *(f"pyridinic-{n}N" for n in range(1, 5)),
        "pyrrolic-N",
        *(f"{metal}-N4" for metal in TRANSITION_METALS),
        *(f"{x}-{y}" for x, y in pairs),
        *(f"{x}-C-{y}" for x, y in pairs),
    ]
    return map(_carbon, names)


def _carbon(name: str) -> Entry:
    carbon_host(name)  # refuses an unknown name
    return Entry(SHEET_PREFIX + name, "carbon", (), "built", _TYPED, lambda _: carbon_host(name))


def _graphite() -> Iterator[Entry]:
    lattice = "Trucano & Chen, Nature 258, 136 (1975)"
    yield Entry("graphite", "graphite", (), "experiment", lattice, lambda _: graphite.graphite())
    for carbons, known in (
        (6, "LiC6: Guerard & Herold, Carbon 13, 337 (1975); the other metals hypothetical"),
        (8, "KC8: Rudorff & Schulze, Z. Anorg. Allg. Chem. 277, 156 (1954); Rb and Cs alike, Li and Na hypothetical"),
    ):
        yield Entry(f"MC{carbons}", "graphite", METALS, "built", f"lattice constants of {known}", _intercalated(carbons))
    for gap in (5, 7, 10):
        yield Entry(f"bilayer-{gap}A", "graphite", (), "built", f"graphite, {lattice}, gap widened", _bilayer(float(gap)))
    for n, m in ((5, 5), (8, 8), (9, 0), (10, 0), (8, 4)):
        yield Entry(f"nanotube-{n},{m}", "graphite", (), "built", "ASE nanotube, C-C 1.42 A, unrelaxed", _nanotube(n, m))
    edges: tuple[tuple[graphite.Edge, int], ...] = (("zigzag", 6), ("armchair", 4))
    groups: tuple[tuple[graphite.Group, str], ...] = (("H", ""), ("O", "-C=O"), ("OH", "-OH"))
    for edge, width in edges:
        for group, tail in groups:
            name, source = f"{edge}-ribbon{tail}", "ASE graphene_nanoribbon, C-C 1.42 A, H-closed, unrelaxed"
            yield Entry(name, "graphite", (), "built", source, _ribbon(edge, width, group))


def _intercalated(carbons: int) -> Callable[[str], Atoms]:
    return lambda metal: graphite.intercalated(metal, carbons)


def _bilayer(gap_A: float) -> Callable[[str], Atoms]:
    return lambda _: graphite.bilayer(gap_A)


def _nanotube(n: int, m: int) -> Callable[[str], Atoms]:
    return lambda _: graphite.nanotube(n, m)


def _ribbon(edge: graphite.Edge, width: int, group: graphite.Group) -> Callable[[str], Atoms]:
    return lambda _: graphite.ribbon(edge, width=width, group=group)


def _mxene_parts() -> list[tuple[str, str]]:
    return [(sheet, over) for sheet in mxenes.SHEETS for over in mxenes.TERMINATIONS]


def _mxenes() -> Iterator[Entry]:
    for sheet, termination in _mxene_parts():
        yield _mxene(sheet, termination)
    for termination, defect in (
        ("O", "V-O"),
        ("O", "V-Ti"),
        ("O", "V-C"),
        ("O", "N-C"),
        ("F", "V-F"),
        ("OH", "V-OH"),
    ):
        yield _mxene("Ti3C2", termination, defect)


def _mxene(sheet: str, termination: str, defect: str = "") -> Entry:
    guesses = []
    if sheet == "Ti3CN":
        guesses.append("mean of Ti3C2 and Ti3N2")
    if termination == "N":
        guesses.append("as O-terminated, Ti-N from radii" if sheet.startswith("Ti") else "as O-terminated")
    if defect:
        guesses.append("defect unrelaxed")
    name = mxenes.mxene_name(sheet, termination, defect)
    geometry: Geometry = "built" if guesses else "computed"
    source = "; ".join([*guesses, mxenes.SOURCE])
    return Entry(name, "mxene", (), geometry, source, lambda _: mxenes.mxene(sheet, termination, defect=defect))


def _crystals() -> Iterator[Entry]:
    """Gather the crystals' rows, one for each metal, into one entry for each name."""
    rows: dict[str, list[crystals.Crystal]] = {}
    for row in crystals.crystals():
        rows.setdefault(row.name, []).append(row)
    for name, found in rows.items():
        metals = tuple(row.metal for row in found if row.metal)
        stated = {row.metal or "": _stated(row) for row in found}
        disordered = {row.metal for row in found if row.disordered}
        build, first = _crystal(name, metals, disordered), found[0]
        yield Entry(name, first.family, metals, first.data, first.source, build, stated)


def _stated(row: crystals.Crystal) -> Facts:
    source = f"{row.source}; whole atoms by point charges" if row.disordered else row.source
    return Facts(row.formula, _symbols()[row.spacegroup], row.n_atoms, row.data, source)


def _crystal(name: str, metals: tuple[str, ...], disordered: Collection[str | None]) -> Callable[[str], Atoms]:
    def build(metal: str) -> Atoms:
        chosen = metal if metals else None
        if chosen not in disordered:
            return crystals.crystal(name, chosen)
        from .crystals.orderings import ordered

        return ordered(name, chosen)

    return build


@cache
def _symbols() -> dict[int, str]:
    """Map the space groups' numbers to symbols as spglib writes them: ``"P6_3/mmc (194)"``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        kinds = [spglib.get_spacegroup_type(hall) for hall in range(530, 0, -1)]
    return {kind.number: f"{kind.international_short} ({kind.number})" for kind in kinds if kind}


def _molecules() -> Iterator[Entry]:
    for name, recipe in molecules.MOLECULES.items():
        metals = METALS if re.search(r"M(?![a-z])", recipe.formula) else ()
        yield Entry(f"molecule:{name}", "molecule", metals, recipe.geometry, recipe.source, _boxed(name))


def _boxed(name: str) -> Callable[[str], Atoms]:
    def build(metal: str) -> Atoms:
        atoms = molecules.molecule(name, metal)
        atoms.center(vacuum=_MOLECULE_MARGIN_A)
        atoms.pbc = True
        return atoms

    return build
