"""The elastic constants of a crystal from its stress under strain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from ase import Atoms
from ase.units import GPa
from numpy.typing import NDArray

from ...potentials.base import Potential
from ..stores.result import Memory, Outcome, Status
from .relax import relaxing
from .together import Asking, Watch, together

Floats = NDArray[np.float64]
MAX_STEPS = 200
PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""Voigt's order: xx, yy, zz, yz, xz, xy."""


def elastic_constants(
    structures: Sequence[Atoms],
    potential: Potential,
    *,
    watch: Watch = lambda _: None,
    memories: Sequence[Memory] | None = None,
    strain: float = 0.01,
    fmax_eV_per_A: float = 0.001,
) -> Iterator[tuple[int, Outcome]]:
    """Strain each (relaxed) crystal in six ways, relax its atoms, and take the stiffness from the stress.

    Each component of the strain is computed at four values, as by M. de Jong et al., Sci. Data 2, 150009 (2015), and a line
    through zero is fitted: learned energies are not smooth enough for two.

    Parameters
    ----------
    structures
        Crystals, relaxed with their cells.
    potential
        Energies, forces and stresses.
    watch
        Called with a crystal's index each time the forces of one of its strained cells have been computed.
    memories
        What each crystal has computed already (see `philic.workflows.steps.together`).
    strain
        Largest component of the strain, in engineering shear for the last three; half of it is computed, too.
    fmax_eV_per_A
        Largest force on an atom of a strained cell.

    Yields
    ------
    index, outcome
        ``bulk_modulus_GPa``, ``shear_modulus_GPa`` and ``youngs_modulus_GPa`` of a polycrystal (R. Hill, Proc. Phys. Soc. A
        65, 349 (1952): the means of Voigt's and Reuss's), ``poisson_ratio``, and ``softest_GPa``, the lowest eigenvalue of
        the stiffness. In the arrays ``stiffness_GPa`` (6, 6), in Voigt's order. A crystal that is not stable against
        strain, or a cell whose atoms do not relax, is a failed outcome with a sentence.
    """
    crystals = (_straining(atoms, potential.card.cutoff_A, strain, fmax_eV_per_A) for atoms in structures)
    return together(crystals, potential, watch=watch, stress=True, memories=memories)


def _straining(crystal: Atoms, cutoff_A: float, strain: float, fmax_eV_per_A: float) -> Asking:
    stiffness = np.zeros((6, 6))
    strains = strain * np.array([-1.0, -0.5, 0.5, 1.0])
    for row, pair in enumerate(PAIRS):
        for component in strains:
            relaxed = yield from relaxing(_strained(crystal, pair, component), cutoff_A, fmax_eV_per_A, MAX_STEPS)
            if relaxed.status is not Status.CONVERGED:
                return Outcome(Status.FAILED, f"a strained cell: {relaxed.message}", {}, {"initial": crystal})
            (prediction,) = yield [relaxed.structures["final"]]
            assert prediction.stress_eV_per_A3 is not None
            stiffness[row] += component * prediction.stress_eV_per_A3 / (strains @ strains)
    return _outcome(crystal, (stiffness + stiffness.T) / (2 * GPa))


def _strained(crystal: Atoms, pair: tuple[int, int], strain: float) -> Atoms:
    deformation = np.eye(3)
    deformation[pair] += strain / 2
    deformation[pair[::-1]] += strain / 2
    atoms: Atoms = crystal.copy()
    atoms.set_cell(crystal.cell.array @ deformation, scale_atoms=True)
    return atoms


def _outcome(crystal: Atoms, stiffness_GPa: Floats) -> Outcome:
    softest = float(np.linalg.eigvalsh(stiffness_GPa)[0])
    arrays = {"stiffness_GPa": stiffness_GPa}
    if not softest > 0:
        message = f"not stable against strain: the softest one has a stiffness of {softest:.1f} GPa"
        return Outcome(Status.FAILED, message, {"softest_GPa": softest}, {"initial": crystal}, arrays)
    bulk, shear = moduli(stiffness_GPa)
    scalars = {
        "bulk_modulus_GPa": bulk,
        "shear_modulus_GPa": shear,
        "youngs_modulus_GPa": 9 * bulk * shear / (3 * bulk + shear),
        "poisson_ratio": (3 * bulk - 2 * shear) / (6 * bulk + 2 * shear),
        "softest_GPa": softest,
    }
    message = f"bulk modulus {bulk:.1f} GPa, shear modulus {shear:.1f} GPa"
    return Outcome(Status.CONVERGED, message, scalars, {"initial": crystal}, arrays)


def moduli(stiffness: Floats) -> tuple[float, float]:
    """Return the bulk and the shear modulus of a polycrystal: Hill's means of Voigt's and Reuss's.

    Examples
    --------
    >>> isotropic = np.diag([3.0, 3.0, 3.0, 1.0, 1.0, 1.0])
    >>> isotropic[:3, :3] += np.where(np.eye(3), 0.0, 1.0)
    >>> [round(modulus, 6) for modulus in moduli(isotropic)]
    [1.666667, 1.0]
    """
    compliance = np.linalg.inv(stiffness)
    (axial, off, shear), (soft_axial, soft_off, soft_shear) = (
        (c[:3, :3].trace(), c[0, 1] + c[0, 2] + c[1, 2], c[3:, 3:].trace()) for c in (stiffness, compliance)
    )
    bulk = (axial + 2 * off) / 9, 1 / (soft_axial + 2 * soft_off)
    rigid = (axial - off + 3 * shear) / 15, 15 / (4 * (soft_axial - soft_off) + 3 * soft_shear)
    return float(np.mean(bulk)), float(np.mean(rigid))
