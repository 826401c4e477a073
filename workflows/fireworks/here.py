"""Run a flow in this process, with a launchpad in memory that dies with it."""

from __future__ import annotations

import contextlib
import io
import tempfile

from fireworks import FWorker, LaunchPad
from fireworks.core.rocket_launcher import launch_rocket

from ..engine.flow import Flow
from ..stores.store import State, Store
from .launchpads import QUIET, memory_launchpad
from .reading import last_launch, only_steps_left, problem_of
from .tasks import workflow


def run_here(flow: Flow, store: Store, name: str, run: int | None = None) -> None:
    """Run a flow, and whatever its run is planned to have next, in this process.

    Nothing is lost when it is killed: every finished step is in the store, and the same call goes on from there. A step
    that crashed has been tried once; those that wait for it have no result.

    Raises
    ------
    RuntimeError
        If a Firework fizzled for another reason than a crashed step: the store could not be written, say.
    """
    launchpad = memory_launchpad()
    if made := workflow(flow, store, name, run):
        launchpad.add_wf(made)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        while launch_rocket(launchpad, FWorker(), strm_lvl=QUIET, err_file=io.StringIO()):
            _raise_if_broken(launchpad)
    if run is not None:
        stop(store, run)


def stop(store: Store, run: int) -> None:
    """Record that nothing more is done about a run, unless it has ended."""
    if store.states()[run].open:
        store.change_run(run, state=State.STOPPED)


def _raise_if_broken(launchpad: LaunchPad) -> None:
    """FireWorks swallows every exception of a task, Ctrl-C too; raise it again unless it reports steps that are left."""
    problem = problem_of(last_launch(launchpad))
    if problem.startswith("KeyboardInterrupt"):
        raise KeyboardInterrupt
    if problem and not only_steps_left(problem):
        raise RuntimeError(problem)
