"""Plan a recipe file against a store, record it as a run, and plan the run again when its steps have ended."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ...potentials import Card, card, fingerprint
from ...structures.limits import at_most
from ...workflows.dynamics.conditions import check_disk, stored_bytes, stride
from ...workflows.dynamics.trajectory import estimated_bytes
from ...workflows.engine.flow import Flow, Step
from ...workflows.engine.sharing import at_work
from ...workflows.stores.opening import WORK, open_store, work_folder
from ...workflows.stores.result import Result, Status
from ...workflows.stores.store import State, Store, StoreError
from ..parts.kinds import Plan
from .recipe_files import RecipeFile, recipe_of

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

    @property
    def flow(self) -> Flow:
        """Every step."""
        return self.plan.flow


def prepare(recipe: RecipeFile, address: str | Path) -> Prepared:
    """Plan a recipe and look up what is stored. Computes nothing and writes nothing.

    Raises
    ------
    ValueError
        If the recipe asks for what cannot be built or the potential does not know, the store cannot be used, or the disk
        has no room for trajectories.
    """
    store = open_store(address, reading=True)
    prepared = planned(recipe, store)
    store.close()
    work = work_folder(address)
    trajectories = missing_bytes(prepared.missing, work)
    if trajectories and work:
        check_disk(work, trajectories)
    return prepared


def planned(recipe: RecipeFile, store: Store) -> Prepared:
    """Plan a recipe with what a store knows."""
    with at_most(recipe.parameters.max_atoms):
        made = recipe.kind.plan(recipe.parameters, store.get)
    finished = store.finished(made.flow.steps)
    return Prepared(recipe, made, card(recipe.parameters.potential), frozenset(finished))


def missing_bytes(steps: Sequence[Step], work: Path | None) -> int:
    """Estimate the disk space that the trajectories of some steps still need, beyond what unfinished runs have stored.

    Raises
    ------
    StoreError
        If there are trajectories to write and no folder for them.
    """
    asked: dict[Path, int] = {}
    for step in steps:
        if step.function == "md":
            if work is None:
                raise StoreError(f"trajectories need a folder that every worker sees: name one in {WORK}")
            frames = step.parameters["steps"] // stride(step.parameters["timestep_fs"])
            folder = work / step.trail  # a longer run goes on from a shorter in one folder
            asked[folder] = max(asked.get(folder, 0), estimated_bytes(step.n_atoms, frames))
    return sum(max(0, needed - stored_bytes(folder)) for folder, needed in asked.items())


def begin(prepared: Prepared, store: Store) -> int:
    """Record a run, or find the one that is still open for the same recipe and parameters; returns its id.

    Steps that crashed before are tried as if for the first time: a person asks for them.
    """
    recipe, keys = prepared.recipe, list(prepared.flow.steps)
    parameters = recipe.parameters.model_dump(mode="json")
    locked = lock(*_potentials(parameters))
    store.forget_tries(step.key for step in prepared.missing)
    for run in store.runs():
        same = (run.recipe, run.kind, run.parameters) == (recipe.name, recipe.kind_name, parameters)
        if run.state.open and same and run.lock["potential"] == locked["potential"]:
            store.change_run(run.id, keys=keys, state=State.RUNNING)
            return run.id
    return store.add_run(recipe.name, parameters, locked, keys, recipe.kind_name, str(Path.cwd()))


def plan_again(store: Store, run_id: int) -> Prepared:
    """Plan a recorded run with what is stored by now, and record the steps it has.

    Raises
    ------
    ValueError
        If there is no such run, or a potential is no longer what it was when the run began.
    """
    run = next((one for one in store.runs() if one.id == run_id), None)
    if run is None:
        raise ValueError(f"there is no run {run_id} in `{store.address}`")
    recipe = recipe_of(run)
    now = {**fingerprint(run.parameters["potential"]).asdict(), "name": ""}
    if now != {**run.lock["potential"], "name": ""}:
        raise ValueError(f"the potential {run.parameters['potential']} of run {run_id} has changed since: start a new run")
    with contextlib.chdir(run.folder):
        prepared = planned(recipe, store)
    store.change_run(run_id, keys=list(prepared.flow.steps))
    return prepared


def run(prepared: Prepared, store: Store, workers: int = 1) -> tuple[Prepared, dict[str, Result]]:
    """Run what is missing, and what the recipe has next, to the end; return the last plan and every result by key.

    A step that has no result because another crashed is given one that says so; it is not stored.

    Parameters
    ----------
    prepared
        The first plan.
    store
        Where results go.
    workers
        Number of processes; one is this one.
    """
    if workers > 1:
        from ...workflows.fireworks.keeping import run_beside

        number = run_beside(store, lambda: begin(prepared, store), workers)
    else:
        from ...workflows.fireworks.here import run_here

        number = begin(prepared, store)
        with at_work(store, number):
            run_here(prepared.flow, store, prepared.recipe.name, number)
    last = plan_again(store, number)
    return last, results_of(last.flow, store)


def results_of(flow: Flow, store: Store) -> dict[str, Result]:
    """Return every result of a flow by key; a step that waits has one that says so."""
    results = store.get(flow.steps)
    for key, step in flow.steps.items():
        if key not in results:
            before = (results.get(parent.key) for parent in step.waits_for)
            crashed = next((result for result in before if result and not result.status.final), None)
            words = f"not run: {crashed.title} crashed: {crashed.message}" if crashed else "not run"
            results[key] = Result(Status.CRASHED, words, key=key, function=step.function, about=step.about)
    return results


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
