"""CIF files: elements from untidy labels, whole sites only, deuterium, magnetic files; two readers that must agree."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ase.io.cif import CIFBlock
    from pymatgen.core.structure import Structure

DEUTERIUM_U = 2.01410177812
"""Mass of deuterium (AME2020)."""

_FULL = 0.999
_ORDER_IT = "the crystal is disordered, put whole atoms on its sites first"
_SAME_LENGTH_A, _SAME_ANGLE_DEG = 1e-3, 1e-2
_TYPE = re.compile(r"([A-Za-z]{1,2})\d*\.?\d*[+-]?\d*")
_UNKNOWN = ("?", ".")
_OPERATIONS = ("_space_group_symop_operation_xyz", "_space_group_symop.operation_xyz", "_symmetry_equiv_pos_as_xyz")
_LIST_THEM = f"list its operations ({_OPERATIONS[2]}) in the file's setting"
_TWO_ORIGINS = {
    *(48, 50, 59, 68, 70, 85, 86, 88, 125, 126, 129, 130),
    *(133, 134, 137, 138, 141, 142, 201, 203, 222, 224, 227, 228),
}
"""Space groups with two origins (International Tables, volume A)."""
_SAME_METRIC = 0.01
_COORDINATES = ("_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z")


class RefusedError(ValueError):
    """What is wrong with a file, in words that follow its name."""


def read_cif(text: str) -> Atoms:
    """Read the last structure of a CIF, by ASE and by pymatgen.

    Elements come from type symbols, or else from labels, whatever their case; an unknown occupancy is 1. Deuterium
    becomes H with its mass. A magnetic CIF, whose symmetry ASE does not know, is read by pymatgen alone.

    Raises
    ------
    RefusedError
        If a site is shared or partly filled, is nowhere, or holds no element, or if the two readers disagree.
    """
    if "_space_group_symop_magn" in text:
        return _read_magnetic(text)
    block = _last_block(text)
    labels = _labels(block)
    _check_coordinates(block, labels)
    _check_occupancies(block, labels)
    _check_space_group(block)
    atoms = _built(block, _elements(block, labels))
    _check_agreement(atoms, text)
    return atoms


def _last_block(text: str) -> CIFBlock:
    """Give the last block that has sites."""
    from ase.io.cif import parse_cif

    blocks = [block for block in parse_cif(BytesIO(text.encode("latin-1", "replace"))) if _names_sites(block)]
    if not blocks:
        raise RefusedError("holds no atoms: a CIF needs _atom_site_fract_x and a label or type symbol")
    return blocks[-1]


def _names_sites(block: CIFBlock) -> bool:
    return any(block.get(key) is not None for key in ("_atom_site_type_symbol", "_atom_site_label"))


def _labels(block: CIFBlock) -> list[str]:
    """Give what each site is called."""
    names = block.get("_atom_site_label")
    if names is None:
        names = block["_atom_site_type_symbol"]
    return [str(name) for name in names]


def _check_coordinates(block: CIFBlock, labels: list[str]) -> None:
    """Refuse sites that are nowhere: dummy atoms and atoms the refinement did not place."""
    for key in _COORDINATES:
        for label, value in zip(labels, block.get(key) or [], strict=False):
            if isinstance(value, str):
                raise RefusedError(
                    f"has {value} for {key[-7:]} of site {label} but must have a number: place it or remove it"
                )


def _check_occupancies(block: CIFBlock, labels: list[str]) -> None:
    """Refuse sites that are only partly filled."""
    for label, value in zip(labels, block.get("_atom_site_occupancy") or [], strict=False):
        if value in _UNKNOWN:
            continue  # the dictionary's default is 1
        if isinstance(value, str) or not _FULL <= value <= 2 - _FULL:
            raise RefusedError(f"has a partly filled site ({label}: occupancy {value}) but all must be full: {_ORDER_IT}")


def _check_space_group(block: CIFBlock) -> None:
    """Refuse a space group that is unknown, ambiguous or impossible in the cell."""
    from ase.spacegroup.spacegroup import SpacegroupNotFoundError

    cell = block.get_cell()
    if cell.rank < 3:
        return
    try:
        group = block.get_spacegroup(subtrans_included=True)
    except SpacegroupNotFoundError as error:
        raise RefusedError(f"has a space group that ASE does not know ({error}): {_LIST_THEM}") from error
    if group.no in _TWO_ORIGINS and not any(block.get(key) for key in _OPERATIONS):
        raise RefusedError(f"names {group.symbol}, which has two origins, but must say which: {_LIST_THEM}")
    metric = cell.array @ cell.array.T
    turned = np.einsum("nji,jk,nkl->nil", group.rotations, metric, group.rotations)
    if np.abs(turned - metric).max() > _SAME_METRIC * metric.max():
        shown = " ".join(f"{number:g}" for number in cell.cellpar().round(4))
        raise RefusedError(f"has the cell {shown}, which {group.symbol} does not leave as it is: {_LIST_THEM}")


def _elements(block: CIFBlock, labels: list[str]) -> list[str]:
    """Give the element of each site, D for deuterium."""
    types = block.get("_atom_site_type_symbol")
    if types is None or any(str(kind) in _UNKNOWN for kind in types):
        return [_element_of_label(label, labels) for label in labels]
    return [_element_of_type(str(kind), label) for kind, label in zip(types, labels, strict=True)]


def _element_of_type(kind: str, label: str) -> str:
    """Read a type symbol: ``Li``, ``LI``, ``Li+``, ``O2-``, ``D``."""
    if len(set(re.findall(r"[A-Z][a-z]?", kind))) > 1 and re.search(r"[^A-Za-z0-9+-]", kind):
        raise RefusedError(
            f"has a site of several elements ({label}: {kind}) but each must hold one: it is disordered, order it first"
        )
    match = _TYPE.fullmatch(kind)
    element = match.group(1).capitalize() if match else ""
    if not _is_element(element):
        raise RefusedError(f"has the type symbol {kind} (site {label}) but it must be an element, such as Na or Na1+")
    return element


def _element_of_label(label: str, labels: list[str]) -> str:
    """Read an element from a label: ``Na1``, ``NA1``, ``O1A``; refuse where two readings make sense."""
    letters = re.match(r"[A-Za-z]*", label)
    word = letters.group(0) if letters else ""
    two, one = word[:2].capitalize(), word[:1].upper()
    if len(word) > 1 and _is_element(two) and word[1].islower():
        return two
    if len(word) > 1 and _is_element(two):
        if _is_element(one) and any(re.match(rf"{one}(?![A-Za-z])", other) for other in labels):
            raise RefusedError(f"has the site {label}, {two} or {one}, but must say which: add _atom_site_type_symbol")
        return two
    if _is_element(one):
        return one
    raise RefusedError(f"has the site {label} without an element: add _atom_site_type_symbol")


def _is_element(symbol: str) -> bool:
    return symbol == "D" or atomic_numbers.get(symbol, 0) > 0


def _built(block: CIFBlock, elements: list[str]) -> Atoms:
    """Let ASE repeat the sites by the space group, deuterium with its mass."""
    tags: dict[str, Any] = {key: block[key] for key in block if key != "_atom_site_occupancy"}
    tags["_atom_site_type_symbol"] = elements
    deuterium = "D" in elements
    if deuterium:  # ASE would lose its mass on the way: it travels as an element that no such crystal holds
        spare = next(symbol for symbol in ("He", "Ne", "Ar", "Kr", "Xe", "Rn") if symbol not in elements)
        tags["_atom_site_type_symbol"] = [spare if element == "D" else element for element in elements]
    atoms: Atoms = type(block)(block.name, tags).get_atoms()
    if deuterium:
        heavy = atoms.symbols == spare
        atoms.symbols[heavy] = "H"
        masses = Atoms(atoms.symbols).get_masses()
        masses[heavy] = DEUTERIUM_U
        atoms.set_masses(masses)
    return atoms


def _read_by_pymatgen(text: str) -> Structure:
    from pymatgen.io.cif import CifParser

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return CifParser(StringIO(text)).parse_structures(primitive=False, check_occu=False)[-1]


def _check_agreement(atoms: Atoms, text: str) -> None:
    """Compare what ASE read with what pymatgen reads: atoms of each element, and the cell."""
    try:
        other = _read_by_pymatgen(text)
        numbers = np.sort([site.specie.Z for site in other])
    except Exception:
        return
    lengths, angles = np.split(atoms.cell.cellpar(), 2)
    alike = np.allclose(lengths, other.lattice.abc, atol=_SAME_LENGTH_A) and np.allclose(
        angles, other.lattice.angles, atol=_SAME_ANGLE_DEG
    )
    if not alike or not np.array_equal(np.sort(atoms.numbers), numbers):
        raise RefusedError(
            f"is {_summary(atoms)} to ASE but {_summary(_atoms(other))} to pymatgen: "
            "write all atoms of the cell, in space group P 1"
        )


def _summary(atoms: Atoms) -> str:
    return f"{atoms.symbols.formula.format('metal')} in {atoms.cell.volume:.2f} Å³"


def _atoms(structure: Structure) -> Atoms:
    numbers = [site.specie.Z for site in structure]
    return Atoms(numbers, positions=structure.cart_coords, cell=structure.lattice.matrix, pbc=True)


def _read_magnetic(text: str) -> Atoms:
    """Read a magnetic CIF by pymatgen; its moments become initial magnetic moments."""
    structure = _read_by_pymatgen(text)
    if not structure.is_ordered:
        site = next(site for site in structure if not site.is_ordered)
        raise RefusedError(
            f"has a site that is shared or partly filled ({site.species_string}): it is disordered, order it first"
        )
    atoms = _atoms(structure)
    moments = _moments(structure)
    if np.any(moments):
        along_z = not np.any(np.abs(moments[:, :2]) > 1e-6)
        atoms.set_initial_magnetic_moments(moments[:, 2] if along_z else moments)
    return atoms


def _moments(structure: Structure) -> NDArray[np.float64]:
    """Give the moments in Bohr magnetons, Cartesian; pymatgen gives each site of an orbit those of the whole orbit."""
    moments, seen = np.zeros((len(structure), 3)), Counter[str]()
    for i, site in enumerate(structure):
        found = site.properties.get("magmom")
        if isinstance(found, list):
            found = found[seen[site.label]]
        seen[site.label] += 1
        if found is not None:
            moments[i] = getattr(found, "global_moment", found)
    return moments
