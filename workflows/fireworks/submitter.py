"""The submitter: on a login node it owns store and launchpad, writes packs for jobs, takes results in, plans again.

It holds nothing that is not in the store or in the spool: killed at any moment, another one finds everything.
"""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fireworks import FWAction, FWorker, LaunchPad
from fireworks.core.rocket_launcher import launch_rocket

from ..cluster.jobs import Jobs
from ..cluster.settings import Cluster
from ..cluster.spool import DONE, READY, RUNNING, Pack, Spool, SpoolError
from ..cluster.status import tell
from ..engine.costs import measured
from ..engine.execute import LOG as STEPS_LOG
from ..engine.flow import parents_of
from ..engine.sharing import BEAT_S, LEASE_S, lasting_owner, release_the_dead
from ..stores.result import Result
from ..stores.store import State, Store
from .launchpads import QUIET, memory_launchpad
from .mending import forget, rerun_due
from .reading import (
    FIELDS,
    as_stack,
    firework,
    last_launch,
    nodes_of,
    only_steps_left,
    problem_of,
    sentence,
    task_of,
)
from .tasks import AGAIN, PLAN, plan_of, workflow

LOG = logging.getLogger(__name__)
DEAD_S = 45.0
"""Silence after which a worker is lost whose job the queue no longer has."""


READY_PACKS = {"state": "READY", "name": {"$ne": AGAIN}}


@dataclass(frozen=True)
class _CheckedOut:
    """A pack in the spool: its Firework, its launch, and the steps that it computes."""

    number: int
    launch: int
    keys: list[str]


