"""MACE as something that can be trained, from weights or from scratch. Imported only for training."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.data import atomic_numbers

from ..training.frames import Frame, fit_shifts
from ..training.loss import Predicted
from .files import PREFIX, weights_file
from .importing import import_mace, old_torchscript

SUFFIX = ".model"
NEW = f"{PREFIX}new"
CUTOFF_A = 6.0
"""Of a new model: the second neighbours of bcc K are at 5.3 angstrom, and K on carbon sees the sheet's second ring."""


class TrainableMace:
    """A MACE that can be trained.

    Parameters
    ----------
    name
        ``mace:MODEL`` or ``mace:PATH.model``, or ``mace:new`` for random weights.
    frames
        What a new model is made for: its elements, mean number of neighbours and size of forces.
    device
        Where it runs, as torch calls it.
    seed, channels
        Of a new model: of its random weights, and its width.
    """

    def __init__(self, name: str, frames: Sequence[Frame], device: str, seed: int = 0, channels: int = 32) -> None:
        import_mace()
        self.device = device
        with old_torchscript():
            network = _new(frames, seed, channels) if name == NEW else _loaded(name)
        self.network: Any = network.to(device).train().requires_grad_(True)
        self.numbers: list[int] = [int(number) for number in network.atomic_numbers]
        self.cutoff_A = float(network.r_max)
        self.dtype = str(next(network.parameters()).dtype).removeprefix("torch.")

    def lacks(self, frame: Frame) -> str:
        """Say why the model can say nothing about a structure; nothing where it can."""
        strange = sorted(element for element in frame.counts if atomic_numbers[element] not in self.numbers)
        return f"the unknown element {strange[0]}" if strange else ""

    def graph(self, frame: Frame) -> Any:
        """Return mace's graph."""
        return _graph(frame, self.numbers, self.cutoff_A, self.dtype)

    def predict(self, graphs: Sequence[Any]) -> Predicted:
        """Evaluate a batch."""
        from mace.tools import torch_tools
        from mace.tools.torch_geometric import Batch

        with torch_tools.default_dtype(self.dtype):
            batch = Batch.from_data_list(list(graphs)).to(self.device)  # type: ignore[no-untyped-call]
            found = self.network(batch.to_dict(), training=True, compute_stress=True)
        return Predicted(found["energy"], found["forces"], found["stress"])

    def shift(self, shifts_eV: Mapping[str, float]) -> None:
        """Add to the atomic reference energies."""
        energies = self.network.atomic_energies_fn.atomic_energies
        for element, shift in shifts_eV.items():
            energies[..., self.numbers.index(atomic_numbers[element])] += shift

    def save(self, path: Path) -> None:
        """Write what ``mace:PATH`` loads."""
        self.network.to("cpu")
        with old_torchscript():
            torch.save(self.network, path)
        self.network.to(self.device)


def _graph(frame: Frame, numbers: Sequence[int], cutoff_A: float, dtype: str) -> Any:
    from mace.data import AtomicData, KeySpecification, config_from_atoms
    from mace.tools import AtomicNumberTable, torch_tools

    bare = frame.atoms.copy()
    bare.info = {}
    with torch_tools.default_dtype(dtype):
        config = config_from_atoms(bare, KeySpecification())
        return AtomicData.from_config(config, z_table=AtomicNumberTable(list(numbers)), cutoff=cutoff_A)


def _loaded(name: str) -> Any:
    """Load weights.

    Raises
    ------
    ValueError
        The model has several heads.
    """
    model = torch.load(weights_file(name), map_location="cpu", weights_only=False)
    heads = getattr(model, "heads", ["Default"])
    if len(heads) > 1:
        raise ValueError(
            f"{name!r} has {len(heads)} heads ({', '.join(heads)}) but a model with one is trained: choose another"
        )
    return model


def _scale(frames: Sequence[Frame]) -> float:
    """Return how much the energy of an atom varies: as much as forces, or as energies beyond their composition."""
    energies = np.array([frame.energy_eV for frame in frames])
    shifts = fit_shifts(frames, np.zeros(len(frames)))
    by_elements = np.array([sum(n * shifts[element] for element, n in frame.counts.items()) for frame in frames])
    beyond = (energies - by_elements) / [len(frame.atoms) for frame in frames]
    forces = np.concatenate([frame.forces_eV_per_A.ravel() for frame in frames])
    return max(float(np.sqrt(np.mean(numbers**2))) for numbers in (beyond, forces)) or 1.0


def _new(frames: Sequence[Frame], seed: int, channels: int) -> Any:
    """Build a ScaleShiftMACE of two layers with random weights: Batatia et al., NeurIPS 35, 11423 (2022)."""
    from e3nn import o3
    from mace import modules

    numbers = sorted({int(number) for frame in frames for number in frame.atoms.numbers})
    graphs = [_graph(frame, numbers, CUTOFF_A, "float32") for frame in frames]
    n_bonds, n_atoms = (sum(counts) for counts in zip(*((g.edge_index.shape[1], g.num_nodes) for g in graphs), strict=True))
    interaction = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
    torch.manual_seed(seed)
    with contextlib.redirect_stdout(io.StringIO()):
        return modules.ScaleShiftMACE(
            r_max=CUTOFF_A,
            num_bessel=8,
            num_polynomial_cutoff=5,
            max_ell=2,
            interaction_cls=interaction,
            interaction_cls_first=interaction,
            num_interactions=2,
            num_elements=len(numbers),
            hidden_irreps=o3.Irreps(f"{channels}x0e + {channels}x1o"),
            MLP_irreps=o3.Irreps("16x0e"),
            gate=torch.nn.functional.silu,
            atomic_energies=np.zeros((1, len(numbers))),
            avg_num_neighbors=n_bonds / n_atoms,
            atomic_numbers=numbers,
            correlation=3,
            radial_type="bessel",
            atomic_inter_scale=_scale(frames),
            atomic_inter_shift=0.0,
            heads=["Default"],
        )
