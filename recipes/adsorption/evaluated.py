"""The same adsorption energy from another potential, at the geometries of the first."""

from __future__ import annotations

from collections.abc import Collection

from ...workflows.engine.flow import Derived, Step
from ..parts.gate import cohesive

EVALUATED = ("adsorbed", "host", "bulk", "pristine_host")


def evaluated(answer: Step, potential: str, pristine: Collection[str] | None = None) -> Step:
    """Make the ``adsorption`` step that evaluates a site with another potential, atoms where the first left them.

    Parameters
    ----------
    answer
        The ``adsorption`` step of the site; its relaxations are what is evaluated.
    potential
        Name of the other potential.
    pristine
        Roles of the pristine sites to evaluate (``pristine.0`` …), where not all are needed.

    Returns
    -------
    Step
        Without a gate, and with ``geometry``, the potential that relaxed, in what it is about.
    """
    wanted = {role for role in answer.parents if role in EVALUATED or role.startswith("pristine.")}
    if pristine is not None:
        wanted = {role for role in wanted if role in EVALUATED or role in pristine}
    parents = {role: _single_point(step, potential) for role, step in answer.parents.items() if role in wanted}
    relaxed = answer.parents["adsorbed"].potential
    cohesive_eV, source = cohesive(potential, answer.about["metal"])
    settings = {**answer.parameters, "cohesive_energy_eV": cohesive_eV, "cohesive_source": source}
    return Step("adsorption", settings, parents=parents, about={**answer.about, "geometry": relaxed})


def _single_point(relaxation: Step, potential: str) -> Step:
    return Step("single_point", {}, Derived(relaxation, relaxation.n_atoms), potential=potential, about=relaxation.about)
