import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.units import kB

from philic.workflows.rates import arrhenius, moving_atom_THz, rate_per_s, vineyard_THz


def test_without_a_barrier_every_attempt_succeeds():
    assert rate_per_s(0.0, 5.0, 300.0) == 5e12


def test_one_kt_of_barrier_costs_a_factor_of_e():
    assert rate_per_s(0.5, 5.0, 300.0) / rate_per_s(0.5 + kB * 300.0, 5.0, 300.0) == pytest.approx(np.e)


def test_a_spring_like_that_of_carbon_monoxide_vibrates_as_in_si_units():
    newton_per_metre, u_kg = 6.241509e18 * 1e-20, 1.660539e-27
    expected = np.sqrt(1857 / (6.856 * u_kg)) / (2 * np.pi) * 1e-12  # 2143 per cm
    assert moving_atom_THz(np.diag([1857 * newton_per_metre, 0, 0]), 6.856) == pytest.approx([0, 0, expected], rel=1e-5)


def test_frequencies_do_not_turn_with_the_frame():
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    hessian = np.diag([-1.0, 2.0, 3.0])
    assert moving_atom_THz(turn @ hessian @ turn.T, 7.0) == pytest.approx(moving_atom_THz(hessian, 7.0))
    assert (moving_atom_THz(hessian, 7.0) < 0).tolist() == [True, False, False]


def hessian_of_the_middle_atom(atoms):
    """Hessian of the last atom by central differences, ``(3, 3)``."""
    rows = []
    for axis in range(3):
        forces = []
        for step in (1e-4, -1e-4):
            moved = atoms.copy()
            moved.positions[-1, axis] += step
            moved.calc = LennardJones(sigma=2.0, epsilon=0.1, rc=20.0)
            forces.append(moved.get_forces()[-1])
        rows.append((forces[1] - forces[0]) / 2e-4)
    return np.array(rows)


def test_an_atom_between_two_others_is_at_a_saddle_when_they_are_far_apart():
    def between(apart_A):
        positions = [(0, 0, apart_A / 2), (0, 0, -apart_A / 2), (0, 0, 0)]
        return moving_atom_THz(hessian_of_the_middle_atom(Atoms("Ar3", positions=positions)), 40.0)

    assert between(4.2)[2] > 0
    assert between(6.0)[0] < 0


def test_an_attempt_frequency_is_the_only_mode_when_the_saddle_keeps_the_others():
    assert vineyard_THz([2.0, 7.0, 9.0], [-4.0, 7.0, 9.0]) == pytest.approx(2.0)


def test_many_modes_do_not_overflow():
    assert vineyard_THz(np.full(600, 50.0), [-1.0, *np.full(599, 50.0)]) == pytest.approx(50.0)


def test_an_arrhenius_law_comes_back():
    temperatures_K = np.array([300.0, 400.0, 700.0])
    assert arrhenius(temperatures_K, 3e-3 * np.exp(-0.4 / (kB * temperatures_K))) == pytest.approx((0.4, 3e-3))


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (rate_per_s, (0.5, 10.0, 0.0), "`temperature_K` is 0.0 but must be above 0"),
        (rate_per_s, (0.5, -1.0, 300.0), "`attempt_frequency_THz` is -1.0 but must be above 0"),
        (vineyard_THz, ([1.0, 2.0], [-1.0]), "`saddle_THz` has 1 modes but must have the 2 of the minimum"),
        (vineyard_THz, ([0.0, 2.0], [-1.0, 2.0]), "`minimum_THz` has 0 but must be above 0 throughout: relax further"),
        (vineyard_THz, ([1.0, 2.0], [1.0, 2.0]), "`saddle_THz` has 0 imaginary of 2 modes but must have 1 and no zero"),
        (vineyard_THz, ([1.0, 2.0], [-1.0, 0.0]), "`saddle_THz` has 1 imaginary of 2 modes but must have 1 and no zero"),
        (arrhenius, ([300], [1.0]), r"`temperatures_K` is \[300\] but an Arrhenius law needs at least 2 temperatures"),
        (arrhenius, ([300, 400], [0.0, 1.0]), "has 0.0 but an Arrhenius law needs all above 0: raise the temperatures"),
    ],
)
def test_what_makes_no_sense_is_refused(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)
