"""With MongoDB: runs go to a launchpad on a server, and workers pull packs from it wherever they are."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import time
from pathlib import Path

from fireworks import FWorker, LaunchPad
from fireworks.core import launchpad as fireworks_launchpad
from fireworks.core import rocket
from fireworks.core.rocket_launcher import launch_rocket
from pymongo.errors import PyMongoError

from ..cluster.jobs import Jobs
from ..cluster.settings import Cluster
from ..cluster.status import PackStatus, tell
from ..engine.costs import measured
from ..engine.leaving import LEAVING
from ..stores.opening import open_store
from ..stores.store import State, Store
from .launchpads import QUIET, read_launchpad
from .mending import fireworks_of, refresh_waiting, rerun_due, rerun_lost
from .reading import FIELDS, firework, launch_of, nodes_of, task_of
from .tasks import AGAIN, plan_of, workflow

LOG = logging.getLogger(__name__)
PING_S = 60
"""Seconds between two signs of life of a worker; FireWorks has an hour."""
PATIENCE_S = 600.0
"""How long a server that went away is waited for."""
POLL_S = 2.0
HAND_IN_S = 30.0
"""How long jobs that are cancelled may take to end."""
MEND_EVERY_S = 30.0
"""Seconds between two looks for work again, and for what has to be mended."""


def add(cluster: Cluster, store: Store, run: int) -> None:
    """Put what a run has to compute on the launchpad, unless it is there; a new database is initialised."""
    assert cluster.launchpad
    launchpad = read_launchpad(cluster.launchpad)
    if not launchpad.fw_id_assigner.find_one() and not launchpad.fireworks.find_one():
        launchpad.reset("", require_password=False)
    there = {"fw_id": {"$in": fireworks_of(launchpad, store.address, run)}, "state": {"$nin": ["COMPLETED", "DEFUSED"]}}
    if launchpad.fireworks.count_documents(there):
        return
    plan = plan_of(store, run)
    longest_s = cluster.longest_s(sum(map(measured(store.costs()), plan.missing)), cluster.jobs)
    made = workflow(plan.flow, store, plan.recipe.name, run, longest_s=longest_s)
    assert made  # it has at least the Firework that plans again
    launchpad.add_wf(made)


def work(path: Path, idle_s: float) -> int:
    """Run packs of a launchpad until there is none or the process has to stop; return how many."""
    launchpad = read_launchpad(path)
    LEAVING.listen()
    rocket.PING_TIME_SECS = PING_S
    fireworks_launchpad.WFLOCK_EXPIRATION_KILL = True  # the lock of a killed worker is broken after five minutes
    done, idle_since, mended = 0, time.monotonic(), -MEND_EVERY_S
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        while not LEAVING.why:
            try:
                if time.monotonic() - mended > MEND_EVERY_S:
                    mend(launchpad)
                    mended = time.monotonic()
                ran = launch_rocket(launchpad, FWorker(), strm_lvl=QUIET, err_file=io.StringIO())
            except PyMongoError as error:
                if time.monotonic() - idle_since > PATIENCE_S:
                    raise
                LOG.warning("the launchpad is out of reach: %s", error)
                time.sleep(POLL_S)
                continue
            if ran:
                done, idle_since = done + 1, time.monotonic()
            elif time.monotonic() - idle_since > idle_s:
                break
            else:
                time.sleep(POLL_S)
        with contextlib.suppress(PyMongoError):
            mend(launchpad)  # what was left at a force call is ready again
    return done


def packs_of(cluster: Cluster, address: str, run: int) -> list[PackStatus]:
    """Return the packs of a run that are ready or running."""
    assert cluster.launchpad
    launchpad, found = read_launchpad(cluster.launchpad), []
    for number in fireworks_of(launchpad, address, run):
        document = firework(launchpad, number)
        if document["state"] in ("READY", "RUNNING") and document["name"] != AGAIN:
            host = launch_of(launchpad, document).get("host", "")
            n_steps = len(task_of(document)["keys"])
            about = {"title": document["name"], "run": run, "n_steps": n_steps, "n_done": 0, "worker": host}
            found.append(PackStatus(name=str(number), place=document["state"].lower(), **about))
    return found


def mend(launchpad: LaunchPad) -> None:
    """Run again what is due, lost, or left half-way by a killed worker."""
    rerun_lost(launchpad)
    refresh_waiting(launchpad)
    for address in launchpad.fireworks.distinct("spec._tasks.store", {"state": "FIZZLED"}):
        store = open_store(address)
        try:
            rerun_due(launchpad, store)
        finally:
            store.close()


class MongoSubmitter:
    """Keeps jobs in the queue while the launchpad has work for them.

    Parameters
    ----------
    store
        The results.
    cluster
        What `cluster.yaml` says.
    jobs
        The jobs of its queue.
    """

    def __init__(self, store: Store, cluster: Cluster, jobs: Jobs) -> None:
        assert cluster.launchpad
        self.store, self.jobs, self.launchpad = store, jobs, read_launchpad(cluster.launchpad)
        self.folder = cluster.folder

    def round(self) -> bool:
        """Do what there is to do now; False when no run is open any more."""
        runs = self.store.states()
        ending = self._obey(runs)
        mend(self.launchpad)
        self.jobs.ask()
        count = self.launchpad.fireworks.count_documents
        self.jobs.hand_in(count({"state": "READY"}), count({"state": "RUNNING"}))
        tell(self.folder, self.jobs.alive, self.jobs.trouble, {})
        return ending or any(state.open for state in runs.values())

    def end(self) -> None:
        """Cancel the jobs that are left; what they wrote as they ended is looked at once more."""
        self.jobs.end(wait_s=HAND_IN_S)
        self._obey(self.store.states())

    def _obey(self, runs: dict[int, State]) -> bool:
        """Pause, resume and cancel workflows as their runs say; True if a cancelled one had anything left.

        A worker that ends a pack at the same moment writes back the states that it knew: so it is looked at once more.
        """
        ending = False
        query = {"name": AGAIN, "spec._tasks.store": self.store.address}
        for document in self.launchpad.fireworks.find(query, FIELDS):
            number, state = document["fw_id"], document["state"]
            wanted = runs.get(task_of(document)["run"])
            if wanted is State.PAUSED and state not in ("PAUSED", "COMPLETED"):
                self.launchpad.pause_wf(number)
            elif wanted is State.RUNNING and state == "PAUSED":
                self._resume(number)
            elif wanted is State.CANCELLED and self._left_of(number):
                self.launchpad.defuse_wf(number, defuse_all_states=False)
                ending = True
        return ending

    def _left_of(self, number: int) -> int:
        nodes = nodes_of(self.launchpad, number)
        left = {"fw_id": {"$in": nodes}, "state": {"$in": ["WAITING", "READY", "RESERVED", "PAUSED"]}}
        return int(self.launchpad.fireworks.count_documents(left))

    def _resume(self, number: int) -> None:
        for node in nodes_of(self.launchpad, number):
            if firework(self.launchpad, node)["state"] == "PAUSED":
                self.launchpad.resume_fw(node)
