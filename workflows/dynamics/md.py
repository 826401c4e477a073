"""Molecular dynamics of several replicas at a time through one potential; it survives a kill at any moment."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import fs
from numpy.typing import NDArray

from ...potentials.base import Potential, Prediction
from ..steps.relax import isolated, misplaced, overlapping
from ..stores.files import DamagedError
from ..stores.result import Outcome, Status
from .conditions import check, default_timestep_fs, stride, thin_cell
from .integrators import BAROSTAT_fs, Ensemble, Motion, after_forces, before_forces, begin_motion, take_forces
from .runs import equilibrated, mobile_ions, off_temperature, standard_error, temperatures_K
from .trajectory import Frames, append, begin, claimed, read, restore, save, set_aside

LOG = logging.getLogger(__name__)
_SAVED = ("step", "positions", "momenta", "cell", "forces", "stress", "potential_eV", "heat_eV", "chain_rate")
Watch = Callable[[int], None]
Array = NDArray[np.float64]

CHUNK = 50
"""Frames between checkpoints, at most."""
SAVE_S = 30.0
"""Seconds after which a checkpoint is written earlier. It moves the ends of the files, not a number in them."""
EXPLODED, EXPLODED_K = 10.0, 3000.0
"""A temperature this many times above the one asked for, and above this many kelvin, is an explosion."""
EVAPORATED = 2.0
"""A cell under pressure that has grown by this factor does not come back."""
CELL_TIMES = 10
"""The growth of a cell is reliable when averaged over this many times the barostat's time."""
LOST_A = 3.0
"""A framework is lost when each of its elements is this far from its start (root mean square), about the distance to a
neighbour. Where groups turn it is not: the S of SbS4 goes up to 4.8 Å, but its Sb stays."""


def md(
    structures: Sequence[Atoms],
    potential: Potential,
    *,
    folders: Sequence[Path],
    temperature_K: float | Sequence[float],
    steps: int,
    watch: Watch = lambda _: None,
    seed: int | Sequence[int] = 0,
    timestep_fs: float | None = None,
    thermostat: str = "bussi",
    pressure_GPa: float | None = None,
    isotropic: bool = True,
    mobile: str | None = None,
) -> Iterator[tuple[int, Outcome]]:
    """Run molecular dynamics on each structure and keep trajectory and checkpoint in its folder.

    Called again with the same arguments it goes on from the last checkpoint, and the trajectory is bit for bit what an
    unbroken run gives; with more `steps` it extends the run. The replicas share calls of the potential and nothing else.

    Parameters
    ----------
    structures
        Start geometries; left as they are. Fixed atoms (`ase.constraints.FixAtoms`) stay where they are.
    potential
        Energies, forces and, for a pressure, stress.
    folders
        One for each structure; made if missing. The last two parts of its path are in the outcome (``folder``).
    temperature_K
        One for all or one for each. Without a thermostat momenta begin twice as hot: a start at rest takes half.
    steps
        Of the integrator, from the beginning; a multiple of the steps between stored frames (`stride`).
    watch
        Called with a structure's index each time its forces have been computed.
    seed
        Of the start momenta and the thermostat, together with temperature and start (`random_numbers`); one for all or one
        for each.
    timestep_fs
        None chooses by the elements: `default_timestep_fs`.
    thermostat
        ``bussi`` (stochastic velocity rescaling), ``nose-hoover`` (a deterministic chain, which is not canonical where few
        atoms rattle almost harmonically), ``langevin``, or ``none`` (NVE).
    pressure_GPa
        None keeps the cell.
    isotropic
        Whether a cell under pressure keeps its shape.
    mobile
        Symbol of the ions that may go where they like; the other atoms are a framework, and the run stops when it is lost.

    Yields
    ------
    index, outcome
        As each run ends. Scalars are averages after ``equilibrated_ps``: ``temperature_K`` with ``temperature_error_K``,
        ``potential_eV``, ``drift_meV_per_atom_ps`` …, and under a pressure how much the cell grew, ``expansion_percent``
        (volume) and those of its vectors. Structures ``initial`` and ``final``; arrays ``times_ps``, ``temperatures_K`` and
        ``potentials_eV``, shape ``(n_frames,)``. Unconverged where the energy still drifts, the temperature is off or fewer
        than ten frames are left. An explosion, an overlap, a lost framework, an evaporated cell, or (where the potential
        knows no free atoms) an atom that left is a failed outcome with a sentence.

    Raises
    ------
    ValueError
        A parameter is refused (see `check`), a folder holds another run, or another process writes there.
    """
    temperatures: list[float] = np.broadcast_to(temperature_K, len(structures)).astype(float).tolist()
    seeds = np.broadcast_to(seed, len(structures)).tolist()
    asked: list[dict[str, Any]] = [
        {
            "temperature_K": temperature,
            "timestep_fs": default_timestep_fs(atoms) if timestep_fs is None else timestep_fs,
            "thermostat": thermostat,
            "pressure_GPa": pressure_GPa,
            "mobile": mobile,
        }
        for atoms, temperature in zip(structures, temperatures, strict=True)
    ]
    for atoms, folder, parameters in zip(structures, folders, asked, strict=True):
        check(atoms, potential.card, folder, steps=steps, **parameters)
    fingerprint = {name: value for name, value in potential.fingerprint.asdict().items() if name != "name"}
    runs = []
    with ExitStack() as claims:
        for index, (atoms, folder) in enumerate(zip(structures, folders, strict=True)):
            claims.enter_context(claimed(folder))
            about = {**asked[index], "isotropic": isotropic, "seed": seeds[index], "potential": fingerprint}
            runs.append(_open(index, atoms, folder, about))
        yield from _drive(runs, potential, steps, watch)


