"""A line from a potential's adsorption energies to reference ones, and what its intervals hold."""

import numpy as np
import pytest
from ase import Atoms

from philic.workflows.analyses.calibration import (
    CONFIDENCE,
    calibrated,
    calibration,
    fit,
    line_of,
    not_covered,
    reference_calibration,
)
from philic.workflows.stores.result import Result, Status

FINGERPRINT = {"name": "p", "weights_sha256": "1"}
OTHER = {"name": "dft", "weights_sha256": "2"}
RAW = {"pristine": -1.0, "N": -1.1, "B": -1.3, "P": -1.7, "S": -1.4}
REFERENCE = {
    host: 2 * raw + 2.1 + error for (host, raw), error in zip(RAW.items(), (0.0, 0.1, -0.1, 0.05, -0.05), strict=True)
}
CHEMISTRY = {"pristine": [], "N": ["N"], "B": ["B"], "P": ["P"], "S": ["S"]}


def adsorption(vs_bulk_eV, fingerprint=FINGERPRINT, status=Status.CONVERGED):
    scalars = {"vs_bulk_eV": vs_bulk_eV, "potential": fingerprint["name"]}
    return Result(status, "", scalars, provenance={"fingerprint": fingerprint})


def pairs():
    parents = {f"raw.{host}": adsorption(raw) for host, raw in RAW.items()}
    return parents | {f"check_reference.{host}": adsorption(value, OTHER) for host, value in REFERENCE.items()}


def calibrated_by_pairs():
    outcome = calibration(pairs(), chemistry=CHEMISTRY)
    return Result(outcome.status, outcome.message, outcome.scalars)


def test_the_line_is_numpys():
    line = fit(list(RAW.values()), list(REFERENCE.values()))
    slope, offset = np.polyfit(list(RAW.values()), list(REFERENCE.values()), 1)
    assert (line.slope, line.offset_eV) == pytest.approx((slope, offset))


def test_leave_one_out_errors_are_those_of_lines_fitted_without_the_point():
    x, y = np.array(list(RAW.values())), np.array(list(REFERENCE.values()))
    for index, error in enumerate(fit(x, y).left_out_eV):
        rest = np.arange(len(x)) != index
        slope, offset = np.polyfit(x[rest], y[rest], 1)
        assert error == pytest.approx(slope * x[index] + offset - y[index])


@pytest.mark.parametrize("n", [4, 6, 9])
def test_intervals_hold_as_many_new_points_as_they_say_or_more(n):
    rng = np.random.default_rng(1)
    held = []
    for _ in range(2000):
        x = rng.normal(size=n + 1)
        y = 2 * x + 1 + rng.normal(scale=0.3, size=n + 1)
        line = fit(x[:-1], y[:-1])
        held.append(abs(line.at(x[-1]) - y[-1]) <= line.half_width_eV(x[-1]))
    assert CONFIDENCE - 0.02 < np.mean(held) < 0.97


def test_an_outlier_far_from_the_others_widens_every_interval():
    """It draws the line to itself, so that residuals are small; left out it is missed by far."""
    x, y = [0.0, 0.1, 0.2, 0.3, 3.0], [0.0, 0.4, -0.4, 0.3, 6.0]
    line = fit(x, y)
    residuals = np.array([line.at(one) for one in x]) - y
    assert line.spread_eV > np.sqrt((residuals**2).sum() / 3)


def test_too_few_or_equal_points_give_no_line():
    with pytest.raises(ValueError, match=r"^a calibration needs at least 4 hosts but has 3$"):
        fit([1, 2, 3], [1, 2, 3])
    with pytest.raises(
        ValueError, match=r"^a calibration needs hosts that differ but the potential gives all the same energy$"
    ):
        fit([1, 1, 1, 1], [1, 2, 3, 4])
    with pytest.raises(ValueError, match=r"the same energy$"):
        fit([np.nan] * 4, [1, 2, 3, 4])


