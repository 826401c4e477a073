"""Point defects of a crystal: vacancies, interstitials and Frenkel pairs in a supercell."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from ase import Atoms
from ase.geometry import find_mic

from ..crystals.charges import formal_charge
from ..crystals.metals import check_metal
from ..crystals.supercells import _SAME_ATOM_A, atom_at, check_holds, supercell_for
from ..symmetry.orbits import (
    Floats,
    Operations,
    Position,
    all_images,
    as_position,
    distances_to_atoms,
    into_cell,
    primitive,
    ranks,
    shifts_within,
    voids,
)

_SUBTRACTED = {"vacancy": -1, "interstitial": 1}


@dataclass(frozen=True)
class DefectSite:
    """
    A place in a crystal where an atom may be missing or one too many.

    Attributes
    ----------
    kind
        On a lattice site, or in a void between them.
    element
        What sits there; None in a void.
    position_A
        Where it is, in the frame of the crystal.
    multiplicity
        How many of the crystal cell's sites this one stands for.
    distance_A
        To the nearest other atom.
    label
        Unique within the crystal: ``"K"``, ``"O #2"``, ``"void #1"`` (the largest).
    """

    kind: Literal["lattice", "void"]
    element: str | None
    position_A: Position
    multiplicity: int
    distance_A: float
    label: str


def vacancy_sites(crystal: Atoms, element: str | None = None) -> list[DefectSite]:
    """
    List the symmetry-distinct lattice sites, of one element or of all.

    Parameters
    ----------
    crystal
        Periodic in three directions; a primitive cell, a conventional cell or a supercell.
    element
        Keep only this one's sites.

    Raises
    ------
    ValueError
        When the crystal is not periodic, its atoms overlap, or it lacks the element.

    Examples
    --------
    >>> from ase.build import bulk
    >>> [(site.label, site.multiplicity) for site in vacancy_sites(bulk("KF", "rocksalt", a=5.34))]
    [('F', 1), ('K', 1)]
    """
    if element is not None:
        check_holds(crystal, element, "element")
    cell, operations = primitive(crystal)
    spots = into_cell(cell.cell.scaled_positions(cell.positions))
    sites = _distinct(crystal, cell, operations, spots, list(cell.symbols))
    sites.sort(key=lambda site: (str(site.element), site.multiplicity, ranks([site.distance_A])))
    return [site for site in _labelled(sites) if element in (None, site.element)]


def with_vacancy(crystal: Atoms, *, repeats: int) -> Atoms:
    """
    Repeat a crystal and remove its first atom: what the vacancy of an element is computed in.

    Parameters
    ----------
    crystal
        Crystal in which all sites are the same.
    repeats
        Cells along each vector.

    Examples
    --------
    >>> from ase.build import bulk
    >>> len(with_vacancy(bulk("Cu", cubic=True), repeats=2))
    31
    """
    atoms: Atoms = crystal * (repeats, repeats, repeats)
    del atoms[0]
    atoms.info["philic"] = {"family": "defect", "defect": "vacancy", "element": str(crystal.symbols[0]), "repeats": repeats}
    return atoms


def interstitial_sites(crystal: Atoms, metal: str) -> list[DefectSite]:
    """
    List the symmetry-distinct voids that may hold one more metal atom, the largest first.

    A void is a vertex of the periodic Voronoi tessellation that lies among its nearest atoms: a point from
    which every step leads nearer to one. Vertices within 1 A of their own symmetric image are one void, at
    the middle; a void within 1 A of a larger one is part of it. Voids nearer to an atom than half the sum
    of covalent radii are left out.

    Parameters
    ----------
    crystal
        Periodic in three directions.
    metal
        The alkali metal to be put in.

    Raises
    ------
    ValueError
        When the metal is unknown, or the crystal is not periodic or overlaps.

    Examples
    --------
    >>> from ase.build import bulk
    >>> [site.multiplicity for site in interstitial_sites(bulk("KF", "rocksalt", a=5.34, cubic=True), "K")]
    [8]
    """
    check_metal(metal)
    cell, operations = primitive(crystal)
    spots = voids(cell, metal, operations)
    sites = _distinct(crystal, cell, operations, spots, [None] * len(spots))
    sites.sort(key=lambda site: (ranks([-site.distance_A]), site.multiplicity))
    return _labelled(sites)


def vacancy(crystal: Atoms, site: DefectSite, *, min_image_A: float = 10.0) -> Atoms:
    """
    Take one atom out of a supercell.

    Parameters
    ----------
    crystal
        The one the site was found in.
    site
        One of `vacancy_sites`.
    min_image_A
        Least distance between the vacancy and its image.

    Returns
    -------
    Atoms
        ``info["philic"]`` holds the defect, its position, the formula and the formal charge: that of the
        defect relative to the perfect crystal, -1 where a monovalent cation is missing, None where no
        oxidation states are known.

    Raises
    ------
    ValueError
        When the site is a void or of another crystal, or the supercell has no other atom of that element.
    """
    if site.element is None:
        raise ValueError(f"`site` is '{site.label}' but a vacancy needs a lattice site: see `vacancy_sites`")
    atoms = supercell_for(crystal, min_image_A)
    index = atom_at(atoms, site.position_A, site.element)
    if list(atoms.symbols).count(site.element) == 1:
        raise ValueError(
            f"`min_image_A` is {min_image_A} but its supercell {atoms.symbols} has only one {site.element}: raise it"
        )
    del atoms[index]
    return described(atoms, crystal, "vacancy", site.element, [site])


def interstitial(crystal: Atoms, metal: str, site: DefectSite, *, min_image_A: float = 10.0) -> Atoms:
    """
    Put one more metal atom, the last, into a void of a supercell.

    Parameters
    ----------
    crystal
        The one the site was found in.
    metal
        An alkali metal, of the crystal or foreign to it.
    site
        One of `interstitial_sites`.
    min_image_A
        Least distance between the interstitial and its image.

    Raises
    ------
    ValueError
        When the metal is unknown or the site is no void of this crystal.
    """
    check_metal(metal)
    atoms = supercell_for(crystal, min_image_A)
    _check_void(atoms, site)
    atoms += Atoms(metal, positions=[site.position_A])
    atoms.wrap()
    return described(atoms, crystal, "interstitial", metal, [site])


def frenkel_pair(
    crystal: Atoms,
    metal: str,
    lattice_site: DefectSite,
    void: DefectSite,
    *,
    apart_A: float | None = None,
    min_image_A: float = 10.0,
) -> Atoms:
    """
    Move one metal atom of a supercell from its lattice site into a void.

    Atoms keep the order of `supercell_for`.

    Parameters
    ----------
    crystal
        The one the sites were found in.
    metal
        An alkali metal of the crystal.
    lattice_site, void
        Of `vacancy_sites` and `interstitial_sites`; the void stands for its whole orbit.
    apart_A
        Take the void nearest to the vacancy that is at least this far; by default the farthest.
    min_image_A
        Least distance between the pair and its image.

    Raises
    ------
    ValueError
        When the crystal lacks the metal, a site does not fit, or no void is so far away.
    """
    check_holds(crystal, metal)
    if lattice_site.element != metal:
        raise ValueError(f"`lattice_site` is '{lattice_site.label}' but must be a lattice site of {metal}")
    atoms = supercell_for(crystal, min_image_A)
    _check_void(atoms, void)
    index = atom_at(atoms, lattice_site.position_A, metal)
    steps, distances = find_mic(_orbit_in(crystal, atoms, void) - atoms.positions[index], atoms.cell)
    if apart_A is not None and distances.max() < apart_A:
        raise ValueError(
            f"`apart_A` is {apart_A} but the farthest void is {distances.max():.2f} A from the vacancy:"
            " lower it or raise `min_image_A`"
        )
    preference = distances if apart_A is None else -np.where(distances < apart_A - 1e-6, np.inf, distances)
    chosen = int(np.argmax(preference.round(4)))
    atoms.positions[index] += steps[chosen]
    atoms.wrap()
    there = replace(void, position_A=as_position(atoms.positions[index]))
    atoms = described(atoms, crystal, "frenkel pair", metal, [lattice_site, there])
    atoms.info["philic"]["apart_A"] = float(distances[chosen])
    return atoms


def described(atoms: Atoms, crystal: Atoms, defect: str, element: str, sites: list[DefectSite]) -> Atoms:
    """Write what was made, where, and its formal charge into a supercell's info, and give the supercell."""
    charge = formal_charge(crystal, element)
    sign = _SUBTRACTED.get(defect, 0)
    atoms.info["philic"] |= {
        "family": "defect",
        "defect": defect,
        "element": element,
        "sites": [site.label for site in sites],
        "positions_A": [list(site.position_A) for site in sites],
        "formula": atoms.symbols.formula.format("hill"),
        "formal_charge": 0 if sign == 0 else None if charge is None else sign * charge,
    }
    return atoms


