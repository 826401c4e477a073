"""The tables of migration barriers: every jump, and how the jumps of each host percolate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from ...workflows.engine.flow import Step
from ...workflows.stores.result import Result, Status
from ..parts.agreement import agreement
from ..parts.lattices import host_notes
from ..parts.styles import new_table
from .jumps import Jumping, Plan

SOFTENING = (
    "Universal machine-learned potentials are too soft away from equilibrium, so barriers tend to come out low "
    "(B. Deng et al., npj Comput. Mater. 11, 9, 2025): compare hosts and metals rather than trust one number."
)

SIZE = "± size: what the size of the periodic cell may still change in a barrier, of which two cells give the limit."

APART = 2.0
"""Where D along the fastest direction is more than so many times that along the slowest, both are reported."""


def headline(parameters: Jumping, plan: Plan) -> str:
    """Say in a few words what is asked: ``Li, K in 2 hosts, 5 jumps``."""
    if not plan.complete:
        words = f"{', '.join(parameters.metal)} with {len(parameters.hosts)} hosts, {len(_tried(plan))} sites to try"
        return f"{words}; the jumps are those between sites that hold the metal"
    hosts = len({(metal, host) for metal, host, _ in plan.jumps})
    jumps = sum(len(steps) for steps in plan.jumps.values())
    return f"{', '.join(parameters.metal)} in {hosts} hosts, {jumps} distinct jumps"


def overview(_: Jumping, plan: Plan) -> RenderableType:
    """Table of the hosts with their jumps."""
    if not plan.complete:
        return _sites(plan)
    table = new_table(
        "hosts, and the distinct jumps of the metal", ("metal", "host"), ("atoms",), ("jumps",), folds=("jumps",)
    )
    for (metal, host, _mechanism), steps in plan.jumps.items():
        atoms = str(steps[0].parents["band"].n_atoms)
        table.add_row(metal, host, atoms, ", ".join(str(step.about["site"]) for step in steps))
    return table


def _sites(plan: Plan) -> RenderableType:
    """Table of the sites that are tried."""
    tried: dict[tuple[str, str], list[str]] = {}
    for step in _tried(plan):
        tried.setdefault((step.about["metal"], step.about["host"]), []).append(step.about["site"])
    table = new_table("hosts, and the sites that are tried", ("metal", "host", "sites"), folds=("sites",))
    for (metal, host), sites in tried.items():
        table.add_row(metal, host, ", ".join(sites))
    return table


def _tried(plan: Plan) -> list[Step]:
    """The steps that decide which sites hold the metal."""
    return [step for step in plan.flow if "site" in step.about and "mechanism" not in step.about]


def tables(plan: Plan, results: Mapping[str, Result]) -> Iterator[RenderableType]:
    """Every jump with its barriers; then percolation through each host."""
    yield jumps(plan, results)
    yield percolation_table(plan, results)


def jumps(plan: Plan, results: Mapping[str, Result]) -> RenderableType:
    """Table of the jumps of every host: forward and reverse barrier, and what they can be trusted for."""
    found = {step.key: results[step.key] for steps in plan.jumps.values() for step in steps if step.key in results}
    check = next(
        (result.scalars["check_potential"] for result in found.values() if "check_forward_eV" in result.scalars), ""
    )
    words = ("metal", "host", "jump")
    numbers = ("length Å", "forward", *([check] if check else []), "reverse", "± size", "end - start")
    table = new_table("barriers of every distinct jump (eV)", words, numbers, ("trust",), folds=words)
    notes: list[str] = []
    for (metal, host, _), steps in plan.jumps.items():
        for step in steps:
            if result := found.get(step.key):
                table.add_row(metal, host, str(step.about["site"]), *_numbers(result, bool(check)))
                sentences = [*_other(step.about), *_notes(result)]
                notes += [f"{metal} in {host}, {step.about['site']}: {sentence}." for sentence in sentences]
    for key, substrate in plan.substrates.items():
        bands = [step.parents.get(role) for step in plan.jumps[key] for role in ("band", "check_band")]
        potentials = dict.fromkeys(band.potential for band in bands if band and band.potential)
        notes += [note for potential in potentials for note in host_notes([substrate], potential, results)]
    sized = [SIZE] if any("size_error_eV" in result.scalars for result in results.values()) else []
    checked = [f"{check}, with bands of its own: {_agreement(found)}."] if check else []
    return Group(table, Text("\n".join([*dict.fromkeys(notes), *sized, *checked, SOFTENING])))


def _agreement(jumps: Mapping[str, Result]) -> str:
    """Say how far two potentials agree on forward barriers."""
    both = {key: result.scalars for key, result in jumps.items() if "check_forward_eV" in result.scalars}
    ours, theirs = ({key: s[name] for key, s in both.items()} for name in ("barrier_forward_eV", "check_forward_eV"))
    return agreement(ours, theirs)


def percolation_table(plan: Plan, results: Mapping[str, Result]) -> RenderableType:
    """Table of the hosts: in how many dimensions the jumps percolate, what limits them, and the diffusivity."""
    found = {key: results[step.key] for key, step in plan.networks.items() if step.key in results}
    kelvins = next((_temperatures(result) for result in found.values() if _temperatures(result)), [])
    table = new_table(
        "percolation: in how many dimensions, and what limits it (D in cm²/s)",
        ("metal", "host", "by", "dimensions", "limiting eV", "limiting jump"),
        [*(f"D {kelvin} K" for kelvin in kelvins), "Ea eV"],
        folds=("limiting jump",),
    )
    notes = []
    for (metal, host, mechanism), result in found.items():
        scalars = result.scalars
        directions = scalars.get("percolates_in") or 0
        none = "none" if "percolates_in" in scalars else result.status.value
        limits = [str(directions), f"{scalars[f'limiting_barrier_{directions}d_eV']:.3f}"] if directions else [none, ""]
        numbers = [_scientific(scalars.get(f"diffusivity_{kelvin}K_cm2_per_s")) for kelvin in kelvins]
        energy = scalars.get("activation_energy_eV")
        table.add_row(
            metal,
            host,
            mechanism,
            *limits,
            scalars.get(f"limiting_hop_{directions}d", ""),
            *numbers,
            "" if energy is None else f"{energy:.3f}",
        )
        sentences = [result.message] if result.message != "converged" else []
        sentences += [*_by_direction(scalars, kelvins), *_doubtful(plan.jumps[metal, host, mechanism], results)]
        notes += [f"{metal} in {host} by {mechanism}: {sentence}." for sentence in sentences]
    meanings = sorted({result.scalars["diffusivity_of"] for result in found.values() if "diffusivity_of" in result.scalars})
    about_D = [f"D is the diffusivity of {meaning}." for meaning in meanings]
    if any(key not in plan.networks for key in plan.jumps):
        about_D.append("A jump beside another metal atom is not a step of a random walk: no diffusivity follows from it.")
    return Group(table, Text("\n".join([*about_D, *notes])))


def _by_direction(scalars: Mapping[str, Any], kelvins: Iterable[str]) -> list[str]:
    """Give D along the slowest and the fastest direction where they are far from each other."""
    spreads = []
    for kelvin in kelvins:
        slow, fast = (scalars.get(f"{which}_{kelvin}K_cm2_per_s", 0.0) for which in ("slowest", "fastest"))
        if fast > APART * slow:
            spreads.append(f"{slow:.1e} to {fast:.1e} at {kelvin} K")
    return [f"D is an average over directions; from slowest to fastest it is {', '.join(spreads)}"] if spreads else []


def _doubtful(jumps: Sequence[Step], results: Mapping[str, Result]) -> list[str]:
    """Say how many of the jumps that a walk is made of are doubtful."""
    n = sum(results[step.key].scalars.get("trust") == "doubtful" for step in jumps if step.key in results)
    return [f"{n} of {len(jumps)} jumps {'is' if n == 1 else 'are'} doubtful, and so is what follows from them"] if n else []


def _temperatures(result: Result) -> list[str]:
    ends = ("diffusivity_", "K_cm2_per_s")
    return [
        name.removeprefix(ends[0]).removesuffix(ends[1])
        for name in result.scalars
        if name.startswith(ends[0]) and name.endswith(ends[1])
    ]


def _numbers(result: Result, checked: bool) -> list[str]:
    scalars = result.scalars
    if "barrier_forward_eV" not in scalars:
        return [*[""] * (5 + checked), result.status.value]
    forward, reverse, reaction = (
        scalars[name] for name in ("barrier_forward_eV", "barrier_reverse_eV", "reaction_energy_eV")
    )
    size = f"{scalars['size_error_eV']:.3f}" if "size_error_eV" in scalars else ""
    difference = f"{round(reaction, 3) + 0.0:+.3f}"  # a zero without its sign
    other = [f"{scalars['check_forward_eV']:.3f}" if "check_forward_eV" in scalars else ""] * checked
    return [f"{scalars['length_A']:.2f}", f"{forward:.3f}", *other, f"{reverse:.3f}", size, difference, scalars["trust"]]


def _other(about: Mapping[str, Any]) -> list[str]:
    """Say where the other atom is that a jump is beside: it may lead away from it, or around it."""
    if "beside_A" not in about:
        return []
    return [
        f"the other {about['metal']} is {about['beside_A']:.2f} Å from the start, {about['beside_end_A']:.2f} Å from the end"
    ]


def _notes(result: Result) -> list[str]:
    """What a reader must know of a jump that its cells do not say."""
    if result.status is Status.FAILED or "doubts" not in result.scalars:
        return [result.message]
    sentences = result.scalars["doubts"].split("; ") if result.scalars["doubts"] else []
    if result.scalars["n_parts"] > 1 or result.scalars["collision"]:
        sentences += result.message.split("; ")
    return ["; ".join(dict.fromkeys(sentences))] if sentences else []


def _scientific(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}"