def test_errors_are_those_of_differences_to_pristine():
    s = calibration(pairs(), chemistry=CHEMISTRY).scalars
    errors = {h: (RAW[h] - RAW["pristine"]) - (REFERENCE[h] - REFERENCE["pristine"]) for h in RAW if h != "pristine"}
    assert s["mean_error_eV"] == pytest.approx(np.mean([abs(e) for e in errors.values()]))
    assert s["worst_host"] == max(errors, key=lambda host: abs(errors[host]))
    assert s["worst_raw_eV"] - s["worst_reference_eV"] == pytest.approx(errors[s["worst_host"]])
    assert s["kendall_tau"] == pytest.approx(1.0)
    assert s["source"] == "dft"
    turned = {role: adsorption(-r.scalars["vs_bulk_eV"], OTHER) if "reference" in role else r for role, r in pairs().items()}
    assert calibration(turned, chemistry=CHEMISTRY).scalars["kendall_tau"] == pytest.approx(-1.0)
    assert calibration(turned, chemistry=CHEMISTRY).scalars["slope"] == pytest.approx(-s["slope"])


def test_a_host_without_both_energies_is_left_out():
    some = pairs() | {"raw.S": Result(Status.FAILED, "exploded")}
    assert calibration(some, chemistry=CHEMISTRY).scalars["hosts"] == ["pristine", "N", "B", "P"]
    few = {role: result for role, result in pairs().items() if role.endswith(("pristine", "N"))}
    outcome = calibration(few, chemistry={"pristine": [], "N": ["N"]})
    assert outcome.message == "no line: a calibration needs at least 4 hosts but has 2"
    assert "slope" not in outcome.scalars
    none = {role: Result(Status.FAILED, "") for role in pairs()}
    assert calibration(none, chemistry=CHEMISTRY).message == "no host has both energies"


def test_a_site_gets_the_value_on_the_line_and_its_interval():
    by = calibrated_by_pairs()
    line = line_of(by.scalars)
    outcome = calibrated({"adsorption": adsorption(-1.2), "calibration": by}, chemistry=["N"])
    assert outcome.scalars["calibrated_vs_bulk_eV"] == pytest.approx(line.at(-1.2))
    assert outcome.scalars["calibrated_interval_eV"] == pytest.approx(line.half_width_eV(-1.2))
    assert outcome.message == f"{line.at(-1.2):+.2f} ± {line.half_width_eV(-1.2):.2f} eV"
    far = calibrated({"adsorption": adsorption(-1.7), "calibration": by}, chemistry=["N"])
    assert far.scalars["calibrated_interval_eV"] > outcome.scalars["calibrated_interval_eV"]


def test_what_a_calibration_does_not_cover_is_refused_with_a_sentence():
    by = calibrated_by_pairs()
    assert not_covered(by.scalars, -1.2, ["N", "B"]) == ""
    assert not_covered(by.scalars, -1.2, ["O", "F"]) == "no host of the calibration has O or F"
    assert not_covered(by.scalars, -2.5, []) == "-2.50 eV lies outside the calibration's -1.70 to -1.00 eV"
    assert not_covered({"n_points": 3}, -1.2, []) == "the calibration has only 3 hosts"
    outcome = calibrated({"adsorption": adsorption(-1.2), "calibration": by}, chemistry=["O"])
    assert outcome.scalars == {"not_calibrated": "no host of the calibration has O"}
    failed = calibrated({"adsorption": Result(Status.FAILED, ""), "calibration": by}, chemistry=[])
    assert failed.scalars == {"not_calibrated": "it has no adsorption energy"}


def test_reference_calibration_subtracts_host_and_metal():
    def energy(value, n_atoms=1):
        atoms = Atoms("C" * n_atoms, cell=[5, 5, 5], pbc=True)
        given = {"energy_eV": value}
        return Result(
            Status.CONVERGED, "", given, {"initial": atoms, "final": atoms}, provenance={"fingerprint": FINGERPRINT}
        )

    parents = {"bulk": energy(-2.0, 2)}
    for host, raw in RAW.items():
        parents |= {f"host.{host}": energy(-50.0), f"adsorbed.{host}": energy(-50.0 - 1.0 + raw)}
    s = reference_calibration(parents, reference_vs_bulk_eV=REFERENCE, chemistry=CHEMISTRY, source="PBE").scalars
    assert s["raw_vs_bulk_eV"] == pytest.approx(list(RAW.values()))
    assert s["reference_vs_bulk_eV"] == list(REFERENCE.values())
    assert s["chemistry"] == ["B", "N", "P", "S"]
