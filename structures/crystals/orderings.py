"""Which atom where: partial occupancies and charge-balanced doping, by electrostatics and with a seed."""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import reduce
from math import gcd, lcm
from typing import Any

import numpy as np
import spglib
from ase import Atoms
from ase.formula import Formula
from numpy.typing import NDArray

from ..symmetry.species import kept, renamed
from .crystals import average_cell, crystal

Floats = NDArray[np.float64]

OXIDATION_STATES: Mapping[str, int] = {
    **dict.fromkeys(("F", "Cl", "Br", "I", "H"), -1),
    **dict.fromkeys(("O", "S", "Se", "Te"), -2),
    "N": -3,
    **dict.fromkeys(("Li", "Na", "K", "Rb", "Cs", "Ag"), 1),
    **dict.fromkeys(("Mg", "Ca", "Sr", "Ba", "Zn"), 2),
    **dict.fromkeys(("Al", "Ga", "In", "Sc", "Y", "La", "B"), 3),
    **dict.fromkeys(("Si", "Ge", "Sn", "Ti", "Zr", "Hf", "C"), 4),
    **dict.fromkeys(("P", "As", "Sb", "V", "Nb", "Ta"), 5),
    **dict.fromkeys(("Mo", "W"), 6),
}
"""The usual oxidation state of an element as a dopant in an ionic crystal."""

VACANCY = "X"
"""What an empty site is called while it is being placed."""

_RESTARTS = 20
_GAIN_EV = 1e-6  # a swap that gains less is none


def ordered(name: str, metal: str | None = None, *, repeats: Sequence[int] | None = None, seed: int = 0) -> Atoms:
    """
    Put whole atoms on the partly occupied sites of a crystal, where point charges repel each other least.

    Sites that share their elements share their atoms too, so electrostatics decides how the vacancies spread
    over crystallographically different sites. The charges are the entry's oxidation states, their energy is
    pymatgen's Ewald sum, and the arrangement is the best of 20 random ones after steepest descent by swaps:
    a low one, not provably the lowest.

    Parameters
    ----------
    name, metal
        As `philic.structures.crystals.crystals.crystal` takes them.
    repeats
        Repeats of the primitive cell; by default the fewest along the third axis that make every count whole.
    seed
        Of the random starts. The same seed gives the same crystal.

    Returns
    -------
    Atoms
        The choice, its energy in eV and the seed are in ``info["philic"]["ordering"]``.

    Raises
    ------
    ValueError
        When the crystal is unknown, already ordered, or the repeats leave part of an atom over.

    Examples
    --------
    >>> ordered("Na3Zr2Si2PO12").get_chemical_formula()
    'Na6O24P2Si4Zr4'
    """
    cell, occupants = average_cell(name, metal)
    if not any(_is_partial(occupant) for occupant in occupants):
        raise ValueError(f"`name` is {name!r} but all its sites are full: take crystal() as it is")
    cell = _primitive(cell)
    repeats = _enough(cell, occupants) if repeats is None else _checked_repeats(cell, occupants, repeats)
    atoms = cell * tuple(repeats)
    pools = _partial_pools(atoms, occupants)
    return _arranged(atoms, pools, atoms.info["philic"]["oxidation"], seed, {"repeats": list(repeats)})


