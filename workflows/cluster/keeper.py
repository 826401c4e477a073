"""One submitter for a folder: who it is, whether it lives, and how it is started."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from .spool import Spool, SpoolError, read, write

STALE_S = 90.0
"""Silence after which a submitter on another machine is taken for dead."""
STARTING_S = 30.0
"""How long a submitter may take until it is at work; a slow disk is no error."""
_FILE = "submitter.json"


@dataclass(frozen=True)
class Keeper:
    """The submitter of a folder.

    Attributes
    ----------
    host, pid
        The process.
    token
        Names this process and no other.
    silent_s
        Seconds since it last said that it is alive.
    """

    host: str
    pid: int
    token: str
    silent_s: float

    @property
    def alive(self) -> bool:
        """Whether it is at work: on this machine the process is asked, on another one its signs of life count."""
        if self.host == platform.node():
            return _is_python(self.pid) and self.silent_s < 20 * STALE_S
        return self.silent_s < STALE_S


def keeper(spool: Spool) -> Keeper | None:
    """Return who is the submitter of a folder; None if nobody ever was or it ended."""
    path = spool.folder / _FILE
    try:
        return Keeper(**read(path), silent_s=max(0.0, spool.now() - path.stat().st_mtime))
    except (FileNotFoundError, SpoolError):
        return None


def become(spool: Spool) -> str:
    """Become the submitter of a folder and return the token.

    Raises
    ------
    ValueError
        If there is one already.
    """
    path = spool.folder / _FILE
    found = keeper(spool)
    if found and found.alive:
        raise ValueError(f"a submitter is at work on {found.host} (process {found.pid})")
    token = uuid.uuid4().hex
    mine = spool.folder / f".{token}"
    write(mine, {"host": platform.node(), "pid": os.getpid(), "token": token})
    if path.exists():
        path.replace(spool.folder / f".{token}.old")  # of two that take over, one alone can move it
        (spool.folder / f".{token}.old").unlink()
    try:
        os.link(mine, path)  # fails where another was faster
    except FileExistsError as error:
        raise ValueError("another submitter was started in the same moment") from error
    finally:
        mine.unlink()
    return token


def still(spool: Spool, token: str) -> bool:
    """Say that the submitter is alive; False if another one has taken its place."""
    found = keeper(spool)
    if found is None or found.token != token:
        return False
    (spool.folder / _FILE).touch()
    return True


def leave(spool: Spool, token: str) -> None:
    """End being the submitter."""
    if still(spool, token):
        (spool.folder / _FILE).unlink()


def start(spool: Spool, settings: Path | None) -> None:
    """Start a submitter that outlives this process, unless there is one, and wait until it is at work.

    Raises
    ------
    ValueError
        If it ended at once with an error.
    """
    found = keeper(spool)
    if found and found.alive:
        return
    command = [sys.executable, "-m", "philic.recipes.command_line.cli", "submitter"]
    path = spool.folder / "submitter.log"
    with path.open("ab") as log:
        started = subprocess.Popen(
            [*command, *(["--cluster", str(settings.absolute())] if settings else [])],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=spool.folder,
        )
    until = time.monotonic() + STARTING_S
    while (ended := started.poll()) is None and time.monotonic() < until:
        if (found := keeper(spool)) and found.alive:
            started.returncode = 0  # it outlives this process, which never waits for it
            return
        time.sleep(0.1)
    found = keeper(spool)
    if ended and not (found and found.alive):  # another process may have started one in the same moment
        raise ValueError(f"the submitter ended at once: {path.read_text(errors='replace').splitlines()[-1:]}; see `{path}`")


def _is_python(pid: int) -> bool:
    try:
        return b"python" in Path("/proc", str(pid), "cmdline").read_bytes().split(b"\0")[0]
    except OSError:
        return False
