"""What is said against a barrier, sentence by sentence, and how far it is trusted."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk

from philic.workflows.analyses.migration import migration
from philic.workflows.stores.result import Result, Status

SCALARS = {
    "barrier_forward_eV": 0.5,
    "barrier_reverse_eV": 0.4,
    "reaction_energy_eV": 0.1,
    "closure_eV": 0.0,
    "climb_forward_eV": 0.5,
    "climb_reverse_eV": 0.4,
    "path_length_A": 3.0,
    "clearance_A": 2.0,
    "collision": False,
    "n_images": 5,
    "n_parts": 1,
    "mirror": False,
    "climbing": True,
}


def result(function, scalars, *, moved_A=0.1, name="emt", status=Status.CONVERGED, message="converged"):
    start = bulk("Cu", cubic=True)
    end = start.copy()
    end.positions[0, 0] += moved_A * 4 / 3  # the mean of the four is taken off
    structures = {"initial": start, "final": end}
    provenance = {"fingerprint": {"name": name}}
    fields = {"scalars": scalars, "structures": structures, "arrays": {"path_A": np.zeros(2)}}
    return Result(status, message, key=name + function, function=function, about={}, provenance=provenance, **fields)


def judged(
    *,
    check=None,
    check_start_A=0.1,
    start_A=0.1,
    apart_A=10.0,
    modes=None,
    status=Status.CONVERGED,
    message="converged",
    **scalars,
):
    parents = {
        "band": result("neb", SCALARS | scalars, status=status, message=message),
        "start_site": result("relax", {}, moved_A=start_A),
        "end_site": result("relax", {}),
    }
    if check:
        ends = {f"check_{role}_site": result("relax", {}, moved_A=check_start_A) for role in ("start", "end")}
        parents |= {"check_band": check, **ends}
    return migration(parents | (modes or {}), image_distance_A=apart_A)


def modes(start_THz, saddle_THz, end_THz=(2.0, 3.0, 4.0), **more):
    vibrations = {"start_modes": start_THz, "saddle_modes": saddle_THz, "end_modes": end_THz}
    return {
        role: replace(
            result("vibrations", {"n_imaginary": int((np.array(found) < 0).sum())}, **more),
            arrays={"frequencies_THz": np.array(found)},
        )
        for role, found in vibrations.items()
    }


def second(forward_eV, **more):
    return result("neb", SCALARS | {"barrier_forward_eV": forward_eV}, name="chgnet:r2scan", **more)


def test_of_one_potential_with_nothing_against_it_a_barrier_is_plain():
    outcome = judged()
    assert outcome.scalars["trust"] == "plain"
    assert outcome.scalars["doubts"] == ""
    assert outcome.scalars["start_moved_A"] == pytest.approx(0.1)


def test_two_potentials_agree_within_a_tenth_of_an_electronvolt():
    assert judged(check=second(0.59)).scalars["trust"] == "agreed"
    apart = judged(check=second(0.30)).scalars
    assert apart["trust"] == "doubtful"
    assert apart["spread_eV"] == pytest.approx(0.2)
    assert apart["doubts"] == "chgnet:r2scan says 0.300 eV, 0.20 eV away"


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ({"start_A": 1.2}, "the start rearranged: an atom went 1.2 Å as it relaxed"),
        ({"apart_A": 7.0}, "the defect is 7.0 Å from its image: enlarge the cell"),
        ({"closure_eV": 0.004}, "forward minus reverse misses the end points' difference by 4 meV"),
        ({"climb_forward_eV": 0.7}, "the path dips below its start, and from there 0.700 eV have to be climbed"),
        ({"climbing": False}, "no saddle between: the highest point is an end"),
        ({"status": Status.UNCONVERGED, "message": "not converged: why"}, "not converged: why"),
        ({"check": second(0.5, status=Status.FAILED)}, "chgnet:r2scan gave no barrier"),
        ({"check": second(0.5, status=Status.UNCONVERGED)}, "the band of chgnet:r2scan is not converged"),
    ],
)
def test_each_doubt_is_a_sentence(case, sentence):
    scalars = judged(**case).scalars
    assert scalars["trust"] == "doubtful"
    assert scalars["doubts"] == sentence


def test_a_check_whose_ends_rearranged_is_of_another_jump():
    doubts = judged(check=second(0.5), check_start_A=1.2).scalars["doubts"]
    assert doubts.startswith("with chgnet:r2scan the start rearranged: an atom went 1.2 Å as it relaxed; with chgnet")


def test_vibrations_give_the_attempt_frequency_and_tell_a_ridge_from_a_saddle():
    sound = judged(modes=modes([2.0, 3.0, 4.0], [-1.0, 3.0, 4.0], [5.0, 3.0, 4.0])).scalars
    assert sound["attempt_frequency_THz"] == pytest.approx(2.0)
    assert sound["attempt_frequency_reverse_THz"] == pytest.approx(5.0)
    assert (sound["n_imaginary"], sound["trust"]) == (1, "plain")
    ridge = judged(modes=modes([2.0, 3.0, 4.0], [-1.0, -3.0, 4.0])).scalars
    assert ridge["doubts"] == "no attempt frequency: `saddle_THz` has 2 imaginary frequencies but must have 1"
    slope = judged(modes=modes([2.0, 3.0, 4.0], [-1.0, 3.0, 4.0], [-5.0, 3.0, 4.0])).scalars
    assert (
        slope["doubts"] == "no attempt frequency of the reverse: `minimum_THz` has 1 imaginary frequencies but must have 0"
    )
    assert "attempt_frequency_reverse_THz" not in slope
    lost = judged(modes=modes([2.0], [-1.0], status=Status.FAILED, message="a NaN")).scalars
    assert lost["doubts"] == "no attempt frequency: a NaN"


def test_a_band_that_failed_gives_no_barrier():
    outcome = judged(status=Status.FAILED, message="it exploded")
    assert (outcome.status, outcome.message, outcome.scalars) == (Status.FAILED, "it exploded", {})
