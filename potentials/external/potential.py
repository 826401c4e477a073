"""Any ASE calculator as a potential: ``ase:settings.yaml``, or ``ase:NAME`` for settings that come with philic."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base import Card, Fingerprint, Kind, Prediction, nothing_known
from . import worker
from .processes import Worker, versions
from .settings_files import FOLDER, KPTS, Settings, merged, path_of, read, replaced, shipped

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

PREFIX = "ase:"
CACHE = "CACHE"
"""Stands in variables for the folder of prepared files."""
VACUUM_A = 6.0
"""Empty space along a vector that makes a slab of a crystal: no k-points along it."""
BINDING = ("H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Se")
"""Elements that carbon has bonds to."""
CANARY_ELEMENTS = ("K", "Na", "Li", "Cu")


def _settings(name: str) -> tuple[Path, Settings]:
    path = path_of(name.removeprefix(PREFIX))
    return path, _read(path, path.stat().st_mtime_ns)


@cache
def _read(path: Path, mtime_ns: int) -> Settings:
    del mtime_ns
    return read(path)


def _resolve(name: str) -> str:
    path, _ = _settings(name)
    return name if path.parent == FOLDER else f"{PREFIX}{path}"


def _short(path: Path) -> str:
    return f"{PREFIX}{path.stem}"


def _card(name: str) -> Card:
    from ase.data import chemical_symbols

    path, settings = _settings(name)
    return Card(
        name=name,
        description=_description(path),
        functional=settings.functional,
        cohesive_reference=settings.cohesive_reference,
        training_set=settings.training_set,
        elements=frozenset(chemical_symbols[1:] if settings.elements == "all" else settings.elements),
        cutoff_A=settings.cutoff_A or np.inf,
        seconds_per_atom_call=settings.seconds_per_atom_call,
        slow=settings.calculation == "dft",
    )


def _description(path: Path) -> str:
    return shipped()[path.stem] if path.parent == FOLDER else f"ASE calculator of the settings {path.name}"


def _fingerprint(name: str) -> Fingerprint:
    path, settings = _settings(name)
    program = f", {settings.program}" if settings.program else ""
    version = versions(settings.python, settings.names) + program
    dtype, canary = _canary(settings, version) if settings.calculation == "model" else ("float64", "")
    return Fingerprint(
        name=_short(path),
        weights_sha256=settings.files_sha256,
        dtype=dtype,
        dispersion=settings.dispersion,
        package=settings.names[0],
        version=version,
        settings=settings.sha256,
        canary=canary,
    )


_canaries: dict[tuple[str, str, str, str], tuple[str, str]] = {}


def _canary(settings: Settings, version: str) -> tuple[str, str]:
    """Return the dtype of one small structure's forces, and its energy and forces, rounded."""
    key = (settings.sha256, settings.files_sha256, version, settings.python)
    if key not in _canaries:
        atoms = _canary_atoms(settings)
        try:
            answer = _ask(settings, atoms, stress=False)
        except RuntimeError as error:
            answer = {"error": str(error)}
        if "error" in answer:
            raise ValueError(f"{settings.factory} fails on a small crystal: {answer['error']}")
        numbers = [answer["energy"], *np.ravel(answer["forces"])]
        if len(numbers) != 1 + 3 * len(atoms) or not np.isfinite(numbers).all():
            raise ValueError(f"{settings.factory} gives no finite energy and forces of a small crystal")
        _canaries[key] = answer["dtype"], " ".join(f"{number + 0.0:.3f}" for number in numbers)
    return _canaries[key]


def _canary_atoms(settings: Settings) -> Atoms:
    """A distorted crystal of an element that the calculator knows."""
    from ase.build import bulk

    known = settings.elements
    element = next((e for e in (*CANARY_ELEMENTS, *sorted(known)) if known == "all" or e in known), "K")
    atoms = bulk(element, "bcc", a={"K": 5.2, "Na": 4.2, "Li": 3.4}.get(element, 3.0), cubic=True)
    atoms.positions[1] += (0.2, 0.1, -0.1)
    return atoms


@cache
def _worker(python: str, environment: tuple[tuple[str, str], ...]) -> Worker:
    return Worker(python, dict(environment))


def _ask(settings: Settings, atoms: Atoms, *, stress: bool) -> Mapping[str, Any]:
    """Evaluate one structure where the settings say.

    Raises
    ------
    RuntimeError
        If the worker ended.
    """
    folder = _cache(settings) if settings.prepare else None
    task = _task(settings, atoms, stress)
    if settings.calculation == "model" and settings.python == sys.executable and not settings.environment:
        return worker.evaluate(task)
    environment = {name: value.replace(CACHE, str(folder)) for name, value in settings.environment.items()}
    for one in settings.prepare:
        if one.element in atoms.symbols:
            _prepare(settings, one.file, one.command, folder or Path(), environment)
    return _worker(settings.python, tuple(sorted(environment.items()))).evaluate(task)


def _task(settings: Settings, atoms: Atoms, stress: bool) -> dict[str, Any]:
    empty = _empty(atoms)
    shape = settings.sheet if empty[2] else settings.crystal
    apart = settings.calculation == "dft" and empty[2]
    moments = _moments(settings, atoms)
    arguments = merged(settings.arguments, shape.arguments, settings.spin_arguments if moments is not None else {})
    if shape.k_spacing_per_A:
        arguments = replaced(arguments, KPTS, k_points(atoms, shape.k_spacing_per_A, empty))
    described = {
        "symbols": list(atoms.symbols),
        "positions": atoms.positions.tolist(),
        "cell": atoms.cell.tolist(),
        "pbc": [bool(periodic) and not (apart and axis == 2) for axis, periodic in enumerate(atoms.pbc)],
        "magnetic_moments": moments,
    }
    calculator = {"factory": settings.factory, "arguments": arguments}
    return {"calculator": calculator, "atoms": described, "stress": bool(stress), "folder": settings.calculation == "dft"}


