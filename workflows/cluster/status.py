"""How far the runs of a store are: steps by how they ended, packs, jobs, the time that is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..engine.sharing import anybody_at
from ..stores.store import Run, State, Store
from .spool import READY, RUNNING, Spool, SpoolError, read, write

SILENT_S = 120.0
"""Silence after which a worker is reported as possibly lost."""


@dataclass(frozen=True)
class Trouble:
    """A step that crashed.

    Attributes
    ----------
    title, message
        Which one, and why.
    tries
        How often.
    """

    title: str
    message: str
    tries: int


@dataclass(frozen=True)
class RunStatus:
    """How far a run is.

    Attributes
    ----------
    run
        The run.
    finished
        Number of its steps that have a result.
    troubles
        Those that crashed.
    left_s
        Estimated seconds of what was missing when the submitter took it up; None if no submitter has.
    interrupted
        Whether it is said to run, and no process is at work on it.
    """

    run: Run
    finished: int
    troubles: Sequence[Trouble]
    left_s: float | None
    interrupted: bool


@dataclass(frozen=True)
class PackStatus:
    """A pack that waits for a worker or has one.

    Attributes
    ----------
    name, title, run
        Its folder, what it is about, and the run that it is part of.
    place
        ``ready`` or ``running``.
    n_steps, n_done
        Number of its steps, and of those that have ended.
    worker, job, silent_s
        Who works on it, the queue's id of the job, and the seconds since it last said that it is alive.
    """

    name: str
    title: str
    run: int
    place: str
    n_steps: int
    n_done: int
    worker: str = ""
    job: str = ""
    silent_s: float = 0.0


def runs_of(store: Store, spool: Spool | None, run: int | None = None) -> list[RunStatus]:
    """Return how far runs are: one, or all that are open and the last one."""
    everything = store.runs()
    asked = [one for one in everything if (one.id == run if run else one.state.open or one is everything[-1])]
    left_s = known(spool).get("seconds", {}) if spool else {}
    submitted = spool.runs() if spool else set()
    found = []
    for one in asked:
        tries = store.tries(one.keys)
        finished = store.finished(one.keys)
        crashed = store.get(key for key in tries if key not in finished)
        troubles = [Trouble(result.title, result.message, tries[key].n) for key, result in crashed.items()]
        here = one.state is State.RUNNING and one.id not in submitted
        found.append(
            RunStatus(one, len(finished), troubles, left_s.get(str(one.id)), here and not anybody_at(store, one.id))
        )
    return found


def packs_of(spool: Spool) -> list[PackStatus]:
    """Return the packs that are ready or running."""
    found = []
    for place in (RUNNING, READY):
        for name in spool.packs(place):
            pack = spool.pack(place, name)
            try:
                content, claim = pack.content, pack.claim()
                done = len(list((pack.path / "results").glob("*.json")))
            except (FileNotFoundError, SpoolError):
                continue  # it has just ended, or is damaged: the submitter reports that
            who: dict[str, Any] = {}
            if claim:
                who = {"worker": f"{claim.host}:{claim.pid}", "job": claim.job, "silent_s": claim.silent_s}
            about: dict[str, Any] = {"title": content["title"], "run": content["run"], "n_steps": len(content["keys"])}
            found.append(PackStatus(name=name, place=place, n_done=done, **about, **who))
    return found


def tell(folder: Path, jobs: Mapping[str, str] | None, trouble: str, seconds: Mapping[int, float]) -> None:
    """Write down what only the submitter knows: jobs, None if the queue is silent, their trouble, and seconds of runs."""
    left_s = {str(run): seconds for run, seconds in seconds.items()}
    known = {"jobs": None if jobs is None else dict(jobs), "trouble": trouble, "seconds": left_s}
    write(folder / "status.json", known)


def known(spool: Spool) -> Mapping[str, Any]:
    """Return what the submitter last wrote down."""
    try:
        found: Mapping[str, Any] = read(spool.folder / "status.json")
    except (FileNotFoundError, SpoolError):
        return {}
    return found