def _distinct(crystal: Atoms, cell: Atoms, operations: Operations, spots: Floats, elements: list[Any]) -> list[DefectSite]:
    """Keep one of each orbit of fractional positions, in the order given."""
    waiting = np.ones(len(spots), dtype=bool)
    per_cell = len(crystal) // len(cell)
    sites = []
    for at, element in enumerate(elements):
        if not waiting[at]:
            continue
        images = all_images(cell, operations, spots[at])
        apart = spots[:, None] - images
        hit = (np.linalg.norm((apart - apart.round()) @ cell.cell.array, axis=2) < _SAME_ATOM_A).any(axis=1)
        waiting &= ~(hit & np.array([other == element for other in elements]))
        position = spots[at] @ cell.cell.array
        away = np.sort(distances_to_atoms(cell, position, reach=1))
        kind: Literal["lattice", "void"] = "void" if element is None else "lattice"
        nearest = float(away[away > 1e-3][0])
        sites.append(DefectSite(kind, element, as_position(position), len(images) * per_cell, nearest, element or "void"))
    return sites


def _labelled(sites: list[DefectSite]) -> list[DefectSite]:
    shared, seen = Counter(site.label for site in sites), Counter[str]()
    labelled = []
    for site in sites:
        seen[site.label] += 1
        number = f" #{seen[site.label]}" if shared[site.label] > 1 or site.kind == "void" else ""
        labelled.append(replace(site, label=site.label + number))
    return labelled


