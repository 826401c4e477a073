"""Jobs in the queue: how many there are, more of them while packs wait, none when there is no more to do."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping

from .queues import Queue, QueueError, script
from .settings import Cluster

LOG = logging.getLogger(__name__)
ASK_EVERY_S = 10.0
"""Seconds between two questions to the queue; after a failure twice as long, up to `ASK_AT_MOST_S`."""
ASK_AT_MOST_S = 300.0
AT_ONCE_S = 30.0
"""A job that is gone so soon did no work: its script fails. More follow after a growing wait, up to `ASK_AT_MOST_S`."""
FEW = 3
"""Jobs that may end at once before the wait begins."""


class Jobs:
    """The jobs that a submitter handed in, remembered in the folder ``jobs``.

    Parameters
    ----------
    cluster
        What they need.
    queue
        What takes them.
    at_most
        Gives how many there may be at once.

    Attributes
    ----------
    alive
        State of every job of this user by id, as the queue last said; None if it did not answer: then nothing is concluded.
    """

    def __init__(self, cluster: Cluster, queue: Queue, at_most: Callable[[], int]) -> None:
        self.cluster, self.queue, self.at_most = cluster, queue, at_most
        self.alive: Mapping[str, str] | None = None
        self._folder = cluster.folder / "jobs"
        self._every_s = 0.0 if cluster.queue == "local" else ASK_EVERY_S
        self._wait_s = self._every_s
        self._ask_after = 0.0
        self._failing = 0
        self._hand_in_after = 0.0

    @property
    def trouble(self) -> str:
        """Say that jobs end at once, if they do."""
        if self._failing < FEW:
            return ""
        return f"the last {self._failing} jobs ended at once: see the .out files in {self._folder}, and philic cluster check"

    def ask(self) -> None:
        """Ask the queue which jobs there are, unless it was asked just now."""
        if time.monotonic() < self._ask_after:
            return
        try:
            self.alive, self._wait_s = self.queue.states(), self._every_s
        except QueueError as error:
            self._failed(error)
        self._ask_after = time.monotonic() + self._wait_s

    def hand_in(self, ready: int, running: int) -> None:
        """Hand jobs in while packs are ready that no job will take."""
        if self.alive is None:
            return
        self._sweep(self.alive)
        if not ready or time.monotonic() < self._hand_in_after:
            return
        wanted = min(self.at_most(), math.ceil((ready + running) / self.cluster.workers))
        for _ in range(wanted - len(self.ours(self.alive))):
            path = self._folder / f"philic-{time.time_ns():x}.sh"
            path.write_text(script(self.cluster, self._folder, path.stem), encoding="utf-8")
            path.chmod(0o700)
            try:
                job = self.queue.submit(path)
            except QueueError as error:
                self._failed(error)
                self._ask_after = time.monotonic() + self._wait_s
                return
            LOG.info("job %s handed in", job)
            path.with_suffix(".job").write_text(job, encoding="utf-8")
            self.alive = {**self.alive, job: "PENDING"}

    def ours(self, states: Mapping[str, str]) -> list[str]:
        """Return which jobs are ours, of those that the queue has."""
        return [job for path in self._folder.glob("*.job") if (job := path.read_text(encoding="utf-8")) in states]

    def _sweep(self, states: Mapping[str, str]) -> None:
        """Forget jobs that are gone, and notice those that ended at once."""
        for path in self._folder.glob("*.job"):
            job = path.read_text(encoding="utf-8")
            if job in states:
                continue
            at_once = time.time() - path.stat().st_mtime < AT_ONCE_S
            self._failing = self._failing + 1 if at_once else 0
            if at_once:
                LOG.warning("job %s ended at once: see %s", job, path.with_suffix(".out"))
            if self._failing >= FEW:
                self._hand_in_after = time.monotonic() + min(ASK_EVERY_S * 2.0 ** (self._failing - FEW), ASK_AT_MOST_S)
            path.unlink()

    def end(self, wait_s: float = 0.0) -> None:
        """Cancel the jobs that are left, and wait for them."""
        try:
            left = self.ours(self.queue.states())
            self.queue.cancel(left)
            until = time.monotonic() + wait_s
            while time.monotonic() < until and self.ours(self.queue.states()):
                time.sleep(0.1)
        except QueueError as error:
            LOG.warning("jobs may be left in the queue: %s", error)
            return
        for path in self._folder.glob("*.job"):
            path.unlink()

    def _failed(self, error: QueueError) -> None:
        self.alive, self._wait_s = None, min(max(2 * self._wait_s, ASK_EVERY_S), ASK_AT_MOST_S)
        LOG.warning("%s; asked again in %.0f s", error, self._wait_s)
