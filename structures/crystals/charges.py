"""Formal charges of the atoms of a crystal: the one place that decides them."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from numpy.typing import NDArray

from .bond_valences import NONMETALS
from .metals import METALS

_IONIC = 0.5  # least difference of Pauling electronegativities for formal charges
NEUTRAL = 1e-6
"""Charges below this, in e per atom or formula unit, are none."""
_CLUSTERED = frozenset("BCH")  # share a charge: B12H12, BH4, CB11H12


def formal_charges(crystal: Atoms) -> NDArray[np.float64]:
    """
    Give the formal charges of a crystal's atoms, shape ``(n_atoms,)``.

    They are, in this order: its initial charges; the oxidation states its entry in the library states; for an
    alkali metal and one other element, or hydrides of boron and carbon (K2B12H12), +1 for the metal and the balance
    shared by the other atoms; pymatgen's guess, if it leaves alkali metals at +1; else the balance is shared again,
    among nonmetals. Elements, alloys whose electronegativities differ by less than 0.5, and what is left have none.

    Examples
    --------
    >>> formal_charges(Atoms("K2O2")).tolist()
    [1.0, 1.0, -1.0, -1.0]
    """
    own = crystal.get_initial_charges()
    if own.any():
        return np.asarray(own, dtype=float)
    states = _states(crystal)
    return np.array([states.get(symbol, 0.0) for symbol in crystal.symbols])


def formal_charge(crystal: Atoms, element: str) -> int | None:
    """
    Give an element's oxidation state in a crystal, as `formal_charges` decides it.

    An alkali metal is +1 in any crystal with another kind of element, foreign to it or not (IUPAC's rule: the
    most electropositive takes its valence). None where the state is unknown or no whole number.

    Examples
    --------
    >>> formal_charge(Atoms("K2O"), "O")
    -2
    """
    together = {*crystal.symbols, element}
    if len(together) == 1:
        return 0
    if element in METALS:
        return 1 if together - set(METALS) else None
    state = _states(crystal).get(element, 0.5)
    return int(state) if float(state).is_integer() else None


def _states(crystal: Atoms) -> Mapping[str, float]:
    """Give the oxidation state of each element; empty for elements, alloys and what nobody can guess."""
    counts = Counter(crystal.symbols)
    entry = crystal.info.get("philic", {}).get("oxidation", {})
    if entry.keys() >= counts.keys():
        total = sum(number * entry[symbol] for symbol, number in counts.items())
        if abs(total) < NEUTRAL * len(crystal):
            return {symbol: float(entry[symbol]) for symbol in counts}
    metals = {symbol: n for symbol, n in counts.items() if symbol in METALS}
    others = {symbol: n for symbol, n in counts.items() if symbol not in METALS}
    if not others or len(counts) == 1:
        return {}
    shared = -sum(metals.values()) / sum(others.values())
    balanced = dict.fromkeys(metals, 1.0) | dict.fromkeys(others, shared)
    if metals and (len(others) == 1 or _CLUSTERED.issuperset(others)):
        return balanced
    guess = _guess(crystal)
    if guess and all(guess[metal] == 1 for metal in metals):
        return guess
    return balanced if metals and {atomic_numbers[symbol] for symbol in others} <= set(NONMETALS) else {}


def _guess(crystal: Atoms) -> Mapping[str, float]:
    """Give pymatgen's first guess of the oxidation states, empty when it has none."""
    from pymatgen.core.composition import Composition
    from pymatgen.core.periodic_table import Element

    negativities = [Element(symbol).X for symbol in set(crystal.symbols)]
    if max(negativities) - min(negativities) < _IONIC:
        return {}
    formula = Composition(crystal.get_chemical_formula()).reduced_composition
    guesses = formula.oxi_state_guesses() or formula.oxi_state_guesses(all_oxi_states=True)
    return {str(symbol): float(state) for symbol, state in guesses[0].items()} if guesses else {}
