"""Alkali metals: bcc bulk, and slabs cut from it."""

from ase import Atoms
from ase.build import bulk as ase_bulk

METALS = ("Li", "Na", "K", "Rb", "Cs")
"""The alkali metals, all bcc near room temperature."""


def check_metal(metal: str) -> None:
    """
    Refuse what is not one of `METALS`.

    Raises
    ------
    ValueError
        When the metal is unknown.
    """
    if metal not in METALS:
        raise ValueError(f"`metal` is {metal!r} but must be one of: {', '.join(METALS)}")


def bulk_metal(metal: str, *, lattice_constant_A: float | None = None) -> Atoms:
    """
    Build the 2-atom cubic bcc cell of an alkali metal.

    Parameters
    ----------
    metal
        One of `METALS`.
    lattice_constant_A
        Cubic lattice constant; by default that of ``ase.data.reference_states`` (Ashcroft & Mermin, Solid State Physics,
        table 4.1): at 5 K, for Li at 78 K. The catalogue's ``M-bcc`` is the same.

    Raises
    ------
    ValueError
        When the metal is unknown or the lattice constant not positive.

    Examples
    --------
    >>> bulk_metal("K").cell.lengths()
    array([5.23, 5.23, 5.23])
    """
    check_metal(metal)
    if lattice_constant_A is None:
        lattice_constant_A = ase_bulk(metal, "bcc", cubic=True).cell.lengths()[0]
    if lattice_constant_A <= 0:
        raise ValueError(f"`lattice_constant_A` is {lattice_constant_A} but must be above 0")
    atoms = ase_bulk(metal, "bcc", a=lattice_constant_A, cubic=True)
    atoms.info["philic"] = {
        "family": "metal",
        "metal": metal,
        "host": f"{metal} bulk",
        "lattice_constant_A": float(lattice_constant_A),
    }
    return atoms
