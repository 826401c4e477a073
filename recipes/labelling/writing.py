"""Labelled structures as extended XYZ, each with where it comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from ... import __version__
from ...potentials import card, fingerprint
from ...potentials.training.frames import level_of
from ...workflows.engine.flow import Step
from ...workflows.stores.files import whole
from ...workflows.stores.result import Result
from .labels import LabelPlan


def check_file(path: Path, labeller: str) -> None:
    """Refuse a file that cannot hold these labels.

    Raises
    ------
    ValueError
        It is no ``.xyz`` file, its folder does not exist, or it holds labels of another level of theory.
    """
    if path.suffix != ".xyz":
        raise ValueError(f"`{path}` must end in .xyz: labels are written as extended XYZ")
    if not path.parent.is_dir():
        raise ValueError(f"the folder `{path.parent}` does not exist: make it, or name another")
    _kept(path, level(labeller))


def write_labels(plan: LabelPlan, results: Mapping[str, Result], labeller: str, path: Path) -> int:
    """Add the labels to a file, those of one key once; return how many it then holds.

    Raises
    ------
    ValueError
        As `check_file`.
    """
    of_theory = level(labeller)
    frames = _kept(path, of_theory)
    for step in plan.labels:
        result = results[step.key]
        if result.status.usable:
            frames[step.key] = _frame(step, result, of_theory)
    with whole(path) as beside:
        write(beside, list(frames.values()), format="extxyz")
    return len(frames)


def level(labeller: str) -> str:
    """Describe a level of theory: the labeller's functional and its fingerprint, as JSON."""
    found: dict[str, Any] = {"functional": card(labeller).functional, **fingerprint(labeller).asdict()}
    return json.dumps(found, sort_keys=True)


def _kept(path: Path, of_theory: str) -> dict[str, Atoms]:
    """Read what the file holds already, by key."""
    if not path.exists():
        return {}
    try:
        frames: Any = read(path, ":", format="extxyz", do_not_split_by_at_sign=True)
    except (OSError, ValueError) as error:  # ASE's XYZError is an OSError
        raise ValueError(f"`{path}` is there already but is no extended XYZ file: name another ({error})") from error
    for atoms in frames:
        if level_of(atoms) != of_theory:
            raise ValueError(
                f"`{path}` holds labels of another level of theory ({level_of(atoms)}) but these are {of_theory}: "
                "levels are never mixed; name another file"
            )
    return {str(atoms.info.get("key", number)): atoms for number, atoms in enumerate(frames)}


def _frame(step: Step, result: Result, of_theory: str) -> Atoms:
    atoms: Atoms = result.structures["initial"].copy()
    about = dict(step.about)
    atoms.info = {"name": about["name"], "class": about["kind"]}
    atoms.info |= {name: about[name] for name in ("host", "metal", "group")}
    atoms.info |= {"key": step.key, "level": of_theory, "philic": __version__}
    forces = result.arrays["forces_eV_per_A"]
    atoms.calc = SinglePointCalculator(atoms, energy=result.scalars["energy_eV"], forces=forces)
    return atoms
