"""The training loop: batches, epochs, checkpoints, and when to stop."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .frames import Frame, Pair, pairs
from .loss import Model, batch_loss

Say = Callable[[str], None]
LARGEST_GRADIENT = 10.0


@dataclass(frozen=True)
class Settings:
    """How long and how fast is trained.

    Attributes
    ----------
    epochs
        At most; the learning rate falls along half a cosine over them.
    learning_rate
        Of Adam (amsgrad), at the start.
    batch_size
        Structures a step, about: a host and what lies on it stay together.
    patience
        Epochs without a better held-out loss after which it stops.
    adsorption_weight
        Weight of adsorption energies in the loss.
    seed
        Of new weights, and of the order of the batches.
    """

    epochs: int = 100
    learning_rate: float = 1e-3
    batch_size: int = 8
    patience: int = 25
    adsorption_weight: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name, least in (("epochs", 1), ("batch_size", 2), ("patience", 1), ("seed", 0), ("adsorption_weight", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"`{name}` is {getattr(self, name)} but must be at least {least}")
        if self.learning_rate <= 0:
            raise ValueError(f"`learning_rate` is {self.learning_rate:g} but must be positive")


@dataclass
class Training:
    """Where a training run stands; everything a checkpoint keeps."""

    epoch: int = 0
    best_epoch: int = 0
    best_loss: float = math.inf
    best: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)


def fit(
    model: Model,
    training: Sequence[Frame],
    held_out: Sequence[Frame],
    settings: Settings,
    checkpoint: Path,
    identity: Mapping[str, Any],
    say: Say = lambda _: None,
) -> Training:
    """Train a model and leave it with the weights of the epoch that was best on the held-out structures; 0 is the start.

    A checkpoint is written after each epoch, whole or not at all. Called again it goes on from there; on a CPU to the
    same digits, because the order of an epoch's batches follows from seed and epoch.

    Raises
    ------
    ValueError
        The checkpoint belongs to another training run, or is damaged.
    """
    optimiser = torch.optim.Adam(model.network.parameters(), lr=settings.learning_rate, amsgrad=True)
    identity = {**identity, **asdict(settings)}
    state = _resume(model, optimiser, checkpoint, identity)
    graphs = {id(frame): model.graph(frame) for frame in (*training, *held_out)}
    units, held_units = _units(training, settings.batch_size), _units(held_out, settings.batch_size)

    def judged() -> float:
        batches = _batches(held_units, settings.batch_size)
        return float(np.mean([float(_loss(model, batch, graphs, settings.adsorption_weight).detach()) for batch in batches]))

    with _reproducible(model):
        if not state.epoch:
            state.best_loss, state.best = judged(), _weights(model)
        while state.epoch < settings.epochs and state.epoch - state.best_epoch < settings.patience:
            state.epoch += 1
            start = time.perf_counter()
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * (1 + math.cos(math.pi * (state.epoch - 1) / settings.epochs)) / 2
            batches = _batches(units, settings.batch_size, np.random.default_rng([settings.seed, state.epoch]))
            trained = [_step(model, optimiser, batch, graphs, settings.adsorption_weight) for batch in batches]
            _note(state, model, float(np.mean(trained)), judged())
            _write(state, model, optimiser, checkpoint, identity)
            rate = sum(len(batch) for batch in batches) / (time.perf_counter() - start)
            last = state.history[-1]
            losses = f"training {last['training']:.4f}, held out {last['held_out']:.4f}"
            say(f"epoch {state.epoch}: loss {losses}; {rate:.0f} structures/s")
    model.network.load_state_dict(state.best)
    return state


@contextmanager
def _reproducible(model: Model) -> Iterator[None]:
    """Have a CPU add up what its threads compute in one order, not as they come; not every operation of a GPU can."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(before or next(model.network.parameters()).device.type == "cpu")
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def predict(model: Model, frames: Sequence[Frame], batch_size: int = 8) -> list[tuple[float, NDArray[np.float64]]]:
    """Return energy and forces of each structure."""
    found = []
    for start in range(0, len(frames), batch_size):
        some = frames[start : start + batch_size]
        predicted = model.predict([model.graph(frame) for frame in some])
        forces = predicted.forces.detach().double().cpu().numpy()
        ends = np.cumsum([len(frame.atoms) for frame in some])
        energies = predicted.energies.detach().double().cpu().tolist()
        found += list(zip(energies, np.split(forces, ends[:-1]), strict=True))
    return found