@dataclass
class _Run:
    index: int
    folder: Path
    start: Atoms
    atoms: Atoms
    ensemble: Ensemble
    motion: Motion
    stride: int
    framework: NDArray[np.bool_] | None
    frames: list[tuple[Any, ...]] = field(default_factory=list)
    force_calls: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    saved_s: float = field(default_factory=time.monotonic)


def _open(index: int, start: Atoms, folder: Path, about: dict[str, Any]) -> _Run:
    """Begin a run, or resume it at its checkpoint."""
    ensemble = Ensemble(
        about["timestep_fs"] * fs, about["thermostat"], about["temperature_K"], about["pressure_GPa"], about["isotropic"]
    )
    motion = begin_motion(start, ensemble, about["seed"])
    try:
        begin(folder, start, about)
        state = restore(folder)
    except DamagedError as error:
        LOG.warning("%s; what is there is set aside, and the run begins anew: it gives the same digits", error)
        set_aside(folder)
        begin(folder, start, about)
        state = None
    if state:
        _continue(motion, state)
    framework = None
    if about["mobile"]:
        others = ~mobile_ions(start.get_chemical_symbols(), about["mobile"])
        framework = others if others.any() else None
    return _Run(index, folder, start, start.copy(), ensemble, motion, stride(about["timestep_fs"]), framework)


def _drive(runs: Sequence[_Run], potential: Potential, steps: int, watch: Watch) -> Iterator[tuple[int, Outcome]]:
    active, fresh = [], []
    for run in runs:
        is_fresh = not len(run.motion.forces)
        problem = misplaced(run.atoms, potential.card.cutoff_A) if is_fresh else ""
        if problem:
            yield run.index, _failed(run, f"the start geometry is unusable: {problem}")
        elif run.motion.step >= steps:
            yield run.index, _summary(run, potential.card.cutoff_A, steps)
        else:
            active.append(run)
            fresh += [run] * is_fresh
    for run, prediction in zip(fresh, _evaluate(fresh, potential, watch), strict=True):
        take_forces(run.motion, prediction)
        _record(run)
    while active:
        for run in active:
            before_forces(run.motion, run.ensemble)
        predictions = _evaluate(active, potential, watch)
        for run, prediction in zip(list(active), predictions, strict=True):
            outcome = _advance(run, prediction, potential.card.cutoff_A, steps)
            if outcome:
                active.remove(run)
                yield run.index, outcome


def _evaluate(runs: Sequence[_Run], potential: Potential, watch: Watch) -> list[Prediction]:
    if not runs:
        return []
    for run in runs:
        run.atoms.arrays["positions"][:] = run.motion.positions
        if run.ensemble.pressure_GPa is not None:
            run.atoms.cell[:] = run.motion.cell
    wall, cpu = time.perf_counter(), time.process_time()
    stress = any(run.ensemble.pressure_GPa is not None for run in runs)
    predictions = potential.evaluate([run.atoms for run in runs], stress=stress)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    for run in runs:
        run.force_calls += 1
        run.wall_s += wall / len(runs)
        run.cpu_s += cpu / len(runs)
        watch(run.index)
    return predictions


