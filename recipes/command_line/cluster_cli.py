"""The commands that send runs to a cluster and look after them."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from .console import refusals, terminal

settings_app = typer.Typer(help="The file cluster.yaml: where jobs go and what they need.", no_args_is_help=True)
ClusterOption = Annotated[Path | None, typer.Option("--cluster", help="The settings; else cluster.yaml, here or ~/.config.")]
RunArgument = Annotated[int | None, typer.Argument(help="Number of a run (`philic status`); else the open ones.")]
StoreOption = Annotated[str | None, typer.Option("--store", envvar="PHILIC_STORE", help="The results store.")]
WATCH_EVERY_S = 2.0
START_EVERY_S = 30.0
"""Seconds before a submitter that did not come up is started again."""


def default_store(given: str = "") -> str:
    """Return the store that is named, or where none is, that of cluster.yaml, else philic.db here.

    With it go the trajectories: where there is a cluster.yaml they are in its folder.
    """
    from ...workflows.cluster.settings import find, read

    if given:
        return given
    with refusals():
        path = find()
        if path is None:
            return "philic.db"
        settings = read(path)
    os.environ.setdefault("PHILIC_WORK", str(settings.work))
    return settings.store


@settings_app.command("init")
def init(to: Annotated[Path, typer.Argument(help="The file to write.")] = Path("cluster.yaml")) -> None:
    """Write a cluster.yaml with comments."""
    from ...workflows.cluster.settings import write_template

    with refusals():
        write_template(to)
    print(f"{to} written: edit it, then run `philic cluster check`")


@settings_app.command("check")
def check(cluster: ClusterOption = None) -> None:
    """Test every line of cluster.yaml, the queue, the folder, the store and the launchpad."""
    from ...workflows.cluster.settings import find, read
    from ...workflows.fireworks.checks import checks

    with refusals():
        path = cluster or find()
        settings = read(path)
    print(f"{path}")
    wrong = 0
    for what, problem in checks(settings):
        print(f"  {'ok   ' if not problem else 'WRONG'} {what}{': ' + problem if problem else ''}")
        wrong += bool(problem)
    if wrong:
        raise typer.Exit(1)


def submit_prepared(prepared: Any, store: Any, settings: Any, path: Path | None, workers: int | None) -> None:
    """Record a run and let a submitter take it up."""
    from ...workflows.cluster.spool import Spool
    from ..running.planning import begin

    spool = Spool(settings.folder)
    with refusals():
        spool.make()
        run = begin(prepared, store)
        spool.limit_jobs(workers or settings.jobs)
        place = _Place(store, path, settings, spool)
        place.take_up(run)
        place.call_submitter()
    n, jobs = len(prepared.missing), workers or settings.jobs
    print(f"run {run}: {n} of {len(prepared.flow)} steps to compute, at most {jobs} jobs at once")
    print(f"philic status {run} shows how far it is; philic results shows what it found")


def submitter(cluster: ClusterOption = None) -> None:
    """Look after the open runs until none is left. `philic submit` and `philic watch` start it."""
    from ...workflows.cluster import keeper
    from ...workflows.cluster.settings import read
    from ...workflows.cluster.spool import Spool
    from ...workflows.fireworks.keeping import keep

    with refusals():
        settings = read(cluster)
        os.environ.setdefault("PHILIC_WORK", str(settings.work))
        token = keeper.become(Spool(settings.folder))
    keep(settings, token, lambda: read(cluster))


def work(
    folder: Annotated[Path | None, typer.Option("--folder", help="The folder of packs; else that of cluster.yaml.")] = None,
    launchpad: Annotated[Path | None, typer.Option("--launchpad", help="FireWorks' file: take packs from MongoDB.")] = None,
    until: Annotated[float | None, typer.Option("--until", help="When the job is killed, seconds since 1970.")] = None,
    idle: Annotated[float, typer.Option("--idle", help="Seconds to wait for work before ending.")] = 60.0,
    cluster: ClusterOption = None,
) -> None:
    """Compute packs until there are none or the walltime ends: what a job runs, or you by hand on any node."""
    from ...workflows.cluster.settings import read
    from ...workflows.cluster.spool import Spool
    from ...workflows.engine.leaving import LEAVING

    LEAVING.until = until
    with refusals():
        if folder is None and launchpad is None:
            settings = read(cluster)
            folder, launchpad = settings.folder, settings.launchpad
        if launchpad:
            from ...workflows.fireworks.pull import work as pull

            done = pull(launchpad, idle)
        else:
            from ...workflows.cluster.worker import work as take

            assert folder
            if not (folder / "ready").is_dir():
                raise ValueError(f"`{folder}` is no folder of packs: give that of cluster.yaml")
            done = take(Spool(folder), idle)
    print(f"{done} packs{': ' + LEAVING.why if LEAVING.why else ''}")


def status(run: RunArgument = None, store: StoreOption = None, cluster: ClusterOption = None) -> None:
    """Show how far runs are: steps, packs, jobs, what crashed and why."""
    from .status import status_tables

    here = _here(store, cluster, reading=True)
    with refusals():
        for table in status_tables(here.store, here.spool, run, here.settings):
            terminal().print(table, highlight=False)


def watch(run: RunArgument = None, store: StoreOption = None, cluster: ClusterOption = None) -> None:
    """Show how far runs are until they end; start the submitter if it is not at work. Ctrl-C ends the watching only.

    The exit code is 1 if one of them stopped before its end.
    """
    from rich.console import Group
    from rich.live import Live

    from ...workflows.stores.store import State
    from .status import status_tables

    here, started = _here(store, cluster), -START_EVERY_S
    watched = {number for number, state in here.store.states().items() if state.open and run in (None, number)}
    try:
        with Live(console=terminal(), auto_refresh=False) as live:
            while True:
                states = here.store.states()
                live.update(Group(*status_tables(here.store, here.spool, run, here.settings)), refresh=True)
                if not any(states[number].open for number in watched):
                    break
                if time.monotonic() - started > START_EVERY_S:
                    here.call_submitter()
                    started = time.monotonic()
                time.sleep(WATCH_EVERY_S)
    except KeyboardInterrupt:
        print("the runs go on; philic status shows them", file=sys.stderr)
        raise typer.Exit(130) from None
    if any(states[number] is State.STOPPED for number in watched):
        raise typer.Exit(1)


def check_store(
    mend: Annotated[bool, typer.Option("--mend", help="Forget what is damaged, so that it is computed again.")] = False,
    store: StoreOption = None,
    cluster: ClusterOption = None,
) -> None:
    """Look whether everything in the store is what was written and fits together, and whether packs or jobs were left."""
    from ...workflows.cluster.spool import PLACES
    from ...workflows.dynamics.runs import damaged

    here = _here(store, cluster, reading=not mend)
    with refusals():
        problems, states = [*here.store.problems(), *damaged(here.store)], here.store.states()
    found = [problem.sentence for problem in problems]
    if here.spool and not any(state.open for state in states.values()):
        found += [f"the pack {name} was left in {place}" for place in PLACES for name in here.spool.packs(place)]
    for sentence in found:
        print(sentence)
    mended = [problem for problem in problems if mend and problem.table]
    for problem in mended:
        here.store.forget(problem)
    if mended:
        print(f"{len(mended)} rows are forgotten: run the recipe again")
    if len(found) > len(mended):
        raise typer.Exit(1)
    if not found:
        print(f"{here.store.address} is sound: {len(states)} runs")


def retry(
    run: RunArgument = None,
    all_failed: Annotated[bool, typer.Option("--all-failed", help="In every run, those that ended too.")] = False,
    lost: Annotated[bool, typer.Option("--lost", help="Take packs from workers that have been silent for long.")] = False,
    store: StoreOption = None,
    cluster: ClusterOption = None,
) -> None:
    """Try crashed steps again, the same steps with the same keys; a run that was stopped goes on."""
    from ...workflows.cluster.spool import DONE, RUNNING
    from ...workflows.cluster.status import SILENT_S, packs_of
    from ...workflows.stores.store import State

    here = _here(store, cluster)
    if lost and here.spool:
        silent = [pack for pack in packs_of(here.spool) if pack.place == RUNNING and pack.silent_s > SILENT_S]
        for pack in silent:
            here.spool.move(pack.name, RUNNING, DONE)
        print(f"{len(silent)} packs taken from silent workers")
        return
    chosen = _chosen(here.store, run, ended=True)
    if not all_failed and run is None:
        chosen = chosen[-1:]
    n = 0
    submitted = here.spool.runs() if here.spool else set()
    for one in chosen:
        tries = here.store.tries(one.keys)
        here.store.forget_tries(tries)
        n += len(tries)
        if one.kind and (one.state is State.STOPPED or (one.state.open and one.id in submitted)) and here.spool:
            here.store.change_run(one.id, state=State.RUNNING)
            here.take_up(one.id)
    here.call_submitter()
    print(
        f"{n} crashed steps of {_names(chosen)} will be tried again{'' if here.spool else ': start `philic run` once more'}"
    )


def cancel(run: RunArgument = None, store: StoreOption = None, cluster: ClusterOption = None) -> None:
    """End runs; what was computed stays."""
    _change(run, store, cluster, "CANCELLED", "cancelled; what was computed stays")


def pause(run: RunArgument = None, store: StoreOption = None, cluster: ClusterOption = None) -> None:
    """Start no new pack of a run until it is resumed; packs that are running end."""
    _change(run, store, cluster, "PAUSED", "paused; packs that are running will end")


def resume(run: RunArgument = None, store: StoreOption = None, cluster: ClusterOption = None) -> None:
    """Go on with runs that were paused."""
    _change(run, store, cluster, "RUNNING", "resumed")


def _change(run: int | None, store: str | None, cluster: Path | None, state: str, words: str) -> None:
    from ...workflows.stores.store import State

    here = _here(store, cluster)
    with refusals():
        chosen = [one for one in _chosen(here.store, run) if one.state.open]
        if not chosen:
            raise ValueError(f"run {run} is not open" if run else "no run is open")
    for one in chosen:
        here.store.change_run(one.id, state=State[state])
    here.call_submitter()
    print(f"{_names(chosen)} {words}")


def _chosen(store: Any, run: int | None, ended: bool = False) -> list[Any]:
    """Return the runs that a command is about."""
    with refusals():
        runs = store.runs()
        found = [one for one in runs if (one.id == run if run else ended or one.state.open)]
        if run and not found:
            raise ValueError(f"there is no run {run} in `{store.address}`: philic status lists them")
    return found


def _names(runs: list[Any]) -> str:
    return "run " + ", ".join(str(one.id) for one in runs)


@dataclass(frozen=True)
class _Place:
    """A store, and where there is a cluster.yaml its path, what it says, and its folder of packs if that was made."""

    store: Any
    path: Path | None
    settings: Any
    spool: Any

    def take_up(self, run: int) -> None:
        """Give a run to the submitter."""
        if self.settings.launchpad:
            from ...workflows.fireworks.pull import add

            add(self.settings, self.store, run)
        self.spool.look_after(run)

    def call_submitter(self) -> None:
        """Start the submitter if it is not at work: what was asked for is its to do."""
        from ...workflows.cluster import keeper

        if self.spool:
            keeper.start(self.spool, self.path)


def _here(store: str | None, cluster: Path | None, *, reading: bool = False) -> _Place:
    from ...workflows.cluster.settings import find, read
    from ...workflows.cluster.spool import Spool
    from ...workflows.stores.opening import exists, open_store

    with refusals():
        path = cluster or find()
        settings = read(path) if path else None
        address = store or (settings.store if settings else default_store())
        if not exists(address):
            raise ValueError(f"`{address}` does not exist: run a recipe first, or name the store with --store")
        spool = Spool(settings.folder) if settings and settings.folder.is_dir() else None
        return _Place(open_store(address, reading=reading), path, settings, spool)
