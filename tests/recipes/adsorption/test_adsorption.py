"""The recipe's plan, and the laws its numbers obey with a real potential."""

import re

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from philic.potentials import load
from philic.recipes.adsorption.adsorption import Adsorption, analyse, plan
from philic.recipes.parts.hosts import surface
from philic.structures.carbons.carbon import carbon_host
from philic.structures.crystals.metals import bulk_metal
from philic.structures.sites.adatoms import place_adatoms
from philic.structures.sites.sites import adsorption_sites
from philic.workflows.analyses.adsorption import adsorption_energy_eV
from philic.workflows.stores.result import Result, Status


def made(**changes):
    return plan(Adsorption(**{"metal": "K", "dopants": ["N"], "near_A": 1.5, **changes}))


def test_each_clean_host_and_reference_is_relaxed_once_whatever_the_sites_and_metals():
    several = made(metal=["Li", "Na", "K"], near_A="all", hosts=["vacancy"])
    relaxations = [step for step in several.flow if step.function == "relax"]
    clean = [step.about["host"] for step in relaxations if "metal" not in step.about]
    assert sorted(clean) == ["3x3 graphene", "N", "cell of graphene", "pristine", "vacancy"]
    bulk = [step.about["metal"] for step in relaxations if step.about["host"] == "bulk metal"]
    assert sorted(bulk) == ["K", "Li", "Na"]
    assert len({step.key for step in several.flow}) == len(several.flow)


def test_the_sites_are_those_of_the_host():
    everywhere = made(near_A="all")
    assert len(everywhere.answers["K", "pristine"]) == 3
    assert len(everywhere.answers["K", "N"]) == 25
    hollows = made(near_A="all", sites="hollow")
    assert {len(hollows.answers["K", "pristine"]), len(hollows.answers["K", "N"])} == {1, 5}


def test_another_metal_shares_the_hosts_and_nothing_else():
    potassium, sodium = ({step.key: step for step in made(metal=metal).flow} for metal in ("K", "Na"))
    both = [potassium[key] for key in potassium.keys() & sodium.keys()]
    assert {step.about["host"] for step in both if step.function == "relax"} == {
        "pristine",
        "N",
        "cell of graphene",
        "3x3 graphene",
    }
    assert all("metal" not in step.about for step in both)  # the reference geometries' clean hosts among them


def test_a_change_of_one_parameter_changes_every_number_that_depends_on_it():
    first, second = (made(fmax_eV_per_A=fmax).answers["K", "N"][0].key for fmax in (0.02, 0.03))
    assert first != second
    assert made(stayed_A=0.5).answers["K", "N"][0].parents["adsorbed"].key in {step.key for step in made().flow}


def test_a_sheet_smaller_than_the_cutoff_is_warned_of():
    assert made().warnings == []
    (sentence,) = made(size=(2, 2)).warnings
    assert sentence == (
        "adatoms or their images are 4.92 Å apart, within the potential's cutoff of 6 Å, and feel each other; "
        "take a larger `size` if that is not meant"
    )
    (sentence,) = made(adatoms=4).warnings
    assert "4.26 Å apart" in sentence or "4.92 Å apart" in sentence


def test_too_little_vacuum_is_warned_of():
    (sentence,) = made(vacuum_A=9.5).warnings
    assert sentence == (
        "`vacuum_A` is 9.5, so an adatom is within the potential's cutoff of 6 Å of the next sheet: take at least 10"
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"potential": "emt"}, "K is unknown to the potential 'emt'"),
        ({"cross_check": "emt"}, "K is unknown to the potential 'emt'"),
        ({"hosts": ["vacancy"], "size": (1, 1)}, "`size` is (1, 1) but 'vacancy' needs at least (2, 2): enlarge it"),
        ({"adatoms": 17, "sites": "hollow"}, "`n` is 17 but the host has only 16 hollow sites: enlarge it"),
        ({"near_A": 0.1, "sites": "hollow"}, "`near_A` is 0.1 but N has no hollow site that near: raise it, or give `all`"),
    ],
)
def test_what_cannot_be_built_is_refused_before_anything_is_computed(changes, sentence):
    with pytest.raises(ValueError, match="^" + re.escape(sentence)):
        made(**changes)


def test_faces_of_crystals_and_files_are_hosts(tmp_path):
    file = tmp_path / "mine.extxyz"
    surface("Cu(100)", thickness_A=3.0, vacuum_A=12.0, min_image_A=7.0).given.write(file)
    made_of = made(dopants=[], hosts=["Cu(111)", "MF(100)", str(file)], metal=["Li", "K"], near_A="all")
    sites = {key: [step.about["site"] for step in steps] for key, steps in made_of.answers.items()}
    assert sorted(sites["K", "Cu(111)"]) == ["bridge Cu-Cu", "hollow Cu3 fcc", "hollow Cu3 hcp", "top Cu"]
    assert len(sites["K", "MF(100)"]) == 4
    assert sites["K", str(file)] == sites["Li", str(file)]
    assert "pristine" not in {host for _, host in made_of.answers}
    fluorides = [made_of.substrates[metal, "MF(100)"].given for metal in ("Li", "K")]
    assert [set(atoms.symbols) for atoms in fluorides] == [{"Li", "F"}, {"K", "F"}]


