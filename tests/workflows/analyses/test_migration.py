"""What is said against a barrier, sentence by sentence, and how far it is trusted."""

import math
from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk

from philic.workflows.analyses.migration import migration
from philic.workflows.engine.execute import finite
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
    "n_atoms": 4,
}


def result(function, scalars, *, moved_A=0.1, apart_A=10.0, name="emt", status=Status.CONVERGED, message="converged"):
    start = bulk("Cu", cubic=True)
    start.set_cell([apart_A] * 3)
    end = start.copy()
    end.positions[0, 0] += moved_A * 4 / 3  # the mean of the four is taken off
    structures = {"initial": start, "final": end}
    provenance = {"fingerprint": {"name": name}}
    whole = [[scalars.get(f"barrier_{way}_eV", 0.0) for way in ("forward", "reverse")]]
    arrays = {"path_A": np.zeros(2), "part_barriers_eV": np.array(whole * scalars.get("n_parts", 1))}
    fields = {"scalars": scalars, "structures": structures, "arrays": arrays}
    return Result(status, message, key=name + function, function=function, about={}, provenance=provenance, **fields)


def judged(
    *,
    check=None,
    check_start_A=0.1,
    start_A=0.1,
    apart_A=10.0,
    modes=None,
    more=None,
    status=Status.CONVERGED,
    message="converged",
    **scalars,
):
    parents = {
        "band": result("neb", SCALARS | scalars, apart_A=apart_A, status=status, message=message),
        "start_site": result("relax", {}, moved_A=start_A),
        "end_site": result("relax", {}),
    }
    if check:
        ends = {f"check_{role}_site": result("relax", {}, moved_A=check_start_A) for role in ("start", "end")}
        parents |= {"check_band": check, **ends}
    return migration(parents | (modes or {}) | (more or {}), step_A=[0.0, 3.0, 4.0])


def modes(start_THz, saddle_THz, end_THz=(2.0, 3.0, 4.0), **more):
    vibrations = {"start_modes": start_THz, "saddle_modes": saddle_THz, "end_modes": end_THz}
    return {
        role: replace(
            result("vibrations", {"n_imaginary": int((np.array(found) < 0).sum())}, **more),
            arrays={"frequencies_THz": np.array(found)},
        )
        for role, found in vibrations.items()
    }


SIZE_UNKNOWN = "the size of the cell may change the barrier by 0.12 eV: enlarge it"  # 120 eV Å³ over 1000 Å³


def in_larger_cell(factor=1.5, start_A=0.1, status=Status.CONVERGED, message="converged", **scalars):
    """The crystal, and a band in a cell that is larger along every direction."""
    band = result("neb", SCALARS | scalars, apart_A=10.0 * factor, status=status, message=message)
    ends = {f"larger_{role}_site": result("relax", {}, moved_A=start_A) for role in ("start", "end")}
    return {"crystal": result("relax", {}), "larger_band": band, **ends}


def test_two_cells_give_the_limit_of_an_infinite_one_and_say_how_far_it_is():
    """E(L) = E + c / L^3 with L = 1 and 1.5, by hand: c = 0.27 forward and 0.54 eV back."""
    small = {"barrier_forward_eV": 0.30 + 0.27, "barrier_reverse_eV": 0.20 + 0.54, "reaction_energy_eV": 0.10 - 0.27}
    large = {"barrier_forward_eV": 0.30 + 0.08, "barrier_reverse_eV": 0.20 + 0.16, "reaction_energy_eV": 0.10 - 0.08}
    climbs = [{"climb_forward_eV": given["barrier_forward_eV"]} for given in (small, large)]
    outcome = judged(**small, **climbs[0], more=in_larger_cell(**large, **climbs[1]))
    found = outcome.scalars
    assert found["barrier_forward_eV"] == pytest.approx(0.30)
    assert found["barrier_reverse_eV"] == pytest.approx(0.20)
    assert found["reaction_energy_eV"] == pytest.approx(0.10)
    assert found["size_error_eV"] == pytest.approx(0.16)
    assert found["image_distance_A"] == pytest.approx(15.0)
    assert found["doubts"] == "the size of the cell may change the barrier by 0.16 eV: enlarge it"
    assert outcome.arrays["part_barriers_eV"] == pytest.approx(np.array([[0.30, 0.20]]))


