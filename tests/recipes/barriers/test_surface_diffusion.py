"""Adatoms on a surface: sites that hold them, then the jumps between those."""

import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write

from philic.potentials import load
from philic.recipes.barriers.surface_diffusion import SurfaceDiffusion, plan
from philic.structures.jumps.network import percolation
from philic.structures.jumps.surface_hops import surface_hops, surface_network
from philic.structures.sites.adatoms import place_adatoms
from philic.structures.sites.resting import Trial, on_sites, resting_places
from philic.structures.surfaces.steps import stepped_slab
from philic.workflows.engine.execute import execute
from philic.workflows.neb.neb import band
from philic.workflows.neb.path import Course, End
from philic.workflows.steps.relax import relax
from philic.workflows.steps.together import together
from philic.workflows.stores.opening import open_store
from philic.workflows.stores.result import Result, Status

EMT = load("emt")
LOOSE = {"size": (3, 3), "fmax_eV_per_A": 0.1, "endpoint_fmax_eV_per_A": 0.05}


def asked(**more):
    return SurfaceDiffusion(**{"metal": "K", "hosts": "pristine", "potential": "chgnet", **LOOSE, **more})


def done(flow, store):
    """Run a flow by the shortest way: one step after another."""
    store.add_definitions({step.key: step.definition() for step in flow})
    for step in flow:
        execute(store, [step.key])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Potassium on graphene, every stage: the sites, an end on the slope beside one of them, the jumps."""
    store = open_store(tmp_path_factory.mktemp("store") / "philic.db")
    while not (made := plan(asked(), store.get)).complete:
        done(made.flow, store)
    done(made.flow, store)
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
    assert [step.about["site"] for step in steps] == ["hollow C6 to hollow C6 2.47 A"]
    jump = store.get([steps[0].key])[steps[0].key]
    assert jump.status is Status.CONVERGED
    assert jump.scalars["length_A"] == pytest.approx(2.468, abs=0.005)  # the lattice constant of CHGNet's graphene
    assert "size_error_eV" not in jump.scalars  # known of crystals only
    assert 0 < jump.scalars["barrier_forward_eV"] < 0.15
    assert jump.scalars["barrier_forward_eV"] == pytest.approx(jump.scalars["barrier_reverse_eV"], abs=1e-3)
    (network,) = second.networks.values()
    assert store.get([network.key])[network.key].scalars["percolates_in"] == 2


def test_sheet_trials_and_jumps_are_on_the_lattice_of_the_potential(store):
    """CHGNet relaxes graphene to 2.468 A, listed are 2.46; the length of a jump, and so D, follow."""
    second = plan(asked(), store.get)
    results = store.get(second.flow.steps)
    (cell,) = (results[step.key] for step in second.flow if step.about["host"] == "cell of graphene")
    a_A = cell.structures["final"].cell.lengths()[0]
    assert 2.463 < a_A < 2.475
    sheets = [result for result in results.values() if result.function == "relax" and result.about["host"] == "pristine"]
    assert len(sheets) > 4
    assert all(sheet.structures["final"].cell.lengths()[:2] == pytest.approx([3 * a_A] * 2) for sheet in sheets)
    ((jump,),) = second.jumps.values()
    assert jump.about["length_A"] == pytest.approx(a_A, abs=1e-3)


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
    assert both.warnings == ["K on M3N(100) is left out: `metal` is 'K' but 'M3N' needs one of: Li"]


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


def silver_on_copper():
    """With EMT: trials from a few sites of Cu(211), none of them the foot of the step, where silver is best off."""
    host = stepped_slab(bulk("Cu", a=3.61, cubic=True), "111", "100", rows=3, layers=3, size=(2, 2), fixed_layers=1)
    places = on_sites(host, ["hollow Cu4", "top Cu cn 10", "top Cu cn 9"])
    outcomes = dict(relax([silver(host, rest, rest.trial_aside_A) for rest in places], EMT))
    trials = [
        Trial(rest, outcomes[at].structures["initial"], outcomes[at].structures["final"], outcomes[at].scalars["energy_eV"])
        for at, rest in enumerate(places)
    ]
    return host, resting_places(host, trials)


def silver(host, rest, aside_A=(0.0, 0.0)):
    atoms = place_adatoms(host, "K", **rest.placement(aside_A))
    atoms.symbols[-1] = "Ag"
    return atoms


def test_an_adatom_crosses_a_step_from_foot_to_foot():
    """Along the foot and over the edge lead different barriers; both are the same there and back."""
    host, ((foot, *_), _) = silver_on_copper()
    assert foot.label == "near bridge Cu-Cu cn 10-10"
    hops = surface_hops(host, [foot], 6.5)
    assert [hop.length_A for hop in hops] == pytest.approx([3.61 / 2**0.5, 3.61 * 3**0.5], abs=0.01)
    assert percolation(surface_network(host, hops), [0, 1])[0].dimension == 2
    barriers = []
    for hop in hops:
        relaxed = dict(relax([silver(host, end) for end in (hop.start, hop.end)], EMT, fmax_eV_per_A=0.01))
        start, end = (
            End(one.structures["final"], one.scalars["energy_eV"], one.arrays["forces_eV_per_A"])
            for one in (relaxed[0], relaxed[1])
        )
        ((_, outcome),) = together([band(start, end, Course(EMT.card.cutoff_A, 0.1, image_spacing_A=1.3))], EMT)
        assert outcome.status is Status.CONVERGED
        assert outcome.scalars["barrier_reverse_eV"] == pytest.approx(outcome.scalars["barrier_forward_eV"], abs=2e-3)
        assert outcome.scalars["reaction_energy_eV"] == pytest.approx(0, abs=1e-3)
        barriers.append(outcome.scalars["barrier_forward_eV"])
    along_eV, over_eV = barriers
    assert 0.05 < along_eV < over_eV < 1.0


def planned(parameters, spot=None):
    """Plan from trials that all have one energy, and ended over one place or stayed where they were put."""
    found = {}
    host = parameters.substrate(*parameters.hosts, *parameters.metal).given
    for step in (step for step in plan(parameters).flow if "site" in step.about):
        start = place_adatoms(host, **step.structure.parameters)
        end = start.copy()
        if spot is not None:
            end.positions[-1] = spot
        structures = {"initial": start, "final": end}
        found[step.key] = Result(Status.CONVERGED, "", {"energy_eV": 0.0}, structures, key=step.key, function="relax")
    return plan(parameters, lambda keys: {key: found[key] for key in keys if key in found})


def test_of_a_flat_surface_it_is_said():
    made = planned(asked())
    assert made.complete
    assert made.warnings == [
        "K on pristine is flat: 3 trials ended within 0.000 eV of each other, so a barrier below 0.005 eV"
        " says only that the potential sees no corrugation"
    ]


def test_a_walk_on_the_jumps_near_a_defect_alone_is_told():
    near, whole = (planned(asked(hosts="N", sites=["hollow"], near_A=near_A)) for near_A in (2.0, "all"))
    expected = "K on N: percolation and D include only jumps within 2 Å of the defect"
    assert expected in near.warnings
    assert expected not in whole.warnings
    assert len(near.jumps["K", "N", "adatom"]) < len(whole.jumps["K", "N", "adatom"])


def test_from_a_foot_that_has_no_name_jumps_go_along_the_step_and_over_it():
    """Over its edge between two atoms: the shorter way straight across, 6.26 A, leads through one."""
    parameters = asked(hosts="Cu(211)", thickness_A=4.0)
    host = parameters.substrate("Cu(211)", "K").given
    edge = host.positions[host.positions[:, 2].argmax()]
    made = planned(parameters, edge - [0.45 * host.cell[0, 0] / 2, 0.0, -2.0])
    ((_, jumps),) = made.jumps.items()
    assert made.warnings == []
    assert [step.about["length_A"] for step in jumps] == pytest.approx([2.556, 6.763], abs=0.01)
    assert ["a step" in step.about["site"] for step in jumps] == [False, True]
    (limits,) = made.networks.values()
    assert {tuple(jump[2]) for jump in limits.parameters["network"]["jumps"]} >= {(0, 1), (1, 0)}


def test_a_cell_too_small_for_its_jumps_is_refused():
    """Half the cell is what a band can cross: beyond it the way to another image is shorter."""
    with pytest.raises(ValueError, match=r"its shortest jump is 2\.56 Å and leads to an image of its end: enlarge the cell"):
        planned(asked(hosts="Cu(211)", thickness_A=4.0, min_image_A=2.0, max_length_A=6.5), [0.0, 0.0, 12.0])


def test_a_host_without_a_site_of_the_kind_is_refused(tmp_path):
    file = tmp_path / "apart.xyz"
    write(file, Atoms("C", cell=[6.0, 6.0, 15.0], pbc=True))
    with pytest.raises(ValueError, match="it has no hollow site to try: change `sites` or `near_A`"):
        plan(asked(hosts=str(file), sites=["hollow"]))


def test_the_two_faces_of_a_buckled_sheet_are_two_walks():
    """Sulfur stands out of graphene on one side: no operation takes that face to the other."""
    made = planned(asked(hosts="S", sites=["hollow"]))
    assert made.complete
    assert list(made.jumps) == list(made.networks) == [("K", "S", "adatom"), ("K", "S", "adatom below")]
    for (_, _, mechanism), jumps in made.jumps.items():
        lower = {" below" in step.about["site"] for step in jumps}
        assert lower == {mechanism == "adatom below"}
    assert [sentence.split(" is flat")[0] for sentence in made.warnings] == ["K on S", "K on S below"]
