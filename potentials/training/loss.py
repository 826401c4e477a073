"""The loss: energies per atom, forces, stress, and adsorption energies, each in units of an error that matters alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import huber_loss

from .frames import Frame, Pair

ENERGY_eV_PER_ATOM, FORCE_eV_PER_A, STRESS_eV_PER_A3, ADSORPTION_eV = 0.01, 0.1, 0.01, 0.1
"""Errors that weigh the same. Below, the loss is quadratic; above, it is linear."""


@dataclass(frozen=True, eq=False)
class Predicted:
    """What a model says of a batch: energies ``(n,)``, forces ``(n_atoms, 3)`` and stresses ``(n, 3, 3)``, in eV and A."""

    energies: Tensor
    forces: Tensor
    stresses: Tensor


class Model(Protocol):
    """What can be trained."""

    network: torch.nn.Module

    def graph(self, frame: Frame) -> object:
        """Return what the network takes of a structure."""

    def predict(self, graphs: Sequence[object]) -> Predicted:
        """Evaluate a batch, differentiable by the network's parameters."""


def batch_loss(predicted: Predicted, frames: Sequence[Frame], of_batch: Sequence[Pair], adsorption_weight: float) -> Tensor:
    """Return the loss of a batch.

    Parameters
    ----------
    predicted
        Of the model.
    frames
        The labelled structures.
    of_batch
        The pairs among them. In a pair's difference, as in an adsorption energy, the host's own energy cancels: an
        error that is small per atom, but of many atoms, is not.
    adsorption_weight
        Of the adsorption energies against the others.
    """
    energies = predicted.energies
    labels = energies.new_tensor([frame.energy_eV for frame in frames])
    n_atoms = energies.new_tensor([len(frame.atoms) for frame in frames])
    forces = predicted.forces.new_tensor([list(row) for frame in frames for row in frame.forces_eV_per_A])
    wrong = energies - labels
    total = _huber(wrong / n_atoms / ENERGY_eV_PER_ATOM) + _huber((predicted.forces - forces) / FORCE_eV_PER_A)
    stressed = [i for i, frame in enumerate(frames) if frame.stress_eV_per_A3 is not None]
    if stressed:
        tensors = predicted.stresses[stressed][:, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
        voigt = tensors.new_tensor([list(frames[i].stress_eV_per_A3) for i in stressed])  # type: ignore[arg-type]
        total = total + _huber((tensors - voigt) / STRESS_eV_PER_A3)
    if of_batch and adsorption_weight:
        on, clean = [pair.on for pair in of_batch], [pair.clean for pair in of_batch]
        n = energies.new_tensor([pair.n for pair in of_batch])
        total = total + adsorption_weight * _huber((wrong[on] - wrong[clean]) / n / ADSORPTION_eV)
    return total


def _huber(scaled: Tensor) -> Tensor:
    return huber_loss(scaled, torch.zeros_like(scaled))
