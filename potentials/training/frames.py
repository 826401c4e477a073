"""Labelled structures: read them, hold whole systems out, and pair what adsorption energies are made of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ase import Atoms

PER_STRUCTURE = ("kpts", "kpts_off_gamma", "empty_bands", "spin_polarised", "dipole_layer", "datasets")
"""Settings that follow from the structure, not from the level of theory."""
HELD_OUT_SHARE = 0.2


@dataclass(frozen=True, eq=False)
class Frame:
    """One labelled structure.

    Attributes
    ----------
    atoms
        The structure with its labels as results of a calculator.
    energy_eV
        The energy whose derivatives the forces are: the free energy where there is one.
    forces_eV_per_A
        Forces, shape ``(n_atoms, 3)``.
    stress_eV_per_A3
        Stress in Voigt order, or None.
    """

    atoms: Atoms
    energy_eV: float
    forces_eV_per_A: NDArray[np.float64]
    stress_eV_per_A3: NDArray[np.float64] | None

    def _text(self, key: str) -> str:
        text = str(self.atoms.info.get(key) or "")
        return "" if text.lower() == "none" else text

    @cached_property
    def name(self) -> str:
        """Name, or the formula."""
        return self._text("name") or str(self.atoms.symbols)

    @cached_property
    def metal(self) -> str:
        """The alkali metal, or nothing."""
        return self._text("metal")

    @cached_property
    def host(self) -> str:
        """The host, or nothing."""
        return self._text("host")

    @cached_property
    def group(self) -> str:
        """Frames of one geometry of a host: ``group``, or the name up to its last dash."""
        return self._text("group") or self._text("name").rpartition("-")[0]

    @cached_property
    def system(self) -> str:
        """What is held out as a whole: the host, the pure metal, the ``group``, or the reduced formula."""
        pure = f"{self.metal} metal" if self.metal else ""
        return self.host or pure or self._text("group") or str(self.atoms.symbols.formula.reduce()[0])

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """How many atoms there are of each element."""
        counts: Mapping[str, int] = self.atoms.symbols.formula.count()
        return counts

    @property
    def is_reference(self) -> bool:
        """Whether it is a pure metal, against which adsorption energies count."""
        return bool(self.metal) and not self.host


@dataclass(frozen=True)
class Pair:
    """Two frames that differ in `n` atoms of a metal: places in a list, that with metal first."""

    on: int
    clean: int
    n: int
    metal: str


def read(paths: Sequence[Path]) -> tuple[list[Frame], str]:
    """Read labelled structures of one level of theory.

    Parameters
    ----------
    paths
        Extended XYZ files, plain or ``.gz``, with energy and forces of every structure.

    Returns
    -------
    frames, level
        The structures, and the level of theory as text.

    Raises
    ------
    ValueError
        A file is missing or cannot be read, a structure has no energy or forces or is labelled twice, or the levels differ.
    """
    from ase.io import read as read_file

    frames: list[Frame] = []
    found: dict[str, str] = {}
    for path in paths:
        if not path.is_file():
            raise ValueError(f"`{path}` does not exist: give the path of a file of labelled structures (extended XYZ)")
        try:
            structures = read_file(path, ":", format="extxyz")
        except Exception as error:
            raise ValueError(f"`{path}` is not extended XYZ: {error}") from error
        for number, atoms in enumerate(structures):
            found.setdefault(level_of(atoms), f"structure {number} of {path.name}")
            frames.append(_frame(atoms, f"structure {number} of `{path}`"))
    if len(found) > 1:
        told = "; ".join(f"{place}: {level}" for level, place in found.items())
        raise ValueError(f"{len(found)} levels of theory are mixed but must never be: {told}. Train on each alone")
    if not frames:
        raise ValueError(f"{', '.join(f'`{path}`' for path in paths)} holds no structure: there is nothing to train on")
    return frames, next(iter(found))


def level_of(atoms: Atoms) -> str:
    """Return the level of theory of a structure's labels: ``level``, or ``settings`` without what the structure decides."""
    if level := atoms.info.get("level"):
        return level if isinstance(level, str) else json.dumps(level, sort_keys=True)
    settings: Any = atoms.info.get("settings", "")
    try:
        settings = json.loads(settings) if isinstance(settings, str) else settings
        shared = {key: value for key, value in settings.items() if key not in PER_STRUCTURE}
    except (ValueError, AttributeError):
        return str(settings) or "unknown"
    return json.dumps({**shared, "gpaw": str(atoms.info["gpaw"])} if "gpaw" in atoms.info else shared, sort_keys=True)


def functional_of(level: str) -> str:
    """Return the functional that a level names, or the level itself."""
    try:
        content = json.loads(level)
    except ValueError:
        return level
    named = content.get("functional") or content.get("xc")
    return str(named) if named else level


def _frame(atoms: Atoms, place: str) -> Frame:
    results = atoms.calc.results if atoms.calc is not None else {}
    missing = [key for key in ("energy", "forces") if key not in results]
    if missing:
        raise ValueError(f"{place} has no {' and no '.join(missing)}: label it first (`philic labels`)")
    energy = float(results.get("free_energy", results["energy"]))
    forces = np.array(results["forces"], dtype=float)
    if not (np.isfinite(energy) and np.isfinite(forces).all()):
        raise ValueError(f"{place} has an energy or force that is not finite: leave it out")
    stress = np.array(results["stress"], dtype=float) if "stress" in results else None
    return Frame(atoms, energy, forces, stress)