def doped(
    host: Atoms,
    *,
    replace: Mapping[str, Mapping[str, int]],
    vacancies: Mapping[str, int] | None = None,
    oxidation: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Atoms:
    """
    Replace atoms and take atoms out, keeping the cell neutral and its electrostatic energy low.

    Parameters
    ----------
    host
        A crystal or a supercell of one, with oxidation states in ``info["philic"]["oxidation"]``.
    replace
        For each element of the host, how many of which dopants take its place: ``{"S": {"Cl": 2}}``.
    vacancies
        How many atoms of each element are taken out: ``{"K": 2}``.
    oxidation
        Oxidation states that differ from the host's and from `OXIDATION_STATES`.
    seed
        As for `ordered`, which says how the sites are chosen.

    Returns
    -------
    Atoms
        The choice is in ``info["philic"]["ordering"]``.

    Raises
    ------
    ValueError
        When the host has no oxidation states or too few atoms, a dopant's state is unknown, or the cell
        would be charged.

    Examples
    --------
    >>> from philic.structures.crystals.crystals import crystal
    >>> doped(crystal("M3SbS4", "K"), replace={"S": {"Cl": 1}}, vacancies={"K": 1}).get_chemical_formula()
    'ClK11S15Sb4'
    """
    vacancies = vacancies or {}
    states = _all_states(host, replace, oxidation or {})
    atoms = host.copy()
    pools = [
        (np.flatnonzero(atoms.symbols == element), _replacement(atoms, element, replace, vacancies))
        for element in dict.fromkeys([*replace, *vacancies])
    ]
    _check_neutral(atoms, pools, states, replace, vacancies)
    choice = {
        "replace": {element: dict(dopants) for element, dopants in replace.items()},
        "vacancies": dict(vacancies),
    }
    return _arranged(atoms, pools, states, seed, choice)


def halogenated(
    name: str,
    metal: str,
    x: float,
    *,
    halogen: str = "Cl",
    repeats: Sequence[int] = (1, 1, 1),
    seed: int = 0,
) -> Atoms:
    """
    Dope a chalcogenide with a halogen, one metal vacancy for each: M3SbS4 becomes M(3-x)SbS(4-x)Cl(x).

    Parameters
    ----------
    name, metal
        A crystal with sulfur, ``"M3SbS4"``, ``"M3SbS4-cubic"`` or ``"M3PS4"``.
    x
        Halogen atoms per formula unit.
    halogen
        F, Cl, Br or I.
    repeats
        Of the conventional cell.
    seed
        As for `ordered`.

    Raises
    ------
    ValueError
        When the crystal or halogen is unknown, it has no sulfur, or x gives part of an atom.

    Examples
    --------
    >>> halogenated("M3SbS4-cubic", "Na", 0.125, repeats=(2, 2, 1)).get_chemical_formula()
    'ClNa23S31Sb8'
    """
    if halogen not in ("F", "Cl", "Br", "I"):
        raise ValueError(f"`halogen` is {halogen!r} but must be one of F, Cl, Br, I")
    cell = crystal(name, metal)
    if "S" not in cell.symbols:
        raise ValueError(f"`name` is {name!r}, which holds no sulfur for {halogen} to replace")
    host = cell * tuple(repeats)
    units = reduce(gcd, Formula(host.get_chemical_formula()).count().values())
    n = round(x * units)
    if n < 1 or abs(x * units - n) > 1e-6:
        raise ValueError(f"`x` is {x}, {x * units:g} {halogen} in {units} formula units, but must be whole and 1 or more")
    atoms = doped(host, replace={"S": {halogen: n}}, vacancies={metal: n}, seed=seed)
    atoms.info["philic"]["ordering"] |= {
        "x": float(x),
        "halogen": halogen,
        "repeats": [int(n) for n in repeats],
    }
    return atoms


def with_vacancies(atoms: Atoms, element: str, n: int) -> Atoms:
    """
    Take atoms of one element out, each as far as it can be from those that went before, and leave the charge unbalanced.

    Parameters
    ----------
    atoms
        A supercell, periodic in three directions.
    element
        What is taken out, the first atom of it first.
    n
        How many.

    Raises
    ------
    ValueError
        When none of that element would be left.

    Examples
    --------
    >>> from ase.build import bulk
    >>> with_vacancies(bulk("KF", "rocksalt", a=5.34, cubic=True), "K", 2).get_chemical_formula()
    'F4K2'
    """
    present = np.flatnonzero(atoms.symbols == element)
    if n >= len(present) > 0:
        raise ValueError(f"`n` is {n} but must be below {len(present)}, the {element} atoms of the cell: enlarge it")
    out = present[: min(n, 1)].tolist()
    while len(out) < n:
        away = [min(atoms.get_distances(int(at), out, mic=True)) for at in present]
        out.append(int(present[int(np.argmax(np.round(away, 4)))]))
    left: Atoms = atoms.copy()
    del left[out]
    return left


Pool = tuple[NDArray[np.int_], dict[str, int]]
"""Sites that exchange their atoms, and how many of what they hold."""


def _is_partial(occupant: Mapping[str, float]) -> bool:
    return len(occupant) > 1 or sum(occupant.values()) < 1


def _primitive(cell: Atoms) -> Atoms:
    """Take the primitive cell, in which sites of different orbits stay different."""
    plain = (
        cell.cell.array.tolist(),
        cell.get_scaled_positions().tolist(),
        (cell.arrays["site"] + 1).tolist(),
    )
    with warnings.catch_warnings():  # spglib 2.7 and 2.8 announce their new error handling at every call
        warnings.simplefilter("ignore", DeprecationWarning)
        found = spglib.standardize_cell(plain, to_primitive=True, no_idealize=True, symprec=1e-3)
    if found is None:
        raise ValueError(f"`name` is {cell.info['philic']['entry']!r}, whose sites overlap: mend the entry")
    lattice, positions, orbit = found
    element = dict(zip(cell.arrays["site"].tolist(), cell.symbols, strict=True))
    atoms = Atoms([element[i - 1] for i in orbit], scaled_positions=positions, cell=lattice, pbc=True)
    atoms.set_array("site", np.array(orbit) - 1)
    atoms.info["philic"] = cell.info["philic"]
    return atoms


def _shares(cell: Atoms, occupants: Sequence[Mapping[str, float]]) -> dict[tuple[str, ...], dict[str, Fraction]]:
    """Give, for each set of elements that share sites, how many atoms of each the cell holds."""
    shares: dict[tuple[str, ...], dict[str, Fraction]] = {}
    for orbit, size in Counter(cell.arrays["site"].tolist()).items():
        if not _is_partial(occupants[orbit]):
            continue
        pool = shares.setdefault(tuple(sorted(occupants[orbit])), {})
        for element, part in occupants[orbit].items():
            pool[element] = pool.get(element, Fraction(0)) + size * Fraction(part).limit_denominator(1000)
    return shares


def _enough(cell: Atoms, occupants: Sequence[Mapping[str, float]]) -> tuple[int, int, int]:
    """Give the fewest repeats along the third axis that make every count whole."""
    parts = [part for pool in _shares(cell, occupants).values() for part in pool.values()]
    return (1, 1, lcm(*(part.denominator for part in parts)))


def _checked_repeats(cell: Atoms, occupants: Sequence[Mapping[str, float]], repeats: Sequence[int]) -> tuple[int, int, int]:
    a, b, c = (int(n) for n in repeats)
    if min(a, b, c) < 1:
        raise ValueError(f"`repeats` is {(a, b, c)} but each must be at least 1")
    for pool in _shares(cell, occupants).values():
        for element, part in pool.items():
            if (part * a * b * c).denominator > 1:
                needed = _enough(cell, occupants)[2]
                raise ValueError(
                    f"`repeats` is {(a, b, c)}, which holds {float(part * a * b * c):g} {element}, "
                    f"but must hold whole atoms: take a multiple of {needed} cells"
                )
    return a, b, c


def _partial_pools(atoms: Atoms, occupants: Sequence[Mapping[str, float]]) -> list[Pool]:
    """List the sites that share their elements, with what the repeated cell puts on them."""
    pools: list[Pool] = []
    for elements, parts in _shares(atoms, occupants).items():
        orbits = [i for i, one in enumerate(occupants) if _is_partial(one) and tuple(sorted(one)) == elements]
        sites = np.flatnonzero(np.isin(atoms.arrays["site"], orbits))
        counts = {element: int(part) for element, part in parts.items()}
        pools.append((sites, {**counts, VACANCY: len(sites) - sum(counts.values())}))
    return pools


def _all_states(host: Atoms, replace: Mapping[str, Mapping[str, int]], given: Mapping[str, float]) -> dict[str, float]:
    """Give the oxidation state of every element there is and will be."""
    known = host.info.get("philic", {}).get("oxidation")
    if known is None:
        raise ValueError(f"`host` is {host.symbols} without oxidation states in its info but must have them")
    states: dict[str, float] = {**known, **given}
    for dopant in (dopant for dopants in replace.values() for dopant in dopants):
        if dopant not in states and dopant not in OXIDATION_STATES:
            raise ValueError(
                f"`replace` names {dopant!r}, whose oxidation state is unknown: give it in `oxidation`, "
                f"or take one of {', '.join(OXIDATION_STATES)}"
            )
        states.setdefault(dopant, OXIDATION_STATES.get(dopant, 0))
    return states


def _replacement(
    atoms: Atoms, element: str, replace: Mapping[str, Mapping[str, int]], vacancies: Mapping[str, int]
) -> dict[str, int]:
    """Count what will be on the sites of an element."""
    counts = {**replace.get(element, {}), VACANCY: vacancies.get(element, 0)}
    for what, n in counts.items():
        if n < 0 or n != int(n):
            raise ValueError(f"the count of {what} on {element} is {n} but must be a whole number, 0 or more")
    present, wanted = int((atoms.symbols == element).sum()), sum(counts.values())
    if wanted > present:
        raise ValueError(f"`replace` and `vacancies` take {wanted} {element} but the host has only {present}")
    return {element: present - wanted, **counts}


def _check_neutral(
    atoms: Atoms,
    pools: Sequence[Pool],
    states: Mapping[str, float],
    replace: Mapping[str, Mapping[str, int]],
    vacancies: Mapping[str, int],
) -> None:
    charges = {**states, VACANCY: 0}
    total = sum(states[symbol] for symbol in atoms.symbols)
    for sites, counts in pools:
        total += sum(n * charges[what] for what, n in counts.items()) - len(sites) * states[atoms.symbols[sites[0]]]
    if abs(total) > 1e-6:
        raise ValueError(
            f"`replace` is {dict(replace)} and `vacancies` is {dict(vacancies)}, a charge of {total:+g} "
            "but it must be 0: balance the dopants with vacancies"
        )


def _arranged(
    atoms: Atoms, pools: Sequence[Pool], states: Mapping[str, float], seed: int, choice: Mapping[str, Any]
) -> Atoms:
    """Put what the pools hold on the best sites found, and note the choice."""
    charges = {**states, VACANCY: 0.0}
    coulomb = _coulomb_eV(atoms)
    random = np.random.default_rng(seed)
    tries = [_descended(atoms, pools, charges, coulomb, random) for _ in range(_RESTARTS)]
    energy, names = min(tries, key=lambda found: found[0])
    here = names != VACANCY
    left = Atoms(atoms.numbers[here], positions=atoms.positions[here], cell=atoms.cell, pbc=True, **kept(atoms, here))
    arranged = renamed(left, [str(name) for name in names[here]])
    arranged.info["philic"] = {
        **atoms.info["philic"],
        "host": arranged.get_chemical_formula(),
        "oxidation": {element: states[element] for element in dict.fromkeys(arranged.symbols)},
        "ordering": {"method": "Ewald sum", "seed": int(seed), "energy_eV": round(energy, 6), **choice},
    }
    return arranged


def _descended(
    atoms: Atoms,
    pools: Sequence[Pool],
    charges: Mapping[str, float],
    coulomb: Floats,
    random: np.random.Generator,
) -> tuple[float, NDArray[np.str_]]:
    """Start at random and make the best swap until none helps: the energy in eV, and what is on each site."""
    names = np.array([str(symbol) for symbol in atoms.symbols], dtype="U2")
    for sites, counts in pools:
        names[sites] = random.permutation([what for what, n in counts.items() for _ in range(n)])
    charge = np.array([charges[name] for name in names])
    energy = float(charge @ coulomb @ charge)
    while True:
        swaps = [_best_swap(sites, charge, coulomb) for sites, _ in pools]
        _, i, j = min(swaps)
        swapped = charge.copy()
        swapped[[i, j]] = charge[[j, i]]
        lower = float(swapped @ coulomb @ swapped)
        if not lower < energy - _GAIN_EV:  # of the whole, so that rounding cannot lead it round in circles
            return energy, names
        names[[i, j]] = names[[j, i]]
        charge, energy = swapped, lower


def _best_swap(sites: NDArray[np.int_], charge: Floats, coulomb: Floats) -> tuple[float, int, int]:
    """Find the exchange of two of these sites' charges that lowers the energy most."""
    potential = (coulomb @ charge)[sites]
    block = coulomb[np.ix_(sites, sites)]
    gap = charge[sites][None, :] - charge[sites][:, None]
    self_energy = np.diag(block)[:, None] + np.diag(block)[None, :] - 2 * block
    change = 2 * gap * (potential[:, None] - potential[None, :]) + gap**2 * self_energy
    at = int(change.argmin())
    i, j = divmod(at, len(sites))
    return float(change.flat[at]), int(sites[i]), int(sites[j])


def _coulomb_eV(atoms: Atoms) -> Floats:
    """Give the energies of unit charges, shape ``(n_atoms, n_atoms)``; right for a neutral cell."""
    from pymatgen.analysis.ewald import EwaldSummation
    from pymatgen.core.lattice import Lattice
    from pymatgen.core.periodic_table import Species
    from pymatgen.core.structure import Structure

    unit = Structure(Lattice(atoms.cell.array), [Species("H", 1)] * len(atoms), atoms.get_scaled_positions())
    matrix = EwaldSummation(unit).total_energy_matrix  # type: ignore[no-untyped-call]
    return np.asarray(matrix, dtype=np.float64)
