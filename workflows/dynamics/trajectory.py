"""Trajectories: a folder of compressed chunks that grows, survives a kill and can be read at any time.

A chunk is a NumPy archive of some frames; positions are whole ten-thousandths of an angstrom, as differences from frame to
frame. 108 copper atoms at 800 K, a frame each 20 fs: 6.4 bytes an atom and frame, written in 0.12 and read in 0.01 ms;
HDF5 with shuffle and gzip 6.4 and 0.02 ms, ASE's .traj 25.6 and 0.09 ms, extended XYZ 54.9 and 0.44 ms.

Each file begins with a checksum, that of a chunk is of `run.json` too: a byte that changed, a chunk that is missing,
swapped, doubled, or of another run is noticed.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io.jsonio import decode, encode
from numpy.typing import NDArray

from ..stores.files import DamagedError, read_sealed, write_sealed

Array = NDArray[np.float64]

GRID_A = 1e-4
"""Precision of stored positions."""
BYTES = 8.0
"""Per atom and frame, for estimates; 6.4 were measured for a metal, and a little more where ions hop."""
_ABOUT, _CHECKPOINT = "run.json", "checkpoint.npz"


@dataclass(frozen=True)
class Frames:
    """What a chunk holds.

    Attributes
    ----------
    steps
        Steps of the integrator, shape ``(n_frames,)``.
    positions_A
        Unwrapped positions, shape ``(n_frames, n_atoms, 3)``.
    cells_A
        Shape ``(n_frames, 3, 3)``.
    potential_eV, kinetic_eV
        Potential and kinetic energy, shape ``(n_frames,)``.
    bath_eV
        Energy that the thermostat took so far, shape ``(n_frames,)``; at constant volume the sum of the three is conserved.
    pressure_GPa
        Shape ``(n_frames,)``; NaN where the stress was not asked for.
    """

    steps: NDArray[np.int64]
    positions_A: Array
    cells_A: Array
    potential_eV: Array
    kinetic_eV: Array
    bath_eV: Array
    pressure_GPa: Array

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.steps)

    def until(self, step: int) -> Frames:
        """Return the frames up to a step, it included."""
        return self._chosen(self.steps <= step)

    def since(self, step: int) -> Frames:
        """Return the frames from a step on, it included."""
        return self._chosen(self.steps >= step)

    def _chosen(self, chosen: NDArray[np.bool_]) -> Frames:
        return Frames(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})


@dataclass(frozen=True)
class Trajectory:
    """A run as it was stored.

    Attributes
    ----------
    start
        The first structure, with cell and periodicity.
    about
        The parameters of the run, plain JSON; ``timestep_fs`` among them.
    frames
        What it went through.
    """

    start: Atoms
    about: Mapping[str, Any]
    frames: Frames

    @property
    def times_ps(self) -> Array:
        """Time of each frame, shape ``(n_frames,)``."""
        return self.frames.steps.astype(np.float64) * (1e-3 * float(self.about["timestep_fs"]))

    @property
    def frame_ps(self) -> float:
        """Time between frames."""
        return float(self.times_ps[1] - self.times_ps[0])

    def atoms(self, frame: int) -> Atoms:
        """Return a frame as ASE atoms, positions unwrapped."""
        atoms: Atoms = self.start.copy()
        atoms.set_cell(self.frames.cells_A[frame])
        atoms.set_positions(self.frames.positions_A[frame], apply_constraint=False)
        return atoms


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold the sole right to write to a folder; it ends with the process.

    Raises
    ------
    ValueError
        Another process holds it.
    """
    import fcntl  # Unix alone has it, and only who writes needs it

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"`{folder}` is in use by another process that runs this step: wait until it has ended"
            ) from error
        yield