def _empty(atoms: Atoms) -> list[bool]:
    """Say along which vectors there is empty space, or no periodicity."""
    if atoms.cell.rank != 3:
        return [not periodic for periodic in atoms.pbc]
    heights_A = 1 / np.linalg.norm(atoms.cell.reciprocal(), axis=1)
    scaled = np.sort(atoms.get_scaled_positions(), axis=0)
    gaps = np.diff(np.vstack([scaled, scaled[:1] + 1]), axis=0).max(axis=0)
    return [bool(gap * height >= VACUUM_A) or not p for gap, height, p in zip(gaps, heights_A, atoms.pbc, strict=True)]


def k_points(atoms: Atoms, spacing_per_A: float, empty: Sequence[bool]) -> list[int]:
    """Return the fewest k-points at most `spacing_per_A` apart, 2 pi included; one along empty space."""
    lengths_per_A = 2 * np.pi * np.linalg.norm(atoms.cell.reciprocal(), axis=1)
    numbers = np.ceil(lengths_per_A / spacing_per_A - 1e-6).astype(int)
    return [1 if along else int(max(n, 1)) for along, n in zip(empty, numbers, strict=True)]


def _moments(settings: Settings, atoms: Atoms) -> list[float] | None:
    """Return the structure's initial magnetic moments, or else those of its elements and of carbon that lacks a bond."""
    own = atoms.get_initial_magnetic_moments()
    if own.any():
        return [float(moment) for moment in own]
    moments = np.array([settings.magnetic_moments.get(symbol, 0.0) for symbol in atoms.symbols])
    if settings.open_carbon_moment:
        moments[_open_carbons(atoms)] = settings.open_carbon_moment
    return [float(moment) for moment in moments] if moments.any() else None


def _open_carbons(atoms: Atoms) -> NDArray[np.bool_]:
    """Say which atoms are carbon with fewer than three neighbours, metals not counted."""
    from ase.neighborlist import natural_cutoffs, neighbor_list

    binding = np.isin(atoms.symbols, BINDING)
    i, j = neighbor_list("ij", atoms, natural_cutoffs(atoms, mult=1.2))
    neighbours = np.bincount(i[binding[j]], minlength=len(atoms))
    return np.asarray((np.array(atoms.symbols) == "C") & (neighbours < 3))


def _cache(settings: Settings) -> Path:
    """Return the folder of prepared files, one for each set of commands and versions."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = root / "philic" / f"{settings.names[0]}-{settings.sha256[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _prepare(settings: Settings, file: str, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
    """Make a file that is not there yet, whole or not at all.

    Raises
    ------
    RuntimeError
        If the command fails, with the end of what it printed.
    """
    if (folder / file).exists():
        return
    with tempfile.TemporaryDirectory(dir=folder) as work:
        done = subprocess.run(
            [settings.python, *command],
            cwd=work,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or not (Path(work) / file).exists():
            raise RuntimeError(f"`{' '.join(command)}` made no {file}: {(done.stderr or done.stdout).strip()[-300:]}")
        (Path(work) / file).replace(folder / file)


def _predict(settings: Settings, structures: Sequence[Atoms], stress: bool) -> list[Prediction]:
    return [_one(settings, atoms, stress and atoms.cell.rank == 3) for atoms in structures]


def closed(atoms: Atoms, cutoff_A: float) -> Atoms:
    """
    Make a structure periodic along all vectors, with nothing within the cutoff across what was open.

    Its energy and forces are the same; some calculators ignore the cell unless all its vectors are periodic.
    """
    if atoms.pbc.all():
        return atoms
    whole: Atoms = atoms.copy()
    whole.cell = atoms.cell.complete()
    for axis in np.flatnonzero(~atoms.pbc):
        across = whole.cell.reciprocal()[axis]
        width = np.ptp(atoms.positions @ across) + cutoff_A * np.linalg.norm(across)
        whole.cell[axis] *= max(1.0, width + 1e-6)
    whole.pbc = True
    return whole


def _one(settings: Settings, atoms: Atoms, stress: bool) -> Prediction:
    """Evaluate one structure; electrons that do not converge give NaN, what else goes wrong an error."""
    whole = closed(atoms, settings.cutoff_A) if settings.calculation == "model" and settings.cutoff_A else atoms
    answer = _ask(settings, whole, stress=stress)
    if answer.get("unconverged"):
        return nothing_known(atoms, stress, answer["error"])
    if "error" in answer:
        raise RuntimeError(answer["error"])
    if np.shape(answer["forces"]) != (len(atoms), 3):
        raise RuntimeError(f"{settings.factory} gives forces of shape {np.shape(answer['forces'])} for {len(atoms)} atoms")
    voigt = np.array(answer["stress"]) * (whole.cell.volume / atoms.cell.volume) if stress else None
    return Prediction(answer["energy"], np.array(answer["forces"], dtype=float), voigt)


KIND = Kind(
    prefix="ase",
    variants=lambda: {f"{PREFIX}{name}": words for name, words in shipped().items()},
    fingerprint=_fingerprint,
    card=_card,
    predict=lambda name: partial(_predict, _settings(name)[1]),
    resolve=_resolve,
    device=lambda _: "unknown",
)
