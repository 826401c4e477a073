import pytest

from philic.recipes.parts.agreement import agreement, rank_correlation


def test_the_rank_correlation_is_kendalls():
    ours = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
    assert rank_correlation(ours, ours) == pytest.approx(1.0)
    assert rank_correlation(ours, {"a": 2.0, "b": 1.0, "c": 3.0, "e": 0.0}) == pytest.approx(
        1 / 3
    )  # one of three pairs turned
    assert rank_correlation(ours, {"a": 1.0, "b": 2.0}) is None


def test_agreement_is_the_largest_difference_and_the_order():
    assert agreement({"N": -1.0, "B": -2.0, "P": -3.0}, {"N": -1.1, "B": -2.5, "P": -2.0}) == (
        "largest difference 1.00 eV, Kendall's tau of the order 0.33"
    )
    assert agreement({"N": -1.0, "B": 2.0}, {"N": -1.1}) == "largest difference 0.10 eV"
