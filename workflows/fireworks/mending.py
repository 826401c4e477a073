"""Retries: crashed steps are tried again after a while, a few times; then a person has to look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fireworks import LaunchPad

from ..engine.leaving import LeaveError
from ..stores.store import Store
from .tasks import MOST_TRIES

BACK_OFF_S = (30.0, 300.0, 1200.0)
"""Seconds after the first, second and third crash of a step before it is tried again."""

LOST_S = 900
"""Silence after which a worker of a launchpad on a server is lost; clocks of two machines may differ by minutes."""


def fizzled(launch: Mapping[str, Any] | None) -> str:
    """Return the last line of what a launch crashed with; empty where it did not."""
    if launch is None or launch["state"] != "FIZZLED":
        return ""
    stack = launch["action"]["stored_data"].get("_exception", {}).get("_stacktrace", "") if launch["action"] else ""
    return str(stack).strip().splitlines()[-1] if str(stack).strip() else "no word"


def rerun_due(launchpad: LaunchPad, store: Store, address: str | None = None) -> list[int]:
    """Run fizzled packs again whose crashed steps have waited long enough; return their Firework ids.

    A pack that only waits for another is run again with it. One that was left because the worker had to stop is run again at
    once.
    """
    again = []
    query = {"state": "FIZZLED"} | ({"spec._tasks.store": address} if address else {})
    for firework in launchpad.fireworks.find(query, {"fw_id": 1, "spec._tasks": 1, "launches": 1}):
        keys = firework["spec"]["_tasks"][0].get("keys")
        if not keys or not firework["launches"]:
            continue
        launch = launchpad.launches.find_one({"launch_id": firework["launches"][-1]})
        tries = store.tries(set(keys) - store.finished(keys))
        due = any(one.n < MOST_TRIES and one.ago_s >= BACK_OFF_S[one.n - 1] for one in tries.values())
        if due or LeaveError.__name__ in fizzled(launch):
            launchpad.rerun_fw(firework["fw_id"])
            again.append(firework["fw_id"])
    return again


def lost(launchpad: LaunchPad) -> list[int]:
    """Run packs again whose worker has given no sign of life for long; return their Firework ids."""
    _, numbers, _ = launchpad.detect_lostruns(expiration_secs=LOST_S, rerun=True)
    return list(numbers)


def refresh_waiting(launchpad: LaunchPad) -> list[int]:
    """Let Fireworks start whose parents have ended: a worker killed between two writes leaves them waiting for ever."""
    again = []
    for firework in launchpad.fireworks.find({"state": "WAITING"}, {"fw_id": 1}):
        number = firework["fw_id"]
        links = launchpad.workflows.find_one({"nodes": number}, {"parent_links": 1})["parent_links"]
        parents = links.get(str(number), [])
        ended = launchpad.fireworks.count_documents({"fw_id": {"$in": parents}, "state": {"$in": ["COMPLETED", "FIZZLED"]}})
        if ended == len(parents):
            launchpad._refresh_wf(number)
            again.append(number)
    return again
