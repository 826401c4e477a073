"""What every potential is: a card of facts, a fingerprint, and a function from structures to predictions."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ase import Atoms

    from .calculator import PotentialCalculator


@dataclass(frozen=True, eq=False)
class Prediction:
    """Energy, forces and stress of one structure, as plain float64 numbers.

    Attributes
    ----------
    energy_eV
        Total energy of the structure.
    forces_eV_per_A
        Forces, shape ``(n_atoms, 3)``.
    stress_eV_per_A3
        Stress in Voigt order (xx, yy, zz, yz, xz, xy) with ASE's sign: the strain derivative of the energy
        over the volume. None when it was not asked for or the cell has no volume.
    reason
        A sentence when the numbers are NaN because the potential can say nothing about this structure, else
        empty.
    energy_spread_eV, forces_spread_eV_per_A
        Standard deviation between the members of a committee: of the energy, and of each atom's force vector, shape
        ``(n_atoms,)``. None for a single model.
    """

    energy_eV: float
    forces_eV_per_A: NDArray[np.float64]
    stress_eV_per_A3: NDArray[np.float64] | None = None
    reason: str = ""
    energy_spread_eV: float | None = None
    forces_spread_eV_per_A: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Fingerprint:
    """What makes two calculations with a potential the same calculation.

    Attributes
    ----------
    name
        Name of the potential; for a file of the user the file's name without its folder.
    weights_sha256
        SHA-256 of the weights file, or of the parameter table of a potential without weights.
    dtype
        Floating-point type of the model: "float32" or "float64".
    dispersion
        Dispersion correction added to the model: "none".
    package, version
        Python package that evaluates the model, and its installed version.
    head
        Which of a model's outputs is used; empty where it has one.
    torch
        Installed version of PyTorch, of a model that runs on it.
    code
        Version of philic's own code that evaluates the model.
    settings
        SHA-256 of a calculator's arguments.
    canary
        Energy and forces of one small structure, rounded: what a calculator really gives, whatever its settings say.
    """

    name: str
    weights_sha256: str
    dtype: str
    dispersion: str
    package: str
    version: str
    head: str = ""
    torch: str = ""
    code: str = ""
    settings: str = ""
    canary: str = ""

    def asdict(self) -> dict[str, str]:
        """Return the fingerprint as plain JSON; later fields only where they say something."""
        found: dict[str, str] = dataclasses.asdict(self)
        return {name: value for name, value in found.items() if value or name not in ("torch", "code", "settings", "canary")}


@dataclass(frozen=True)
class Card:
    """What a potential is good for.

    Attributes
    ----------
    name, description
        Name of the potential, and one line about it.
    functional
        Exchange-correlation functional its training data was computed with.
    cohesive_reference
        Key of the tabulated cohesive energies that belong to it (see `reference`), or None.
    training_set
        Data the model was trained on.
    elements
        Chemical symbols the potential knows.
    cutoff_A
        Radius within which atoms see each other directly; infinite where there is none.
    slow
        Whether one call takes seconds or more: each prediction of a relaxation is kept as it comes.
    seconds_per_atom_call
        Nominal wall time of one evaluation per atom, measured on two CPU cores, for estimates only.
    """

    name: str
    description: str
    functional: str
    cohesive_reference: str | None
    training_set: str
    elements: frozenset[str]
    cutoff_A: float
    seconds_per_atom_call: float
    slow: bool = False

    def check_elements(self, symbols: Iterable[str]) -> None:
        """Refuse elements the potential does not know.

        Raises
        ------
        ValueError
            Names the unknown elements, the potential and the elements it knows.
        """
        if sentence := self.unknown(symbols):
            raise ValueError(sentence)

    def unknown(self, symbols: Iterable[str]) -> str:
        """Say which elements the potential does not know; nothing where it knows all."""
        strange = sorted(set(symbols) - self.elements)
        if not strange:
            return ""
        verb = "is" if len(strange) == 1 else "are"
        return (
            f"{', '.join(strange)} {verb} unknown to the potential {self.name!r}; choose another or one "
            f"of its elements: {', '.join(sorted(self.elements))}"
        )


Predict = Callable[[Sequence["Atoms"], bool], list[Prediction]]


@dataclass(frozen=True)
class Kind:
    """One entry of the registry: how names with one prefix become potentials.

    `variants` lists the known names with a description; the other three take a full name. Only `predict` (and
    `card`, where the facts are in the model file) may import torch. A kind with `resolve` takes files: it gets every
    other name with its prefix too, refuses the wrong ones, and makes the path absolute. `device` says where the model runs
    (see `Potential`).
    """

    prefix: str
    variants: Callable[[], Mapping[str, str]]
    fingerprint: Callable[[str], Fingerprint]
    card: Callable[[str], Card]
    predict: Callable[[str], Predict]
    resolve: Callable[[str], str] | None = None
    device: Callable[[str], str] = lambda _: "cpu"


@dataclass(frozen=True, eq=False)
class Potential:
    """A loaded potential; get one with `load`, one instance per name and process.

    Attributes
    ----------
    card
        What it is good for: elements, cutoff, functional, training set.
    fingerprint
        What goes into the key of a step.
    predict
        The kind's own function from checked structures to predictions.
    device
        Where it runs: ``cpu``, ``cuda (NVIDIA H100)`` or ``unknown``. It is in the provenance of results, not in their keys.
    """

    card: Card
    fingerprint: Fingerprint
    predict: Predict
    device: str = "cpu"

    @property
    def name(self) -> str:
        """Name of the potential."""
        return self.card.name

    def evaluate(self, structures: Sequence[Atoms], stress: bool = False) -> list[Prediction]:
        """Compute energies and forces of several structures, together where the model can.

        On a CPU the same list gives bit-identical numbers, run after run on the same machine; on a GPU they may differ by
        rounding. NaN comes back as NaN.

        Parameters
        ----------
        structures
            Structures of any size; they are not changed.
        stress
            Whether to compute the stress too.

        Returns
        -------
            One prediction per structure, in order. A structure that the potential can say nothing about is not given to
            the model: one with an element that it does not know, a position that is not finite, or no cell where it
            needs one. Its numbers are NaN and `Prediction.reason` says why; the others get theirs.
        """
        problems = [self._problem(atoms) for atoms in structures]
        sound = [atoms for atoms, problem in zip(structures, problems, strict=True) if not problem]
        predictions = iter(self.predict(sound, stress) if sound else [])
        return [
            nothing_known(atoms, stress, problem) if problem else _without_empty_stress(atoms, next(predictions))
            for atoms, problem in zip(structures, problems, strict=True)
        ]

    def _problem(self, atoms: Atoms) -> str:
        """Say why a structure cannot be given to the model; nothing where it can."""
        if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
            return "a position or cell vector is not finite: the geometry exploded"
        return self.card.unknown(atoms.symbols)

    def calculator(self) -> PotentialCalculator:
        """Return the ASE calculator of this potential, one per process."""
        return self._calculator

    @cached_property
    def _calculator(self) -> PotentialCalculator:
        from .calculator import PotentialCalculator

        return PotentialCalculator(self)


def nothing_known(atoms: Atoms, stress: bool, reason: str) -> Prediction:
    """Return a prediction of NaN with the reason."""
    voigt = np.full(6, np.nan) if stress and atoms.cell.rank == 3 else None
    return Prediction(np.nan, np.full((len(atoms), 3), np.nan), voigt, reason)


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _without_empty_stress(atoms: Atoms, prediction: Prediction) -> Prediction:
    """Drop the stress of a cell without volume."""
    if prediction.stress_eV_per_A3 is None or atoms.cell.rank == 3:
        return prediction
    return dataclasses.replace(prediction, stress_eV_per_A3=None)