def _advance(run: _Run, prediction: Prediction, cutoff_A: float, steps: int) -> Outcome | None:
    """Complete a step; store a frame and a checkpoint when due; return the outcome of a run that ended."""
    motion = run.motion
    after_forces(motion, run.ensemble, prediction)
    temperature_K, asked_K = motion.temperature_K, run.ensemble.temperature_K
    if not (np.isfinite(motion.potential_eV) and temperature_K < max(EXPLODED * asked_K, EXPLODED_K)):
        return _failed(run, _say_broken(run, prediction, cutoff_A))
    if motion.step % run.stride:
        return None
    _record(run)
    ended = motion.step == steps
    if motion.step % (CHUNK * run.stride) and not ended:
        if time.monotonic() - run.saved_s > SAVE_S:
            _save(run)
        return None
    problem = _trouble(run)
    if problem:
        return _failed(run, f"it failed before step {motion.step}: {problem}")
    _save(run)
    return _summary(run, cutoff_A, steps) if ended else None


def _say_broken(run: _Run, prediction: Prediction, cutoff_A: float) -> str:
    """Say that an atom left, where the potential refused because of that, or that the run exploded."""
    step, time_ps = run.motion.step, run.motion.step * run.ensemble.timestep / fs / 1e3
    left = prediction.reason and np.isfinite(run.atoms.positions).all() and isolated(run.atoms, cutoff_A)
    if left:
        mend = "take a lower temperature, a start that binds it better, or a potential that knows free atoms"
        return f"an atom left at step {step} ({time_ps:.3g} ps): {left}: {mend}"
    temperature_K, asked_K = run.motion.temperature_K, run.ensemble.temperature_K
    why = prediction.reason or f"{temperature_K:.3g} K instead of {asked_K:g} K"
    return f"it exploded at step {step}: {why}; relax the start, or take a shorter timestep"


def _trouble(run: _Run) -> str:
    """Say which atoms overlap, or that the cell has evaporated or the framework is lost."""
    grown = run.atoms.get_volume() / run.start.get_volume() if run.ensemble.pressure_GPa is not None else 1.0
    if not grown <= EVAPORATED:
        return f"the cell is {grown:.1f} times as large as at the start: take a lower temperature, or a higher pressure"
    problem = overlapping(run.atoms)
    if problem or run.framework is None:
        return problem
    moved = run.atoms.get_scaled_positions(wrap=False) - run.start.get_scaled_positions(wrap=False)
    moved = (moved @ run.atoms.cell.array)[run.framework]
    squared, numbers = ((moved - moved.mean(axis=0)) ** 2).sum(axis=1), run.atoms.numbers[run.framework]
    distance_A = min(float(np.sqrt(squared[numbers == number].mean())) for number in np.unique(numbers))
    if distance_A < LOST_A:
        return ""
    return (
        f"the framework is lost: every element of it is {distance_A:.1f} Å or more from where it began (root mean square); "
        "it melted: take a lower temperature, or another potential"
    )


def _record(run: _Run) -> None:
    """Keep a frame until the next chunk is written."""
    motion = run.motion
    energies = (motion.potential_eV, motion.kinetic_eV, motion.heat_eV)
    run.frames.append((motion.step, motion.positions.copy(), motion.cell.copy(), *energies, motion.pressure_GPa))


def _flush(run: _Run) -> None:
    append(run.folder, Frames(*(np.array(column) for column in zip(*run.frames, strict=True))))
    run.frames.clear()


def _save(run: _Run) -> None:
    _flush(run)
    motion = run.motion
    state = {name: getattr(motion, name) for name in _SAVED if getattr(motion, name) is not None}
    save(run.folder, {"rng": json.dumps(motion.rng.bit_generator.state), **state})
    run.saved_s = time.monotonic()


def _continue(motion: Motion, state: Mapping[str, NDArray[Any]]) -> None:
    for name in _SAVED:
        if name in state:
            value = state[name]
            setattr(motion, name, value if value.ndim else value.item())
    motion.rng.bit_generator.state = json.loads(str(state["rng"]))


def _failed(run: _Run, message: str) -> Outcome:
    if run.frames:
        _flush(run)
    cost = {name: getattr(run, name) for name in ("force_calls", "wall_s", "cpu_s")}
    return Outcome(
        Status.FAILED, message, {"steps": run.motion.step}, {"initial": run.start, "final": run.atoms}, {}, **cost
    )