def test_a_slab_beside_a_carbon_is_not_compared_with_the_pristine_sheet():
    answers = made(hosts=["Cu(111)"]).answers
    assert "pristine_host" not in answers["K", "Cu(111)"][0].parents
    assert "pristine_host" in answers["K", "N"][0].parents


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        ("Cu(11)", "(11) is no face: give three Miller indices, as in (111) or (1 -1 0), or four with h + k = -i"),
        ("Cu(000)", "`miller` is (0, 0, 0) but at least one index must differ from 0"),
        ("KF", "`KF` is no slab with at least 6 Å of vacuum along c: give a face of it, such as KF(110)"),
        (
            "nanotube-5,5",
            "is no slab with at least 6 Å of vacuum along c: only a sheet or slab holds adatoms",
        ),
        (
            "Ti3C2O2(001)",
            "15.0 A of vacuum along c but must be a bulk crystal: a sheet, slab or tube has no such faces",
        ),
        ("nowhere.cif(110)", "`nowhere.cif` does not exist: give a structure file, or a name from `philic structures list`"),
        ("Kf(100)", "but must be one of the catalogue's"),
    ],
)
def test_a_host_that_is_none_is_refused(host, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        made(hosts=[host])


def test_a_slab_is_wide_enough_thick_enough_and_held_from_below():
    slab = surface("Mg(0001)", thickness_A=8.0, vacuum_A=15.0, min_image_A=9.0).given
    held = slab.constraints[0].get_indices()
    assert np.ptp(slab.positions[:, 2]) >= 8.0
    assert np.linalg.norm(slab.cell.array[:2], axis=1).min() >= 9.0
    assert slab.positions[held, 2].max() < np.delete(slab.positions[:, 2], held).min()
    assert 0.4 <= len(held) / len(slab) <= 0.5


def answer(energy, status=Status.CONVERGED):
    scalars = {} if energy is None else {"vs_bulk_eV": energy}
    return Result(status, "", scalars)


def test_hosts_are_ranked_by_their_best_converged_site():
    recipe = made(dopants=["N", "B", "P"])
    energies = {"pristine": [0.0], "N": [-0.1, -0.3], "B": [-0.2], "P": [-9.0]}
    results = {}
    for (_, host), steps in recipe.answers.items():
        for step, energy in zip(steps, energies[host], strict=False):
            status = Status.UNCONVERGED if host == "P" else Status.CONVERGED
            results[step.key] = answer(energy, status)
    results[recipe.answers["K", "B"][1].key] = answer(-5.0, Status.UNCONVERGED)
    results[recipe.answers["K", "B"][2].key] = answer(None, Status.FAILED)
    rows = analyse(recipe, results)
    assert [(row.rank, row.host) for row in rows] == [(1, "N"), (2, "B"), (3, "pristine"), (None, "P")]
    assert [row.best.scalars["vs_bulk_eV"] for row in rows] == [-0.3, -0.2, 0.0, -9.0]


def ended(host, anchors, energy_eV, shift_A, drift_A=0.0):
    atoms = place_adatoms(host, "Na", [anchors])
    atoms.positions[-1, :2] += [0.05, 0.1]
    atoms.translate([drift_A, 0.0, 0.0])
    return Result(Status.CONVERGED, "", {"vs_bulk_eV": energy_eV, "shift_A": shift_A}, structures={"final": atoms})


def test_of_several_starts_that_ended_in_one_minimum_the_one_that_moved_least_is_shown():
    recipe = made(dopants=["N"])
    sheet = carbon_host("pristine")
    hollow = next(site for site in adsorption_sites(sheet) if site.kind == "hollow").anchors
    other_hollow = [(i, a + 1, b) for i, a, b in hollow]
    first, second, third = recipe.answers["K", "pristine"]
    results = {
        first.key: ended(sheet, hollow, -0.0010, 2.8),
        second.key: ended(sheet, other_hollow, 0.0, 0.1, drift_A=0.7),
        third.key: ended(sheet, hollow, 0.1, 0.0),
    }
    (row,) = analyse(recipe, results)
    assert row.best is results[second.key]


def test_two_hollows_within_a_millielectronvolt_are_two_minima():
    """Sodium on Cu(111): hcp must not be shown where fcc is lower, however little."""
    recipe = plan(Adsorption(metal="Na", hosts=["Cu(111)"], thickness_A=4.0, min_image_A=5.0))
    steps = {step.about["site"]: step for step in recipe.answers["Na", "Cu(111)"]}
    host = recipe.substrates["Na", "Cu(111)"].given
    sites = {site.label: site.anchors for site in adsorption_sites(host)}
    results = {
        steps["hollow Cu3 hcp"].key: ended(host, sites["hollow Cu3 hcp"], -0.0991, 0.01),
        steps["hollow Cu3 fcc"].key: ended(host, sites["hollow Cu3 fcc"], -0.1000, 0.02),
        steps["bridge Cu-Cu"].key: ended(host, sites["hollow Cu3 fcc"], -0.0999, 0.80),
    }
    (row,) = analyse(recipe, results)
    assert row.best is results[steps["hollow Cu3 fcc"].key]


def test_a_host_that_lost_bonds_has_no_rank():
    recipe = made(dopants=["N"])
    keys = {host: steps[0].key for (_, host), steps in recipe.answers.items()}
    torn = {"vs_pristine_eV": -1.0, "host_kept_bonds": False}
    rows = analyse(recipe, {keys["N"]: Result(Status.CONVERGED, "", torn), keys["pristine"]: answer(0.0)})
    assert [(row.rank, row.host) for row in rows] == [(1, "pristine"), (None, "N")]


def test_the_pristine_hollow_is_a_reference_whatever_the_sites():
    kinds = {step.about["kind"] for step in made(sites="top").answers["K", "pristine"]}
    assert kinds == {"top", "hollow"}


@pytest.fixture(scope="module")
def chgnet():
    return load("chgnet")


def energies(potential, *structures):
    return [prediction.energy_eV for prediction in potential.evaluate(structures)]


def on_hollow(host, height_A):
    (site,) = (site for site in adsorption_sites(host, near_A=1.5) if site.kind == "hollow")
    return place_adatoms(host, "K", [site.anchors], height_A=height_A)


def test_a_metal_atom_out_of_reach_leaves_the_host_s_energy_as_it_is(chgnet):
    """E(sheet + K far away) = E(sheet) + E(K): here a K2 dimer, for the potential knows no free atom."""
    sheet = carbon_host("N", (3, 3), vacuum_A=40.0)
    pair = Atoms("K2", positions=[[0, 0, 0], [0, 0, 4.2]], cell=sheet.cell, pbc=True)
    pair.positions += sheet.positions[0] + [0, 0, 12.0]
    together, apart, alone = energies(chgnet, sheet + pair, sheet, pair)
    assert together - apart - alone == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("name", ["pristine", "N"])
def test_a_doubled_cell_has_the_same_adsorption_energy_per_atom(chgnet, name):
    host = carbon_host(name, (3, 3))
    adsorbed = on_hollow(host, 2.6)
    metal, host_eV, adsorbed_eV, host2_eV, adsorbed2_eV = energies(
        chgnet, bulk_metal("K"), host, adsorbed, host * (2, 1, 1), adsorbed * (2, 1, 1)
    )
    once = adsorption_energy_eV(adsorbed_eV, host_eV, metal / 2, 1)
    twice = adsorption_energy_eV(adsorbed2_eV, host2_eV, metal / 2, 2)
    assert twice == pytest.approx(once, abs=1e-3)


def test_both_faces_of_a_flat_sheet_are_the_same(chgnet):
    host = carbon_host("N", (3, 3))
    (site,) = (site for site in adsorption_sites(host, near_A=1.5) if site.kind == "hollow")
    above, below = (place_adatoms(host, "K", [site.anchors], face=face) for face in (1, -1))
    one, other = energies(chgnet, above, below)
    assert one == pytest.approx(other, abs=1e-4)


def test_sites_called_equal_by_symmetry_have_equal_energy(chgnet):
    """The six hollows' worth of orbits of an N-doped sheet: every image of a site, by the potential's own word."""
    host = carbon_host("N", (3, 3))
    nitrogen = int(np.flatnonzero(host.symbols == "N")[0])
    rings = [a for kind, a in hollows(host) if nitrogen in {i for i, _, _ in a}]
    assert len(rings) == 3
    values = energies(chgnet, *(place_adatoms(host, "K", [anchors]) for anchors in rings))
    assert np.ptp(values) < 2e-4


def hollows(host):
    from philic.structures.sites.sites import all_anchors

    return [place for place in all_anchors(host) if place[0] == "hollow"]


def test_a_host_without_sites_of_the_kinds_asked_for_is_refused_without_blaming_the_distance(tmp_path):
    """Chains of carbon have no ring; `near_A` is `all` already."""
    write(tmp_path / "chain.extxyz", Atoms("C2", positions=[(0, 0, 7), (1.3, 0, 7)], cell=[2.6, 9, 15], pbc=True))
    sentence = "chain.extxyz has no such site: name other kinds (top, bridge, hollow)"
    with pytest.raises(ValueError, match=r"^`sites` is hollow but .*" + re.escape(sentence)):
        made(hosts=[str(tmp_path / "chain.extxyz")], dopants=[], sites="hollow", near_A="all")
