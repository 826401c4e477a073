"""The ASE calculator of a potential."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes


class _Evaluates(Protocol):
    def evaluate(self, structures: Sequence[Atoms], stress: bool = False) -> list[Any]: ...


class PotentialCalculator(Calculator):
    """ASE calculator that asks a potential for energy, forces and stress together.

    Parameters
    ----------
    potential
        The loaded potential; it is shared, never copied.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012  # ASE wants a list

    def __init__(self, potential: _Evaluates) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.potential = potential

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Any = ("energy",),
        system_changes: Any = all_changes,
    ) -> None:
        """Fill `results` for one structure; the stress costs little and comes wherever the cell has one.

        Raises
        ------
        ValueError
            The potential can say nothing about the structure; the sentence says why.
        """
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        assert self.atoms is not None
        (prediction,) = self.potential.evaluate([self.atoms], stress=bool(self.atoms.cell.rank == 3))
        if prediction.reason:
            raise ValueError(prediction.reason)
        energy = prediction.energy_eV
        self.results = {"energy": energy, "free_energy": energy, "forces": prediction.forces_eV_per_A}
        if prediction.stress_eV_per_A3 is not None:
            self.results["stress"] = prediction.stress_eV_per_A3