def _summary(run: _Run, cutoff_A: float, steps: int) -> Outcome:
    """Average over what follows equilibration, from the stored frames alone: a resumed run gives the same."""
    trajectory = read(run.folder)
    frames = trajectory.frames.until(steps)
    times_ps = trajectory.times_ps[: len(frames)]
    kelvins = temperatures_K(trajectory)[: len(frames)]
    asked_K, constant = run.ensemble.temperature_K, run.ensemble.pressure_GPa is None
    volumes_A3 = np.abs(np.linalg.det(frames.cells_A))
    cut = max(equilibrated(series) for series in (frames.potential_eV, volumes_A3)[: 1 if constant else 2])
    total_meV = 1e3 * (frames.potential_eV + frames.kinetic_eV + frames.bath_eV) / len(run.start)
    mean_K, error_K = float(kelvins[cut:].mean()), standard_error(kelvins[cut:])
    scalars = {
        "n_atoms": len(run.start),
        "steps": steps,
        "time_ps": float(times_ps[-1]),
        "timestep_fs": run.ensemble.timestep / fs,
        "asked_K": asked_K,
        "temperature_K": mean_K,
        "temperature_error_K": error_K,
        "potential_eV": float(frames.potential_eV[cut:].mean()),
        "volume_A3": float(volumes_A3[cut:].mean()),
        "pressure_GPa": None if constant else float(frames.pressure_GPa[cut:].mean()),
        "drift_meV_per_atom_ps": float(np.polyfit(times_ps, total_meV, 1)[0]) if constant and len(frames) > 1 else None,
        "equilibrated_ps": float(times_ps[cut]),
        "folder": str(Path(*run.folder.parts[-2:])),
        **({} if constant else _expansion(run.start, frames.cells_A[cut:])),
    }
    within = "" if error_K is None else f" ± {error_K:.0f}"
    sentences = [f"{times_ps[-1]:.3g} ps at {mean_K:.0f}{within} K, the first {times_ps[cut]:.3g} ps to equilibrate"]
    if not constant:
        sentences.append(_say_expansion(scalars))
    drifting = len(frames) >= CHUNK and cut == len(frames) // 2 - 1
    if drifting:
        what = "the potential energy" if constant else "the potential energy or the volume"
        sentences.append(f"{what} still drifts after half of the run: run longer")
    off = off_temperature(mean_K, error_K, asked_K, thermostat=run.ensemble.thermostat != "none")
    sentences += filter(None, [off, thin_cell(run.start, cutoff_A)])
    final = trajectory.atoms(len(frames) - 1)
    final.info = dict(run.start.info)
    arrays = {"times_ps": times_ps, "temperatures_K": kelvins, "potentials_eV": frames.potential_eV}
    cost = {name: getattr(run, name) for name in ("force_calls", "wall_s", "cpu_s")}
    status = Status.UNCONVERGED if drifting or off else Status.CONVERGED
    return Outcome(status, "; ".join(sentences), scalars, {"initial": run.start, "final": final}, arrays, **cost)


def _expansion(start: Atoms, cells_A: Array) -> dict[str, float | None]:
    """Return the growth of the mean cell against the start: of its volume, with an error, and of its three vectors."""
    volumes = np.abs(np.linalg.det(cells_A)) / start.get_volume()
    lengths = np.linalg.norm(cells_A, axis=2).mean(axis=0) / start.cell.lengths()
    growth = {"expansion_percent": volumes.mean() - 1, "expansion_error_percent": standard_error(volumes)}
    growth |= {f"expansion_{name}_percent": length - 1 for name, length in zip("abc", lengths, strict=True)}
    return {name: None if value is None else 100 * float(value) for name, value in growth.items()}


def _say_expansion(scalars: Mapping[str, Any]) -> str:
    error, barostat_ps = scalars["expansion_error_percent"], BAROSTAT_fs * 1e-3
    vectors = ", ".join(f"{name} {scalars[f'expansion_{name}_percent']:+.1f}" for name in "abc")
    within = "" if error is None else f" ± {error:.1f}"
    said = f"the volume changed by {scalars['expansion_percent']:+.1f}{within} % ({vectors} %)"
    if scalars["time_ps"] - scalars["equilibrated_ps"] >= CELL_TIMES * barostat_ps:
        return said
    wanted = f"run at least {CELL_TIMES * barostat_ps:g} ps longer"
    return f"{said}, which may be chance, because a cell follows within about {barostat_ps:g} ps: {wanted}"
