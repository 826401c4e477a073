"""When a worker has to stop: the end of its walltime, or a signal. A calculation is left at its next force call."""

from __future__ import annotations

import signal
import time
from types import FrameType

MARGIN_S = 20.0
"""Seconds before the end of a walltime at which work is handed back, if force calls are short."""
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)
"""What queues send before they kill, Ctrl-C, and the end of the terminal."""


class LeaveError(BaseException):
    """The worker has to stop. No `Exception`: no step may take it for its own failure."""


class Leaving:
    """Whether this process has to stop; asked at every force call.

    Attributes
    ----------
    until
        Time at which the process will be killed, seconds since the epoch; None if nobody will.
    """

    def __init__(self) -> None:
        self.until: float | None = None
        self._asked = ""
        self._last = 0.0
        self._longest_s = 0.0

    def listen(self) -> None:
        """Take a signal as the wish to stop, unless it is ignored (``nohup``)."""
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._hear)

    def ask(self, why: str) -> None:
        """Let the process stop at its next force call."""
        self._asked = why

    @property
    def why(self) -> str:
        """Why to stop; empty if there is no reason.

        The margin before the end grows with the longest time between two force calls so far.
        """
        if self.until is not None and time.time() > self.until - max(MARGIN_S, 2 * self._longest_s):
            self._asked = "the walltime ends"
        return self._asked

    def check(self) -> None:
        """Raise `LeaveError` if there is a reason to stop."""
        now = time.monotonic()
        self._longest_s = max(self._longest_s, now - (self._last or now))
        self._last = now
        if why := self.why:
            raise LeaveError(why)

    def rest(self) -> None:
        """Forget when the last force call was: what follows is no calculation."""
        self._last = 0.0

    def _hear(self, number: int, _: FrameType | None) -> None:
        self.ask(signal.Signals(number).name)


LEAVING = Leaving()
"""That of this process: a signal and a walltime concern the whole of it."""
