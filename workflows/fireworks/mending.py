"""What is done about Fireworks that failed or were left: tries with a growing wait, lost workers, writes that were cut."""

from __future__ import annotations

import contextlib
import datetime
import io

from fireworks import LaunchPad

from ..engine.leaving import LeaveError
from ..stores.result import Status
from ..stores.store import MOST_TRIES, State, Store
from .reading import firework, launch_of, problem_of, task_of

BACK_OFF_S = (30.0, 300.0)
"""Seconds after the first and second crash of a step before it is tried again."""
LOST_S = 900
"""Silence after which a worker of a launchpad on a server is lost; clocks of two machines may differ by minutes."""


def rerun_due(launchpad: LaunchPad, store: Store) -> None:
    """Run failed packs again when they have waited long enough; a run of which nothing more can be computed is stopped."""
    for run in [run for run, state in store.states().items() if state is State.RUNNING]:
        numbers = fireworks_of(launchpad, store.address, run)
        waits, problem = False, ""
        for number in numbers:
            wait_s, words = _wait(launchpad, store, number)
            problem = problem or words
            if wait_s is not None and wait_s <= 0:
                launchpad.rerun_fw(number)
            waits = waits or wait_s is not None
        going = {"fw_id": {"$in": numbers}, "state": {"$nin": ["FIZZLED", "COMPLETED", "DEFUSED", "ARCHIVED"]}}
        if problem and not waits and not launchpad.fireworks.count_documents(going):
            store.change_run(run, state=State.STOPPED, message=problem)


def fireworks_of(launchpad: LaunchPad, address: str, run: int) -> list[int]:
    """Return the Fireworks of a run."""
    again = {"spec._tasks.run": run, "spec._tasks.store": address, "state": {"$ne": "ARCHIVED"}}
    planners = [one["fw_id"] for one in launchpad.fireworks.find(again, {"fw_id": 1})]
    flows = launchpad.workflows.find({"nodes": {"$in": planners}}, {"nodes": 1})
    return sorted({number for flow in flows for number in flow["nodes"]})


def _wait(launchpad: LaunchPad, store: Store, number: int) -> tuple[float | None, str]:
    """Return how long a failed Firework has to wait for its next try, None for ever, and what it failed with."""
    document = firework(launchpad, number)
    if document["state"] != "FIZZLED" or not document["launches"]:
        return None, ""
    launch = launch_of(launchpad, document)
    problem, keys = problem_of(launch), task_of(document).get("keys")
    if keys is None:  # the plan: it is made again with the packs
        return None, problem
    if LeaveError.__name__ in problem:
        return 0.0, problem
    crashed = [key for key, result in store.get(keys).items() if result.status is Status.CRASHED]
    tries = store.tries(crashed)
    if crashed:
        waits = [_left_s(tries[key].n, tries[key].ago_s) if key in tries else 0.0 for key in crashed]
    elif " waits for " in problem:
        return None, ""
    else:
        ago_s = (datetime.datetime.now(datetime.UTC) - _utc(launch["time_end"])).total_seconds()
        waits = [_left_s(len(document["archived_launches"]) + 1, ago_s)]
    return min((wait for wait in waits if wait is not None), default=None), problem


def _left_s(n: int, ago_s: float) -> float | None:
    return None if n >= MOST_TRIES else BACK_OFF_S[n - 1] - ago_s


def _utc(when: datetime.datetime | str) -> datetime.datetime:
    found = datetime.datetime.fromisoformat(when) if isinstance(when, str) else when
    return found.replace(tzinfo=found.tzinfo or datetime.UTC)


def forget(launchpad: LaunchPad, address: str, run: int) -> None:
    """Remove the workflows of a run."""
    with contextlib.redirect_stdout(io.StringIO()):  # FireWorks prints what it removes
        while numbers := fireworks_of(launchpad, address, run):
            launchpad.delete_wf(numbers[0])


def rerun_lost(launchpad: LaunchPad) -> None:
    """Run packs again whose worker has given no sign of life for long."""
    launchpad.detect_lostruns(expiration_secs=LOST_S, rerun=True)


def refresh_waiting(launchpad: LaunchPad) -> None:
    """Let Fireworks start whose parents have ended: a worker killed between two writes leaves them waiting for ever."""
    for number in launchpad.get_fw_ids({"state": "WAITING"}):
        links = launchpad.workflows.find_one({"nodes": number}, {"parent_links": 1})["parent_links"]
        parents = links.get(str(number), [])
        ended = launchpad.fireworks.count_documents({"fw_id": {"$in": parents}, "state": {"$in": ["COMPLETED", "FIZZLED"]}})
        if ended == len(parents):
            launchpad._refresh_wf(number)
