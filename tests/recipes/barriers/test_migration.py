"""Jumps through crystals: what is planned, and one crystal from the name to the diffusivity."""

from io import StringIO

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write
from rich.console import Console

from philic.recipes.barriers.barriers import percolation_table, tables
from philic.recipes.barriers.migration import Migration, plan
from philic.recipes.barriers.profiles import draw_profiles
from philic.recipes.barriers.voids import ASIDE_A
from philic.structures.defects.voids import fill_void
from philic.workflows.engine.execute import execute
from philic.workflows.stores.opening import open_store
from philic.workflows.stores.result import Result, Status

LOOSE = {"min_image_A": 7.0, "larger_cell_atoms": 0, "fmax_eV_per_A": 0.1, "endpoint_fmax_eV_per_A": 0.05}


def asked(**more):
    return Migration(**{"metal": "K", "hosts": "KF", "potential": "chgnet", **LOOSE, **more})


def done(flow, store):
    store.add_definitions({step.key: step.definition() for step in flow})
    missing = [step for step in flow if step.key not in store.finished(flow.steps)]
    for step in missing:
        execute(store, [step.key])
    return store.get(flow.steps), [step.function for step in missing]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return open_store(tmp_path_factory.mktemp("store") / "philic.db")


@pytest.fixture(scope="module")
def judged(store):
    """The vacancy of KF, by two potentials."""
    planned = plan(asked(cross_check="chgnet:r2scan"))
    return planned, done(planned.flow, store)[0]


def test_distinct_end_points_are_relaxed_once_and_the_others_taken_from_them():
    flow = plan(asked()).flow
    builders = [step.structure.builder for step in flow if step.function == "relax" and hasattr(step.structure, "builder")]
    assert builders == ["hop_end", "imaged"]


def test_each_metal_has_its_own_compound():
    planned = plan(asked(metal=("Li", "Na", "K"), hosts="MF"))
    assert list(planned.jumps) == [(metal, "MF", "vacancy") for metal in ("Li", "Na", "K")]


def test_what_a_host_lacks_is_a_warning_and_the_others_go_on():
    planned = plan(asked(hosts=("Si", "KF", "no such crystal")))
    assert list(planned.jumps) == [("K", "KF", "vacancy")]
    lacks, unknown = planned.warnings
    assert lacks.startswith("K in Si by vacancy is left out: ")
    assert unknown.startswith("K in no such crystal by vacancy is left out: ")


def test_nothing_left_is_refused():
    with pytest.raises(ValueError, match="there is no jump to compute: K in Si by vacancy is left out"):
        plan(asked(hosts="Si"))


def test_one_temperature_and_one_potential_are_refused_before_anything_is_computed():
    with pytest.raises(ValueError, match=r"`temperatures_K` is \[300\.0, 300\.0\] but an activation energy needs two diff"):
        asked(temperatures_K=[300, 300])
    with pytest.raises(ValueError, match="`cross_check` is 'chgnet' but must be another than `potential`"):
        asked(cross_check="chgnet")


def test_percolating_stops_at_the_shortest_jumps_that_lead_through():
    """Twelve neighbours at a/sqrt(2) are enough in rock salt; a longer limit finds the next shell too."""
    (short,) = plan(asked()).jumps.values()
    (long,) = plan(asked(max_length_A=5.5)).jumps.values()
    assert [step.about["length_A"] for step in short] == [pytest.approx(5.347 / 2**0.5, abs=0.01)]
    assert len(long) > 1


@pytest.mark.parametrize(
    ("atoms", "cells"), [(0, [63]), (214, [63]), (216, [63, 215])]
)  # the cube of 8 atoms twice along each direction, then three times
def test_a_second_cell_has_the_shape_of_the_first(atoms, cells):
    ((step,),) = plan(asked(larger_cell_atoms=atoms)).jumps.values()
    bands = [parent for role, parent in step.parents.items() if role.endswith("band")]
    assert [band.n_atoms for band in bands] == cells
    for band in bands:
        matrix = np.array(band.parents["start"].structure.parameters["supercell"])
        assert (matrix == np.eye(3) * matrix[0, 0]).all()
    assert step.parents["crystal"].parameters["relax_cell"]
    assert np.linalg.norm(step.parameters["step_A"]) == pytest.approx(step.about["length_A"], abs=1e-3)


def test_a_cell_that_is_repeated_unevenly_keeps_its_shape_when_it_grows(tmp_path):
    """Two cubes of LiF on each other, 2 by 2 by 1 times: the next cell of that shape is 4 by 4 by 2 of them."""
    file = tmp_path / "double.cif"
    write(file, bulk("LiF", "rocksalt", a=4.03, cubic=True) * (1, 1, 2))
    ((step,),) = plan(asked(metal="Li", hosts=str(file), larger_cell_atoms=512)).jumps.values()
    bands = [parent for role, parent in step.parents.items() if role.endswith("band")]
    assert [band.n_atoms for band in bands] == [63, 511]
    assert bands[1].parents["start"].structure.parameters["supercell"] == np.diag([4, 4, 2]).tolist()


