"""Run steps by key: ask the store, compute what is missing, commit each result as it comes."""

from __future__ import annotations

import datetime
import logging
import math
import platform
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ase import Atoms
from threadpoolctl import ThreadpoolController

from ... import __version__
from ...potentials import load
from ..stores.result import CHECK, Outcome, Result, Status, check_one_potential, title
from ..stores.store import StepStore, StoreError
from .flow import parents_of, structure_from
from .leaving import LEAVING
from .registry import STEPS

LOG = logging.getLogger(__name__)
"""Says at INFO when a step starts (``event="start"``), has computed forces (``"force call"``) and ends (``"end"``)."""

Definition = Mapping[str, Any]


def execute(store: StepStore, keys: Sequence[str]) -> dict[str, str]:
    """Run the steps that have no final result yet, and commit each as it ends.

    What goes wrong inside one step is stored as its result (crashed) and the others go on. Where this process has to stop
    (see `philic.workflows.engine.leaving`), `LeaveError` ends it at the next step or force call.

    Parameters
    ----------
    store
        Holds the steps' definitions and their parents' results, and takes their results.
    keys
        A pack (see `philic.workflows.engine.flow.Flow.packs`).

    Returns
    -------
    dict
        Why steps have no final result: a sentence for each that crashed, or waits for one that did.
    """
    done = store.finished(keys)
    definitions = store.definitions(key for key in keys if key not in done)
    left: dict[str, str] = {}
    LEAVING.rest()
    computing = {key: d for key, d in definitions.items() if d["structure"]}
    with _one_thread_for_matrices():
        for key, definition in definitions.items():
            if key not in computing:
                LEAVING.check()
                _say("start", key, definition)
                _end(store, key, definition, _analyse(store, definition), left)
        if computing:
            _compute(store, computing, left)
    return left


def _one_thread_for_matrices() -> AbstractContextManager[Any]:
    """Limit numpy and scipy to one thread: their idle threads spin and take cores away from the potential.

    Without this a cell relaxation takes up to seven times as long on a busy machine. Torch has its own threads.
    """
    return ThreadpoolController().select(internal_api="openblas").limit(limits=1)  # type: ignore[no-any-return]


def _parents(store: StepStore, definition: Definition) -> dict[str, Result]:
    found = store.get(definition["parents"].values())
    return {role: _inheriting(store, found[key]) for role, key in definition["parents"].items() if key in found}


def _inheriting(store: StepStore, result: Result) -> Result:
    """Add the inherited fingerprint to a result: analyses in older stores lack it."""
    return replace(result, provenance={**result.provenance, "fingerprint": _fingerprint(store, result.provenance)})


