"""The submitter: on a login node it owns store and launchpad, writes packs for jobs, takes results in, plans again.

It holds nothing that is not in the store or in the spool: killed at any moment, another one finds everything.
"""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Mapping
from pathlib import Path

from fireworks import FWAction, FWorker, LaunchPad
from fireworks.core.rocket_launcher import launch_rocket

from ..cluster.jobs import Jobs
from ..cluster.settings import Cluster
from ..cluster.spool import DONE, READY, RUNNING, Pack, Spool, SpoolError
from ..cluster.status import tell
from ..engine.costs import measured
from ..engine.execute import LOG as STEPS_LOG
from ..stores.result import Result
from ..stores.store import State, Store
from .launchpads import QUIET, memory_launchpad
from .mending import forget, rerun_due
from .tasks import AGAIN, PLAN, StepsLeftError, fizzled, plan_of, sentence, workflow

LOG = logging.getLogger(__name__)
DEAD_S = 45.0
"""Silence after which a worker is lost whose job the queue no longer has."""


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
    """

    def __init__(self, store: Store, cluster: Cluster, jobs: Jobs, retries: bool = True) -> None:
        self.store, self.cluster, self.jobs, self.retries = store, cluster, jobs, retries
        self.spool = Spool(cluster.folder)
        self.launchpad: LaunchPad = memory_launchpad()
        self.runs: dict[int, float] = {}  # what was adopted, and the seconds that are left of it
        self.launches: dict[str, tuple[int, int]] = {}  # of packs in the spool: Firework and launch
        self.computing: dict[str, list[str]] = {}  # and their steps

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
        found = {run.id: run.state for run in self.store.runs() if run.id in ours and run.state.open}
        for run, state in found.items():
            if run not in self.runs and state is State.RUNNING:
                self._begin(run)
        for run in [run for run in self.runs if run not in found]:
            del self.runs[run]
            self._withdraw(run, READY, RUNNING)
            forget(self.launchpad, self.store.address, [run])
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
        by_keys = {tuple(sorted(keys)): name for name, keys in made.items()}
        for number in self.launchpad.get_fw_ids({"state": "READY", "name": {"$ne": AGAIN}}):
            keys = tuple(sorted(self._keys(number)))
            name = next((name for ours, name in by_keys.items() if set(keys) <= set(ours)), None)
            if name and name not in self.launches:
                self._check_out(number, name)
                self.computing[name] = made[name]

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
        for number in self.launchpad.get_fw_ids({"state": "READY", "name": {"$ne": AGAIN}}):
            keys = self._keys(number)
            run = self._run_of(number)
            if runs.get(run) is not State.RUNNING:
                continue
            done = self.store.finished(keys)
            under_way = {key for pack in self.launches for key in self.computing.get(pack, ())}
            left = [key for key in keys if key not in done | under_way]
            if not left and set(keys) - done:
                continue  # another run computes them
            name = f"{time.time_ns():x}-{run}-{number}"
            self._check_out(number, name)
            if not left:
                self._complete(name, "")
                continue
            self.computing[name] = left
            definitions = self.store.definitions(left)
            parents = {parent for one in definitions.values() for parent in _waits_for(one)} - set(left)
            known = self.store.get(parents)
            definitions |= self.store.definitions(known)
            title = self.launchpad.get_fw_by_id(number).name
            about = {"run": run, "title": title, "keys": left, "work": str(self.store.work or self.spool.folder / "work")}
            self.spool.add(name, {**about, "definitions": definitions}, known.values())

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
            self._read_memories({key: pack.content["definitions"][key] for key in keys}, done)
        left, back = ended["left"], ended["handed_back"]
        if not left and not back and set(keys) - done:
            back = "results are missing"
        if back:
            LOG.info("pack %s came back with %d of %d steps done: %s", name, len(done), len(keys), back)
        self._complete(name, sentence(left, len(keys)) if left else "", again=bool(back))
        self.spool.remove(name)

    def _check_out(self, number: int, name: str) -> tuple[int, int]:
        """Mark a Firework as running, in a pack."""
        _, launch = self.launchpad.checkout_fw(FWorker(), str(self.spool.folder), fw_id=number)
        self.launches[name] = (number, launch)
        return self.launches[name]

    def _complete(self, name: str, problem: str, again: bool = False) -> None:
        """Tell the launchpad how a pack ended; nothing for a pack of a run that is no longer open."""
        if name not in self.launches:
            return
        number, launch = self.launches.pop(name)
        self.computing.pop(name, None)
        keys = self._keys(number)
        again = again or bool(not problem and set(keys) - self.store.finished(keys))  # steps that another run computed
        if problem or again:
            said = {"_exception": {"_stacktrace": f"{StepsLeftError.__module__}.{StepsLeftError.__name__}: {problem}"}}
            self.launchpad.complete_launch(launch, FWAction(stored_data=said), "FIZZLED")
        else:
            self.launchpad.complete_launch(launch, FWAction(), "COMPLETED")
        if again and not problem:
            self.launchpad.rerun_fw(number)

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

    def _read_memories(self, definitions: Mapping[str, Mapping[str, object]], done: set[str]) -> None:
        """Keep the forces of finished calculations in the store, where a tighter one looks for them."""
        for key in done:
            trail = str(definitions[key]["trail"])
            memory = self.spool.memory(trail)
            if known := memory.all():
                self.store.memory(trail).update(known)
                memory.remove()

    # FireWorks

    def _plan(self) -> None:
        """Launch the Fireworks that plan again."""
        while launch_rocket(self.launchpad, FWorker(category=PLAN), strm_lvl=QUIET, err_file=io.StringIO()):
            launch = self.launchpad.launches.find_one(sort=[("time_end", -1)])
            number = launch["fw_id"]
            problem = fizzled(launch)
            if problem and "steps left: " not in problem:
                run = self._run_of(number)
                LOG.warning("run %s cannot be planned again: %s", run, problem)
                self.store.change_run(run, state=State.STOPPED, message=problem)

    def _keys(self, number: int) -> list[str]:
        task = self.launchpad.fireworks.find_one({"fw_id": number}, {"spec._tasks": 1})["spec"]["_tasks"][0]
        return list(task.get("keys", ()))

    def _run_of(self, number: int) -> int:
        """Return the run of a Firework: its workflow has the one that plans it again."""
        nodes = self.launchpad.workflows.find_one({"nodes": number}, {"nodes": 1})["nodes"]
        again = self.launchpad.fireworks.find_one({"fw_id": {"$in": nodes}, "name": AGAIN}, {"spec._tasks": 1})
        return int(again["spec"]["_tasks"][0]["run"])

    def end(self, wait_s: float = 0.0) -> None:
        """Cancel the jobs that are left, and take in what they hand back in time."""
        self.jobs.end(wait_s)
        for name in self.spool.packs(DONE):
            self._take_in(name)


def _waits_for(definition: Mapping[str, object]) -> list[str]:
    structure, parents = definition["structure"], definition["parents"]
    derived = [structure["parent"]] if isinstance(structure, dict) and structure.get("parent") else []
    return [*derived, *(parents.values() if isinstance(parents, dict) else ())]


def logs_to(path: Path) -> None:
    """Let the submitter's words go to a file."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    ours = logging.getLogger("philic")
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
