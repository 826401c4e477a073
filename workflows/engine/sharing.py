"""Several runs on one store at once: a step is computed by one of them, and the others wait for its result."""

from __future__ import annotations

import hashlib
import os
import platform
import time
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ..stores.store import Store, StoreError
from .beating import beating
from .execute import LOG, execute
from .leaving import LEAVING

LEASE_S = 300.0
"""Silence after which a process on another machine is taken for dead and its steps for free."""
BEAT_S = 30.0
LOOK_S = 0.5


def execute_once(store: Store, keys: Sequence[str]) -> dict[str, str]:
    """Run steps as `philic.workflows.engine.execute.execute` does, but for those that another process is at: wait for these.

    A step is free again when its process has committed it, has ended, or is killed: at once on this machine, after
    `LEASE_S` on another one.

    Parameters
    ----------
    store
        Where steps are reserved, and their results go.
    keys
        A pack.

    Returns
    -------
    dict
        Why steps have no final result.
    """
    left: dict[str, str] = {}
    done, told = store.finished(keys), False
    waiting = [key for key in keys if key not in done]
    owner = new_owner()
    while waiting:
        release_the_dead(store)
        mine = store.reserve(waiting, owner, LEASE_S)
        if mine:
            with _held(store, mine, owner):
                left |= execute(store, [key for key in waiting if key in mine])
        waiting = [key for key in waiting if key not in mine]
        if waiting and not mine:
            finished = store.finished(waiting)
            waiting = [key for key in waiting if key not in finished]
            if waiting and not told:
                LOG.warning("%d steps are computed by another run: waiting for their results", len(waiting))
                told = True
            LEAVING.check()
            time.sleep(LOOK_S)
    return left


@contextmanager
def at_work(store: Store, run: int) -> Iterator[None]:
    """Show that this process is at work on a run, as long as it lasts."""
    owner = new_owner()
    sign = [_sign(run) + owner]
    store.reserve(sign, owner, LEASE_S)
    with _held(store, sign, owner):
        yield


def anybody_at(store: Store, run: int) -> bool:
    """Whether a process shows that it is at work on a run."""
    return not all(map(_dead, store.owners(_sign(run))))


def _sign(run: int) -> str:
    return f"run {run} by "


def new_owner() -> str:
    """Return a name for this process, by which others see whether it still is."""
    return f"{platform.node()} {os.getpid()} {_started(os.getpid())} {uuid.uuid4().hex}"


def lasting_owner(folder: Path) -> str:
    """Return a name for whoever looks after a folder of packs, which lasts when one process takes over from another."""
    return f"any 0 - {hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()}"


def release_the_dead(store: Store) -> None:
    """Free the steps of processes of this machine that are no more."""
    for owner in store.owners():
        if _dead(owner):
            store.release(owner)


@contextmanager
def _held(store: Store, keys: Collection[str], owner: str) -> Iterator[None]:
    """Keep what is reserved as long as this lasts, and free it then."""
    try:
        with beating(partial(_renewed, store, keys, owner), BEAT_S):
            yield
    finally:
        store.release(owner)


def _renewed(store: Store, keys: Collection[str], owner: str) -> bool:
    """Keep steps reserved while they are computed; where the store is out of reach, until the lease ends."""
    try:
        store.reserve(keys, owner, LEASE_S)
    except StoreError as error:
        LOG.warning("no sign of life: %s", error)
    return True


def _dead(owner: str) -> bool:
    """Whether an owner is a process of this machine that is no more."""
    host, pid, started, _ = owner.rsplit(" ", 3)
    return host == platform.node() and started != _started(int(pid))


def _started(pid: int) -> str:
    """When a process was started, in the clock of the kernel; ``-`` where there is none or nobody can tell."""
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "-"
