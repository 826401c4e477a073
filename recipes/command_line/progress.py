"""A progress bar fed by the log of `philic.workflows.engine.execute`: what is running, what is done, time left."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from ...workflows.engine import execute
from ...workflows.engine.costs import seconds, seconds_per_call
from ..running.planning import Prepared
from .report import plan_lines


@contextmanager
def progress(prepared: Prepared) -> Iterator[list[str]]:
    """Show progress while the recipe runs inside the context: a bar on a terminal, a line per step elsewhere.

    Yields
    ------
    list of str
        Keys of the steps that have ended, filled as they do.
    """
    columns = (
        SpinnerColumn(),
        TextColumn("{task.fields[done]}/{task.fields[steps]} steps", markup=False),
        BarColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    level = execute.LOG.level
    with Progress(
        *columns, console=Console(soft_wrap=True, markup=False, emoji=False), transient=True, disable=not prepared.missing
    ) as bar:
        handler = _Bar(bar, prepared)
        execute.LOG.addHandler(handler)
        execute.LOG.setLevel(logging.DEBUG)
        try:
            yield handler.ended
        finally:
            execute.LOG.removeHandler(handler)
            execute.LOG.setLevel(level)


class _Bar(logging.Handler):
    """Turns log records into progress: seconds of work done out of those estimated, and what is running."""

    def __init__(self, bar: Progress, prepared: Prepared) -> None:
        super().__init__()
        self.bar = bar
        self.ended: list[str] = []
        self.task = bar.add_task("starting", done=0, steps=0)
        self._begin(prepared)

    def _begin(self, prepared: Prepared) -> None:
        """Start the bar on a plan."""
        self.work = {step.key: seconds(step) for step in prepared.missing}
        self.call = {step.key: seconds_per_call(step) for step in prepared.missing}
        self.spent = dict.fromkeys(self.work, 0.0)
        self.done = 0
        self.bar.reset(self.task, total=sum(self.work.values()), done=0, steps=len(self.work))

    def emit(self, record: logging.LogRecord) -> None:
        event, key, words = (record.__dict__.get(name, "") for name in ("event", "key", "words"))
        if event == "planned":
            self.bar.console.print("\n".join(plan_lines(record.__dict__["plan"])[1:]), highlight=False)
            self._begin(record.__dict__["plan"])
        if key not in self.work:
            return
        if event == "force call":
            self._spend(key, min(self.spent[key] + self.call[key], self.work[key]))
            self.bar.update(self.task, description=words)
        elif event == "end":
            self._spend(key, self.work[key])
            self.ended.append(key)
            self.done += 1
            self.bar.update(self.task, done=self.done)
            if not self.bar.console.is_terminal:
                self.bar.console.print(
                    f"{self.done}/{len(self.work)} {words}: {record.__dict__['sentence']}", highlight=False
                )

    def _spend(self, key: str, until: float) -> None:
        self.bar.advance(self.task, until - self.spent[key])
        self.spent[key] = until
