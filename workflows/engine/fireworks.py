"""The one engine, FireWorks: a Firetask that runs steps by key, and flows as workflows of packs."""

from __future__ import annotations

import contextlib
import io
import tempfile
from typing import Any

import mongomock
from fireworks import FiretaskBase, Firework, FWAction, FWorker, LaunchPad, Workflow
from fireworks.core import launchpad as fireworks_launchpad
from fireworks.core import rocket
from fireworks.core.rocket_launcher import launch_rocket

from ..stores.result import title
from ..stores.store import Store
from .execute import execute
from .flow import Flow

QUIET = "CRITICAL"
PACK_SIZE = 16
"""Steps in one Firework: the model is loaded once for them and small structures share its calls."""


class RunSteps(FiretaskBase):  # type: ignore[misc]
    """Run a pack of steps by key. Data travels through the store; the spec holds the store's path and the keys."""

    _fw_name = "{{philic.workflows.fireworks.RunSteps}}"
    required_params = ("store", "keys")

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:  # noqa: ARG002
        """Run what the store has no final result of, and commit it there."""
        execute(Store(self["store"]), self["keys"])
        return FWAction()


def workflow(flow: Flow, store: Store, name: str) -> Workflow:
    """Turn a flow into a FireWorks workflow of packs. The steps' definitions must be in the store.

    Parameters
    ----------
    flow
        What to run.
    store
        Where the definitions are and the results go.
    name
        The workflow's name.
    """
    packs = flow.packs(PACK_SIZE)
    fireworks = [
        Firework(
            RunSteps(store=str(store.path), keys=[step.key for step in pack]),
            name=f"{title(pack[0].function, pack[0].about)} ({len(pack)})",
        )
        for pack in packs
    ]
    runner = {step.key: firework for pack, firework in zip(packs, fireworks, strict=True) for step in pack}
    links: dict[Firework, set[Firework]] = {firework: set() for firework in fireworks}
    for step in flow:
        for parent in step.waits_for:
            links[runner[parent.key]].add(runner[step.key])
    return Workflow(fireworks, {parent: list(children) for parent, children in links.items()}, name=name)


def run_here(flow: Flow, store: Store, name: str) -> None:
    """Run a flow in this process, with a launchpad in memory that dies with it.

    Nothing is lost when it is killed: every finished step is in the store, and the same call goes on from there.

    Raises
    ------
    RuntimeError
        If a Firework fizzled, which no step's failure does: the store could not be written, say.
    """
    store.add_definitions({step.key: step.definition() for step in flow})
    launchpad = _memory_launchpad()
    rocket.ROCKET_STREAM_LOGLEVEL = QUIET  # a second level, apart from strm_lvl
    launchpad.add_wf(workflow(flow, store, name))
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        while launch_rocket(launchpad, FWorker(), strm_lvl=QUIET, err_file=io.StringIO()):
            _raise_if_fizzled(launchpad)


def _memory_launchpad() -> LaunchPad:
    """Make a launchpad on mongomock. FireWorks reads both from globals of its module when a launchpad is made."""
    in_memory = {"MongoClient": mongomock.MongoClient, "GRIDFS_FALLBACK_COLLECTION": None}
    before = {name: getattr(fireworks_launchpad, name) for name in in_memory}
    try:
        vars(fireworks_launchpad).update(in_memory)
        launchpad = LaunchPad(strm_lvl=QUIET)
    finally:
        vars(fireworks_launchpad).update(before)
    launchpad.reset("", require_password=False)
    # FireWorks says from another thread that a run is alive, and once more as it ends; mongomock is not made for two threads
    vars(launchpad)["ping_launch"] = lambda *_, **__: None
    return launchpad


def _raise_if_fizzled(launchpad: LaunchPad) -> None:
    """FireWorks swallows every exception of a task, Ctrl-C too; raise it again."""
    launch = launchpad.launches.find_one({"state": "FIZZLED"})
    if launch is None:
        return
    stack = launch["action"]["stored_data"]["_exception"]["_stacktrace"].strip()
    last = stack.splitlines()[-1]
    if last.startswith("KeyboardInterrupt"):
        raise KeyboardInterrupt
    raise RuntimeError(last)