def split(frames: Sequence[Frame], hold_out: Sequence[str] = (), seed: int = 0) -> tuple[list[Frame], list[Frame]]:
    """Split by system, so that nothing of a held-out system is trained on.

    Parameters
    ----------
    frames
        All labelled structures.
    hold_out
        Names of the systems to hold out. By default a fifth of them is drawn, hosts that can be paired with and without
        metal first; pure metals, against which adsorption energies count, are never drawn.
    seed
        Of the draw.

    Returns
    -------
    training, held_out

    Raises
    ------
    ValueError
        There is one system only, a name is unknown, or an element is in held-out systems alone.
    """
    systems = sorted({frame.system for frame in frames})
    if len(systems) < 2:
        raise ValueError(
            f"all {len(frames)} structures are of one system ({systems[0]}) but a whole one is held out to judge by: "
            "add structures of another host"
        )
    if unknown := sorted(set(hold_out) - set(systems)):
        raise ValueError(f"{unknown[0]!r} is not a system of the file; its systems are: {', '.join(systems)}")
    chosen = set(hold_out) or _drawn(frames, seed)
    training = [frame for frame in frames if frame.system not in chosen]
    held_out = [frame for frame in frames if frame.system in chosen]
    if unseen := _elements(held_out) - _elements(training):
        raise ValueError(f"{', '.join(sorted(unseen))} would be in held-out systems alone; hold out others")
    return training, held_out


def _drawn(frames: Sequence[Frame], seed: int) -> set[str]:
    """Draw systems without which every element is still trained on."""
    fixed = {frame.system for frame in frames if frame.is_reference}
    paired = {frames[pair.on].system for pair in pairs(frames)}
    free = sorted({frame.system for frame in frames} - fixed)
    order = sorted(np.random.default_rng(seed).permutation(free).tolist(), key=lambda system: system not in paired)
    wanted = max(1, round(HELD_OUT_SHARE * len(free)))
    chosen: set[str] = set()
    for system in order:
        rest = [frame for frame in frames if frame.system not in chosen | {system}]
        if len(chosen) < wanted and _elements(rest) == _elements(frames):
            chosen.add(system)
    if not chosen:
        raise ValueError(
            "no system can be held out, because each has an element that no other has, or is a pure metal: "
            "add structures or name one to hold out"
        )
    return chosen


def _elements(frames: Sequence[Frame]) -> set[str]:
    return {element for frame in frames for element in frame.counts}


def pairs(frames: Sequence[Frame]) -> list[Pair]:
    """Pair every host that carries metal with the same host without: that of its own group, else that of lowest energy."""
    found = []
    for on, frame in enumerate(frames):
        if not (frame.metal and frame.host):
            continue
        bare = dict(frame.counts)
        n = bare.pop(frame.metal, 0)
        same = [i for i, other in enumerate(frames) if other.system == frame.system and other.counts == bare]
        if n and same:
            clean = min(same, key=lambda i: (frames[i].group != frame.group, frames[i].energy_eV))
            found.append(Pair(on, clean, n, frame.metal))
    return found


def references(frames: Sequence[Frame]) -> dict[str, int]:
    """Return the place of the pure metal of lowest energy per atom, by metal; crystals only."""
    found: dict[str, int] = {}
    for i, frame in enumerate(frames):
        if frame.is_reference and frame.atoms.pbc.all():
            best = found.get(frame.metal)
            if best is None or _per_atom(frame) < _per_atom(frames[best]):
                found[frame.metal] = i
    return found


def _per_atom(frame: Frame) -> float:
    return frame.energy_eV / len(frame.atoms)


def fit_shifts(frames: Sequence[Frame], energies_eV: NDArray[np.float64]) -> dict[str, float]:
    """Fit what every element adds to a model's energies so that they meet the labels: least squares per atom, least norm."""
    elements = sorted(_elements(frames))
    counts = np.array([[frame.counts.get(element, 0) for element in elements] for frame in frames], dtype=float)
    labels = np.array([frame.energy_eV for frame in frames])
    n_atoms = counts.sum(axis=1)
    shifts = np.linalg.lstsq(counts / n_atoms[:, None], (labels - energies_eV) / n_atoms, rcond=None)[0]
    return dict(zip(elements, shifts.tolist(), strict=True))


def errors(frames: Sequence[Frame], predicted: Sequence[tuple[float, NDArray[np.float64]]], judged: int) -> dict[str, float]:
    """Return mean absolute errors.

    Parameters
    ----------
    frames
        The judged structures first, then others that references may be taken from.
    predicted
        Energy and forces of each.
    judged
        How many are judged.

    Returns
    -------
    dict
        ``energy_meV_per_atom``, ``forces_meV_per_A``; where there are pairs, ``adsorption_eV`` and
        ``n_adsorption``: the energy per metal atom, against the bulk metal where the frames have it.
    """
    wrong = np.array([energy - frame.energy_eV for frame, (energy, _) in zip(frames, predicted, strict=True)])
    n_atoms = np.array([len(frame.atoms) for frame in frames])
    forces = np.concatenate(
        [np.abs(f - frame.forces_eV_per_A).ravel() for frame, (_, f) in zip(frames[:judged], predicted, strict=False)]
    )
    found = {
        "energy_meV_per_atom": float(1e3 * np.abs(wrong / n_atoms)[:judged].mean()),
        "forces_meV_per_A": float(1e3 * forces.mean()),
    }
    bulk = {metal: wrong[i] / n_atoms[i] for metal, i in references(frames).items()}
    of_pairs = [(wrong[p.on] - wrong[p.clean]) / p.n - bulk.get(p.metal, 0.0) for p in pairs(frames) if p.on < judged]
    if of_pairs:
        found |= {"adsorption_eV": float(np.abs(of_pairs).mean()), "n_adsorption": len(of_pairs)}
    return found