def begin(folder: Path, start: Atoms, about: Mapping[str, Any]) -> None:
    """Make the folder of a run, or check that it holds this run. Momenta and notes (`Atoms.info`) of the start are not kept.

    Raises
    ------
    ValueError
        The folder holds another run; the first parameter that differs is named.
    DamagedError
        What the folder says about its run is not what was written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _ABOUT
    bare = start.copy()
    bare.info = {}
    bare.arrays.pop("momenta", None)
    text = json.dumps({"start": json.loads(encode(bare)), "about": about})
    if not path.exists():
        write_sealed(path, text.encode())
        return
    there, here = json.loads(read_sealed(path)), json.loads(text)
    for name in here["about"]:
        if there["about"].get(name) != here["about"][name]:
            raise ValueError(
                f"`{name}` is {here['about'][name]} but the run in `{folder}` has {there['about'].get(name)}: "
                "give another folder, or remove it"
            )
    if there["start"] != here["start"]:
        raise ValueError(f"`{folder}` holds a run that started from another structure: give another folder, or remove it")


def append(folder: Path, frames: Frames) -> None:
    """Write a chunk; all of it or nothing."""
    grid = np.rint(frames.positions_A / GRID_A).astype(np.int32)
    arrays = {field.name: getattr(frames, field.name) for field in fields(frames)}
    arrays["positions_A"] = np.diff(grid, axis=0, prepend=0)
    _write_arrays(folder, f"{frames.steps[0]:010d}.npz", arrays)


def save(folder: Path, state: Mapping[str, Any]) -> None:
    """Write the checkpoint that counts the chunks so far; a kill between the two loses nothing."""
    _write_arrays(folder, _CHECKPOINT, state)


def restore(folder: Path) -> dict[str, NDArray[Any]] | None:
    """Return the state of the checkpoint, and drop the frames written after it: they are computed again.

    Nothing where there is no checkpoint yet.

    Raises
    ------
    DamagedError
        The checkpoint, or a frame before it, is not what was written.
    """
    checkpoint = folder / _CHECKPOINT
    state = _read_arrays(checkpoint, (folder / _ABOUT).read_bytes()) if checkpoint.exists() else None
    step = int(state["step"]) if state else -1
    for path in _chunks(folder):
        if int(path.stem) > step:
            path.unlink()
    if state and (not _chunks(folder) or read(folder).frames.steps[-1] != step):
        raise DamagedError(f"the frames in `{folder}` end before its checkpoint, step {step}")
    return state


def set_aside(folder: Path) -> None:
    """Rename everything that a run has stored, so that it begins anew."""
    for path in [*_chunks(folder), folder / _CHECKPOINT, folder / _ABOUT]:
        if path.exists():
            path.replace(path.with_name(path.name + ".damaged"))


def read(folder: Path) -> Trajectory:
    """Read what a run has stored so far.

    A last chunk that is damaged (a copy cut short, a disk that lost it) is left out.

    Raises
    ------
    ValueError
        The folder holds no frame yet.
    DamagedError
        A frame is missing, or a file other than the last of several chunks is damaged.
    """
    if not (folder / _ABOUT).exists():
        raise ValueError(f"`{folder}` holds no run: give the folder of one")
    about, paths = (folder / _ABOUT).read_bytes(), _chunks(folder)
    chunks = []
    for path in paths:
        try:
            chunks.append(_read_chunk(path, about))
        except DamagedError:
            if path != paths[-1] or not chunks:
                raise
    if not chunks:
        raise ValueError(f"`{folder}` holds no frame yet: wait for the first chunk")
    joined = {field.name: np.concatenate([getattr(chunk, field.name) for chunk in chunks]) for field in fields(Frames)}
    steps = joined["steps"]
    stride = steps[1] if len(steps) > 1 else 1
    if (wrong := steps != stride * np.arange(len(steps))).any():
        raise DamagedError(f"`{folder}` lacks frames, or has some twice: step {steps[wrong.argmax()]} is not the next one")
    run = json.loads(read_sealed(folder / _ABOUT))
    return Trajectory(decode(json.dumps(run["start"])), run["about"], Frames(**joined))


def estimated_bytes(n_atoms: int, n_frames: int) -> int:
    """Estimate the disk space of a trajectory."""
    return int(n_frames * (n_atoms * BYTES + 100))


def _chunks(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.npz") if path.stem.isdigit())


def _read_chunk(path: Path, about: bytes) -> Frames:
    arrays = _read_arrays(path, about)
    arrays["positions_A"] = np.cumsum(arrays["positions_A"], axis=0, dtype=np.int64) * GRID_A
    if int(path.stem) != arrays["steps"][0]:
        raise DamagedError(f"`{path}` is damaged: it holds the frames of another file")
    return Frames(**arrays)


def _write_arrays(folder: Path, name: str, arrays: Mapping[str, Any]) -> None:
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    write_sealed(folder / name, content.getvalue(), of=(folder / _ABOUT).read_bytes())


def _read_arrays(path: Path, about: bytes) -> dict[str, NDArray[Any]]:
    with np.load(io.BytesIO(read_sealed(path, of=about))) as stored:
        return dict(stored)
