"""Calculations side by side, and what they remember."""

import numpy as np
import pytest
from ase.build import bulk

from philic.potentials import load
from philic.workflows.engine.flow import Step
from philic.workflows.steps.relax import relaxing
from philic.workflows.steps.together import together
from philic.workflows.stores.opening import open_store
from philic.workflows.stores.result import Outcome, Status


def crystal(seed):
    atoms = bulk("Cu", cubic=True) * (2, 1, 1)
    atoms.rattle(0.1, seed=seed)
    return atoms


def run(potential, memories, fmax, seeds=(0, 1)):
    relaxations = [relaxing(crystal(seed), potential.card.cutoff_A, fmax, 100) for seed in seeds]
    return dict(together(relaxations, potential, memories=memories))


@pytest.fixture
def potential():
    return load("emt")


def test_what_is_remembered_is_not_computed_again_and_ends_the_same(potential):
    memories = [{}, {}]
    first = run(potential, memories, 0.01)
    again = run(potential, memories, 0.01)
    assert [outcome.force_calls for outcome in again.values()] == [0, 0]
    assert first[0].force_calls > 3
    for index, outcome in first.items():
        assert again[index].scalars == outcome.scalars
        np.testing.assert_array_equal(again[index].structures["final"].positions, outcome.structures["final"].positions)


def test_a_tighter_run_goes_on_where_a_looser_one_stopped(potential):
    memories = [{}, {}]
    loose = run(potential, memories, 0.05)
    tight = run(potential, memories, 0.005)
    whole = run(potential, None, 0.005)
    for index, outcome in whole.items():
        assert loose[index].force_calls + tight[index].force_calls == outcome.force_calls
        assert tight[index].scalars == outcome.scalars


def test_a_store_remembers_to_the_last_bit(potential, tmp_path):
    run(potential, [open_store(tmp_path / "a.db").memory("one"), {}], 0.01)
    memory = open_store(tmp_path / "a.db").memory("one")
    assert run(potential, [memory], 0.01, seeds=(0,))[0].force_calls == 0
    assert run(potential, [open_store(tmp_path / "a.db").memory("another")], 0.01, seeds=(0,))[0].force_calls > 0


def test_a_calculation_may_end_without_asking_and_may_ask_for_one_structure_twice(potential):
    def silent():
        return Outcome(Status.FAILED, "nothing to do")
        yield

    def twice():
        one, other = yield [crystal(3), crystal(3)]
        return Outcome(Status.CONVERGED, "", {"energies_eV": [one.energy_eV, other.energy_eV]})

    outcomes = dict(together([silent(), twice()], potential))
    assert outcomes[0].message == "nothing to do"
    assert len(set(outcomes[1].scalars["energies_eV"])) == 1
    assert outcomes[1].force_calls == 1


def test_steps_that_differ_in_where_they_stop_share_a_trail():
    loose, tight, other = (
        Step("relax", {"fmax_eV_per_A": fmax, "relax_cell": relax_cell}, crystal(0), potential="emt")
        for fmax, relax_cell in ((0.05, False), (0.01, False), (0.05, True))
    )
    assert len({loose.key, tight.key, other.key}) == 3
    assert loose.trail == tight.trail != other.trail


def test_a_memory_takes_no_structure_for_another(potential):
    """One that differs in an element, a position, the cell or its periodicity alone is computed again."""
    others = [crystal(0) for _ in range(5)]
    others[1].symbols[0] = "Au"
    others[2].positions[0, 0] = np.nextafter(others[2].positions[0, 0], 9)
    others[3].set_cell(1.01 * others[3].cell.array)
    others[4].pbc = (True, True, False)

    def asking():
        predictions = []
        for atoms in others:
            predictions += yield [atoms]
        return Outcome(Status.CONVERGED, "", {"energies_eV": [one.energy_eV for one in predictions]})

    ((_, outcome),) = together([asking()], potential, memories=[{}])
    assert outcome.force_calls == 5
    assert outcome.scalars["energies_eV"] == [one.energy_eV for one in potential.evaluate(others)]
