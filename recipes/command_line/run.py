"""Plan a recipe file against a store, and run what is missing."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ...potentials import Card, card, fingerprint
from ...workflows.dynamics.conditions import check_disk, stored_bytes, stride
from ...workflows.dynamics.trajectory import estimated_bytes
from ...workflows.engine.flow import Step
from ...workflows.engine.registry import STEPS
from ...workflows.stores.result import Result
from ...workflows.stores.store import Store, work_folder
from ..parts.kinds import Plan
from .recipe_files import RecipeFile

LOCKED = (
    "philic",
    "ase",
    "numpy",
    "spglib",
    "pymatgen",
    "torch",
    "chgnet",
    "mace-torch",
    "fireworks",
    "mongomock",
)


@dataclass(frozen=True)
class Prepared:
    """A recipe that is ready to run.

    Attributes
    ----------
    recipe
        The recipe file.
    plan
        Its steps.
    potential
        Facts about its potential.
    finished
        Keys of the steps that the store has already.
    """

    recipe: RecipeFile
    plan: Plan
    potential: Card
    finished: frozenset[str]

    @property
    def missing(self) -> list[Step]:
        """The steps that are still to be computed."""
        return [step for step in self.plan.flow if step.key not in self.finished]

    def seconds(self, step: Step) -> float:
        """Estimate how long a step takes on two cores."""
        calls = STEPS[step.function].expected_force_calls or step.parameters.get("steps", 0)
        return float(calls * self.seconds_per_call(step))

    def seconds_per_call(self, step: Step) -> float:
        """Estimate how long one force call of a step takes on two cores; no time at all for an analysis."""
        return step.n_atoms * card(step.potential).seconds_per_atom_call if step.potential else 0.0


def prepare(recipe: RecipeFile, store_path: Path) -> Prepared:
    """Plan a recipe and look up what is stored. Computes nothing and writes nothing.

    Raises
    ------
    ValueError
        If the recipe asks for what cannot be built or the potential does not know, the store cannot be used, or the disk
        has no room for trajectories.
    """
    store = Store(store_path, reading=True)
    made = recipe.kind.plan(recipe.parameters, store.get)
    finished = store.finished(made.flow.steps)
    prepared = Prepared(recipe, made, card(recipe.parameters.potential), frozenset(finished))
    store.close()
    trajectories = missing_bytes(prepared.missing, store_path)
    if trajectories:
        check_disk(store_path, trajectories)
    return prepared


def missing_bytes(steps: Sequence[Step], store_path: Path) -> int:
    """Estimate the disk space that the trajectories of some steps still need, beyond what unfinished runs have stored."""
    asked: dict[Path, int] = {}
    for step in steps:
        if step.function == "md":
            frames = step.parameters["steps"] // stride(step.parameters["timestep_fs"])
            folder = work_folder(store_path, step.trail)  # a longer run goes on from a shorter in one folder
            asked[folder] = max(asked.get(folder, 0), estimated_bytes(step.n_atoms, frames))
    return sum(max(0, needed - stored_bytes(folder)) for folder, needed in asked.items())


def run(prepared: Prepared, store: Store) -> dict[str, Result]:
    """Run what is missing, record the run, and return every result of the recipe by key."""
    flow = prepared.plan.flow
    parameters = prepared.recipe.parameters.model_dump(mode="json")
    store.add_run(prepared.recipe.name, parameters, lock(*_potentials(parameters)), list(flow.steps))
    if prepared.missing:
        from ...workflows.engine.fireworks import run_here

        run_here(flow, store, prepared.recipe.name)
    return store.get(flow.steps)


def _potentials(parameters: Mapping[str, Any]) -> list[str]:
    """Name the potential, and those that check, confirm or calibrate."""
    given = [parameters.get(key) or [] for key in ("potential", "cross_check", "confirm", "calibrate")]
    return list(dict.fromkeys(name for one in given for name in ([one] if isinstance(one, str) else one)))


def lock(potential: str, *others: str) -> dict[str, Any]:
    """Return what a rerun needs to be the same: package versions, platform, the fingerprints of the potentials.

    There are no seeds in it: where a recipe has any, they are among its parameters.
    """
    versions: Mapping[str, str] = {name: found for name in LOCKED if (found := _version(name))}
    return {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": versions,
        "potential": fingerprint(potential).asdict(),
        **({"others": {name: fingerprint(name).asdict() for name in others}} if others else {}),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