def test_forward_minus_reverse_is_the_difference_of_the_end_points(judged):
    planned, results = judged
    ((step,),) = planned.jumps.values()
    found = results[step.key]
    ends = [results[step.parents["band"].parents[role].key].scalars["energy_eV"] for role in ("end", "start")]
    assert found.status is Status.CONVERGED
    assert found.scalars["barrier_forward_eV"] > 0.2
    relaxed = results[step.parents["crystal"].key].structures["final"]
    assert found.scalars["length_A"] == pytest.approx(relaxed.get_volume() ** (1 / 3) / 2**0.5, abs=1e-3)
    assert found.scalars["image_distance_A"] == pytest.approx(2 * relaxed.get_volume() ** (1 / 3), abs=1e-3)
    assert found.scalars["size_error_eV"] == pytest.approx(120 / (8 * relaxed.get_volume()))
    difference = found.scalars["barrier_forward_eV"] - found.scalars["barrier_reverse_eV"]
    assert difference == pytest.approx(ends[0] - ends[1], abs=1e-3)


def test_a_second_potential_is_told_beside_the_first(judged):
    planned, results = judged
    ((step,),) = planned.jumps.values()
    scalars = results[step.key].scalars
    assert (scalars["potential"], scalars["check_potential"]) == ("chgnet", "chgnet:r2scan")
    assert scalars["spread_eV"] == pytest.approx(abs(scalars["barrier_forward_eV"] - scalars["check_forward_eV"]))
    doubts = scalars["doubts"].split("; ")
    assert doubts[0] == "the size of the cell may change the barrier by 0.09 eV: enlarge it"
    assert len(doubts) == (1 if scalars["spread_eV"] <= 0.1 else 2)


@pytest.fixture(scope="module")
def beside(store):
    """Li alone and beside another in eight atoms of silicon, planned twice: the voids first, then the jumps."""
    small = asked(metal="Li", hosts="Si", mechanisms="interstitial", metal_atoms=(1, 2), min_image_A=5.0, modes_within_A=0)
    first = plan(small, store.get)
    done(first.flow, store)
    second = plan(small, store.get)
    return first, second, done(second.flow, store)[0]


def test_voids_are_tried_before_jumps_between_them_are_planned(beside):
    first, second, _ = beside
    assert not first.complete
    assert [step.about["site"] for step in first.flow if "site" in step.about] == ["void #1", "void #2"]
    assert second.complete
    assert second.warnings == ["Li in Si: void #2 does not hold it: it goes to void #1"]
    (alone,) = second.jumps["Li", "Si", "interstitial"]
    assert alone.about["length_A"] == pytest.approx(5.431 * 3**0.5 / 4, abs=0.01)  # from tetrahedral to tetrahedral void


def test_a_jump_beside_another_has_two_metal_atoms_more_and_no_walk(beside):
    _, planned, results = beside
    (alone,), (pair,) = (planned.jumps["Li", "Si", kind] for kind in ("interstitial", "interstitial beside another"))
    assert list(planned.networks) == [("Li", "Si", "interstitial")]
    for step, n_metal in ((alone, 1), (pair, 2)):
        start = results[step.parents["start_site"].key].structures["final"]
        assert list(start.symbols).count("Li") == n_metal
    assert (pair.about["site"], pair.about["beside_A"]) == ("interstitial 2.35 A beside Li", pytest.approx(2.352, abs=1e-3))
    found = results[pair.key].scalars
    assert found["barrier_forward_eV"] - found["barrier_reverse_eV"] == pytest.approx(found["reaction_energy_eV"], abs=2e-3)
    assert found["reaction_energy_eV"] < -0.005  # it would rather be farther from the other
    assert results[alone.key].scalars["reaction_energy_eV"] == pytest.approx(0, abs=1e-3)
    console = Console(width=112, record=True, file=StringIO())
    for table in tables(planned, results):
        console.print(table)
    text = console.export_text()
    assert "A jump beside another metal atom is not a step of a random walk: no diffusivity follows" in text
    assert "interstitial 2.35 A beside Li: the other Li is 2.35 Å from the start, 3.84 Å from the end." in text


def test_there_and_back_over_one_saddle_between_like_voids_is_tried_as_often(beside):
    _, planned, results = beside
    ((alone,), _) = planned.jumps.values()
    scalars = results[alone.key].scalars
    assert scalars["attempt_frequency_THz"] == pytest.approx(scalars["attempt_frequency_reverse_THz"], rel=0.02)
    network = results[planned.networks["Li", "Si", "interstitial"].key]
    assert network.message.startswith("converged; each jump has its own attempt frequency, ")


