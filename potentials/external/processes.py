"""Workers: calculators in a process of their own, each in the environment it needs."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from . import worker

LAST_LINES = 8


class Worker:
    """A process that evaluates structures, started when it is first asked.

    Parameters
    ----------
    python
        The interpreter.
    environment
        Variables that are set in addition to this process's.
    """

    def __init__(self, python: str, environment: Mapping[str, str]) -> None:
        self.python = python
        self.environment = environment
        self._process: subprocess.Popen[str] | None = None
        self._errors: Any = None

    def evaluate(self, task: Mapping[str, Any]) -> dict[str, Any]:
        """Send one task and wait for the answer.

        Raises
        ------
        RuntimeError
            If the process ended instead; the message has the last lines that it printed.
        """
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(task) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code, words = process.wait(), self._last_lines()
            self.close()
            raise RuntimeError(f"the worker of {self.python} ended with status {code}: {words}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # lives as long as the worker
            self._process = subprocess.Popen(
                [self.python, "-u", str(Path(worker.__file__))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env={**os.environ, **self.environment},
                cwd=tempfile.gettempdir(),  # it outlives the folder of the step that starts it
                text=True,
                start_new_session=True,
            )
            atexit.register(self.close)
        return self._process

    def _last_lines(self) -> str:
        self._errors.seek(0)
        lines = [line.rstrip() for line in self._errors if line.strip()]
        return " | ".join(lines[-LAST_LINES:]) or "it printed nothing"

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            process, self._process = self._process, None
            process.kill()
            process.wait()
            for pipe in filter(None, (process.stdin, process.stdout, self._errors)):
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


@cache
def versions(python: str, packages: tuple[str, ...]) -> str:
    """Return the versions of packages that an interpreter has: ``gpaw 26.7.0, gpaw-data 1.2.1``.

    Raises
    ------
    ModuleNotFoundError
        If one is not installed there.
    """
    code = (
        "import sys; from importlib.metadata import version, PackageNotFoundError as missing\n"
        "try: print(', '.join(name + ' ' + version(name) for name in sys.argv[1:]))\n"
        "except missing as error: sys.exit('missing: ' + str(error.name))"
    )
    try:
        done = subprocess.run([python, "-c", code, *packages], capture_output=True, text=True, check=False)
    except OSError as error:
        raise ModuleNotFoundError(f"`python` is {python!r} but cannot be run: {error.strerror}") from error
    if done.returncode and "missing: " not in done.stderr:
        raise ModuleNotFoundError(f"`python` is {python!r} but is no working interpreter: {done.stderr.strip()[-300:]}")
    if done.returncode:
        raise ModuleNotFoundError(
            f"{done.stderr.strip().removeprefix('missing: ')} is not installed in the environment of {python}: install it "
            "there, or name another interpreter as `python` in the settings"
        )
    return done.stdout.strip()
