"""What a job runs: take packs one after the other until the walltime ends or there is nothing left to do."""

from __future__ import annotations

import logging
import os
import time
from functools import partial

from ..engine.beating import beating
from ..engine.execute import execute
from ..engine.leaving import LEAVING, LeaveError
from .spool import DONE, RUNNING, Pack, Spool, SpoolError

LOG = logging.getLogger(__name__)
BEAT_S = 10.0
"""Seconds between two signs of life."""
IDLE_S = 60.0
"""How long a worker waits for a pack before it gives its place in the queue up."""
POLL_S = 1.0


def work(spool: Spool, idle_s: float = IDLE_S) -> int:
    """Run packs until there is no more to do or the process has to stop; return how many."""
    LEAVING.listen()
    done, idle_since = 0, time.monotonic()
    while not LEAVING.why:
        pack = spool.claim(job_id())
        if pack is None:
            if time.monotonic() - idle_since > idle_s:
                break
            time.sleep(POLL_S)
            continue
        run(pack)
        done, idle_since = done + 1, time.monotonic()
    return done


def run(pack: Pack) -> None:
    """Run the steps of a claimed pack and hand it to the submitter, finished or not."""
    LOG.info("pack %s", pack.path.name)
    try:
        with beating(partial(_alive, pack), BEAT_S):
            left, handed_back = execute(pack, pack.content["keys"]), ""
    except LeaveError as why:
        left, handed_back = {}, str(why)
    except SpoolError as error:  # the pack was taken away, or is damaged
        LOG.warning("%s", error)
        pack.spool.move(pack.path.name, RUNNING, DONE)
        return
    except Exception as error:  # no step's failure: the disk is full, say
        left, handed_back = {"": f"{type(error).__name__}: {error}"}, ""
    try:
        pack.end(left, handed_back)
    except OSError as error:
        LOG.warning("`%s` cannot be handed in: %s; the submitter will find its results", pack.path, error)


def _alive(pack: Pack) -> bool:
    """Give a sign of life; a pack that was taken away makes the work stop."""
    try:
        pack.beat()
    except FileNotFoundError:
        LEAVING.ask("its pack was taken away")
        return False
    except OSError as error:  # a full disk: the work may still end well
        LOG.warning("no sign of life: %s", error)
    return True


def job_id() -> str:
    """Return the queue's id of the job that this process is part of; empty where there is none."""
    names = ("SLURM_JOB_ID", "PBS_JOBID", "PHILIC_JOB_ID")
    return next((os.environ[name] for name in names if os.environ.get(name)), "")
