"""What speaks against a slab, in sentences."""

from typing import Any

from ase import Atoms

from ..crystals.charges import NEUTRAL


def slab_flaws(slab: Atoms) -> list[str]:
    """
    Say whether a slab is charged, off its stoichiometry or polar.

    Parameters
    ----------
    slab
        From `philic.structures.surfaces.slabs.slab`; of anything else nothing is known.

    Returns
    -------
    list of str
        Sentences that say what is wrong and what to do; empty for a flawless slab.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from philic.structures.surfaces.slabs import slab
    >>> for sentence in slab_flaws(slab(bulk("ZnS", "zincblende", a=5.41, cubic=True), (1, 1, 1), layers=4)):
    ...     print(sentence)
    ZnS(111) is polar: its formal charges have a dipole of 3.12 e Å along the normal, so its energies depend on its \
thickness: choose another face or termination
    """
    about: dict[str, Any] = slab.info.get("philic", {})
    host, flaws = about.get("host"), []
    charge = about.get("charge_e", 0.0)
    if abs(charge) > NEUTRAL:
        flaws.append(
            f"{host} is not neutral: its formal charges add up to {charge:+g} e, so its surface is oxidised or reduced: "
            "choose another termination"
        )
    elif not about.get("stoichiometric", True):
        flaws.append(f"{host} is not stoichiometric: choose another termination")
    if about.get("polar", False):
        flaws.append(
            f"{host} is polar: its formal charges have a dipole of {about['dipole_e_A']:.2f} e Å along the normal, so its "
            "energies depend on its thickness: choose another face or termination"
        )
    return flaws


def slab_caveats(slab: Atoms) -> list[str]:
    """
    List the caveats of a slab's energies: its flaws, and that ions were moved to remove a dipole.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from philic.structures.surfaces.slabs import slab
    >>> slab_caveats(slab(bulk("KF", "rocksalt", a=5.34, cubic=True), (1, 1, 1), layers=5))
    ['KF(111) has half of its outermost K plane moved to the lower face, so that it has no dipole']
    """
    about = slab.info.get("philic", {})
    caveats, moved = slab_flaws(slab), about.get("half_moved")
    if moved:
        host = about["host"]
        caveats.append(f"{host} has half of its outermost {moved} plane moved to the lower face, so that it has no dipole")
    return caveats
