"""A submitter at work: round after round, for the jobs of a queue, or for processes beside this one."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ..cluster import keeper
from ..cluster.jobs import Jobs
from ..cluster.queues import QUEUES, Local
from ..cluster.settings import Cluster
from ..cluster.spool import Spool
from ..engine.sharing import at_work, new_owner
from ..stores.opening import open_store
from ..stores.store import Store
from .here import stop
from .pull import MongoSubmitter
from .submitter import Submitter, logs_to

LOG = logging.getLogger(__name__)
ROUND_S = 2.0
LOCAL_ROUND_S = 0.2
"""Seconds between two rounds, with a queue and without."""
HAND_IN_S = 20.0
"""How long processes that are told to stop may take to hand in what they have."""


def keep(settings: Cluster, token: str, read_again: Callable[[], Cluster]) -> None:
    """Look after the runs of a folder until none is open, or another submitter has taken over.

    Parameters
    ----------
    settings
        What `cluster.yaml` said.
    token
        What `philic.workflows.cluster.keeper.become` gave.
    read_again
        Reads `cluster.yaml`, so that the next jobs get new lines.
    """
    spool = Spool(settings.folder)
    logs_to(spool.folder / "submitter.log")
    LOG.info("submitter of process %d begins", os.getpid())
    store = open_store(settings.store)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        jobs = Jobs(settings, QUEUES[settings.queue](), lambda: spool.at_most(settings.jobs))
        kind: type[Submitter | MongoSubmitter] = MongoSubmitter if settings.launchpad else Submitter
        made = kind(store, settings, jobs)
        while keeper.still(spool, token):
            if not made.round():
                made.end()
                LOG.info("no run is open: the submitter ends")
                break
            time.sleep(ROUND_S)
            jobs.cluster = _changed(jobs.cluster, read_again)
        else:
            LOG.warning("another submitter has taken over: this one ends")
    finally:
        keeper.leave(spool, token)
        store.close()


def run_beside(store: Store, begin: Callable[[], int], workers: int) -> int:
    """Run a run, and whatever it is planned to have next, in several processes of this machine; return its id.

    Interrupted, it lets each process hand in what it has. A step that crashed has been tried once.

    Parameters
    ----------
    store
        Where results go.
    begin
        Records the run, once it is sure that it can go on here.
    workers
        Number of processes.

    Raises
    ------
    ValueError
        If another submitter is at work in the folder of packs, which lies beside the store.
    """
    folder = Path("philic.packs" if "://" in store.address else f"{store.address}.packs").absolute()
    spool = Spool(folder)
    spool.make()
    token = keeper.become(spool)
    cluster = Cluster.model_validate({"queue": "local", "folder": folder})
    made = Submitter(store, cluster, Jobs(cluster, Local(), lambda: workers), retries=False, owner=new_owner())
    run = begin()
    spool.look_after(run)
    try:
        with at_work(store, run):
            while made.round() and keeper.still(spool, token):
                time.sleep(LOCAL_ROUND_S)
    finally:
        made.end(wait_s=HAND_IN_S)
        (folder / "runs" / str(run)).unlink()
        keeper.leave(spool, token)
    stop(store, run)
    return run


def _changed(before: Cluster, read_again: Callable[[], Cluster]) -> Cluster:
    """Return the settings as they are now, where they are right and of the same folder and store."""
    try:
        now = read_again()
    except (ValueError, OSError):
        return before
    return now if (now.folder, now.store) == (before.folder, before.store) else before