def _check_void(atoms: Atoms, site: DefectSite) -> None:
    if site.kind != "void":
        raise ValueError(f"`site` is '{site.label}' but must be a void: see `interstitial_sites`")
    nearest = float(find_mic(atoms.positions - np.array(site.position_A), atoms.cell)[1].min())
    if abs(nearest - site.distance_A) > _SAME_ATOM_A:
        raise ValueError(
            f"`site` is '{site.label}' {site.distance_A:.2f} A from an atom but in this crystal it is"
            f" {nearest:.2f} A from one: take a site of the same crystal"
        )


def _orbit_in(crystal: Atoms, atoms: Atoms, void: DefectSite) -> Floats:
    """Give every void of an orbit in a supercell, shape ``(n, 3)``, in A."""
    cell, operations = primitive(crystal)
    spot = np.array(void.position_A) @ np.linalg.inv(cell.cell.array)
    orbit = all_images(cell, operations, spot)
    shifts = shifts_within(cell, float(np.linalg.norm(atoms.cell.array, axis=1).sum()))
    spots = (orbit + shifts[:, None]).reshape(-1, 3) @ cell.cell.array @ np.linalg.inv(atoms.cell.array)
    inside = spots[((spots > -1e-6) & (spots < 1 - 1e-6)).all(axis=1)]
    return np.asarray(inside @ atoms.cell.array)
