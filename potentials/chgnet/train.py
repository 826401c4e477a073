"""CHGNet as something that can be trained: its own layers, with philic's graphs. Imported only for training."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from ase.data import atomic_numbers
from ase.units import GPa

from ..training.frames import Frame
from ..training.loss import Predicted
from .graphs import crystal_graph
from .potential import ANGLE_CUTOFF_A, CUTOFF_A, original

SUFFIX = ".pth.tar"


class TrainableChgnet:
    """A CHGNet that can be trained; every weight but the atomic references moves.

    Parameters
    ----------
    name
        ``chgnet``, ``chgnet:r2scan`` or ``chgnet:PATH.pth.tar``.
    device
        Where it runs, as torch calls it.
    """

    def __init__(self, name: str, device: str) -> None:
        self.device = device
        self.network: Any = original(name).to(device).train().requires_grad_(True)
        self.network.composition_model.requires_grad_(False)

    def lacks(self, frame: Frame) -> str:
        """Say why the model can say nothing about a structure; nothing where it can."""
        if frame.atoms.cell.rank < 3:
            return "no cell"
        centers = crystal_graph(frame.atoms, CUTOFF_A, ANGLE_CUTOFF_A).atom_graph.reshape(-1, 2)[:, 0].unique()
        return "" if len(centers) == len(frame.atoms) else f"an atom without neighbour within {CUTOFF_A:g} Å"

    def graph(self, frame: Frame) -> Any:
        """Return CHGNet's graph, on the device."""
        graph = crystal_graph(frame.atoms, CUTOFF_A, ANGLE_CUTOFF_A)
        graph.lattice = graph.lattice.detach()
        graph = graph.to(self.device)
        graph.atom_frac_coord = graph.atom_frac_coord.detach().requires_grad_(True)
        return graph

    def predict(self, graphs: Sequence[Any]) -> Predicted:
        """Evaluate a batch."""
        with warnings.catch_warnings():  # of volumes, copied out of tensors with a gradient
            warnings.filterwarnings("ignore", message="Converting a tensor with requires_grad", category=UserWarning)
            found = self.network(graphs, task="efs")
        n_atoms = torch.tensor([len(graph.atomic_number) for graph in graphs], device=self.device)
        return Predicted(found["e"] * n_atoms, torch.cat(found["f"]), torch.stack(list(found["s"])) * GPa)

    def shift(self, shifts_eV: Mapping[str, float]) -> None:
        """Add to the atomic reference energies."""
        weight = self.network.composition_model.fc.weight
        for element, shift in shifts_eV.items():
            weight.data[0, atomic_numbers[element] - 1] += shift

    def save(self, path: Path) -> None:
        """Write what ``chgnet:PATH`` loads."""
        content = self.network.as_dict()
        state = {name: tensor.detach().cpu() for name, tensor in content["state_dict"].items()}
        torch.save({"model": {"state_dict": state, "model_args": content["model_args"]}}, path)
