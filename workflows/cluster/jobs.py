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
        if self.alive is None or not ready:
            return
        wanted = min(self.at_most(), math.ceil((ready + running) / self.cluster.workers))
        for _ in range(wanted - len(self.ours(self.alive))):
            path = self._folder / f"philic-{time.time_ns():x}.philic.sh"
            path.write_text(script(self.cluster, self._folder, path.name.removesuffix(".philic.sh")), encoding="utf-8")
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
        """Return which jobs are ours; the records of those that are gone are removed."""
        found = []
        for path in self._folder.glob("*.job"):
            job = path.read_text(encoding="utf-8")
            if job in states:
                found.append(job)
            else:
                path.unlink()
        return found

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

    def _failed(self, error: QueueError) -> None:
        self.alive, self._wait_s = None, min(max(2 * self._wait_s, ASK_EVERY_S), ASK_AT_MOST_S)
        LOG.warning("%s; asked again in %.0f s", error, self._wait_s)
