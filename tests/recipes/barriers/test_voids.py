"""Which voids hold a metal atom, by where it went: silicon, its atoms where they are."""

import numpy as np
import pytest
from ase.build import bulk

from philic.recipes.barriers.voids import ASIDE_A, void_trials, voids_that_hold
from philic.structures.crystals.supercells import supercell_for
from philic.structures.defects.defects import interstitial_sites
from philic.structures.defects.voids import fill_void
from philic.workflows.engine.flow import Step
from philic.workflows.stores.result import Result, Status

A = 5.431
SILICON = bulk("Si", a=A)
WIDE, NARROW = interstitial_sites(SILICON, "Li")
SUPERCELL = supercell_for(SILICON, 9.0)


def trials():
    crystal = Step("relax", {}, SILICON, potential="chgnet", about={"host": "Si"})
    return void_trials(crystal, "Li", {"fmax_eV_per_A": 0.01}, SUPERCELL)


def went(void, to_A, status=Status.CONVERGED, message="converged"):
    """A relaxation from beside a void to somewhere from its middle, the whole drifting by the way."""
    start = fill_void(SILICON, **trials()[void.label].structure.parameters)
    end = start.copy()
    end.positions[-1] += np.subtract(to_A, ASIDE_A)
    end.positions += 0.4
    return Result(status, message, {"energy_eV": 0.0}, {"initial": start, "final": end}, key=void.label, function="relax")


def held(wide_A, narrow_A=(0, 0, 0), **more):
    found, said = voids_that_hold(
        SILICON, "Li", {WIDE.label: went(WIDE, wide_A), NARROW.label: went(NARROW, narrow_A, **more)}
    )
    return [void.label for void in found], said


def test_each_void_is_tried_from_beside_its_middle():
    steps = trials()
    assert list(steps) == ["void #1", "void #2"]
    start = fill_void(SILICON, **steps["void #1"].structure.parameters)
    middle = fill_void(SILICON, **{**steps["void #1"].structure.parameters, "aside_A": (0, 0, 0)})
    assert start.positions[-1] - middle.positions[-1] == pytest.approx(ASIDE_A)
    assert steps["void #1"].n_atoms == len(start) == len(SUPERCELL) + 1


def test_a_void_to_whose_middle_it_goes_back_holds_it():
    assert held((0, 0, 0)) == (["void #1", "void #2"], [])


def test_one_that_it_leaves_does_not():
    to_the_other_A = np.subtract(WIDE.position_A, NARROW.position_A)
    assert held((0, 0, 0), to_the_other_A) == (["void #1"], ["void #2 does not hold it: it goes to void #1"])


def test_one_that_it_leaves_for_its_like_does_not():
    other_A = SILICON.cell.array[0]
    assert held(other_A) == (["void #2"], ["void #1 does not hold it: it goes to another of its kind"])


def test_one_in_which_it_stays_aside_holds_it_and_that_is_told():
    assert held((0.4, 0.4, -0.2)) == (["void #1", "void #2"], ["it stays 0.6 Å from the middle of void #1"])


def test_one_that_could_not_be_tried_is_left_out_and_none_at_all_is_refused():
    lost = {"status": Status.UNCONVERGED, "message": "not converged in 300 steps"}
    assert held((0, 0, 0), **lost) == (["void #1"], ["void #2 could not be tried: not converged in 300 steps"])
    with pytest.raises(ValueError, match="no void holds it: void #1 does not hold it: it goes to another of its kind; "):
        held(SILICON.cell.array[0], **lost)
