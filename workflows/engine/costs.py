"""What a step costs before it is run: the usual number of force calls, timed by what such calls took, else by the card."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ...potentials import card
from ..stores.store import Cost
from .flow import Step
from .registry import STEPS

ALIKE = 4.0
"""Sizes that differ by no more than this factor are scaled from one another, by the number of atoms."""


def seconds_per_call(step: Step) -> float:
    """Estimate how long one force call of a step takes on two cores; no time at all for an analysis."""
    return step.n_atoms * card(step.potential).seconds_per_atom_call if step.potential else 0.0


def seconds(step: Step) -> float:
    """Estimate how long a step takes on two cores."""
    return _calls(step) * seconds_per_call(step)


def measured(costs: Sequence[Cost], device: str = "cpu") -> Callable[[Step], float]:
    """Return an estimate of seconds that goes by what force calls took on a device, else by the card."""
    of: dict[str, list[Cost]] = {}
    for cost in costs:
        if cost.device.startswith(device) and cost.calls:
            of.setdefault(cost.potential, []).append(cost)

    def estimate(step: Step) -> float:
        apart = {abs(math.log(step.n_atoms / cost.n_atoms)): cost for cost in of.get(step.potential or "", ())}
        if not apart or min(apart) > math.log(ALIKE):
            return seconds(step)
        near = apart[min(apart)]
        return _calls(step) * near.seconds / near.calls * step.n_atoms / near.n_atoms

    return estimate


def _calls(step: Step) -> float:
    return float(STEPS[step.function].expected_force_calls or step.parameters.get("steps", 0))
