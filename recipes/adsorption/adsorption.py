"""Which site of which host binds the metal most strongly? Adsorption of Li, Na or K on carbons, slabs and sheets."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, Self

import numpy as np
from ase import Atoms
from pydantic import (
    Field,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from ...potentials import card
from ...structures.sites.adatoms import adatom_spacing_A, place_adatoms, spread_sites
from ...structures.sites.resting import same_places
from ...structures.sites.sites import Site, adsorption_sites
from ...workflows.analyses.calibration import LEAST_POINTS
from ...workflows.engine.flow import Derived, Step
from ...workflows.stores.result import Result, Status
from ..parts.gate import MetalSteps, metal_steps
from ..parts.kinds import Known, OneOrMore, OtherPotentials, PotentialName, no_results
from ..parts.lattices import Substrate
from ..parts.substrates import KINDS, PRISTINE, AdatomPlan, Substrates, adatom_plan, carbon_name, is_carbon
from .evidence import AdsorptionPlan, Evidence, applied, calibrating, confirming, first_evidence, spanning, with_evidence
from .judgement import NOTHING_KNOWN, Judged, classes, judge

SAME_MINIMUM_eV = 0.002
"""Relaxations that end on the same place and no farther apart than this ended in the same minimum."""
REFERENCE_FUNCTIONAL = "PBE"
"""Of the energies that come with philic; those of another level of theory are not put beside them."""
REFERENCE_SHEET = ("4x4", 1)
"""Size, and number of metal atoms, of the sheets that those energies are of."""
SAME_PLACE_eV = 0.1
"""A site whose energy is farther than this from the potential's own at the references' geometry is another place."""
ADATOM_HEIGHT_A = 4.0
"""No bound Li, Na or K stands higher over a sheet."""


class Adsorption(Substrates):
    """Parameters of the recipe."""

    dopants: OneOrMore = Field((), description="what replaces carbon: N, O-B (bonded), O-C-B (one carbon between)")
    hosts: OneOrMore = Field(
        (), description="carbons (vacancy, pyridinic-3N, Co-N4 …), faces of crystals (Cu(111), MF(100)), sheets, files"
    )
    adatoms: PositiveInt = Field(1, description="metal atoms per sheet")
    sites: Annotated[OneOrMore, Field(min_length=1)] = Field(KINDS, description="kinds of sites: top, bridge, hollow")
    near_A: PositiveFloat | Literal["all"] = Field(2.0, description="sites up to this far from the defect, or `all`")
    fmax_eV_per_A: PositiveFloat = Field(0.02, description="largest force at the end of a relaxation")
    max_steps: PositiveInt = Field(300, description="largest number of optimiser steps of a relaxation")
    stayed_A: PositiveFloat = Field(0.6, description="a metal atom that moved less than this laterally stayed at its site")
    desorbed_A: PositiveFloat = Field(5.0, description="a metal atom farther than this from every host atom has desorbed")
    cross_check: OtherPotentials = Field((), description="other potentials that evaluate every site")
    confirm: PotentialName | None = Field(None, description="potential that evaluates the best hosts, such as ase:gpaw")
    top: PositiveInt = Field(3, description="how many hosts `confirm` evaluates, beside pristine carbon")
    calibrate: PotentialName | None = Field(None, description="potential, such as ase:gpaw, that calibrates the ranking")
    points: PositiveInt = Field(6, ge=LEAST_POINTS, description="how many hosts `calibrate` evaluates")

    @field_validator("dopants")
    @classmethod
    def _known_dopants(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(dict.fromkeys(carbon_name(name) for name in names))
        except ValueError as error:
            raise ValueError(str(error).replace("`name`", "`dopants`")) from error

    @model_validator(mode="after")
    def _confirmed_by_another(self) -> Self:
        for name in ("confirm", "calibrate"):
            if getattr(self, name) == self.potential:
                raise ValueError(f"`{name}` is {self.potential!r} but must be another than `potential`")
        if self.confirm and self.calibrate and self.confirm != self.calibrate:
            raise ValueError(f"`confirm` is {self.confirm!r} but `calibrate` is {self.calibrate!r}: name the same")
        for name, of in (("top", "confirm"), ("points", "calibrate")):
            if getattr(self, name) != type(self).model_fields[name].default and not getattr(self, of):
                raise ValueError(f"`{name}` is {getattr(self, name)} but means nothing without `{of}`")
        n_carbons = sum(map(is_carbon, self.names))
        if self.calibrate and n_carbons < LEAST_POINTS:
            raise ValueError(
                f"`calibrate` needs {LEAST_POINTS} hosts of carbon but has {n_carbons}: name more in `hosts` or `dopants`"
            )
        return self

    @property
    def others(self) -> list[str]:
        """The potentials that check the ranking, apart from its own."""
        return [name for name in self.cross_check if name != self.potential]

    @property
    def theory(self) -> str | None:
        """The potential that confirms or calibrates."""
        return self.confirm or self.calibrate

    @property
    def names(self) -> tuple[str, ...]:
        """Every host by name; the pristine sheet first unless there is no carbon to be compared with it."""
        carbons = self.dopants or not self.hosts or any(map(is_carbon, self.hosts))
        return tuple(dict.fromkeys((*([PRISTINE] if carbons else []), *self.hosts, *self.dopants)))

    @property
    def relaxation(self) -> dict[str, Any]:
        """Parameters of the `relax` steps."""
        return {"fmax_eV_per_A": self.fmax_eV_per_A, "max_steps": self.max_steps}


def plan(parameters: Adsorption, known: Known = no_results) -> AdsorptionPlan:
    """Make every structure and step of the recipe; computes nothing.

    What confirms or calibrates is planned when the relaxations are known, for the hosts that they choose.

    Raises
    ------
    ValueError
        If the potential does not know an element, or a sheet is too small for its defect or its adatoms.
    """
    potential = card(parameters.potential)
    answers: dict[tuple[str, str], list[Step]] = {}
    substrates: dict[tuple[str, str], Substrate] = {}
    gates = {}
    nearest: list[tuple[float, str]] = []
    for metal in parameters.metal:
        here = {name: parameters.substrate(name, metal) for name in parameters.names}
        substrates |= {(metal, name): substrate for name, substrate in here.items()}
        hosts = {name: substrate.given for name, substrate in here.items()}
        for name in filter(None, (parameters.potential, *parameters.others, parameters.theory)):
            card(name).check_elements({symbol for host in hosts.values() for symbol in host.symbols} | {metal})
        sites = {name: adsorption_sites(host) for name, host in hosts.items()}
        nearest += [(_spacing_A(parameters, metal, host, sites[name]), name) for name, host in hosts.items()]
        clean = {name: substrate.clean(parameters.potential, parameters.relaxation) for name, substrate in here.items()}
        references = metal_steps(metal, parameters.potential)
        gates[metal] = references.gate
        pristine: list[Step] = []
        if PRISTINE in hosts:
            chosen = _chosen(parameters, sites[PRISTINE], PRISTINE, {*parameters.sites, "hollow"})
            pristine = [_on_site(parameters, metal, clean[PRISTINE], hosts[PRISTINE], site) for site in chosen]
        for name, host in hosts.items():
            chosen = [] if name == PRISTINE else _chosen(parameters, sites[name], name, parameters.sites)
            adsorbed = [_on_site(parameters, metal, clean[name], host, site) for site in chosen] or pristine
            compared = pristine if is_carbon(name) else []
            answers[metal, name] = [_adsorption(parameters, step, clean, compared, references) for step in adsorbed]
    warnings = _warnings(parameters, *min(nearest), potential.cutoff_A)
    first = adatom_plan(answers, gates, substrates, parameters.potential, warnings)
    evidence = first_evidence(first, parameters.potential, parameters.others)
    if parameters.theory is None:
        return with_evidence(first, evidence, complete=True)
    return _second(parameters, first, evidence, known)


def _second(parameters: Adsorption, first: AdatomPlan, evidence: Evidence, known: Known) -> AdsorptionPlan:
    """Add what confirms and calibrates once the best sites are known."""
    keys = {step.key for steps in first.answers.values() for step in steps} | {step.key for step in first.flow}
    results = known(keys)
    if not all(step.key in results and results[step.key].status.final for steps in first.answers.values() for step in steps):
        first = replace(first, warnings=[*first.warnings, _to_come(parameters, first)])
        return with_evidence(first, evidence, complete=False)
    rows = analyse(with_evidence(first, evidence, complete=True), results)
    best = {(row.metal, row.host): row.best for row in rows if row.rank}
    confirmed, calibrations = {}, dict(evidence.calibrations)
    if parameters.calibrate:
        carbons = {name: first.substrates[parameters.metal[0], name].given for name in parameters.names if is_carbon(name)}
        chosen = [of for metal in parameters.metal for of in spanning(best, carbons, metal, parameters.points)]
        confirmed = confirming(first, best, chosen, parameters.calibrate)
        calibrations |= calibrating(confirmed, first, best)
    if parameters.confirm:
        ranked = [(row.metal, row.host) for row in rows if row.rank]
        wanted = [of for metal in parameters.metal for of in [one for one in ranked if one[0] == metal][: parameters.top]]
        wanted += [of for metal in parameters.metal if (of := (metal, PRISTINE)) in best and of not in wanted]
        confirmed = {**confirmed, **confirming(first, best, wanted, parameters.confirm)}
    assert parameters.theory
    theory = card(parameters.theory)
    more = replace(evidence, calibrations=calibrations, calibrated=applied(first, calibrations))
    if not theory.slow:  # it is another potential, not a reference
        checks = {(theory.name, *of): [step] for of, step in confirmed.items()}
        return with_evidence(first, replace(more, checks=checks | dict(evidence.checks)), complete=True)
    references = evidence.references if theory.functional == REFERENCE_FUNCTIONAL else {}
    more = replace(more, references=references, confirmed=confirmed)
    return with_evidence(first, more, complete=True)


def _to_come(parameters: Adsorption, first: AdatomPlan) -> str:
    """Say what a confirmation or a calibration will cost."""
    assert parameters.theory
    theory = card(parameters.theory)
    most = max(parameters.top + 1 if parameters.confirm else 0, parameters.points if parameters.calibrate else 0)
    hosts = [substrate.given for (metal, _), substrate in first.substrates.items() if metal == parameters.metal[0]]
    n_hosts = min(most, len(hosts))
    n = len(parameters.metal) * n_hosts + n_hosts
    minutes = n * np.mean([len(host) for host in hosts]) * theory.seconds_per_atom_call / 60
    return f"once the best sites are known, {theory.name} evaluates about {n} structures, in about {minutes:.0f} min"


def _chosen(parameters: Adsorption, sites: Sequence[Site], host: str, kinds: Collection[str]) -> list[Site]:
    """Choose the sites of a host that are asked for.

    The pristine sheet's hollow is always among them: a metal atom put exactly over an atom or a bond of it stays there by
    symmetry, and no host must be ranked against a saddle point.
    """
    near_A = np.inf if parameters.near_A == "all" else parameters.near_A
    chosen = [site for site in sites if site.distance_A <= near_A and site.kind in kinds]
    if not chosen:
        words = " or ".join(parameters.sites)
        if np.isinf(near_A):
            raise ValueError(f"`sites` is {words} but {host} has no such site: name other kinds ({', '.join(KINDS)})")
        raise ValueError(f"`near_A` is {near_A} but {host} has no {words} site that near: raise it, or give `all`")
    return chosen


def _on_site(parameters: Adsorption, metal: str, clean: Step, host: Atoms, site: Site) -> Step:
    anchors = spread_sites(host, site, parameters.adatoms)
    place = {"metal": metal, "anchors": anchors, "face": site.face}
    structure = Derived(clean, len(host) + parameters.adatoms, "place_adatoms", place)
    about = {
        "metal": metal,
        **clean.about,
        "site": site.label,
        "kind": site.kind,
        "adatoms": parameters.adatoms,
        "size": "x".join(map(str, host.info.get("philic", {}).get("size", [1, 1]))),
    }
    return Step("relax", parameters.relaxation, structure, potential=clean.potential, about=about)


def _adsorption(
    parameters: Adsorption,
    adsorbed: Step,
    clean: Mapping[str, Step],
    pristine: Sequence[Step],
    references: MetalSteps,
) -> Step:
    settings = {
        "n_metal": parameters.adatoms,
        "cohesive_energy_eV": references.cohesive_energy_eV,
        "cohesive_source": references.cohesive_source,
        "stayed_A": parameters.stayed_A,
        "desorbed_A": parameters.desorbed_A,
    }
    parents = {
        "adsorbed": adsorbed,
        "host": clean[adsorbed.about["host"]],
        "bulk": references.bulk,
        "gate": references.gate,
        **({"pristine_host": clean[PRISTINE]} if pristine else {}),
        **{f"pristine.{i}": step for i, step in enumerate(pristine)},
    }
    return Step("adsorption", settings, parents=parents, about=adsorbed.about)


def _spacing_A(parameters: Adsorption, metal: str, host: Atoms, sites: Sequence[Site]) -> float:
    """Shortest distance between adatoms, their images included."""
    site = min(sites, key=lambda site: site.kind != "hollow")
    anchors = spread_sites(host, site, parameters.adatoms)
    return adatom_spacing_A(place_adatoms(host, metal, anchors, face=site.face), parameters.adatoms)


def _warnings(parameters: Adsorption, spacing_A: float, host: str, cutoff_A: float) -> list[str]:
    """Say when a check checks nothing, and when an adatom feels another or its image, beside it or through the vacuum."""
    sentences = []
    if parameters.cross_check and not parameters.others:
        sentences.append(f"{parameters.potential} is the potential itself: it checks nothing")
    if parameters.theory and not card(parameters.theory).slow:
        sentences.append(f"{parameters.theory} is no density functional theory: it counts as a cross-check")
    if not np.isfinite(cutoff_A):
        return sentences
    if spacing_A <= cutoff_A:
        mend = "a larger `size`" if is_carbon(host) else "a larger `min_image_A`"
        sentences.append(
            f"adatoms or their images are {spacing_A:.2f} Å apart, within the potential's cutoff of {cutoff_A:g} Å, and "
            f"feel each other; take {mend} if that is not meant"
        )
    if parameters.vacuum_A - ADATOM_HEIGHT_A <= cutoff_A:
        sentences.append(
            f"`vacuum_A` is {parameters.vacuum_A:g}, so an adatom is within the potential's cutoff of {cutoff_A:g} Å of "
            f"the next sheet: take at least {cutoff_A + ADATOM_HEIGHT_A:g}"
        )
    return sentences


@dataclass(frozen=True)
class Row:
    """One host in the ranked table: its best site and how that ended; no rank if unconverged or no longer the same host.

    Hosts that cannot be told apart share a rank. ``column`` names the energy that is judged and compared, of others and of
    density functional theory too: relative to pristine carbon, or against the bulk metal where a host has no pristine form.
    """

    rank: int | None
    metal: str
    host: str
    best: Result
    column: str = "vs_pristine_eV"
    others_eV: Mapping[str, float] = field(default_factory=dict)
    dft_eV: float | None = None
    judged: Judged = NOTHING_KNOWN
    calibrated: Result | None = None


def analyse(plan: AdsorptionPlan, results: Mapping[str, Result]) -> list[Row]:
    """Pick each host's best site and rank the hosts of each metal in classes, strongest adsorption first.

    A host's best site is the lowest in energy among the converged ones where the host kept its bonds; a host with none is
    listed last, unranked.

    Parameters
    ----------
    plan
        The recipe's steps.
    results
        What the store has of them, by key.
    """
    rows = []
    for metal in plan.gates:
        found = [
            (host, _best(_host(plan, (metal, host), results), [results[step.key] for step in steps if step.key in results]))
            for (of_metal, host), steps in plan.answers.items()
            if of_metal == metal and any(step.key in results for step in steps)
        ]
        found.sort(key=lambda pair: _order(pair[1]))
        relative = all(best.scalars.get("vs_pristine_eV") is not None for _, best in found if _sound(best))
        column = "vs_pristine_eV" if relative else "vs_bulk_eV"
        judged = [_row(plan, results, metal, host, best, column) for host, best in found]
        ranked = [row for row in judged if _sound(row.best)]
        places = classes([row.best.scalars["vs_bulk_eV"] for row in ranked], [row.judged.doubt_eV for row in ranked])
        rows += [replace(row, rank=place) for row, place in zip(ranked, places, strict=True)]
        rows += [row for row in judged if not _sound(row.best)]
    return rows


def _row(plan: AdsorptionPlan, results: Mapping[str, Result], metal: str, host: str, best: Result, column: str) -> Row:
    """Collect what is known of a host, and judge its energy by it."""
    evidence = plan.evidence
    others = {}
    for (potential, *of), steps in evidence.checks.items():
        theirs = [results[step.key] for step in steps if of == [metal, host] and step.key in results]
        if sound := [result for result in theirs if _sound(result) and result.scalars.get(column) is not None]:
            lowest = min(sound, key=_order)
            short = lowest.scalars["potential"]  # without its folder
            others[potential if short in others else short] = lowest.scalars[column]
    raw_eV, dft_eV = best.scalars.get(column), _dft_eV(plan, results, metal, host, best, column)
    judged = NOTHING_KNOWN
    if raw_eV is not None and not (host == PRISTINE and column == "vs_pristine_eV"):
        typical_eV = _typical_eV(plan, results, metal, column) if is_carbon(host) else None
        judged = judge(raw_eV, others, dft_eV, typical_eV)
    step = evidence.calibrated.get(best.key)
    return Row(None, metal, host, best, column, others, dft_eV, judged, results.get(step.key) if step else None)


def _typical_eV(plan: AdsorptionPlan, results: Mapping[str, Result], metal: str, column: str) -> float | None:
    """Mean error of the potential on the hosts that calibrate it."""
    known = _scalars(plan.evidence.calibrations.get(metal), results)
    if column == "vs_pristine_eV" or "raw_vs_bulk_eV" not in known:
        return known.get("mean_error_eV")
    return float(np.abs(np.subtract(known["raw_vs_bulk_eV"], known["reference_vs_bulk_eV"])).mean())


def _dft_eV(
    plan: AdsorptionPlan, results: Mapping[str, Result], metal: str, host: str, best: Result, column: str
) -> float | None:
    """Find what density functional theory says of a host: computed in this run, or among the references."""
    confirmed = plan.evidence.confirmed.get((metal, host))
    if confirmed and confirmed.key in results and results[confirmed.key].status.usable:
        value: float | None = results[confirmed.key].scalars.get(column)
        return value
    known = _scalars(plan.evidence.references.get(metal), results)
    vs_bulk_eV = dict(zip(known.get("hosts", ()), known.get("reference_vs_bulk_eV", ()), strict=True))
    about = plan.answers[metal, host][0].about
    if host not in vs_bulk_eV or (about["size"], about["adatoms"]) != REFERENCE_SHEET:
        return None
    there_eV = dict(zip(known["hosts"], known["raw_vs_bulk_eV"], strict=True))[host]
    if abs(there_eV - best.scalars.get("vs_bulk_eV", np.inf)) > SAME_PLACE_eV:
        return None
    found: float = vs_bulk_eV[host]
    return found - vs_bulk_eV[PRISTINE] if column == "vs_pristine_eV" else found


def _scalars(step: Step | None, results: Mapping[str, Result]) -> Mapping[str, Any]:
    return results[step.key].scalars if step and step.key in results else {}


def _host(plan: AdatomPlan, of: tuple[str, str], results: Mapping[str, Result]) -> Atoms:
    """Give the host of some sites, as built."""
    potential = plan.answers[of][0].parents["host"].potential
    assert potential is not None
    return plan.substrates[of].built(potential, lambda keys: {key: results[key] for key in keys if key in results})


def _best(host: Atoms, results: Sequence[Result]) -> Result:
    """The lowest of a host's sites; of several starts that ended in its minimum, the one that moved least.

    A minimum is a place: fcc and hcp hollows may differ by less than the relaxations do.
    """
    lowest = min(results, key=_order)
    unsound, lowest_eV = _order(lowest)
    near = [r for r in results if _order(r) <= (unsound, lowest_eV + SAME_MINIMUM_eV) and "final" in r.structures]
    same = [r for r in near if same_places(host, lowest.structures["final"], r.structures["final"])]
    return min(same, key=lambda result: result.scalars.get("shift_A", 0.0), default=lowest)


def _order(result: Result) -> tuple[bool, float]:
    energy = result.scalars.get("vs_bulk_eV")
    return not _sound(result), float("inf") if energy is None else energy


def _sound(result: Result) -> bool:
    return result.status is Status.CONVERGED and bool(result.scalars.get("host_kept_bonds", True))
