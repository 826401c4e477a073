"""Train or fine-tune a potential on labelled structures; whole systems are held out to judge it by."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...potentials import fingerprint, resolve
from ...potentials.training import record
from ...potentials.training.frames import Frame, errors, fit_shifts, functional_of, read, references, split

if TYPE_CHECKING:
    from ...potentials.training.loop import Settings

NEW = "mace:new"


@dataclass(frozen=True)
class Task:
    """What is trained on what.

    Attributes
    ----------
    files
        Labelled structures.
    start
        The potential whose weights training starts from; ``mace:new`` for random ones.
    to
        Folder for weights, records and checkpoints.
    hold_out
        Systems to hold out; drawn where empty.
    device
        ``cpu`` or ``cuda``.
    channels
        Width of a new MACE.
    """

    files: Sequence[Path]
    start: str
    to: Path
    hold_out: Sequence[str] = ()
    device: str = "cpu"
    channels: int = 32


@dataclass(frozen=True)
class Trained:
    """One trained potential: its name, and its errors on the held-out systems before and after."""

    potential: str
    before: dict[str, float]
    after: dict[str, float]


def train(task: Task, settings: Settings, seeds: int = 1, say: Callable[[str], None] = lambda _: None) -> list[Trained]:
    """Train one potential for each seed, and write weights and record of each.

    Killed, it goes on from the last finished epoch when it is called again.

    Raises
    ------
    ValueError
        A file, name, device or setting is refused; nothing has been computed by then.
    """
    start = checked_start(task.start)
    _check_device(task.device)
    if task.to.exists() and not task.to.is_dir():
        raise ValueError(f"`{task.to}` is a file but weights and records go into a folder: name another")
    if seeds < 1:
        raise ValueError(f"`seeds` is {seeds} but must be at least 1")
    frames, level = read(task.files)
    training, held_out = split(frames, task.hold_out)
    say(f"{len(training)} structures to train on; held out: {', '.join(sorted({frame.system for frame in held_out}))}")
    members = [replace(settings, seed=settings.seed + i) for i in range(seeds)]
    return [_train_one(replace(task, start=start), member, level, training, held_out, say) for member in members]


def checked_start(name: str) -> str:
    """Return the name of what training starts from, with its path absolute.

    Raises
    ------
    ValueError
        It is neither a CHGNet nor a MACE, or does not exist.
    """
    if name.partition(":")[0] not in ("chgnet", "mace"):
        raise ValueError(f"{name!r} cannot be trained; start from chgnet, chgnet:PATH, mace:MODEL, mace:PATH or {NEW}")
    try:
        return name if name == NEW else resolve(name)
    except (FileNotFoundError, ModuleNotFoundError) as error:
        raise ValueError(str(error)) from error


def _check_device(device: str) -> None:
    from ...potentials.torch_threads import import_torch

    known = ["cpu"] + ["cuda"] * import_torch().cuda.is_available()
    if device not in known:
        raise ValueError(f"`device` is {device!r} but this machine has: {', '.join(known)}")


def _train_one(
    task: Task, settings: Settings, level: str, training: list[Frame], held_out: list[Frame], say: Callable[[str], None]
) -> Trained:
    """Train with one seed, and write weights and record."""
    from ...potentials.training.loop import fit, predict

    model, suffix = _model(task, settings.seed, training)
    training, left_out = _usable(model, training)
    held_out, also_left_out = _usable(model, held_out)
    energies = np.array([energy for energy, _ in predict(model, training, settings.batch_size)])
    shifts = fit_shifts(training, energies)
    model.shift(shifts)
    judged = [*held_out, *(training[place] for place in references(training).values())]
    before = errors(judged, predict(model, judged, settings.batch_size), len(held_out))
    identity = {"from": task.start, "channels": task.channels, "data_sha256": _checksums(task.files)}
    identity |= {"held_out": sorted({frame.system for frame in held_out})}
    name = f"{task.start.partition(':')[0]}-{settings.seed}"
    state = fit(model, training, held_out, settings, task.to / f"{name}.checkpoint", identity, say)
    after = errors(judged, predict(model, judged, settings.batch_size), len(held_out))
    weights = task.to / f"{name}{suffix}"
    model.save(weights)
    about = {**identity, "settings": asdict(settings), "errors": {"before": before, "after": after}}
    about |= {"left_out": [*left_out, *also_left_out], "shifts_eV": shifts, "history": state.history}
    about |= {"n_training": len(training), "n_held_out": len(held_out), "best_epoch": state.best_epoch}
    record.write(weights, {**about, **_facts(task, level, training)})
    return Trained(f"{task.start.partition(':')[0]}:{weights}", before, after)


def _model(task: Task, seed: int, training: list[Frame]) -> tuple[Any, str]:
    """Load or make the model; its kind's suffix beside it."""
    if task.start.startswith("chgnet"):
        from ...potentials.chgnet import train as chgnet

        return chgnet.TrainableChgnet(task.start, task.device), chgnet.SUFFIX
    from ...potentials.mace import train as mace

    return mace.TrainableMace(task.start, training, task.device, seed, task.channels), mace.SUFFIX


def _usable(model: Any, frames: list[Frame]) -> tuple[list[Frame], list[str]]:
    """Keep what the model can say something about; why not, for the others.

    Raises
    ------
    ValueError
        Nothing is left.
    """
    problems = [model.lacks(frame) for frame in frames]
    kept = [frame for frame, problem in zip(frames, problems, strict=True) if not problem]
    told = [f"{frame.name}: {problem}" for frame, problem in zip(frames, problems, strict=True) if problem]
    if not kept:
        raise ValueError(f"the model can take none of the {len(frames)} structures ({told[0]}): start from another one")
    return kept, told


def _facts(task: Task, level: str, training: list[Frame]) -> dict[str, Any]:
    """Return what the potential's card says, and where it comes from."""
    names = ("philic", "torch", "chgnet", "mace-torch", "e3nn", "ase", "numpy")
    start = {} if task.start == NEW else fingerprint(task.start).asdict()
    return {
        "functional": functional_of(level),
        "training_set": f"{', '.join(path.name for path in task.files)}"
        + ("" if task.start == NEW else f", after that of {start['name']}"),
        "elements": sorted({element for frame in training for element in frame.counts}),
        "level": level,
        "from_fingerprint": start,
        "device": task.device,
        "versions": {name: found for name in names if (found := _version(name))},
    }


def _checksums(files: Sequence[Path]) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