def _fingerprint(store: StepStore, origin: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the fingerprint of a step, or, for an analysis, that of the results it reads, cross-checks excluded."""
    own: Mapping[str, str] = origin.get("fingerprint") or {}
    if own:
        return own
    keys = (key for role, key in origin.get("parents", {}).items() if not role.startswith(CHECK))
    parents = (parent for key in keys for parent in store.get([key]).values())  # the first that knows is enough
    return next((found for parent in parents if (found := _fingerprint(store, parent.provenance))), {})


PROVIDES: Mapping[str, Callable[[StepStore, Definition], Any]] = {
    "parents": _parents,
    "memories": lambda store, definition: store.memory(definition["trail"]),
    "slow_memories": lambda store, definition: store.memory(definition["trail"]),
    "folders": lambda store, definition: store.folder(definition["trail"]),
}


def _parents_folders(store: StepStore, definition: Definition) -> dict[str, Path]:
    return {role: PROVIDES["folders"](store, store.definitions([key])[key]) for role, key in definition["parents"].items()}


def _analyse(store: StepStore, definition: Definition) -> Outcome | str:
    by_role = _parents(store, definition)
    blocked = _blocked(by_role, len(definition["parents"]))
    if blocked:
        return blocked
    try:
        start, cpu = time.perf_counter(), time.process_time()
        step = STEPS[definition["function"]]
        check_one_potential({role: result for role, result in by_role.items() if not role.startswith(CHECK)})
        given = {"folders": _parents_folders(store, definition)} if "folders" in step.needs else {}
        outcome: Outcome = step.function(by_role, **given, **definition["parameters"])
    except Exception as error:
        return _crash(error)
    return _timed(outcome, start, cpu)


def _compute(store: StepStore, definitions: Mapping[str, Definition], left: dict[str, str]) -> None:
    """Run the steps of one pack together; if that raises, run the remaining ones singly: one cannot stop the others."""
    structures: dict[str, Atoms] = {}
    for key, definition in definitions.items():
        built = _build(store, definition)
        if isinstance(built, Atoms):
            structures[key] = built
            _say("start", key, definition)
        else:
            _end(store, key, definition, built, left)
    running = list(structures)
    outcomes = _outcomes(store, definitions, structures)
    while running:
        try:
            key, outcome = next(outcomes)
        except StoreError:
            raise
        except Exception as error:
            if len(structures) == 1:
                _end(store, running[0], definitions[running[0]], _crash(error), left)
            else:
                for key in running:
                    _compute(store, {key: definitions[key]}, left)
            return
        _end(store, key, definitions[key], outcome, left)
        running.remove(key)


def _outcomes(
    store: StepStore, definitions: Mapping[str, Definition], structures: dict[str, Atoms]
) -> Iterator[tuple[str, Outcome]]:
    keys = list(structures)
    pack = definitions[keys[0]]
    potential = load(pack["potential"])
    asked, loaded = pack["fingerprint"], potential.fingerprint.asdict()
    if {**asked, "name": ""} != {**loaded, "name": ""}:
        raise ValueError(f"the step asks for the potential {asked} but this machine has {loaded}")

    def watch(index: int) -> None:
        LEAVING.check()
        _say("force call", keys[index], definitions[keys[index]])

    step = STEPS[pack["function"]]
    needs = step.needs if potential.card.slow else step.needs - {"slow_memories"}
    given = {need.removeprefix("slow_"): [PROVIDES[need](store, definitions[key]) for key in keys] for need in needs}
    each = {name: [definitions[key]["parameters"][name] for key in keys] for name in step.each & pack["parameters"].keys()}
    parameters = {**pack["parameters"], **each}
    for index, outcome in step.function(list(structures.values()), potential, watch=watch, **given, **parameters):
        yield keys[index], outcome


def _build(store: StepStore, definition: Definition) -> Atoms | Outcome | str:
    """Build a step's structure, or say why it cannot be, or what it waits for."""
    wanted = parents_of(definition)
    results = store.get(wanted)
    blocked = _blocked(results, len(wanted))
    if blocked:
        return blocked
    for result in results.values():
        if not result.status.usable:
            return Outcome(Status.FAILED, f"not run: {result.title} failed: {result.message}")
    try:
        return structure_from(definition["structure"], {key: r.structures["final"] for key, r in results.items()})
    except Exception as error:
        return _crash(error)


def _blocked(parents: Mapping[str, Result], n: int) -> str:
    """Say what a step waits for; empty where nothing."""
    for parent in parents.values():
        if not parent.status.final:
            return f"waits for {parent.title}, which crashed: {parent.message}"
    return "waits for a step that has no result" if len(parents) < n else ""


def _crash(error: Exception) -> Outcome:
    LOG.debug("crash", exc_info=error)
    where = traceback.extract_tb(error.__traceback__)[-1]
    return Outcome(Status.CRASHED, f"{type(error).__name__}: {error} ({where.name}, line {where.lineno})")


def _timed(outcome: Outcome, start: float, cpu: float) -> Outcome:
    return replace(outcome, wall_s=time.perf_counter() - start, cpu_s=time.process_time() - cpu)


def _end(store: StepStore, key: str, definition: Definition, outcome: Outcome | str, left: dict[str, str]) -> None:
    """Commit what a step came to, and write down why it has no final result if it has none."""
    words = title(definition["function"], definition["about"])
    if isinstance(outcome, str):
        left[key] = f"{words} {outcome}"
        return
    outcome = finite(outcome)
    provenance = {
        "parameters": definition["parameters"],
        "parents": definition["parents"],
        "structure_parent": (definition["structure"] or {}).get("parent"),
        "fingerprint": _fingerprint(store, definition),
        **({"device": load(definition["potential"]).device} if outcome.force_calls else {}),
        "versions": _versions(),
        "host": platform.node(),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    result = Result(
        **vars(outcome),
        key=key,
        function=definition["function"],
        about=definition["about"],
        provenance=provenance,
    )
    store.add(result)
    if not result.status.final:
        left[key] = f"{words} crashed: {result.message}"
    _say("end", key, definition, result.message)


def finite(outcome: Outcome) -> Outcome:
    """Fail what has a number that is none: no comparison with NaN is true, so no check further on can be trusted to see it.

    Examples
    --------
    >>> odd = finite(Outcome(Status.CONVERGED, "done", {"energy_eV": math.nan, "n_atoms": 2}))
    >>> odd.status.value, odd.message, odd.scalars["energy_eV"]
    ('failed', 'done; energy_eV is nan', None)
    """
    odd = {name: value for name, value in outcome.scalars.items() if isinstance(value, float) and not math.isfinite(value)}
    if not odd:
        return outcome
    outcome = replace(outcome, scalars={**outcome.scalars, **dict.fromkeys(odd)})
    if not outcome.status.usable:
        return outcome
    words = ", ".join(f"{name} is {value}" for name, value in odd.items())
    return replace(outcome, status=Status.FAILED, message=f"{outcome.message}; {words}")


@cache
def _versions() -> Mapping[str, str]:
    return {"philic": __version__, "ase": version("ase"), "numpy": version("numpy")}


def _say(event: str, key: str, definition: Definition, message: str = "") -> None:
    level = logging.DEBUG if event == "force call" else logging.INFO
    words = title(definition["function"], definition["about"])
    LOG.log(
        level,
        "%s: %s %s",
        event,
        words,
        message,
        extra={"event": event, "key": key, "words": words, "sentence": message},
    )
