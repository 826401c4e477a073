"""Solid solutions of two elements, as near to random as a small cell can be."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from .crystals import crystal

Floats = NDArray[np.float64]

_SWAPS = 4000
_SHELLS = 3
_SAME_SHELL_A = 0.1
_REACH_A = 6.0


def solid_solution(one: str, other: str, x: float, *, repeats: Sequence[int] = (3, 3, 1), seed: int = 0) -> Atoms:
    """
    Mix two isostructural elements at random as far as a small cell can: a special quasirandom structure.

    Of 4000 seeded swaps, those are kept that bring the pair correlations of the three nearest shells
    nearer to ``(2x - 1)^2``, the value of the random alloy (Zunger et al., Phys. Rev. Lett. 65, 353, 1990).
    Cell and coordinates are interpolated between the two elements (Vegard's law).

    Parameters
    ----------
    one, other
        Crystals of one element each with the same space group and sites: ``"Bi"`` and ``"Sb"``.
    x
        Fraction of the other, between 0 and 1.
    repeats
        Of the conventional cell.
    seed
        Of the swaps.

    Returns
    -------
    Atoms
        The correlations reached and the random alloy's are in ``info["philic"]["ordering"]``.

    Raises
    ------
    ValueError
        When the two are not isostructural, x is out of range or gives part of an atom.

    Examples
    --------
    >>> solid_solution("Bi", "Sb", 0.5).get_chemical_formula()
    'Bi27Sb27'
    """
    atoms: Atoms = _vegard(one, other, x) * tuple(repeats)
    n = round(x * len(atoms))
    if abs(x * len(atoms) - n) > 1e-6:
        raise ValueError(f"`x` is {x}, {x * len(atoms):g} of {len(atoms)} atoms, but must be whole")
    shells = _pair_shells(atoms)
    random = np.random.default_rng(seed)
    spins = random.permutation(np.where(np.arange(len(atoms)) < n, -1.0, 1.0))
    spins = _quasirandom(spins, shells, (2 * x - 1) ** 2, random)
    symbols = [str(crystal(name).symbols[0]) for name in (one, other)]
    atoms.symbols = np.where(spins > 0, *symbols)
    atoms.info["philic"] = {
        "family": "alloys",
        "host": atoms.get_chemical_formula(),
        "entry": f"{one}-{other}",
        "metal": None,
        "source": "cell and coordinates interpolated between the two elements",
        "ordering": {
            "method": "pair correlations",
            "seed": int(seed),
            "x": float(x),
            "repeats": [int(n) for n in repeats],
            "correlations": [float(value) for value in _correlations(spins, shells)],
            "random_alloy": float((2 * x - 1) ** 2),
        },
    }
    return atoms


def _vegard(one: str, other: str, x: float) -> Atoms:
    """Interpolate between two isostructural elements."""
    if not 0 < x < 1:
        raise ValueError(f"`x` is {x} but must be above 0 and below 1")
    ends = [crystal(name) for name in (one, other)]
    groups = [atoms.info["philic"]["spacegroup"] for atoms in ends]
    if groups[0] != groups[1] or len(ends[0]) != len(ends[1]) or max(len(set(atoms.symbols)) for atoms in ends) > 1:
        raise ValueError(f"`one` is {one!r} and `other` is {other!r} but both must be elements of one structure type")
    lattice = (1 - x) * ends[0].cell.array + x * ends[1].cell.array
    first, second = (atoms.get_scaled_positions(wrap=False) for atoms in ends)
    second = first + (second - first - np.round(second - first))
    return Atoms(ends[0].symbols, scaled_positions=(1 - x) * first + x * second, cell=lattice, pbc=True)


def _pair_shells(atoms: Atoms) -> list[Floats]:
    """Count, for each of the nearest shells, how often two atoms neighbour each other."""
    i, j, d = neighbor_list("ijd", atoms, _REACH_A)
    rises = np.sort(d)
    edges = [float(low) for low, high in pairwise(rises) if high - low > _SAME_SHELL_A][:_SHELLS]
    shells = []
    for low, high in pairwise([0.0, *edges]):
        near = (d > low + 1e-6) & (d <= high + 1e-6)
        shell = np.zeros((len(atoms), len(atoms)))
        np.add.at(shell, (i[near], j[near]), 1.0)
        shells.append(shell)
    return shells


def _correlations(spins: Floats, shells: Sequence[Floats]) -> list[float]:
    return [float(spins @ shell @ spins / shell.sum()) for shell in shells]


def _quasirandom(spins: Floats, shells: Sequence[Floats], target: float, random: np.random.Generator) -> Floats:
    """Swap atoms while that brings the pair correlations nearer to the random alloy's."""
    error = sum(abs(value - target) for value in _correlations(spins, shells))
    for _ in range(_SWAPS):
        i, j = random.integers(len(spins), size=2)
        if spins[i] == spins[j]:
            continue
        trial = spins.copy()
        trial[[i, j]] = trial[[j, i]]
        trial_error = sum(abs(value - target) for value in _correlations(trial, shells))
        if trial_error < error:
            spins, error = trial, trial_error
    return spins
