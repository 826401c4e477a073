import pytest
from ase.build import bulk

from philic.potentials import card
from philic.workflows.engine.costs import measured, seconds
from philic.workflows.engine.flow import Step
from philic.workflows.stores.store import Cost


def relax(n):
    return Step("relax", {}, bulk("Cu", cubic=True) * (n, 1, 1), potential="emt")


def test_the_card_is_the_first_guess():
    assert seconds(relax(2)) == pytest.approx(32 * 8 * card("emt").seconds_per_atom_call)
    assert measured([])(relax(2)) == seconds(relax(2))


def test_what_calls_of_like_size_took_counts():
    costs = [Cost("emt", "cpu", 8, 10, 5.0), Cost("emt", "cpu", 16, 10, 20.0), Cost("lj", "cpu", 8, 10, 1e6)]
    estimate = measured(costs)
    assert estimate(relax(2)) == pytest.approx(32 * 0.5)
    assert estimate(relax(4)) == pytest.approx(32 * 2.0)
    assert estimate(relax(6)) == pytest.approx(32 * 2.0 * 24 / 16)
    assert estimate(relax(40)) == seconds(relax(40))  # ten times as large says nothing


def test_another_device_says_nothing():
    assert measured([Cost("emt", "cuda (some card)", 8, 10, 5.0)])(relax(2)) == seconds(relax(2))


def test_no_call_is_no_measurement():
    assert measured([Cost("emt", "cpu", 4, 0, 0.0)])(relax(1)) == seconds(relax(1))
