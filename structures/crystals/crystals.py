"""
Bulk crystals as measured or computed elsewhere: collectors, interphases, alloys, solid electrolytes.

Experimental cells come from the American Mineralogist Crystal Structure Database (Downs & Hall-Wallace,
American Mineralogist 88, 247, 2003), computed ones from the Materials Project (Jain et al., APL Materials 1,
011002, 2013, under CC BY 4.0). Each entry names the paper or number it is from.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from ase import Atoms
from ase.spacegroup import crystal as orbits

from .metals import check_metal

FAMILIES = ("metals", "sei", "alloys", "electrolytes")
"""The families, each in its file ``crystals_FAMILY.json`` beside this one; a crystal is one entry there."""

_SAME_POSITION_A = 2e-3


@dataclass(frozen=True)
class Crystal:
    """
    What the library says of one crystal.

    Attributes
    ----------
    name
        As `crystal` takes it: ``"MF"``, ``"M3Bi-cubic"``, ``"KSb2"``, ``"Cu"``. ``M`` stands for the metal.
    metal
        Li, Na or K; None when the crystal holds none.
    family
        One of `FAMILIES`.
    formula
        The real one, ``"KF"``.
    spacegroup
        Its number in the International Tables.
    n_atoms
        How many atoms the conventional cell holds; a fraction when sites are partly occupied.
    data
        ``"experiment"`` for a diffraction result, ``"computed"`` for one of density functional theory, ``"built"`` where
        cell, sites and bond lengths are put together from several sources.
    source
        Where the numbers were taken from.
    verified
        Whether they were read there.
    disordered
        Whether sites are partly occupied, so that `philic.structures.crystals.orderings.ordered` must choose.
    density_g_cm3
        The handbook's, None where none is recorded.
    measured_cell
        Lengths in A and angles in degrees that someone else measured by diffraction, None where none is recorded.
    """

    name: str
    metal: str | None
    family: str
    formula: str
    spacegroup: int
    n_atoms: float
    data: Literal["experiment", "computed", "built"]
    source: str
    verified: bool
    disordered: bool
    density_g_cm3: float | None
    measured_cell: tuple[float, ...] | None


def crystals(family: str | None = None) -> list[Crystal]:
    """
    List every crystal, by family and in the order of its file, one row for each metal.

    Parameters
    ----------
    family
        Only this one.

    Raises
    ------
    ValueError
        When the family is unknown.

    Examples
    --------
    >>> [row.formula for row in crystals("sei") if row.name == "MF"]
    ['LiF', 'NaF', 'KF']
    """
    if family is not None and family not in FAMILIES:
        raise ValueError(f"`family` is {family!r} but must be one of {', '.join(FAMILIES)}")
    return [_row(record) for record in _records() if family in (None, record["family"])]


def crystal(name: str, metal: str | None = None) -> Atoms:
    """
    Build the conventional cell of a crystal, as its source gives it: nothing here is relaxed by a potential.

    Parameters
    ----------
    name
        A name from `crystals`; ``M`` in it stands for the metal.
    metal
        The alkali metal. May be left out when the name is known for one metal, or holds none.

    Returns
    -------
    Atoms
        Periodic in all directions, in the standard setting of its space group (hexagonal axes for a
        rhombohedral one, unique axis b for a monoclinic one); the entry's facts are in its info.

    Raises
    ------
    ValueError
        When the name or the metal is unknown, the metal is missing, or sites are partly occupied.

    Examples
    --------
    >>> crystal("MF", "K").symbols
    Symbols('K4F4')
    """
    record = _find(name, metal)
    if _is_disordered(record):
        call = ", ".join(repr(word) for word in (name, record["metal"]) if word)
        raise ValueError(
            f"`name` is {name!r} but its sites are partly occupied: order it with "
            f"philic.structures.crystals.orderings.ordered({call})"
        )
    return average_cell(name, metal)[0]


def average_cell(name: str, metal: str | None = None) -> tuple[Atoms, list[dict[str, float]]]:
    """
    Build the conventional cell with every site of the average structure, partly occupied ones included.

    Parameters
    ----------
    name, metal
        As `crystal` takes them.

    Returns
    -------
    Atoms
        Each site holds its first-named element; ``arrays["site"]``, shape ``(n_atoms,)``, is its orbit.
    list
        For each orbit, which elements are there and how much of each.

    Raises
    ------
    ValueError
        When the name or the metal is unknown, or the metal is missing.
    """
    record = _find(name, metal)
    occupants: list[dict[str, float]] = [site[0] for site in record["sites"]]
    atoms = orbits(
        [next(iter(occupant)) for occupant in occupants],
        [site[2] for site in record["sites"]],
        spacegroup=record["spacegroup"],
        setting=record["setting"],
        cellpar=record["cell"],
        symprec=_SAME_POSITION_A,
    )
    orbit = atoms.get_array("spacegroup_kinds")
    plain = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)
    plain.set_array("site", orbit, int)
    plain.info["philic"] = _facts(record)
    return plain, [dict(occupant) for occupant in occupants]


@cache
def _records() -> tuple[dict[str, Any], ...]:
    """Read every entry, once."""
    folder = Path(__file__).parent
    return tuple(
        {"family": family, **record}
        for family in FAMILIES
        for record in json.loads((folder / f"crystals_{family}.json").read_text(encoding="utf-8"))
    )


def _named(name: str) -> list[dict[str, Any]]:
    records = [record for record in _records() if record["name"] == name]
    if not records:
        known = dict.fromkeys(record["name"] for record in _records())
        raise ValueError(f"`name` is {name!r} but must be one of {', '.join(known)}")
    return records


def _find(name: str, metal: str | None) -> dict[str, Any]:
    """Give the entry of a name and a metal."""
    records = _named(name)
    if metal is not None:
        check_metal(metal)
    if metal is None and len(records) == 1:
        return records[0]
    for record in records:
        if record["metal"] == metal:
            return record
    raise ValueError(f"`metal` is {metal!r} but {name} {_known_for(records)}")


def _known_for(records: Sequence[dict[str, Any]]) -> str:
    metals = [record["metal"] for record in records if record["metal"]]
    return f"is known for {', '.join(metals)}" if metals else "holds no alkali metal: leave it out"


def _is_disordered(record: dict[str, Any]) -> bool:
    return any(len(site[0]) > 1 or sum(site[0].values()) < 1 for site in record["sites"])


def _row(record: dict[str, Any]) -> Crystal:
    plain: dict[str, Any] = {key: record.get(key) for key in Crystal.__dataclass_fields__}
    cell = record.get("measured_cell")
    return Crystal(**plain | {"disordered": _is_disordered(record), "measured_cell": cell and tuple(cell)})


def _facts(record: dict[str, Any]) -> dict[str, Any]:
    """Give what `info["philic"]` says of a crystal, plain JSON."""
    keys = ("family", "metal", "spacegroup", "data", "source", "verified", "oxidation")
    facts = {"host": record["formula"], "entry": record["name"]}
    return json.loads(json.dumps(facts | {key: record[key] for key in keys if key in record}))  # type: ignore[no-any-return]
