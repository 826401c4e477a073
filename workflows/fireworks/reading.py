"""What a launchpad says of a Firework: its steps, its workflow, and what it failed with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fireworks import LaunchPad

FIELDS = {"fw_id": 1, "name": 1, "state": 1, "spec._tasks": 1, "launches": 1, "archived_launches": 1}
"""What is read of a Firework: not the failed parents that FireWorks writes into its spec."""


class StepsLeftError(RuntimeError):
    """Steps of a pack that have no result: they crashed, or wait for one that did."""


def sentence(left: Mapping[str, str], n: int) -> str:
    """Say in one line how many steps are left, and why the first is."""
    return f"{len(left)} of {n} steps left: {' '.join(next(iter(left.values())).split())}"


def only_steps_left(problem: str) -> bool:
    """Whether what a Firework failed with is a `sentence`; else the engine broke, not a step."""
    return re.match(r"\d+ of \d+ steps left: ", problem) is not None


def firework(launchpad: LaunchPad, number: int) -> dict[str, Any]:
    """Return a Firework's document, its `FIELDS`."""
    found: dict[str, Any] = launchpad.fireworks.find_one({"fw_id": number}, FIELDS)
    return found


def task_of(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the one task of a Firework: ``keys`` of a pack, ``run`` of one that plans again."""
    task: Mapping[str, Any] = document["spec"]["_tasks"][0]
    return task


def nodes_of(launchpad: LaunchPad, number: int) -> list[int]:
    """Return every Firework of the workflow that one is part of."""
    nodes: list[int] = launchpad.workflows.find_one({"nodes": number}, {"nodes": 1})["nodes"]
    return nodes


def launch_of(launchpad: LaunchPad, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the last launch of a Firework; empty if it was never launched."""
    found: Mapping[str, Any] | None = None
    if document["launches"]:
        found = launchpad.launches.find_one({"launch_id": document["launches"][-1]})
    return found or {}


def last_launch(launchpad: LaunchPad) -> Mapping[str, Any]:
    """Return the launch that ended last."""
    return launchpad.launches.find_one(sort=[("time_end", -1)]) or {}


def problem_of(launch: Mapping[str, Any]) -> str:
    """Return the last line of what a launch crashed with, without the name of an error of our own; empty if it did not."""
    if launch.get("state") != "FIZZLED":
        return ""
    stack = ((launch["action"] or {}).get("stored_data", {}).get("_exception", {}).get("_stacktrace") or "no word").strip()
    return re.sub(r"^philic\.[\w.]+: ", "", str(stack).splitlines()[-1])


def as_stack(problem: str) -> str:
    """Write a `sentence` as FireWorks keeps a crash, for `problem_of`."""
    return f"{__name__}.{StepsLeftError.__name__}: {problem}"
