"""The two Firetasks, run steps by key and plan a run again, and workflows of them.

Data travels through the store; specs hold its address and keys.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from fireworks import FiretaskBase, Firework, FWAction, LaunchPad, Workflow

from ..engine.costs import measured
from ..engine.execute import LOG
from ..engine.flow import Flow
from ..engine.sharing import execute_once
from ..stores.opening import reopen
from ..stores.store import State, Store
from .reading import FIELDS, StepsLeftError, launch_of, nodes_of, problem_of, sentence, task_of

PLANNER = "philic.recipes.running.planning"
"""The module of the floor above whose `plan_again` plans a run again, given the store and the run's id."""
LARGEST = 256
"""Steps in one Firework at most."""
LONGEST_S = math.inf
"""Estimated seconds in one Firework at most: one process gains nothing from shorter ones."""
AGAIN = "plan again"
"""Name of the Firework that plans a run again."""
PLAN = "plan"
"""Category of the Firework that plans again: only a worker that may read recipe files takes it."""


class RunSteps(FiretaskBase):  # type: ignore[misc]
    """Run a pack of steps by key; the spec holds the store's address and the keys.

    Raises
    ------
    StepsLeftError
        If a step crashed or cannot start yet, when all others have ended: the Firework is FIZZLED.
    """

    _fw_name = "{{philic.workflows.fireworks.RunSteps}}"
    required_params = ("store", "keys")

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:  # noqa: ARG002
        """Run what the store has no final result of, and commit it there."""
        store = reopen(self["store"])
        try:
            left = execute_once(store, self["keys"])
        finally:
            store.close()
        if left:
            raise StepsLeftError(sentence(left, len(self["keys"])))
        return FWAction()


class PlanAgain(FiretaskBase):  # type: ignore[misc]
    """Plan a run again once its steps have ended, and add what its plan has now; the last one closes the run.

    Raises
    ------
    StepsLeftError
        If nothing more can be computed although steps are missing.
    """

    _fw_name = "{{philic.workflows.fireworks.PlanAgain}}"
    required_params = ("store", "run")
    optional_params = ("longest_s",)

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:  # noqa: ARG002
        """Return the next stage as additions."""
        store = reopen(self["store"])
        try:
            failed = failed_steps(self.launchpad, self.fw_id)
            return next_stage(store, self["run"], self.get("longest_s", LONGEST_S), failed)
        finally:
            store.close()


def plan_of(store: Store, run: int) -> Any:
    """Plan a run with what is stored by now: an object with `flow`, the `missing` steps, and its `recipe`."""
    return importlib.import_module(PLANNER).plan_again(store, run)


def failed_steps(launchpad: LaunchPad, number: int) -> dict[str, str]:
    """Return the steps of the packs that failed in the workflow of a Firework, and the sentence of each pack."""
    failed: dict[str, str] = {}
    for document in launchpad.fireworks.find({"fw_id": {"$in": nodes_of(launchpad, number)}, "state": "FIZZLED"}, FIELDS):
        failed |= dict.fromkeys(task_of(document).get("keys", ()), problem_of(launch_of(launchpad, document)))
    return failed


def next_stage(store: Store, run: int, longest_s: float, failed: Mapping[str, str]) -> FWAction:
    """Plan a run and return the workflow of what can be computed now; the run is finished if nothing is missing."""
    plan = plan_of(store, run)
    missing = {step.key: step for step in plan.missing}
    left: dict[str, str] = {key: words for key, words in failed.items() if key in missing}
    for step in plan.flow:
        blocking = next((parent for parent in step.waits_for if parent.key in left), None)
        if step.key in missing and step.key not in left and blocking:
            left[step.key] = f"waits for {blocking.title}"
    if todo := [step for step in missing.values() if step.key not in left]:
        LOG.info("planned", extra={"event": "planned", "plan": plan})
        keys = {step.key for step in todo}
        return FWAction(additions=[workflow(Flow(todo), store, plan.recipe.name, run, todo=keys, longest_s=longest_s)])
    if left:
        raise StepsLeftError(sentence(left, len(plan.flow)))
    store.change_run(run, state=State.FINISHED)
    return FWAction()


def workflow(
    flow: Flow,
    store: Store,
    name: str,
    run: int | None = None,
    *,
    todo: Collection[str] | None = None,
    made: Iterable[Collection[str]] = (),
    longest_s: float = LONGEST_S,
) -> Workflow | None:
    """Turn what is missing of a flow into a FireWorks workflow of packs, and write the steps down in the store.

    There is none where nothing is missing and nothing is planned again.

    Parameters
    ----------
    flow
        What to run.
    store
        Where the definitions and the results go.
    name
        The workflow's name.
    run
        The run that is planned again when the packs have ended; None where the flow is all there is.
    todo
        Keys to compute; None takes what has no final result yet.
    made
        Packs that are under way already, as keys: they stay together.
    longest_s
        Estimated seconds of a pack at most.
    """
    missing = set(flow.steps) - store.finished(flow.steps) if todo is None else set(todo)
    store.add_definitions({key: flow.steps[key].definition() for key in flow.steps if key in missing})
    packs = [pack for keys in made if (pack := [flow.steps[key] for key in keys if key in missing])]
    rest = missing - {step.key for pack in packs for step in pack}
    packs += flow.packs(rest, LARGEST, longest_s, measured(store.costs()))
    fireworks = [
        Firework(
            RunSteps(store=store.address, keys=[step.key for step in pack]),
            name=f"{pack[0].title} ({len(pack)})",
            spec={"_allow_fizzled_parents": True},
        )
        for pack in packs
    ]
    runner = {step.key: firework for pack, firework in zip(packs, fireworks, strict=True) for step in pack}
    links: dict[Firework, set[Firework]] = {firework: set() for firework in fireworks}
    for key, firework in runner.items():
        for parent in flow.steps[key].waits_for:
            if parent.key in runner:
                links[runner[parent.key]].add(firework)
    if run is not None:
        task = PlanAgain(store=store.address, run=run, **({"longest_s": longest_s} if longest_s < LONGEST_S else {}))
        spec = {"_allow_fizzled_parents": True, "_add_launchpad_and_fw_id": True, "_category": PLAN}
        again = Firework(task, name=AGAIN, spec=spec)
        links = {firework: {*children, again} for firework, children in links.items()} | {again: set()}
    if not links:
        return None
    return Workflow(list(links), {parent: list(children) for parent, children in links.items()}, name=name)
