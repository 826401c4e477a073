"""How far each number is to be trusted, and which hosts can be told apart."""

import pytest

from philic.recipes.adsorption.judgement import NOTHING_KNOWN, classes, judge


def test_a_reference_for_this_very_host_decides():
    """K on boron-doped graphene: CHGNet and its r2SCAN sibling agree within 0.04 eV, and PBE gives -1.24 eV."""
    judged = judge(-0.09, {"chgnet:r2scan": -0.05}, -1.24, 0.1)
    assert judged.doubt_eV == pytest.approx(1.15)
    assert judged.flag == "do not trust"
    assert judged.reason == "DFT gives -1.24 eV"


@pytest.mark.parametrize(
    ("others", "typical", "doubt", "flag", "reason"),
    [
        ({"a": -0.15, "b": -0.10}, None, 0.05, "agreed", "a gives -0.15 eV"),
        ({"a": -0.50, "b": -0.10}, 0.1, 0.4, "uncertain", "a gives -0.50 eV"),
        ({"a": -0.15}, 0.64, 0.64, "do not trust", "mean error of 0.64 eV where DFT is known"),
        ({}, 0.12, 0.12, "agreed", "mean error of 0.12 eV where DFT is known"),
    ],
)
def test_without_one_the_larger_of_spread_and_usual_error_does(others, typical, doubt, flag, reason):
    judged = judge(-0.10, others, None, typical)
    assert judged.doubt_eV == pytest.approx(doubt)
    assert (judged.flag, judged.reason) == (flag, reason)


def test_where_nothing_is_known_nothing_is_said():
    assert judge(-0.1, {}, None, None) is NOTHING_KNOWN


def test_hosts_that_cannot_be_told_apart_share_a_class():
    assert classes([-1.0, -0.9, -0.2, 0.0], [0.1, 0.1, 0.1, 0.1]) == [1, 1, 3, 4]
    assert classes([-1.0, -0.9, -0.2, 0.0], [0.6, 0.6, 0.6, 0.6]) == [1, 1, 1, 4]
    assert classes([-1.0, -0.9, -0.2], [None, None, None]) == [1, 2, 3]
    assert classes([-0.5, -0.4, -0.3, -0.2], [0.11, 0.0, 0.0, 0.0]) == [1, 1, 3, 4]
    assert classes([], []) == []
