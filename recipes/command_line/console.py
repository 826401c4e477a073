"""What the commands print to, and how they refuse bad input."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from ...workflows.stores.result import Result

TABLE_WIDTH, RESULTS_WIDTH = 112, 160
"""Characters that tables need: a narrower terminal wraps its lines, which is better than losing digits."""


@contextmanager
def refusals() -> Iterator[None]:
    """Bad input is a sentence on stderr and exit code 2; nothing has been computed by then."""
    try:
        yield
    except (ValueError, ModuleNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from error


def end(results: Iterable[Result], complete: bool = True) -> None:
    """End with exit code 1, and say how many steps have no sound result, unless all that was asked is there."""
    counts = Counter(result.status for result in results if not result.status.usable)
    words = [f"{n} {'step' if n == 1 else 'steps'} {status}" for status, n in counts.items()]
    if words:
        print(f"error: {' and '.join(words)}: the answer lacks them", file=sys.stderr)
    if words or not complete:
        raise typer.Exit(1)


def settle() -> None:
    """Let a reader of standard output leave early (``| head``), and end a process that is told to as Ctrl-C does."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        setattr(sys, name, _Patient(stream.buffer, stream.encoding, stream.errors, line_buffering=stream.line_buffering))
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, _interrupt)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


class _Patient(io.TextIOWrapper):
    """A stream whose reader may leave: what comes after that goes nowhere."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except BrokenPipeError:
            self._drop()
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except BrokenPipeError:
            self._drop()

    def _drop(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def terminal(width: int = TABLE_WIDTH) -> Any:
    """Return a console at least as wide as the tables. Text is text: brackets and colons in it mean nothing."""
    from rich.console import Console

    console = Console(markup=False, emoji=False)
    console.width = max(console.width, width)
    return console