def test_without_room_for_another_atom_the_lone_one_still_jumps(tmp_path):
    """The voids of a simple cube of 9 A are 9 A apart: no other is within 8 A of one."""
    file = tmp_path / "wide.cif"
    write(file, bulk("Cu", "sc", a=9.0))
    wide = asked(hosts=str(file), mechanisms="interstitial", metal_atoms=(1, 2), max_length_A=9.5)
    found = {}
    for step in (step for step in plan(wide).flow if "site" in step.about):
        start = fill_void(step.structure.parent.structure, **step.structure.parameters)
        end = start.copy()
        end.positions[-1] -= ASIDE_A
        structures = {"initial": start, "final": end}
        found[step.key] = Result(Status.CONVERGED, "", {"energy_eV": 0.0}, structures, key=step.key, function="relax")
    made = plan(wide, lambda keys: {key: found[key] for key in keys if key in found})
    assert list(made.jumps) == [("K", str(file), "interstitial")]
    assert made.warnings == [f"K in {file}: there is no void for a second K within 8 A of 'interstitial 9.00 A'"]


@pytest.mark.usefixtures("beside")
def test_what_voids_cannot_give_is_refused(store):
    with pytest.raises(
        ValueError, match="`metal_atoms` is 2 but only an interstitial jumps beside another: add it to `mech"
    ):
        asked(metal_atoms=2)
    with pytest.raises(ValueError, match="Input should be 1 or 2"):
        asked(metal_atoms=3, mechanisms="interstitial")
    short = asked(metal="Li", hosts="Si", mechanisms="interstitial", min_image_A=5.0, max_length_A=2.0)
    with pytest.raises(ValueError, match=r"no jump up to 1\.92 Å is between voids that hold Li: raise `max_length_A`"):
        plan(short, store.get)


@pytest.mark.usefixtures("judged")
def test_a_rerun_computes_nothing_and_a_tighter_one_goes_on(store):
    again = plan(asked(cross_check="chgnet:r2scan"))
    assert done(again.flow, store)[1] == []
    tight = plan(asked(fmax_eV_per_A=0.05))
    results, computed = done(tight.flow, store)
    assert computed == ["neb", "migration", "hopping"]
    (band,) = [results[step.key] for step in tight.flow if step.function == "neb"]
    assert band.force_calls < band.scalars["image_calls"]


def test_tables_are_whole_and_say_what_limits(judged):
    planned, results = judged
    console = Console(width=112, record=True, file=StringIO())
    for table in tables(planned, results):
        console.print(table)
    text = console.export_text()
    (step,) = next(iter(planned.jumps.values()))
    assert f"{results[step.key].scalars['barrier_forward_eV']:.3f}" in text
    assert step.about["site"] in text
    assert "D 300 K" in text
    assert "too soft away from equilibrium" in text
    assert "…" not in text


def told_of_ways(trust, slowest):
    planned = plan(asked())
    ((jump,),), (network,) = planned.jumps.values(), planned.networks.values()
    walk = {"percolates_in": 1, "limiting_barrier_1d_eV": 0.2, "limiting_hop_1d": "one", "diffusivity_300K_cm2_per_s": 1e-5}
    walk |= {"slowest_300K_cm2_per_s": slowest, "fastest_300K_cm2_per_s": 3.4e-5}
    scalars = {jump.key: {"trust": trust}, network.key: walk}
    console = Console(width=200, record=True, file=StringIO())
    console.print(
        percolation_table(planned, {key: Result(Status.CONVERGED, "converged", given) for key, given in scalars.items()})
    )
    return console.export_text()


def test_of_an_uneven_walk_both_ends_are_told_and_how_many_of_its_jumps_are_doubtful():
    """A reader must not take the mean for what it is along either direction."""
    even = told_of_ways("plain", 1.8e-5)
    assert "doubtful" not in even
    assert "slowest" not in even
    uneven = told_of_ways("doubtful", 1.2e-12)
    assert "D is an average over directions; from slowest to fastest it is 1.2e-12 to 3.4e-05 at 300 K." in uneven
    assert "K in KF by vacancy: 1 of 1 jumps is doubtful, and so is what follows from them." in uneven


def test_a_picture_is_written_and_never_overwritten(judged, tmp_path):
    planned, results = judged
    drawn = [results[step.key] for steps in planned.jumps.values() for step in steps]
    draw_profiles(drawn, tmp_path / "way.png")
    assert (tmp_path / "way.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(ValueError, match="exists already: choose another name"):
        draw_profiles(drawn, tmp_path / "way.png")
    with pytest.raises(ValueError, match="no energy profile among these results: choose --function migration"):
        draw_profiles([], tmp_path / "none.png")
