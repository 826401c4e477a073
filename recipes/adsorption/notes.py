"""Sentences under the ranking: what its evidence is, and what it is worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ...workflows.analyses.calibration import CONFIDENCE
from ...workflows.stores.result import Result
from ..parts.agreement import agreement
from .adsorption import REFERENCE_SHEET, Row
from .evidence import AdsorptionPlan
from .judgement import AGREED_eV, UNCERTAIN_eV


def evidence_notes(plan: AdsorptionPlan, results: Mapping[str, Result], rows: Sequence[Row], metal: str) -> list[str]:
    """Say what the columns `#`, `DFT`, `calibrated` and `trust` of a metal's table rest on."""
    ours = [row for row in rows if row.metal == metal]
    found = [
        *_trust(ours),
        *_checks(plan, results, ours, metal),
        *_dft(plan, results, ours, metal),
        *_calibration(plan, results, ours, metal),
    ]
    return [f"{sentence}." for sentence in found]


def _trust(rows: Sequence[Row]) -> list[str]:
    if not any(row.judged.flag for row in rows):
        return []
    rule = f"trust: agreed up to a doubt of {AGREED_eV:g} eV, uncertain up to {UNCERTAIN_eV:g} eV"
    reasons = _grouped((row.judged.reason, row.host) for row in rows if row.judged.flag == "do not trust")
    distrusted = [f"{', '.join(hosts)} ({reason})" for reason, hosts in reasons.items()]
    shared = "this potential cannot tell hosts with the same # apart"
    return [f"{rule}; {shared}", *([f"Do not trust {'; '.join(distrusted)}"] if distrusted else [])]


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Collect hosts by what is said of them."""
    found: dict[str, list[str]] = {}
    for words, host in pairs:
        found.setdefault(words, []).append(host)
    return found


def _checks(plan: AdsorptionPlan, results: Mapping[str, Result], rows: Sequence[Row], metal: str) -> list[str]:
    """Compare each other potential's order with ours, and say where one of them fails."""
    found = []
    for (potential, one, host), steps in plan.evidence.checks.items():
        theirs = [results[step.key] for step in steps if step.key in results]
        if one == metal and theirs and not any(result.status.usable for result in theirs):
            found.append(f"{potential} fails on {host}: {theirs[0].message}")
    for other in dict.fromkeys(name for row in rows for name in row.others_eV):
        energies = {row.host: row.others_eV[other] for row in rows if other in row.others_eV}
        ours = {row.host: row.best.scalars[row.column] for row in rows if row.host in energies}
        found.append(f"{other} at the same geometries: {agreement(ours, energies)}")
    weak = "Agreement of potentials trained on alike data proves little: all may miss the same"
    return [*found, *([weak] if any(row.others_eV for row in rows) else [])]


def _dft(plan: AdsorptionPlan, results: Mapping[str, Result], rows: Sequence[Row], metal: str) -> list[str]:
    confirmed = {host: results.get(step.key) for (one, host), step in plan.evidence.confirmed.items() if one == metal}
    here = {host: result for host, result in confirmed.items() if result and result.status.usable}
    shipped = [row.host for row in rows if row.dft_eV is not None and row.host not in here]
    found = []
    if here:
        first = next(iter(here.values()))
        vs_bulk = ", ".join(f"{host} {result.scalars['vs_bulk_eV']:+.2f}" for host, result in here.items())
        found.append(f"DFT: {first.scalars['potential']} at these geometries; vs bulk {vs_bulk} eV")
    if shipped:
        found.append(
            f"DFT{' else' if here else ''}: PBE single points that come with philic, {_against(rows)}, "
            f"for {', '.join(shipped)}"
        )
    known = sorted((row.dft_eV, row.host) for row in rows if row.dft_eV is not None)
    if len(known) > 1:
        found.append(f"DFT's order: {', '.join(host for _, host in known)}")
    found += [
        f"DFT of {host}: {result.message}" for host, result in confirmed.items() if result and not result.status.usable
    ]
    return found


def _against(rows: Sequence[Row]) -> str:
    return "vs pristine" if rows[0].column == "vs_pristine_eV" else "vs bulk"


def _calibration(plan: AdsorptionPlan, results: Mapping[str, Result], rows: Sequence[Row], metal: str) -> list[str]:
    """Say which line calibrates, how well it predicts a host that was left out, and for which hosts it says nothing."""
    step = plan.evidence.calibrations.get(metal)
    if step is None or step.key not in results:
        return []
    s = results[step.key].scalars
    if "slope" not in s:
        return [f"calibrated: {results[step.key].message}"]
    source = "PBE" if step.function == "reference_calibration" else s["source"]
    line = f"{source} = {s['slope']:.2f} x + {s['offset_eV']:.2f} eV".replace("+ -", "- ")
    found = [
        f"calibrated: vs bulk on the line {line} through {', '.join(s['hosts'])}; a host left out is missed by "
        f"{s['left_out_error_eV']:.2f} eV on average; ± holds {CONFIDENCE:.0%} of new hosts"
    ]
    size, adatoms = REFERENCE_SHEET
    other = any((row.best.about["size"], row.best.about["adatoms"]) != REFERENCE_SHEET for row in rows if row.calibrated)
    if step.function == "reference_calibration" and other:
        found.append(f"The line is of {adatoms} atom on {size} sheets: at another coverage it may be another")
    without = [(row.calibrated.scalars.get("not_calibrated", ""), row.host) for row in rows if row.calibrated]
    reasons = _grouped(pair for pair in without if pair[0])
    return found + [f"not calibrated: {', '.join(hosts)} ({reason})" for reason, hosts in reasons.items()]
