"""Formal charges of the elements of a crystal."""

from ase import Atoms

from .metals import METALS


def formal_charge(crystal: Atoms, element: str) -> int | None:
    """
    Give an element's oxidation state in a crystal.

    An alkali metal is +1 in any crystal with another kind of element, foreign to it or not (IUPAC's rule: the
    most electropositive takes its valence); others are pymatgen's guess for the formula, None where it has none.

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
    from pymatgen.core.composition import Composition

    formula = crystal.symbols.formula.reduce()[0].count()
    guesses = Composition(formula).oxi_state_guesses(max_sites=-1)
    if not guesses or not float(guesses[0].get(element, 0.5)).is_integer():
        return None
    return int(guesses[0][element])