def test_a_saddle_is_never_extrapolated_to_below_an_end():
    found = judged(barrier_reverse_eV=0.03, more=in_larger_cell(barrier_reverse_eV=0.001)).scalars
    assert found["barrier_reverse_eV"] == 0.0
    forward = found["barrier_forward_eV"]
    assert forward == pytest.approx(0.5 - (8 / 27 * 0.03 - 0.001) / (8 / 27 - 1))  # both are lifted alike


ONE_CELL = "the barrier is that of one cell: in the {} one, {}"
SLOW, HIGHER = {"status": Status.UNCONVERGED, "message": "slow"}, {"barrier_forward_eV": 0.6, "climb_forward_eV": 0.6}


@pytest.mark.parametrize(
    ("small", "large", "forward_eV", "sentence"),
    [
        ({}, {"status": Status.FAILED, "message": "a NaN"}, 0.5, ONE_CELL.format("larger", "a NaN")),
        (SLOW, HIGHER, 0.6, ONE_CELL.format("smaller", "slow")),
        ({}, {"n_parts": 2}, 0.5, "the path has 1 parts in the smaller cell and 2 in the larger one"),
    ],
)
def test_without_two_sound_cells_of_one_path_the_barrier_is_doubtful(small, large, forward_eV, sentence):
    outcome = judged(**small, more=in_larger_cell(**large))
    assert outcome.status is Status.CONVERGED
    assert outcome.scalars["barrier_forward_eV"] == pytest.approx(forward_eV)
    assert sentence in outcome.scalars["doubts"].split("; ")
    assert outcome.scalars["trust"] == "doubtful"


def test_the_jump_s_length_follows_the_relaxed_crystal():
    relaxed = result("relax", {})
    relaxed.structures["final"].set_cell(np.diag([1.0, 1.1, 1.0]) @ relaxed.structures["final"].cell.array)
    assert judged().scalars["length_A"] == pytest.approx(5.0)
    assert judged(more={"crystal": relaxed}).scalars["length_A"] == pytest.approx((3.3**2 + 16) ** 0.5)


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
    assert apart["doubts"] == "chgnet:r2scan gives 0.300 eV, a difference of 0.20 eV"


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ({"start_A": 1.2}, "the start rearranged: an atom moved 1.2 Å in the relaxation"),
        ({"apart_A": 7.0}, "the defect is 7.0 Å from its image: enlarge the cell"),
        ({"closure_eV": 0.004}, "forward minus reverse misses the end points' difference by 4 meV"),
        ({"climb_forward_eV": 0.7}, "the path dips below its start; the climb from there is 0.700 eV"),
        ({"climbing": False}, "no saddle between the end points: one of them is the highest point"),
        ({"apart_A": 10.0, "more": {"crystal": result("relax", {})}}, SIZE_UNKNOWN),
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
    assert doubts.startswith("with chgnet:r2scan the start rearranged: an atom moved 1.2 Å in the relaxation; with chgnet")


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


@pytest.mark.parametrize("name", [name for name, value in SCALARS.items() if isinstance(value, float)])
def test_a_number_that_is_none_is_a_failure_or_a_doubt(name):
    good = judged(check=second(0.5))
    assert good.scalars["trust"] == "agreed"
    odd = finite(judged(check=second(0.5), **{name: math.nan}))
    assert odd.status is Status.FAILED
    assert name in odd.message


def test_a_second_potential_that_gives_no_number_does_not_agree():
    assert finite(judged(check=second(math.nan))).status is Status.FAILED