Unit = list[Frame]


def _units(frames: Sequence[Frame], batch_size: int) -> list[Unit]:
    """Group hosts with what lies on them, so that a batch holds whole pairs; a large group repeats its host."""
    by_clean: dict[int, list[int]] = {}
    for pair in pairs(frames):
        by_clean.setdefault(pair.clean, []).append(pair.on)
    paired = {place for clean, on in by_clean.items() for place in (clean, *on)}
    units = [[frame] for place, frame in enumerate(frames) if place not in paired]
    for clean, on in by_clean.items():
        parts = [on[i : i + batch_size - 1] for i in range(0, len(on), batch_size - 1)]
        units += [[frames[clean], *(frames[place] for place in part)] for part in parts]
    return units


def _batches(units: Sequence[Unit], batch_size: int, generator: np.random.Generator | None = None) -> list[Unit]:
    """Put units together, in random order where there is a generator, until a batch is full."""
    batches: list[Unit] = []
    for place in generator.permutation(len(units)) if generator else range(len(units)):
        unit = units[place]
        if batches and len(batches[-1]) + len(unit) <= batch_size:
            batches[-1] = batches[-1] + unit
        else:
            batches.append(unit)
    return batches


def _loss(model: Model, batch: Unit, graphs: Mapping[int, object], adsorption_weight: float) -> Tensor:
    of_batch: list[Pair] = pairs(batch)
    return batch_loss(model.predict([graphs[id(frame)] for frame in batch]), batch, of_batch, adsorption_weight)


def _step(
    model: Model, optimiser: torch.optim.Optimizer, batch: Unit, graphs: Mapping[int, object], adsorption_weight: float
) -> float:
    optimiser.zero_grad()
    loss = _loss(model, batch, graphs, adsorption_weight)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.network.parameters(), LARGEST_GRADIENT)
    optimiser.step()
    return float(loss.detach())


def _note(state: Training, model: Model, training: float, held_out: float) -> None:
    """Add an epoch to the history, and keep the weights if they are the best."""
    if not (math.isfinite(training) and math.isfinite(held_out)):
        raise ValueError(f"the loss is not finite in epoch {state.epoch}: lower the learning rate")
    state.history.append({"training": training, "held_out": held_out})
    if held_out < state.best_loss:
        state.best_loss, state.best_epoch = held_out, state.epoch
        state.best = _weights(model)


def _weights(model: Model) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in model.network.state_dict().items()}


def _write(state: Training, model: Model, optimiser: Any, checkpoint: Path, identity: Mapping[str, Any]) -> None:
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    unfinished = checkpoint.with_suffix(".part")
    content = {"identity": dict(identity), "model": model.network.state_dict(), "optimiser": optimiser.state_dict()}
    torch.save({**content, "state": asdict(state)}, unfinished)
    os.replace(unfinished, checkpoint)


def _resume(model: Model, optimiser: Any, checkpoint: Path, identity: Mapping[str, Any]) -> Training:
    """Read the checkpoint into model and optimiser where there is one."""
    if not checkpoint.exists():
        return Training()
    try:
        kept = torch.load(checkpoint, map_location="cpu", weights_only=True)
        kept = {part: kept[part] for part in ("identity", "model", "optimiser", "state")}
    except Exception as error:
        raise ValueError(
            f"`{checkpoint}` is damaged ({type(error).__name__}): delete it, and training begins anew"
        ) from error
    different = [name for name in identity if kept["identity"].get(name) != identity[name]]
    if different:
        told = ", ".join(f"`{name}` {kept['identity'].get(name)}, not {identity[name]}" for name in different)
        raise ValueError(
            f"`{checkpoint.parent}` holds another training run ({told}): choose another folder or finish that one"
        )
    model.network.load_state_dict(kept["model"])
    optimiser.load_state_dict(kept["optimiser"])
    return Training(**kept["state"])
