"""What is known of a ranking besides itself: calibrations, other potentials, density functional theory. All as steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ase import Atoms

from ...workflows.engine.flow import Flow, Step
from ...workflows.stores.result import Result
from ..parts.calibrations import chemistry, reference_calibration
from ..parts.substrates import PRISTINE, AdatomPlan, is_carbon
from .evaluated import evaluated

Of = tuple[str, str]
"""A metal and a host."""


@dataclass(frozen=True)
class Evidence:
    """Steps beside those that answer the question.

    Attributes
    ----------
    references
        By metal: the potential against PBE on doped carbon (`philic.recipes.parts.calibrations`).
    calibrations
        By metal: what calibrates the ranking, the user's own or else `references`.
    calibrated
        By the key of an answer: its calibrated energy.
    checks
        By another potential, metal and host: the adsorption energy of every site.
    confirmed
        By metal and host: the adsorption energy of the best site by density functional theory.
    """

    references: Mapping[str, Step] = field(default_factory=dict)
    calibrations: Mapping[str, Step] = field(default_factory=dict)
    calibrated: Mapping[str, Step] = field(default_factory=dict)
    checks: Mapping[tuple[str, str, str], Sequence[Step]] = field(default_factory=dict)
    confirmed: Mapping[Of, Step] = field(default_factory=dict)

    @property
    def steps(self) -> list[Step]:
        """Every step."""
        checks = [step for steps in self.checks.values() for step in steps]
        return [
            *self.references.values(),
            *self.calibrations.values(),
            *self.calibrated.values(),
            *checks,
            *self.confirmed.values(),
        ]


@dataclass(frozen=True)
class AdsorptionPlan(AdatomPlan):
    """The plan of the adsorption recipe: the answers, and what speaks for and against them."""

    evidence: Evidence = field(default_factory=Evidence)


def with_evidence(plan: AdatomPlan, evidence: Evidence, complete: bool) -> AdsorptionPlan:
    """Add evidence to a plan."""
    flow = Flow([*plan.flow, *evidence.steps])
    return AdsorptionPlan(flow, plan.answers, plan.gates, plan.substrates, plan.warnings, complete, evidence)


def first_evidence(plan: AdatomPlan, potential: str, others: Sequence[str]) -> Evidence:
    """Make the evidence that needs no results: PBE references with the calibration by them, and other potentials."""
    carbons = {of: steps for of, steps in plan.answers.items() if is_carbon(of[1])}
    with_pristine = {metal for metal, host in carbons if host == PRISTINE}
    references = {metal: step for metal in with_pristine if (step := reference_calibration(metal, potential))}
    checks = {
        (other, *of): [evaluated(answer, other) for answer in steps]
        for other in others
        for of, steps in plan.answers.items()
    }
    return Evidence(references, references, applied(plan, references), checks)


def applied(plan: AdatomPlan, calibrations: Mapping[str, Step]) -> dict[str, Step]:
    """Apply each metal's calibration to every site of its carbons."""
    return {
        answer.key: Step(
            "calibrated",
            {"chemistry": chemistry(plan.substrates[metal, host].given)},
            parents={"adsorption": answer, "calibration": calibrations[metal]},
            about=answer.about,
        )
        for (metal, host), steps in plan.answers.items()
        if metal in calibrations and is_carbon(host)
        for answer in steps
    }


def confirming(plan: AdatomPlan, best: Mapping[Of, Result], chosen: Sequence[Of], theory: str) -> dict[Of, Step]:
    """Evaluate the best site of each chosen host by another level of theory, and the pristine site it is compared with.

    Parameters
    ----------
    plan
        The recipe's steps.
    best
        The best site of each host.
    chosen
        Metals and hosts.
    theory
        Name of the potential that confirms.
    """
    steps = {}
    for metal, host in chosen:
        answers = {step.key: step for step in plan.answers[metal, host]}
        pristine = best.get((metal, PRISTINE))
        answer = answers[best[metal, host].key]
        roles = [
            r for r, step in answer.parents.items() if pristine and step.key == pristine.provenance["parents"]["adsorbed"]
        ]
        steps[metal, host] = evaluated(answer, theory, pristine=[role for role in roles if role.startswith("pristine.")])
    return steps


def calibrating(confirmed: Mapping[Of, Step], plan: AdatomPlan, best: Mapping[Of, Result]) -> dict[str, Step]:
    """Make one calibration for each metal from hosts that another level of theory evaluated."""
    found = {}
    for metal in plan.gates:
        of = [host for one, host in confirmed if one == metal]
        answers = {host: next(s for s in plan.answers[metal, host] if s.key == best[metal, host].key) for host in of}
        parents = {f"raw.{host}": answers[host] for host in of}
        parents |= {f"check_reference.{host}": confirmed[metal, host] for host in of}
        hosts = {host: chemistry(plan.substrates[metal, host].given) for host in of}
        if of:
            found[metal] = Step("calibration", {"chemistry": hosts}, parents=parents, about={"metal": metal})
    return found


def spanning(best: Mapping[Of, Result], hosts: Mapping[str, Atoms], metal: str, n: int) -> list[Of]:
    """Choose the hosts that calibrate: pristine carbon, then in turn the one that adds most.

    What adds most is chemistry that no chosen host has (`philic.recipes.parts.calibrations.chemistry`), one kind of it
    rather than two, and among equals the raw energy farthest from those chosen.

    Parameters
    ----------
    best
        The best site of each host.
    hosts
        The carbons by name.
    metal
        The metal.
    n
        How many.
    """
    raw = {host: best[metal, host].scalars["vs_bulk_eV"] for host in hosts if (metal, host) in best}
    words = {host: set(chemistry(hosts[host])) for host in raw}
    chosen = [PRISTINE] if PRISTINE in raw else []
    while len(chosen) < min(n, len(raw)):
        left = [host for host in raw if host not in chosen]
        had = set().union(*(words[host] for host in chosen))
        far = {host: min((abs(raw[host] - raw[one]) for one in chosen), default=0.0) for host in left}
        single = {host: len(words[host]) <= 1 for host in left}
        chosen.append(max(left, key=lambda host: (single[host], len(words[host] - had), far[host])))
    return [(metal, host) for host in chosen]
