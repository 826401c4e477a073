"""Analyses carry the fingerprint of what they read, and none combines two potentials: through a real store."""

from dataclasses import replace

import pytest
from ase.build import bulk

from philic.structures.jumps.hops import hops
from philic.structures.jumps.network import jump_network, to_parameters
from philic.workflows.engine.flow import Derived, Flow, Step
from philic.workflows.fireworks.here import run_here
from philic.workflows.stores.opening import open_store
from philic.workflows.stores.result import Result, Status, check_one_potential

CRYSTAL = bulk("Na", a=4.2)
NETWORK = to_parameters(jump_network(CRYSTAL, hops(CRYSTAL, "Na", 4.5)))


def relaxed(potential, **about):
    return Step("relax", {"fmax_eV_per_A": 0.5}, bulk("Cu", cubic=True), potential=potential, about=about)


def migration(potential, check=None):
    """A jump that goes nowhere: its band fails, and the verdict on it still says whose it is."""
    site = relaxed(potential, site=potential)
    band = Step("neb", {}, Derived(site, 4), parents={"start": site, "end": site}, potential=potential)
    parents = {"band": band, "start_site": site, "end_site": site}
    if check:
        second = relaxed(check)
        parents = {"check_band": second, "check_start_site": second, "check_end_site": second} | parents
    return Step("migration", {"step_A": [0.0, 0.0, 0.0]}, parents=parents, about={"site": potential})


def hopping(*migrations):
    settings = {"network": NETWORK, "attempt_frequency_THz": 10.0, "temperatures_K": [300, 600]}
    return Step("hopping", settings, parents={f"hop.{i}": step for i, step in enumerate(migrations)})


def ran(tmp_path, *steps):
    store, flow = open_store(tmp_path / "philic.db"), Flow(steps)
    run_here(flow, store, "potentials")
    return store, [store.get([step.key])[step.key] for step in steps]


def test_an_analysis_of_an_analysis_carries_the_fingerprint_of_what_was_computed(tmp_path):
    one = migration("emt", check="lj")
    _, (verdict, walk) = ran(tmp_path, one, hopping(one))
    assert one.fingerprint == {}  # its parents' keys hold it already
    for result in (verdict, walk):
        assert result.provenance["fingerprint"] == relaxed("emt").fingerprint


def test_verdicts_on_bands_of_two_potentials_are_not_combined(tmp_path):
    _, (mixed,) = ran(tmp_path, hopping(migration("emt"), migration("lj")))
    assert mixed.status is Status.CRASHED
    assert mixed.message.startswith("ValueError: `hop.1` comes from lj (weights_sha256 ")
    assert "energies of different potentials are never subtracted; compute both with one" in mixed.message


def test_verdicts_of_an_older_store_inherit_as_they_are_read(tmp_path):
    one = migration("emt")
    store, (verdict,) = ran(tmp_path, one)
    older = open_store(tmp_path / "older.db")
    for result in store.get(step.key for step in Flow([one])).values():
        bare = replace(verdict, provenance=verdict.provenance | {"fingerprint": {}})
        older.add(bare if result.key == one.key else result)
    run_here(Flow([hopping(one)]), older, "hopping on older verdicts")
    (walk,) = older.results("hopping")
    assert walk.status is Status.FAILED  # no barrier: but no crash
    assert walk.provenance["fingerprint"] == relaxed("emt").fingerprint


@pytest.mark.parametrize("roles", [("known", "unknown"), ("unknown", "known")])
def test_a_result_of_an_unknown_potential_is_refused_in_either_order(roles):
    results = {
        "known": Result(Status.CONVERGED, "", function="relax", provenance={"fingerprint": relaxed("emt").fingerprint}),
        "unknown": Result(Status.CONVERGED, "", function="relax", about={"host": "N"}, provenance={"fingerprint": {}}),
    }
    with pytest.raises(ValueError, match=r"`unknown` \(relax N\) names no potential: results of an unknown potential are"):
        check_one_potential({role: results[role] for role in roles})


@pytest.mark.parametrize("name", ["weights_sha256", "dtype", "dispersion", "package", "version", "head"])
def test_each_part_of_a_fingerprint_counts_but_its_name(name):
    ours = relaxed("emt").fingerprint
    a, b, moved = (
        Result(Status.CONVERGED, "", provenance={"fingerprint": ours | changed})
        for changed in ({}, {name: "another"}, {"name": "moved"})
    )
    with pytest.raises(ValueError, match=rf"`b` comes from emt \({name} another\) but `a` from emt"):
        check_one_potential({"a": a, "b": b})
    check_one_potential({"a": a, "b": moved})
