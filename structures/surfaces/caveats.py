"""What speaks against a slab, in sentences."""

from typing import Any

from ase import Atoms

_NEUTRAL = 1e-6


def slab_flaws(slab: Atoms) -> list[str]:
    """
    Say in what a slab is not as a surface should be: charged, off its stoichiometry, or polar.

    Parameters
    ----------
    slab
        From `philic.structures.surfaces.slabs.slab`; anything else has no flaws that are known.

    Returns
    -------
    list of str
        Sentences, each with a way out; empty for a flawless slab.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from philic.structures.surfaces.slabs import slab
    >>> for sentence in slab_flaws(slab(bulk("ZnS", "zincblende", a=5.41, cubic=True), (1, 1, 1), layers=4)):
    ...     print(sentence)
    ZnS(111) is polar: its formal charges have a dipole of 6.25 e Å along the normal, so energies grow with the \
thickness: choose another face, or another termination
    """
    about: dict[str, Any] = slab.info.get("philic", {})
    host, flaws = about.get("host"), []
    charge = about.get("charge_e", 0.0)
    if abs(charge) > _NEUTRAL:
        flaws.append(
            f"{host} has formal charges of {charge:+g} e in all, so metal on it reacts with a surface that is oxidised or "
            "reduced: choose another termination"
        )
    elif not about.get("stoichiometric", True):
        flaws.append(f"{host} holds no whole formula units, so its two faces differ from the crystal's: choose another termination")
    if about.get("polar", False):
        flaws.append(
            f"{host} is polar: its formal charges have a dipole of {about['dipole_e_A']:.2f} e Å along the normal, so energies "
            "grow with the thickness: choose another face, or another termination"
        )
    return flaws


def slab_caveats(slab: Atoms) -> list[str]:
    """
    Say what a reader of a slab's energies must know: its flaws, and that ions were moved to take a dipole away.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from philic.structures.surfaces.slabs import slab
    >>> slab_caveats(slab(bulk("KF", "rocksalt", a=5.34, cubic=True), (1, 1, 1), layers=5))
    ['half of the outermost K of KF(111) were moved to the lower face, which leaves no dipole']
    """
    about = slab.info.get("philic", {})
    moved = about.get("half_moved")
    cure = [f"half of the outermost {moved} of {about['host']} were moved to the lower face, which leaves no dipole"] if moved else []
    return slab_flaws(slab) + cure
