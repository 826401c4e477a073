import numpy as np
import pytest
from ase.units import kB

from philic.workflows.analyses.rates import arrhenius_law, rate_per_s


def test_without_a_barrier_every_attempt_succeeds():
    assert rate_per_s(0.0, 5.0, 300.0) == 5e12


def test_one_kt_of_barrier_costs_a_factor_of_e():
    assert rate_per_s(0.5, 5.0, 300.0) / rate_per_s(0.5 + kB * 300.0, 5.0, 300.0) == pytest.approx(np.e)


def test_an_arrhenius_law_comes_back():
    temperatures_K = np.array([300.0, 400.0, 700.0])
    assert arrhenius_law(temperatures_K, 3e-3 * np.exp(-0.4 / (kB * temperatures_K))) == pytest.approx((0.4, 3e-3))


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (rate_per_s, (0.5, 10.0, 0.0), "`temperature_K` is 0.0 but must be above 0"),
        (rate_per_s, (0.5, -1.0, 300.0), "`attempt_frequency_THz` is -1.0 but must be above 0"),
        (arrhenius_law, ([300], [1.0]), r"`temperatures_K` is \[300\] but an Arrhenius law needs at least 2 temperatures"),
        (arrhenius_law, ([300, 400], [0.0, 1.0]), "has 0.0 but an Arrhenius law needs all above 0: raise the temperatures"),
    ],
)
def test_what_makes_no_sense_is_refused(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)
