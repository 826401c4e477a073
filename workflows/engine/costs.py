"""What a step costs before it is run: the step function's usual number of force calls, timed by the potential's card."""

from __future__ import annotations

from ...potentials import card
from .flow import Step
from .registry import STEPS


def seconds_per_call(step: Step) -> float:
    """Estimate how long one force call of a step takes on two cores; no time at all for an analysis."""
    return step.n_atoms * card(step.potential).seconds_per_atom_call if step.potential else 0.0


def seconds(step: Step) -> float:
    """Estimate how long a step takes on two cores."""
    calls = STEPS[step.function].expected_force_calls or step.parameters.get("steps", 0)
    return float(calls * seconds_per_call(step))
