"""What a store is: results, definitions of steps and runs, kept by key. Which kind keeps them is in the modules beside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from .result import Memory, Result
from .rows import Condition, Kind

MOST_TRIES = 3
"""Crashes after which a step is left alone until a person asks for it again."""


class StoreError(ValueError):
    """The store cannot be used: not ours, of a newer schema, out of reach, or without room."""


class State(StrEnum):
    """How far a run is."""

    RUNNING = "running"
    """Planned or computing."""
    PAUSED = "paused"
    """No new pack is started until it is resumed."""
    FINISHED = "finished"
    """Every step has a result."""
    STOPPED = "stopped"
    """Nothing more can be computed: what is left crashed too often, or waits for what did."""
    CANCELLED = "cancelled"
    """A person ended it; what was computed stays."""

    @property
    def open(self) -> bool:
        """Whether there is more to do."""
        return self in (State.RUNNING, State.PAUSED)


@dataclass(frozen=True)
class Run:
    """One execution of a recipe, over all the stages in which it is planned.

    Attributes
    ----------
    id
        Counts up from 1 in each store.
    recipe, created
        Name of the recipe file, and when it was started (ISO 8601, UTC).
    parameters
        Every parameter, resolved.
    lock
        Versions of the packages and the fingerprint of the potential.
    keys
        The steps it is made of, as far as it is planned.
    kind
        Which recipe it is; empty for a run of philic 0.1, which cannot be planned again.
    folder
        Where it was started, for files that its parameters name.
    state, message
        How far it is, and a sentence where it was stopped.
    """

    id: int
    recipe: str
    created: str
    parameters: Mapping[str, Any]
    lock: Mapping[str, Any]
    keys: Sequence[str]
    kind: str = ""
    folder: str = ""
    state: State = State.FINISHED
    message: str = ""


@dataclass(frozen=True)
class Tries:
    """How often a step crashed.

    Attributes
    ----------
    n
        Number of crashes since the step was last asked for by a person.
    ago_s
        Seconds since the last one, by the store's own clock.
    """

    n: int
    ago_s: float


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with a store.

    Attributes
    ----------
    sentence
        What it is.
    table, key
        The row that can be forgotten to mend it, so that it is computed again; empty where nothing can.
    """

    sentence: str
    table: str = ""
    key: str = ""


@dataclass(frozen=True)
class Cost:
    """What force calls took so far.

    Attributes
    ----------
    potential, device
        Name of the potential, and what it ran on.
    n_atoms
        Size of the structures.
    calls, seconds
        Number of force calls, and the wall seconds of them all.
    """

    potential: str
    device: str
    n_atoms: int
    calls: int
    seconds: float


class StepStore(Protocol):
    """What a worker needs: what the steps are, what they start from, and where their results go."""

    def definitions(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return what steps are, by key. Raises `KeyError` for a step that was not written down."""

    def get(self, keys: Iterable[str]) -> dict[str, Result]:
        """Return the results that are stored, by key. Raises `DamagedError` for one that is not what was written."""

    def finished(self, keys: Iterable[str]) -> set[str]:
        """Return which of the keys have a result that a rerun takes as it is."""

    def add(self, result: Result) -> None:
        """Commit a result. What is already stored stays, unless it is a crash."""

    def memory(self, trail: str) -> Memory:
        """Return the memory of a calculation: the predictions it has received so far, in this run or an earlier one."""

    def folder(self, trail: str) -> Path:
        """Return the folder for files of a calculation that are too large for the store; the writer creates it."""


class Store(StepStore, Protocol):
    """Everything that is kept. Every call is one transaction; several processes may use one store at once.

    Attributes
    ----------
    address
        What opens it again (see `philic.workflows.stores.opening.open_store`). Holds no password.
    work
        Folder for what is too large for it: trajectories. None refuses to give one.
    """

    address: str
    work: Path | None

    def add_definitions(self, definitions: Mapping[str, Mapping[str, Any]]) -> None:
        """Write down what the steps are, by key, so that any worker can run them.

        A newer definition of a key replaces an older one: the calculation is the same, a potential's file may have moved.
        """

    def columns(self, function: str) -> dict[str, set[Kind]]:
        """Return the columns by which a step function's results are filtered and sorted, and what they hold."""

    def results(
        self,
        function: str,
        conditions: Sequence[Condition] = (),
        sort: str = "",
        *,
        largest_first: bool = False,
        whole: bool = True,
    ) -> Iterator[Result]:
        """Yield a step function's results, as they are read; a warning names one that is damaged, and it is left out.

        Parameters
        ----------
        function
            Name of the step function.
        conditions
            What a result must meet; one without the column does not.
        sort, largest_first
            Column to sort by: numbers, texts, and last what has neither.
        whole
            Give structures and arrays too; without them it is several times faster.
        """

    def tries(self, keys: Iterable[str]) -> dict[str, Tries]:
        """Return how often steps crashed, by key; those that did not are missing."""

    def forget_tries(self, keys: Iterable[str]) -> None:
        """Let crashed steps be tried again as if for the first time."""

    def reserve(self, keys: Iterable[str], owner: str, lease_s: float) -> set[str]:
        """Reserve steps for a process that computes them, and return which of them are now its own.

        Those of another process are free once its lease has run out; calling again renews one's own.
        """

    def release(self, owner: str) -> None:
        """Free all steps of a process."""

    def owners(self, prefix: str = "") -> set[str]:
        """Return the processes that have reserved what begins with a prefix, and whose lease has not run out."""

    def costs(self) -> list[Cost]:
        """Return what force calls took so far, by potential, device and size."""

    def add_run(
        self,
        recipe: str,
        parameters: Mapping[str, Any],
        lock: Mapping[str, Any],
        keys: Sequence[str],
        kind: str = "",
        folder: str = "",
    ) -> int:
        """Record an execution of a recipe, running, and return its id."""

    def change_run(
        self, run: int, *, keys: Sequence[str] | None = None, state: State | None = None, message: str = ""
    ) -> None:
        """Record that a run has more steps, or how far it is, and why."""

    def runs(self) -> list[Run]:
        """Return every run, oldest first."""

    def states(self) -> dict[int, State]:
        """Return how far every run is, by id: what can be asked often, for it reads no step."""

    def problems(self) -> Iterator[Problem]:
        """Yield everything that is wrong: rows that are not what was written, and runs whose steps are unknown."""

    def forget(self, problem: Problem) -> None:
        """Remove the row that is damaged."""

    def close(self) -> None:
        """Close every connection; the store can still be used, and opens new ones."""