class Submitter:
    """Keeps the open runs of a store going.

    Parameters
    ----------
    store
        The results.
    cluster
        Where jobs go and what they need.
    jobs
        The jobs of its queue.
    retries
        Whether crashed steps are tried again; else a run ends when nothing else is left.
    owner
        Under which name it reserves steps in the store; else that of the folder of packs, whose jobs go on without it.
    """

    def __init__(self, store: Store, cluster: Cluster, jobs: Jobs, retries: bool = True, owner: str = "") -> None:
        self.store, self.cluster, self.jobs, self.retries = store, cluster, jobs, retries
        self.spool = Spool(cluster.folder)
        self.launchpad: LaunchPad = memory_launchpad()
        self.runs: dict[int, float] = {}  # what was adopted, and the seconds that are left of it
        self.packs: dict[str, _CheckedOut] = {}  # what is in the spool
        self.owner, self.renewed = owner or lasting_owner(self.spool.folder), time.monotonic()

    def round(self) -> bool:
        """Do what there is to do now; False when no run is open any more."""
        for name in self.spool.packs(DONE):
            self._take_in(name)
        open_runs = self._adopt()
        self.jobs.ask()
        self._find_lost()
        self._plan()
        if self.retries:
            rerun_due(self.launchpad, self.store)
        self._feed(open_runs)
        self.jobs.hand_in(len(self.spool.packs(READY)), len(self.spool.packs(RUNNING)))
        tell(self.spool.folder, self.jobs.alive, self.jobs.trouble, self.runs)
        return bool(open_runs) and (self.retries or self._busy())

    def _busy(self) -> bool:
        return bool(self.launchpad.get_fw_ids({"state": {"$in": ["READY", "RUNNING", "WAITING"]}}))

    # Runs

    def _adopt(self) -> dict[int, State]:
        """Take open runs up, each once, with the packs of it that an earlier submitter left."""
        ours = self.spool.runs()
        found = {run: state for run, state in self.store.states().items() if run in ours and state.open}
        for run, state in found.items():
            if run not in self.runs and state is State.RUNNING:
                self._begin(run)
        for run in [run for run in self.runs if run not in found]:
            del self.runs[run]
            self._withdraw(run, READY, RUNNING)
            forget(self.launchpad, self.store.address, run)
        for run in [run for run, state in found.items() if state is State.PAUSED]:
            self._withdraw(run, READY)
        return found

    def _begin(self, run: int) -> None:
        try:
            plan = plan_of(self.store, run)
        except Exception as error:
            LOG.warning("run %s cannot go on: %s", run, error)
            self.store.change_run(run, state=State.STOPPED, message=str(error))
            return
        self.runs[run] = sum(map(measured(self.store.costs()), plan.missing))
        made = {name: pack.content["keys"] for name, pack in self._packs_of(run)}
        longest_s = self.cluster.longest_s(self.runs[run], self.jobs.at_most())
        flow = workflow(plan.flow, self.store, plan.recipe.name, run, made=made.values(), longest_s=longest_s)
        assert flow  # it has at least the Firework that plans again
        self.launchpad.add_wf(flow)
        name_of = {key: name for name, keys in made.items() for key in keys}
        self.store.reserve(name_of, self.owner, LEASE_S)
        for number in self.launchpad.get_fw_ids(READY_PACKS):
            if name := name_of.get(self._keys(number)[0]):
                self._check_out(number, name, made[name])

    def _packs_of(self, run: int) -> list[tuple[str, Pack]]:
        found = []
        for place in (READY, RUNNING):
            for name in self.spool.packs(place):
                try:
                    if self.spool.pack(place, name).content["run"] == run:
                        found.append((name, self.spool.pack(place, name)))
                except (FileNotFoundError, SpoolError):
                    continue
        return found

    def _withdraw(self, run: int, *places: str) -> None:
        """Take packs of a run out of the spool; a worker notices that its pack was taken away."""
        for name, pack in self._packs_of(run):
            place = pack.path.parent.name
            if place in places and self.spool.move(name, place, DONE):
                self._take_in(name)

    # Packs

    def _feed(self, runs: Mapping[int, State]) -> None:
        """Make a folder of every pack that can start."""
        under_way = {key for pack in self.packs.values() for key in pack.keys}
        if time.monotonic() - self.renewed > BEAT_S:
            self.store.reserve(under_way, self.owner, LEASE_S)
            self.renewed = time.monotonic()
        ready = {number: self._keys(number) for number in self.launchpad.get_fw_ids(READY_PACKS)}
        run_of = {number: self._run_of(number) for number in ready}
        ready = {number: keys for number, keys in ready.items() if runs.get(run_of[number]) is State.RUNNING}
        asked = {key for keys in ready.values() for key in keys}
        done = self.store.finished(asked)
        release_the_dead(self.store)
        ours = self.store.reserve(asked - done - under_way, self.owner, LEASE_S) if asked else set()
        for number, keys in ready.items():
            left = [key for key in keys if key in ours and key not in under_way]
            if not left and set(keys) - done:
                continue  # another run computes them
            under_way.update(left)
            name = f"{time.time_ns():x}-{run_of[number]}-{number}"
            self._check_out(number, name, left)
            if left:
                self._write(name, run_of[number], firework(self.launchpad, number)["name"], left)
            else:
                self._complete(name, "")

    def _write(self, name: str, run: int, title: str, keys: list[str]) -> None:
        """Put a pack into the spool, with what its steps start from."""
        definitions = self.store.definitions(keys)
        parents = self.store.get(set().union(*map(parents_of, definitions.values())) - set(keys))
        definitions |= self.store.definitions(parents)
        work = str(self.store.work or self.spool.folder / "work")
        about = {"run": run, "title": title, "keys": keys, "work": work, "definitions": definitions}
        self.spool.add(name, about, parents.values())

    def _take_in(self, name: str) -> None:
        """Store the results of a pack that ended, and tell the launchpad."""
        pack = self.spool.pack(DONE, name)
        try:
            keys, ended = pack.content["keys"], pack.ended()
            found = list(pack.results())
        except (SpoolError, FileNotFoundError) as error:
            LOG.warning("%s: its steps are computed again", error)
            keys, ended, found = [], {"left": {}, "handed_back": str(error)}, []
        for result in found:
            if isinstance(result, Result):
                self.store.add(result)
                about = {"event": "end", "key": result.key, "words": result.title, "sentence": result.message}
                STEPS_LOG.info("end: %s", result.title, extra=about)
            else:
                LOG.warning("%s: the step is computed again", result)
        done = self.store.finished(keys)
        if keys:
            self._read_memories(pack, done)
        left, back = ended["left"], ended["handed_back"]
        if not left and not back and set(keys) - done:
            back = "results are missing"
        if back:
            LOG.info("pack %s came back with %d of %d steps done: %s", name, len(done), len(keys), back)
        self._complete(name, sentence(left, len(keys)) if left else "", again=bool(back))
        self.spool.remove(name)

    def _check_out(self, number: int, name: str, keys: list[str]) -> None:
        """Mark a Firework as running, in a pack."""
        _, launch = self.launchpad.checkout_fw(FWorker(), str(self.spool.folder), fw_id=number)
        self.packs[name] = _CheckedOut(number, launch, keys)

    def _complete(self, name: str, problem: str, again: bool = False) -> None:
        """Tell the launchpad how a pack ended; nothing for a pack of a run that is no longer open."""
        if name not in self.packs:
            return
        pack = self.packs.pop(name)
        keys = self._keys(pack.number)
        again = again or bool(not problem and set(keys) - self.store.finished(keys))  # steps that another run computed
        if problem or again:
            said = {"_exception": {"_stacktrace": as_stack(problem)}}
            self.launchpad.complete_launch(pack.launch, FWAction(stored_data=said), "FIZZLED")
        else:
            self.launchpad.complete_launch(pack.launch, FWAction(), "COMPLETED")
        if again and not problem:
            self.launchpad.rerun_fw(pack.number)

    def _find_lost(self) -> None:
        """Take packs back whose worker is gone: it is silent, and the queue has no such job."""
        for name in self.spool.packs(RUNNING):
            pack = self.spool.pack(RUNNING, name)
            try:
                claim = pack.claim()
                silent_s = claim.silent_s if claim else pack.unclaimed_s()
            except FileNotFoundError:
                continue
            gone = not claim or not claim.job or (self.jobs.alive is not None and claim.job not in self.jobs.alive)
            if silent_s > DEAD_S and gone and self.spool.move(name, RUNNING, DONE):
                LOG.warning("pack %s: its worker was lost", name)
                self._take_in(name)

    def _read_memories(self, pack: Pack, done: set[str]) -> None:
        """Keep the forces of finished calculations in the store, where a tighter one looks for them."""
        for definition in pack.definitions(done).values():
            trail = definition["trail"]
            memory = self.spool.memory(trail)
            if known := memory.all():
                self.store.memory(trail).update(known)
                memory.remove()

    # FireWorks

    def _plan(self) -> None:
        """Launch the Fireworks that plan again."""
        while launch_rocket(self.launchpad, FWorker(category=PLAN), strm_lvl=QUIET, err_file=io.StringIO()):
            launch = last_launch(self.launchpad)
            problem = problem_of(launch)
            if problem and not only_steps_left(problem):
                run = self._run_of(launch["fw_id"])
                LOG.warning("run %s cannot be planned again: %s", run, problem)
                self.store.change_run(run, state=State.STOPPED, message=problem)

    def _keys(self, number: int) -> list[str]:
        return list(task_of(firework(self.launchpad, number))["keys"])

    def _run_of(self, number: int) -> int:
        """Return the run of a Firework: its workflow has the one that plans it again."""
        planner = {"fw_id": {"$in": nodes_of(self.launchpad, number)}, "name": AGAIN}
        return int(task_of(self.launchpad.fireworks.find_one(planner, FIELDS))["run"])

    def end(self, wait_s: float = 0.0) -> None:
        """Cancel the jobs that are left, and take in what they hand back in time."""
        self.jobs.end(wait_s)
        for name in self.spool.packs(DONE):
            self._take_in(name)
        self.store.release(self.owner)


def logs_to(path: Path) -> None:
    """Let the submitter's words go to a file."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    ours = logging.getLogger("philic")
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
