"""The stiffness of a bulk crystal from its energy against volume."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from ase import Atoms
from ase.eos import EquationOfState
from ase.units import GPa

from ...potentials.base import Potential
from ..stores.result import Outcome, Status


def bulk_modulus(
    structures: Sequence[Atoms],
    potential: Potential,
    *,
    watch: Callable[[int], None] = lambda _: None,
    strain: float = 0.03,
    points: int = 7,
) -> Iterator[tuple[int, Outcome]]:
    """Fit a third-order Birch-Murnaghan equation of state around each (relaxed) crystal.

    Atoms keep their fractional coordinates, which is exact where symmetry fixes them (bcc, fcc, rock salt).
    F. Birch, Phys. Rev. 71, 809 (1947), as fitted by `ase.eos`.

    Parameters
    ----------
    structures
        Relaxed bulk crystals.
    potential
        Energies.
    watch
        Called with a crystal's index as each of its volumes has been computed.
    strain
        Largest linear strain, both ways.
    points
        Number of volumes.

    Yields
    ------
    index, outcome
        ``bulk_modulus_GPa`` and ``equilibrium_volume_A3`` in the scalars; ``volumes_A3`` and ``energies_eV`` (points,).
    """
    for index, crystal in enumerate(structures):
        strained = [_strained(crystal, 1 + s) for s in np.linspace(-strain, strain, points)]
        volumes = np.array([atoms.get_volume() for atoms in strained])
        predictions = potential.evaluate(strained)
        energies = np.array([prediction.energy_eV for prediction in predictions])
        for _ in strained:
            watch(index)
        yield index, _fit(volumes, energies, next((one.reason for one in predictions if one.reason), ""))


def _strained(crystal: Atoms, stretch: float) -> Atoms:
    atoms: Atoms = crystal.copy()
    atoms.set_cell(crystal.cell * stretch, scale_atoms=True)
    return atoms


def _fit(volumes_A3: np.ndarray, energies_eV: np.ndarray, reason: str) -> Outcome:
    arrays = {"volumes_A3": volumes_A3, "energies_eV": energies_eV}
    calls = len(volumes_A3)
    if not np.isfinite(energies_eV).all():
        why = f": {reason}" if reason else ""
        return Outcome(Status.FAILED, f"the potential gave a NaN energy on the curve{why}", {}, {}, arrays, calls)
    lowest = int(energies_eV.argmin())
    if lowest in (0, calls - 1):
        message = f"no minimum between {volumes_A3[0]:.1f} and {volumes_A3[-1]:.1f} Å^3: the crystal is not relaxed"
        return Outcome(Status.FAILED, message, {}, {}, arrays, calls)
    volume, _, modulus = EquationOfState(volumes_A3, energies_eV, eos="birchmurnaghan").fit(warn=False)
    scalars = {"bulk_modulus_GPa": float(modulus / GPa), "equilibrium_volume_A3": float(volume)}
    return Outcome(Status.CONVERGED, f"fitted to {calls} volumes", scalars, {}, arrays, calls)
