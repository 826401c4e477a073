"""Amorphous cells: atoms thrown into a box at a given density and pushed apart until none touch."""

from collections.abc import Mapping

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers, covalent_radii
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from ..limits import check_n_atoms
from .metals import check_metal

Floats = NDArray[np.float64]

_G_PER_CM3 = 1.66053906892  # of one atomic mass unit per cubic angstrom (CODATA 2022)
_STEPS = 1000
_RANDOM_CLOSE = 0.64  # the part of space spheres fill at most when packed at random (Scott & Kilgour 1969)
_MARGIN = 1.002  # aim a little past the closest distance


def random_packing(
    composition: Mapping[str, int],
    *,
    density_g_cm3: float,
    closest: float = 0.8,
    seed: int = 0,
    masses_u: Mapping[str, float] | None = None,
) -> Atoms:
    """
    Throw atoms into a cubic box and push those apart that are closer than a fraction of their radii.

    What comes out is a start for a melt and quench, not a glass: nothing but overlap is taken care of.

    Parameters
    ----------
    composition
        How many atoms of each element.
    density_g_cm3
        Mass density, in g/cm3.
    closest
        No two atoms end nearer than this times the sum of ASE's covalent radii (Cordero et al., Dalton
        Trans. 2008, 2832).
    seed
        Of the random positions.
    masses_u
        Masses of isotopes, by element; others have ASE's.

    Returns
    -------
    Atoms
        Periodic in all directions.

    Raises
    ------
    ValueError
        When an element or a count is not one, the density or the distance is not positive, or the atoms
        do not fit.

    Examples
    --------
    >>> random_packing({"Li": 16, "F": 16}, density_g_cm3=2.3).get_chemical_formula()
    'F16Li16'
    """
    _check_composition(composition, density_g_cm3, closest)
    check_n_atoms(sum(composition.values()), "a random packing")
    numbers = np.repeat([atomic_numbers[element] for element in composition], list(composition.values()))
    masses = atomic_masses[numbers]
    for element, mass_u in (masses_u or {}).items():
        masses[numbers == atomic_numbers[element]] = mass_u
    edge_A = (masses.sum() * _G_PER_CM3 / density_g_cm3) ** (1 / 3)
    positions = np.random.default_rng(seed).random((len(numbers), 3)) * edge_A
    atoms = Atoms(numbers, positions=positions, cell=[edge_A] * 3, pbc=True, masses=masses if masses_u else None)
    _push_apart(atoms, closest)
    atoms.info["philic"] = {
        "family": "amorphous",
        "host": atoms.get_chemical_formula(),
        "density_g_cm3": float(density_g_cm3),
        "closest": float(closest),
        "seed": int(seed),
        "source": "random packing",
    }
    return atoms


def oxynitride_glass(metal: str, *, density_g_cm3: float, phosphorus: int = 16, nitrogen: int = 4, seed: int = 0) -> Atoms:
    """
    Pack a phosphorus oxynitride like LiPON or KPON: M3PO4 in which two N3- stand for three O2-.

    Parameters
    ----------
    metal
        An alkali metal.
    density_g_cm3
        Mass density, in g/cm3: it depends on how the film was made, so there is no default.
    phosphorus
        How many formula units.
    nitrogen
        How many nitrogen atoms in all; even, so that the cell is neutral.
    seed
        Of the random positions.

    Raises
    ------
    ValueError
        When the metal is unknown, the nitrogen is odd or more than the oxygen it replaces, or as for
        `random_packing`.

    Examples
    --------
    >>> oxynitride_glass("K", density_g_cm3=2.3).get_chemical_formula()
    'K48N4O58P16'
    """
    check_metal(metal)
    if nitrogen < 0 or nitrogen % 2 or 3 * nitrogen > 8 * phosphorus:
        raise ValueError(
            f"`nitrogen` is {nitrogen} but must be even and from 0 to {8 * phosphorus // 3}: two N3- replace three O2-"
        )
    composition = {
        metal: 3 * phosphorus,
        "P": phosphorus,
        "O": 4 * phosphorus - 3 * nitrogen // 2,
        "N": nitrogen,
    }
    atoms = random_packing({element: n for element, n in composition.items() if n}, density_g_cm3=density_g_cm3, seed=seed)
    atoms.info["philic"] |= {"metal": metal, "oxidation": {metal: 1, "P": 5, "O": -2, "N": -3}}
    return atoms


def _check_composition(composition: Mapping[str, int], density: float, closest: float) -> None:
    if not composition:
        raise ValueError("`composition` is empty but must name at least one element")
    for element, n in composition.items():
        if element not in atomic_numbers:
            raise ValueError(f"`composition` names {element!r} but that is no element")
        if n < 1 or n != int(n):
            raise ValueError(f"`composition` has {n} {element} but must be a whole number, 1 or more")
    if density <= 0:
        raise ValueError(f"`density_g_cm3` is {density} but must be above 0")
    if closest <= 0:
        raise ValueError(f"`closest` is {closest} but must be above 0")


def _push_apart(atoms: Atoms, closest: float) -> None:
    """Move overlapping atoms along the lines between them, half the overlap each, until none is left."""
    radii = closest * _MARGIN * covalent_radii[atoms.numbers]
    filled = float((4 / 3 * np.pi * radii**3).sum() / atoms.get_volume())
    for _ in range(_STEPS if filled < _RANDOM_CLOSE else 0):
        i, j, d, vectors = neighbor_list("ijdD", atoms, radii.tolist())
        overlap = radii[i] + radii[j] - d
        if not len(d) or overlap.max() < (1 - 1 / _MARGIN) * (radii[i] + radii[j]).min():
            atoms.wrap()
            return
        push = np.zeros((len(atoms), 3))
        np.add.at(push, i, -0.5 * (overlap / np.maximum(d, 1e-6))[:, None] * vectors)
        atoms.positions += push
    raise ValueError(
        f"`density_g_cm3` leaves no room for {atoms.symbols}, which would fill {filled:.0%} of space at "
        f"{closest} times their radii: lower the density or `closest`"
    )
