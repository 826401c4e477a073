"""Adatoms on a surface: sites that hold them, then the jumps between those."""

import pytest

from philic.recipes.surface_diffusion import SurfaceDiffusion, plan
from philic.workflows.execute import execute
from philic.workflows.result import Result, Status
from philic.workflows.store import Store

LOOSE = {"size": (3, 3), "fmax_eV_per_A": 0.2, "endpoint_fmax_eV_per_A": 0.05}


def asked(**more):
    return SurfaceDiffusion(**{"metal": "K", "hosts": "pristine", "potential": "chgnet", **LOOSE, **more})


def done(flow, store):
    """Run a flow by the shortest way: one step after another."""
    store.add_definitions({step.key: step.definition() for step in flow})
    for step in flow:
        execute(store, [step.key])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Potassium on graphene, both stages."""
    store = Store(tmp_path_factory.mktemp("store") / "philic.db")
    done(plan(asked()).flow, store)
    done(plan(asked(), store.get).flow, store)
    return store


def test_sites_are_tried_first_each_beside_its_place():
    first = plan(asked())
    assert not first.complete
    assert not first.jumps
    tried = [step for step in first.flow if "site" in step.about]
    assert [step.about["site"] for step in tried] == ["bridge C-C", "hollow C6", "top C"]
    assert all(step.structure.parameters["aside_A"] == [0.25, 0.15] for step in tried)


def test_potassium_stays_on_the_hollow_of_graphene_alone(store):
    """The hollow is its place and the bridge the way: K. T. Chan et al., Phys. Rev. B 77, 235430 (2008)."""
    second = plan(asked(), store.get)
    assert second.complete
    ((_, steps),) = second.jumps.items()
    assert [step.about["site"] for step in steps] == ["hollow C6 to hollow C6 2.46 A"]
    jump = store.get([steps[0].key])[steps[0].key]
    assert jump.status is Status.CONVERGED
    assert 0 < jump.scalars["barrier_forward_eV"] < 0.15
    assert jump.scalars["barrier_forward_eV"] == pytest.approx(jump.scalars["barrier_reverse_eV"], abs=1e-3)
    (network,) = second.networks.values()
    assert store.get([network.key])[network.key].scalars["percolates_in"] == 2


def test_killed_between_the_stages_it_goes_on_with_the_second(store):
    """What the first stage has stored is enough for the plan of the second, which tries no site again."""
    first, second = plan(asked()), plan(asked(), store.get)
    assert set(first.flow.steps) < set(second.flow.steps)
    assert store.finished(second.flow.steps) == set(second.flow.steps)


def test_one_host_that_cannot_be_had_stops_no_other():
    both = plan(asked(metal=("Li", "K"), hosts=("pristine", "M3N(100)")))
    assert {(step.about["metal"], step.about["host"]) for step in both.flow if "site" in step.about} == {
        ("Li", "pristine"),
        ("Li", "M3N(100)"),
        ("K", "pristine"),
    }
    assert both.warnings == ["K on M3N(100) is left out: `metal` is 'K' but 'M3N' must be with one of: Li"]


def test_a_metal_that_the_potential_does_not_know_leaves_nothing():
    with pytest.raises(ValueError, match=r"there is no jump to compute: K on pristine is left out: .*K"):
        plan(asked(potential="emt"))


def test_a_host_whose_trial_crashed_waits_for_another_run_and_the_others_go_on(store):
    """A crash is no answer: the plan stays open, without the jumps of that host."""
    first = plan(asked(hosts=("pristine", "N")))
    crashed = next(step for step in first.flow if step.about == {"metal": "K", "host": "N", "site": step.about.get("site")})
    found = Result(Status.CRASHED, "out of memory", key=crashed.key, function="relax", about={}, provenance={})
    known = plan(asked(hosts=("pristine", "N")), lambda keys: store.get(keys) | {crashed.key: found})
    assert not known.complete
    assert list(known.jumps) == [("K", "pristine", "adatom")]
