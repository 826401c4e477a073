"""Names of the faces of a stack of planes."""

from collections import Counter

from ase import Atoms

from .cuts import in_order
from .stacks import Stack


def face_names(stack: Stack) -> list[str]:
    """
    Name the face above each plane; faces that are the same have the same name.

    The name is the formula of the outermost plane, with the plane beneath it where two faces share that, and with a
    number, the face that breaks the weakest bonds first, where they share both.
    """
    formulas = [shown_formula(stack.atoms[plane]) for plane in stack.planes]
    names = {i: formulas[i] for i in sorted(set(stack.up_class))}
    beneath = {i: f"{formulas[i]} over {formulas[i - 1]}" for i in names}
    shared = {name for name in names.values() if list(names.values()).count(name) > 1}
    names = {i: beneath[i] if name in shared else name for i, name in names.items()}
    for name in set(names.values()):
        same = [i for i in names if names[i] == name]
        if len(same) > 1:
            names.update({i: f"{name} #{number}" for number, i in enumerate(in_order(stack, same), 1)})
    return [names[i] for i in stack.up_class]


def matching_planes(stack: Stack, termination: str | None, name: str) -> set[int]:
    """
    Give the planes whose upper face is the termination asked for, all when it is None.

    Raises
    ------
    ValueError
        When the face `name` has no such termination.
    """
    if termination is None:
        return set(range(len(stack.planes)))
    names = face_names(stack)
    outermost = [shown_formula(stack.atoms[plane]) for plane in stack.planes]
    found = {i for i, pair in enumerate(zip(names, outermost, strict=True)) if termination in pair}
    if not found:
        raise ValueError(f"`termination` is {termination!r} but {name} has: {', '.join(sorted(set(names)))}")
    return found


def shown_formula(atoms: Atoms) -> str:
    """
    Write the reduced formula, electropositive elements first, a hydroxide as such.

    Examples
    --------
    >>> shown_formula(Atoms("O3K2C")), shown_formula(Atoms("LiHO")), shown_formula(Atoms("H2O2"))
    ('K2CO3', 'LiOH', 'OH')
    >>> shown_formula(Atoms("Na2O2")), shown_formula(Atoms("NaO"))
    ('Na2O2', 'NaO')
    """
    counts = Counter(atoms.symbols)
    if len(counts) == 1:
        return str(atoms.symbols[0])
    from pymatgen.core.composition import Composition

    shown = str(Composition(atoms.get_chemical_formula()).reduced_formula)
    if len(atoms) == 2:
        shown = shown.replace("2", "")  # NaO is Na2O2 to pymatgen, but one oxygen is no peroxide
    hydroxide = counts["H"] == counts["O"] > 0
    return "OH" if hydroxide and shown == "H2O2" else shown.replace("HO", "OH") if hydroxide else shown
